package app

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"ringside/vm/guest"
)

// FirewallConfig describes the program Firewall. The zero value lets nothing pass but
// what finds neighbours.
type FirewallConfig struct {
	Inside, Outside string // interfaces; "" means eth0 and eth1
	Rules           []Rule // the first that fits decides
	Pass            bool   // what fits none passes; else it is dropped
}

// A Direction says which way a frame goes through a firewall.
type Direction uint8

// The directions.
const (
	BothWays Direction = iota
	In                 // from the outside
	Out                // from the inside
)

// A Rule says what becomes of the packets that fit. Its zero value drops everything.
type Rule struct {
	Pass      bool
	Direction Direction
	Proto     uint8        // of IP: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6; 0 is any
	From, To  netip.Prefix // the zero Prefix is any
	FromPorts Ports        // of TCP and UDP; the zero Ports are any
	ToPorts   Ports
}

// Ports are the ports First to Last. The zero value is all of them, and packets that
// have none.
type Ports struct{ First, Last uint16 }

func (r Ports) fit(p *packet, port uint16) bool {
	return r == Ports{} || p.ports && r.First <= port && port <= r.Last
}

// fits says whether the rule is one for a packet.
func (r *Rule) fits(d Direction, p *packet) bool {
	return (r.Direction == BothWays || r.Direction == d) &&
		(r.Proto == 0 || p.ip && r.Proto == p.proto) &&
		(!r.From.IsValid() || r.From.Contains(p.src)) &&
		(!r.To.IsValid() || r.To.Contains(p.dst)) &&
		r.FromPorts.fit(p, p.srcPort) && r.ToPorts.fit(p, p.dstPort)
}

// Firewall stands in a cable: what comes in by one of two interfaces goes out by the
// other, unchanged, if the rules let it pass. It keeps no state, so an answer needs a
// rule of its own, and fragments behind the first have no ports. ARP and neighbour
// discovery always pass; other frames that are not IP fit the rules without protocol,
// addresses and ports. It does not end. It records passed, dropped, full (that found no
// room on the other side), default (that no rule fitted), and rule-N for each.
func Firewall(c FirewallConfig) guest.Program {
	if c.Inside == "" {
		c.Inside = "eth0"
	}
	if c.Outside == "" {
		c.Outside = "eth1"
	}
	return func(p *guest.Proc) error {
		f := &firewall{c: c, hits: make([]int64, len(c.Rules)+1)}
		f.results(p)
		inside, err := p.Packets(c.Inside, guest.RawOptions{Take: true})
		if err != nil {
			return err
		}
		outside, err := p.Packets(c.Outside, guest.RawOptions{Take: true})
		if err != nil {
			return err
		}
		p.Go(p.Name()+"/in", func(p *guest.Proc) error { return f.forward(In, outside, inside) })
		return f.forward(Out, inside, outside)
	}
}

type firewall struct {
	c                     FirewallConfig
	passed, dropped, full int64
	hits                  []int64 // by rule, the last for none
}

func (f *firewall) results(p *guest.Proc) {
	p.RecordFunc("passed", "", func() int64 { return f.passed })
	p.RecordFunc("dropped", "", func() int64 { return f.dropped })
	p.RecordFunc("full", "", func() int64 { return f.full })
	for i := range f.hits {
		name := fmt.Sprintf("rule-%d", i+1)
		if i == len(f.c.Rules) {
			name = "default"
		}
		p.RecordFunc(name, "", func() int64 { return f.hits[i] })
	}
}

// forward carries frames one way.
func (f *firewall) forward(d Direction, from, to *guest.RawConn) error {
	b := make([]byte, 1<<16+32)
	for {
		n, meta, err := from.ReadFrame(b)
		if err != nil {
			return err
		}
		if !f.pass(d, b[:n]) {
			f.dropped++
			continue
		}
		if err := to.WriteFrame(b[:n], meta); err != nil {
			f.full++
			continue
		}
		f.passed++
	}
}

