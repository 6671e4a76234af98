package app

import (
	"fmt"
	"net/netip"
	"strings"

	"ringside/vm/guest"
	"ringside/vm/guest/dns"
)

// DNSConfig describes the program DNS.
type DNSConfig struct {
	Hosts []Host
	Port  uint16 // 0 means 53
	TTL   uint32 // seconds; 0 means 60
}

// A Host is a name and its addresses.
type Host struct {
	Name  string
	Addrs []netip.Addr
}

// DNS answers questions for A and AAAA records from a table, over UDP, and NXDOMAIN for
// names that are not in it [RFC 1035]. It does not end. It records queries, answered,
// nxdomain and bad.
func DNS(c DNSConfig) guest.Program {
	if c.Port == 0 {
		c.Port = 53
	}
	if c.TTL == 0 {
		c.TTL = 60
	}
	return func(p *guest.Proc) error {
		for _, h := range c.Hosts {
			if err := dns.CheckName(h.Name); err != nil {
				return err
			}
		}
		conn, err := p.ListenPacket("udp", fmt.Sprintf(":%d", c.Port))
		if err != nil {
			return err
		}
		r := &responder{c: c}
		p.RecordFunc("queries", "", func() int64 { return r.queries })
		p.RecordFunc("answered", "", func() int64 { return r.answered })
		p.RecordFunc("nxdomain", "", func() int64 { return r.unknown })
		p.RecordFunc("bad", "", func() int64 { return r.bad })
		b := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return err
			}
			if answer := r.answer(b[:n]); answer != nil {
				if _, err := conn.WriteTo(answer, from); err != nil {
					p.Logf("%v", err)
				}
			}
		}
	}
}

type responder struct {
	c                               DNSConfig
	queries, answered, unknown, bad int64
}

// answer is the answer to a query, nil if there is to be none.
func (r *responder) answer(query []byte) []byte {
	r.queries++
	m, err := dns.Parse(query)
	if err != nil || m.Response {
		r.bad++
		return nil
	}
	m.Response, m.Authoritative, m.RecursionAvailable, m.Truncated, m.Answers = true, true, false, false, nil
	switch {
	case m.OpCode != 0:
		m.RCode = dns.NotImp
		r.bad++
	case len(m.Questions) != 1:
		m.RCode = dns.FormErr
		r.bad++
	default:
		r.find(&m)
	}
	b, err := m.Append(nil)
	if err != nil {
		r.bad++
		return nil
	}
	if len(b) > dns.MaxUDP { // no room for all: TCP would have, which there is none of here
		m.Answers, m.Truncated = nil, true
		b, _ = m.Append(nil)
	}
	return b
}

// find answers the one question of m.
func (r *responder) find(m *dns.Message) {
	q := m.Questions[0]
	m.RCode = dns.NXDomain
	for _, h := range r.c.Hosts {
		if !dns.Equal(h.Name, q.Name) {
			continue
		}
		m.RCode = dns.NoError
		for _, a := range h.Addrs {
			if rec := dns.Address(q.Name, a, r.c.TTL); rec.Type == q.Type && rec.Class == q.Class {
				m.Answers = append(m.Answers, rec)
			}
		}
	}
	if m.RCode == dns.NXDomain {
		r.unknown++
	} else {
		r.answered++
	}
}

// parseHosts reads NAME=ADDRESS, several with commas between.
func parseHosts(s string) ([]Host, error) {
	var list []Host
	for _, part := range strings.Split(s, ",") {
		name, text, ok := strings.Cut(strings.TrimSpace(part), "=")
		a, err := netip.ParseAddr(text)
		if !ok || err != nil || name == "" || a.Zone() != "" {
			return nil, fmt.Errorf("%q is not NAME=ADDRESS", part)
		}
		if err := dns.CheckName(name); err != nil {
			return nil, err
		}
		list = append(list, Host{name, []netip.Addr{a.Unmap()}})
	}
	return list, nil
}

var _ = register(&Spec{
	Name: "dns",
	Does: "answers questions for addresses from a table",
	Args: []Arg{
		required(argOf("hosts", "NAME=ADDRESS, with commas between", "", "the table", parseHosts)),
		portArg("port", 53, "to listen on"),
		countArg("ttl", 60, 0, 1<<30, "seconds that an answer holds"),
	},
	make: func(v values) guest.Program {
		return DNS(DNSConfig{Hosts: get[[]Host](v, "hosts"), Port: get[uint16](v, "port"), TTL: uint32(get[int](v, "ttl"))})
	},
})
