package gate

import (
	"fmt"
	"hash/crc64"
	"io"
	"net"
	"net/netip"
	"time"

	"ringside"
	"ringside/sim"
	own "ringside/vm/guest"
)

// tcp are guests with stacks of their own that talk TCP.
func tcp() []Scenario {
	return []Scenario{lossy(), crowd(), fromPeer()}
}

// lossy is sixteen guests on two machines, each with a connection to one on the
// other, all at once, over a cable that loses, doubles, delays and reorders.
func lossy() Scenario {
	return Scenario{Name: "tcp/16", Lab: func() ringside.LabConfig {
		c := ringside.LabConfig{
			Seed:   1,
			Hosts:  []ringside.LabHost{{Name: "a"}, {Name: "b"}},
			Cables: []ringside.Cable{{A: ringside.End{Host: "a"}, B: ringside.End{Host: "b"}, Link: mustParse("loss 1% duplicate 1% delay 50us 20us overtake reorder 5% gap 4")}},
		}
		for h := range c.Hosts {
			for i := range 8 {
				n := 8*h + i
				c.Hosts[h].VMs = append(c.Hosts[h].VMs, talker(n, (n+8)%16, 60_000+1000*n))
			}
		}
		return c
	}}
}

// crowd is a hundred guests on one machine in a ring: each sends to the next.
func crowd() Scenario {
	return Scenario{Name: "tcp/100", Lab: func() ringside.LabConfig {
		c := ringside.LabConfig{Seed: 1, Hosts: make([]ringside.LabHost, 1)}
		for i := range 100 {
			c.Hosts[0].VMs = append(c.Hosts[0].VMs, talker(i, (i+1)%100, 10_000+100*i))
		}
		return c
	}}
}

// fromPeer is two peers behind a bad link, one to each of two guests, with every
// offload that there is, by IPv4 and IPv6.
func fromPeer() Scenario {
	return Scenario{Name: "tcp/peers", Lab: func() ringside.LabConfig {
		all, err := ringside.ParseOffloads("all")
		if err != nil {
			panic(err)
		}
		c := ringside.LabConfig{Seed: 1, Hosts: []ringside.LabHost{{Config: ringside.Config{NICs: make([]ringside.NIC, 2), Offloads: all}}}}
		for i := range 2 {
			t := talker(i, i+2, 100_000)
			t.Virtio.Queues = 1 + i
			c.Hosts[0].VMs = append(c.Hosts[0].VMs, t)
			p := talker(i+2, i, 300_000)
			c.Peers = append(c.Peers, ringside.Peer{
				NIC: fmt.Sprint("eth", i), Addresses: p.Addresses, Processes: p.Processes, TSO: true, Link: mustParse("loss 1% delay 100us"),
			})
		}
		return c
	}, Small: true}
}

// talker is a guest that sends n bytes to another one and takes what comes, with
// what it has seen among its results.
func talker(i, to, n int) ringside.VM {
	return ringside.VM{
		Addresses: []netip.Prefix{netip.PrefixFrom(talkerAddr(i), 16), netip.PrefixFrom(talkerAddr6(i), 64)},
		Processes: []own.Process{{Name: "take", Main: take}, {Name: "give", Main: give(to, n)}},
	}
}

func talkerAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, byte(i + 1)}) }

func talkerAddr6(i int) netip.Addr { return ip6(i + 1) }

var sums = crc64.MakeTable(crc64.ECMA)

// take reads what comes by one connection.
func take(p *own.Proc) error {
	l, err := p.Listen("tcp", ":9")
	if err != nil {
		return err
	}
	c, err := l.Accept()
	if err != nil {
		return err
	}
	h := crc64.New(sums)
	n, err := io.Copy(h, c)
	if err != nil {
		return err
	}
	p.Record("bytes", n, "B")
	p.RecordText("sum", fmt.Sprintf("%x", h.Sum(nil)))
	return c.Close()
}

// give sends n bytes of chance, an even one's by IPv6, some of them after a while.
func give(to, n int) own.Program {
	return func(p *own.Proc) error {
		at := talkerAddr(to)
		if to%2 == 0 {
			at = talkerAddr6(to)
		}
		c, err := p.Dial("tcp", net.JoinHostPort(at.String(), "9"))
		if err != nil {
			return err
		}
		r, buf, h := p.Rand(), make([]byte, 5000), crc64.New(sums)
		for left := n; left > 0; left -= len(buf) {
			buf = buf[:min(len(buf), left)]
			for i := range buf {
				buf[i] = byte(r.Uint32())
			}
			h.Write(buf)
			if _, err := c.Write(buf); err != nil {
				return err
			}
			if r.IntN(8) == 0 {
				p.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
			}
		}
		p.RecordText("sum", fmt.Sprintf("%x", h.Sum(nil)))
		p.Record("done", int64(p.Time()/sim.Microsecond), "us")
		return c.Close()
	}
}