// pass decides on a frame.
func (f *firewall) pass(d Direction, b []byte) bool {
	p := dissect(b)
	if p.neighbour {
		return true
	}
	for i := range f.c.Rules {
		if r := &f.c.Rules[i]; r.fits(d, &p) {
			f.hits[i]++
			return r.Pass
		}
	}
	f.hits[len(f.c.Rules)]++
	return f.c.Pass
}

// ParseRules reads rules with semicolons between, each
//
//	pass|drop [in|out] [tcp|udp|icmp|icmp6|PROTOCOL] [from PREFIX] [sport PORTS] [to PREFIX] [port PORTS]
//
// where PORTS is a port or FIRST-LAST.
func ParseRules(text string) ([]Rule, error) {
	var list []Rule
	for _, part := range strings.Split(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		r, err := parseRule(strings.Fields(part))
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", strings.TrimSpace(part), err)
		}
		list = append(list, r)
	}
	return list, nil
}

var protocols = map[string]uint8{"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58}

func parseRule(words []string) (r Rule, err error) {
	switch words[0] {
	case "pass":
		r.Pass = true
	case "drop":
	default:
		return r, fmt.Errorf("%q is not pass or drop", words[0])
	}
	for i := 1; i < len(words); i++ {
		word, value := words[i], ""
		switch word {
		case "from", "to", "sport", "port":
			if i++; i == len(words) {
				return r, fmt.Errorf("nothing behind %s", word)
			}
			value = words[i]
		}
		switch word {
		case "in":
			r.Direction = In
		case "out":
			r.Direction = Out
		case "from":
			r.From, err = parsePrefix(value)
		case "to":
			r.To, err = parsePrefix(value)
		case "sport":
			r.FromPorts, err = parsePorts(value)
		case "port":
			r.ToPorts, err = parsePorts(value)
		default:
			r.Proto, err = parseProtocol(word)
		}
		if err != nil {
			return r, err
		}
	}
	if (r.FromPorts != Ports{} || r.ToPorts != Ports{}) && r.Proto != 6 && r.Proto != 17 {
		return r, errors.New("ports are of tcp or udp")
	}
	return r, nil
}

// parsePrefix reads a prefix, or an address, which is a prefix of all its bits.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is not a network or an address", s)
	}
	return p.Masked(), nil
}

func parsePorts(s string) (Ports, error) {
	first, last, ok := cutRange(s)
	if !ok {
		first, last = s, s
	}
	a, err1 := strconv.ParseUint(first, 10, 16)
	b, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil || a == 0 || b < a {
		return Ports{}, fmt.Errorf("%q is not a port or a range of ports", s)
	}
	return Ports{uint16(a), uint16(b)}, nil
}

// cutRange cuts FIRST-LAST.
func cutRange(s string) (first, last string, ok bool) { return strings.Cut(s, "-") }

func parseProtocol(s string) (uint8, error) {
	if n, ok := protocols[s]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a word of rules; there are in, out, tcp, udp, icmp, icmp6, a protocol's number, from, to, sport, port", s)
	}
	return uint8(n), nil
}

var _ = register(&Spec{
	Name: "firewall",
	Does: "stands between two interfaces and lets pass what its rules say",
	Args: []Arg{
		argOf("rules", "rules with ; between: pass|drop [in|out] [tcp|udp|icmp|icmp6] [from NET] [sport PORTS] [to NET] [port PORTS]", "", "the first that fits decides", ParseRules),
		flagArg("pass", false, "what fits no rule passes"),
		textArg("inside", "eth0", "interface"),
		textArg("outside", "eth1", "interface"),
	},
	make: func(v values) guest.Program {
		return Firewall(FirewallConfig{
			Rules: get[[]Rule](v, "rules"), Pass: get[bool](v, "pass"),
			Inside: get[string](v, "inside"), Outside: get[string](v, "outside"),
		})
	},
})
