package guest

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"ringside/sim"
	"ringside/vm/guest/dns"
)

// How LookupHost asks, as a resolver without configuration does (resolv.conf(5)).
const (
	dnsPort     = 53
	dnsTimeout  = 5 * time.Second
	dnsAttempts = 2
)

// LookupHost returns the addresses of a host: of an IP literal itself, else what the
// machine's Resolver says, IPv6 first if the machine has an IPv6 address.
func (p *Proc) LookupHost(host string) ([]netip.Addr, error) { return p.lookup(host, anyFamily, 0) }

// lookup is LookupHost for a family, by a time; 0 is none.
func (p *Proc) lookup(host string, f family, by sim.Time) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if a = a.Unmap(); !f.takes(a) {
			return nil, &net.AddrError{Err: "no suitable address", Addr: host}
		}
		return []netip.Addr{a}, nil
	}
	notFound := func(why string) error {
		return &net.DNSError{Err: why, Name: host, Server: p.k.server(), IsNotFound: true}
	}
	if !p.k.cfg.Resolver.IsValid() {
		return nil, notFound("no such host: the machine has no resolver")
	}
	if host == "" || dns.CheckName(host) != nil {
		return nil, notFound("no such host: not a name")
	}
	var list []netip.Addr
	var failed error
	for _, t := range p.k.recordTypes(f) {
		got, err := p.ask(host, t, by)
		if err != nil {
			failed = err
		}
		list = append(list, got...)
	}
	switch {
	case len(list) > 0:
		return list, nil
	case failed != nil:
		return nil, failed
	}
	return nil, notFound("no such host")
}

// recordTypes is what to ask for, in the order in which addresses are to be tried.
func (k *Kernel) recordTypes(f family) []dns.Type {
	switch {
	case f == ipv4:
		return []dns.Type{dns.A}
	case f == ipv6:
		return []dns.Type{dns.AAAA}
	case k.hasIPv6():
		return []dns.Type{dns.AAAA, dns.A}
	}
	return []dns.Type{dns.A, dns.AAAA}
}

// hasIPv6 says whether the machine has an IPv6 address.
func (k *Kernel) hasIPv6() bool {
	for _, a := range k.addrs {
		if a.Is6() {
			return true
		}
	}
	return false
}

func (k *Kernel) server() string {
	if !k.cfg.Resolver.IsValid() {
		return ""
	}
	return netip.AddrPortFrom(k.cfg.Resolver, dnsPort).String()
}

// ask asks the resolver for the records of a type.
func (p *Proc) ask(host string, t dns.Type, by sim.Time) ([]netip.Addr, error) {
	c := &Conn{}
	server := netip.AddrPortFrom(p.k.cfg.Resolver, dnsPort)
	if err := c.dial(p.k, "udp", named("udp", server.Addr()), server, by); err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: host, Server: p.k.server()}
	}
	defer c.Close()
	var err error
	for range dnsAttempts {
		var list []netip.Addr
		if list, err = p.exchange(c, host, t, by); err == nil {
			return list, nil
		}
	}
	timeout := false
	if e, ok := err.(net.Error); ok {
		timeout = e.Timeout()
	}
	return nil, &net.DNSError{Err: err.Error(), Name: host, Server: p.k.server(), IsTimeout: timeout, IsTemporary: true}
}

// exchange sends one query and waits for its answer.
func (p *Proc) exchange(c *Conn, host string, t dns.Type, by sim.Time) ([]netip.Addr, error) {
	until := p.k.after(dnsTimeout)
	if by != 0 {
		until = min(until, by)
	}
	c.SetDeadline(date(until))
	id := uint16(p.Rand().Uint32())
	q, err := dns.Query(id, host, t).Append(nil)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(q); err != nil {
		return nil, err
	}
	b := make([]byte, dns.MaxUDP)
	for {
		n, err := c.Read(b)
		if err != nil {
			return nil, err
		}
		m, err := dns.Parse(b[:n])
		if err != nil || !m.Response || m.ID != id || len(m.Questions) != 1 || !dns.Equal(m.Questions[0].Name, host) || m.Questions[0].Type != t {
			continue // not the answer to this
		}
		if m.RCode != dns.NoError && m.RCode != dns.NXDomain {
			return nil, fmt.Errorf("server says %v", m.RCode)
		}
		return addresses(m, host), nil
	}
}

// addresses is what an answer says of a host, over its aliases.
func addresses(m dns.Message, host string) (list []netip.Addr) {
	for range len(m.Answers) + 1 {
		alias := ""
		for _, r := range m.Answers {
			if !dns.Equal(r.Name, host) {
				continue
			}
			if a, ok := r.Addr(); ok {
				list = append(list, a)
			} else if r.Type == dns.CNAME {
				alias = r.Alias
			}
		}
		if len(list) > 0 || alias == "" {
			break
		}
		host = alias
	}
	return list
}
