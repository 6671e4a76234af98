package app

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"ringside/sim"
	"ringside/vm/guest"
)

// PingConfig describes the program Ping. To is required.
type PingConfig struct {
	To       string        // a host
	Count    int           // requests; 0 means 4
	Interval time.Duration // between two; 0 means 1 s
	Timeout  time.Duration // to wait for the last reply; 0 means 1 s
	Size     int           // bytes behind the header of ICMP, 8 at least; 0 means 56
}

// Ping sends ICMP echo requests, of IPv4 or IPv6 [RFC 792, RFC 4443]. It records sent,
// received, duplicates, and rtt-min, rtt-avg and rtt-max.
func Ping(c PingConfig) guest.Program {
	if c.Count == 0 {
		c.Count = 4
	}
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = time.Second
	}
	if c.Size == 0 {
		c.Size = 56
	}
	c.Size = max(c.Size, 8)
	return func(p *guest.Proc) error {
		addrs, err := p.LookupHost(c.To)
		if err != nil {
			return err
		}
		g := &pinger{c: c, to: addrs[0], sent: make([]sim.Time, 0, c.Count), seen: make([]bool, c.Count)}
		err = g.run(p)
		g.record(p)
		return err
	}
}

type pinger struct {
	c    PingConfig
	to   netip.Addr
	sent []sim.Time // when, by sequence number
	seen []bool     // the reply, likewise

	received, duplicates int
	least, most, sum     sim.Time
}

const icmpHeader = 8

// run sends the requests and takes the replies.
func (g *pinger) run(p *guest.Proc) error {
	network := "icmp4"
	if g.to.Is6() {
		network = "icmp6"
	}
	conn, err := p.Dial(network, g.to.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	for range g.c.Count {
		if err := g.send(p, conn); err != nil {
			p.Logf("%v", err)
		}
		wait := g.c.Interval
		if len(g.sent) == g.c.Count {
			wait = g.c.Timeout
		}
		if err := g.listen(p, conn, p.Now().Add(wait)); err != nil {
			return err
		}
	}
	return nil
}

// send sends the next request. Whoever forges a reply must know its number.
func (g *pinger) send(p *guest.Proc, conn net.Conn) error {
	b := make([]byte, icmpHeader+g.c.Size)
	b[0] = 8 // echo request
	if g.to.Is6() {
		b[0] = 128
	}
	binary.BigEndian.PutUint16(b[6:], uint16(len(g.sent)))
	binary.BigEndian.PutUint64(b[icmpHeader:], uint64(len(g.sent)))
	g.sent = append(g.sent, p.Time())
	_, err := conn.Write(b)
	return err
}

// listen takes replies until the date by, or the last one that is due.
func (g *pinger) listen(p *guest.Proc, conn net.Conn, by time.Time) error {
	conn.SetReadDeadline(by)
	b := make([]byte, icmpHeader+g.c.Size)
	for len(g.sent) < g.c.Count || g.received < g.c.Count {
		n, err := conn.Read(b)
		if late(err) {
			return nil
		}
		if err != nil {
			p.Logf("%v", err) // unreachable, for instance: the next one may come through
			continue
		}
		g.reply(p.Time(), b[:n])
	}
	return nil
}

// reply notes an echo reply. The sequence number of ICMP has 16 bits; the whole one
// stands behind the header.
func (g *pinger) reply(now sim.Time, b []byte) {
	if len(b) < icmpHeader+8 {
		return
	}
	i := binary.BigEndian.Uint64(b[icmpHeader:])
	if i >= uint64(len(g.sent)) {
		return
	}
	if g.seen[i] {
		g.duplicates++
		return
	}
	rtt := now - g.sent[i]
	if g.received == 0 || rtt < g.least {
		g.least = rtt
	}
	g.seen[i], g.most = true, max(g.most, rtt)
	g.received++
	g.sum += rtt
}

func (g *pinger) record(p *guest.Proc) {
	p.Record("sent", int64(len(g.sent)), "")
	p.Record("received", int64(g.received), "")
	p.Record("duplicates", int64(g.duplicates), "")
	if g.received > 0 {
		p.Record("rtt-min", g.least.Nanoseconds(), "ns")
		p.Record("rtt-avg", (g.sum / sim.Time(g.received)).Nanoseconds(), "ns")
		p.Record("rtt-max", g.most.Nanoseconds(), "ns")
	}
}

var _ = register(&Spec{
	Name: "ping",
	Does: "sends ICMP echo requests",
	Args: []Arg{
		hostArg("to", "whom to ask"),
		countArg("count", 4, 1, 1_000_000, "requests"),
		spanArg("interval", "1s", "between two"),
		spanArg("timeout", "1s", "to wait for the last reply"),
		sizeArg("size", "56", 8, 65_000, "bytes behind the header of ICMP"),
	},
	make: func(v values) guest.Program {
		return Ping(PingConfig{
			To: get[string](v, "to"), Count: get[int](v, "count"), Interval: get[time.Duration](v, "interval"),
			Timeout: get[time.Duration](v, "timeout"), Size: int(get[int64](v, "size")),
		})
	},
})
