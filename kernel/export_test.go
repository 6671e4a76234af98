package kernel

import (
	"net/netip"

	"ringside/offload"
	"ringside/sim"
	"ringside/syscall"
)

// Napi is one NAPI instance for tests that drive it by hand, rightly or wrongly.
type Napi struct{ n *napi }

// Napi is instance i of the first driver.
func (k *Kernel) Napi(i int) Napi { return Napi{k.drivers[0].napi[i]} }

func (n Napi) Schedule()     { n.n.schedule(n.n.cpu) }
func (n Napi) Begin()        { n.n.begin(n.n.cpu) }
func (n Napi) State() string { return n.n.state.String() }
func (n Napi) CPU() int      { return n.n.cpu.id }

// Leak loses an skb.
func (k *Kernel) Leak() { k.newSKB() }

// FreeTwice frees an skb once more than it is held.
func (k *Kernel) FreeTwice() {
	s, err := k.allocSKB(60)
	if err != nil {
		panic(err)
	}
	k.release(s)
	k.release(s)
}

// HostSends has the host's stack send a frame, and then tell when the first bridge's
// timer is armed for.
func (k *Kernel) HostSends(frame []byte, armed func(at, due sim.Time)) {
	b := k.bridges[0]
	k.cpus[0].later(func(c *CPU) {
		s, err := k.allocSKB(len(frame))
		if err != nil {
			panic(err)
		}
		copy(s.data, frame)
		s.id, s.arrived, s.queue = k.newID(), c.clock.Now(), -1
		b.xmit(c, s)
		armed(b.timer.At(), b.br.Due())
	})
}

// Arrive has a frame come in by an interface, with what is left to do with it.
func (k *Kernel) Arrive(name string, frame []byte, m offload.Meta) {
	dev := k.netdev(name)
	k.cpus[0].later(func(c *CPU) {
		s, err := k.allocSKB(len(frame))
		if err != nil {
			panic(err)
		}
		s.fill([][]byte{frame})
		s.id, s.arrived, s.queue = k.newID(), c.clock.Now(), -1
		k.setMeta(s, m)
		k.begin(c, s)
		c.list[0] = s
		k.receive(c, dev, c.list[:1])
	})
}

// Does gives an interface features, as virtio's negotiation does.
func (k *Kernel) Does(name string, csum, tso bool) {
	dev := k.netdev(name)
	if csum {
		dev.features |= featCsum
	}
	if tso {
		dev.features |= featTSO4 | featTSO6
		dev.gsoMax = gsoMaxSize
	}
}

// ListenUDP has take called with what comes to a UDP port of the host's.
func (k *Kernel) ListenUDP(at netip.AddrPort, take func(from, to netip.AddrPort, payload []byte)) error {
	return k.host.listenUDP(at, func(_ *CPU, _ *skb, from, to netip.AddrPort, payload []byte) { take(from, to, payload) })
}

// SendUDP sends a tunnel's datagram on the first CPU, so many tunnels deep, and tells
// how it went.
func (k *Kernel) SendUDP(deep int, from, to netip.AddrPort, payload []byte, told func(syscall.Errno)) {
	k.cpus[0].later(func(c *CPU) {
		k.host.depth = deep
		told(k.host.sendUDP(c, from, to, 0, 64, true, false, [][]byte{payload}))
		k.host.depth = 0
	})
}
