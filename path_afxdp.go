package ringside

import (
	"ringside/kernel"
	"ringside/nic"
	"ringside/vswitch"
	"ringside/xdp"
)

// The path afxdp: the process of the path dpdk, its switch and its vhost-user ports, behind
// AF_XDP sockets. The kernel's driver keeps the NIC: a program gives every frame to the
// socket of its queue.
//
//	NIC ─► driver, NAPI ─► program ─► socket ═ rings ═► switch ─► vhost-user ─► guest
var afxdpWiring = wiring{
	givesUp: []string{
		"a CPU, which is busy though nothing comes",
		"frames longer than 2,048 bytes",
		"the host's own stack at the bridge, taps, patches, tunnels and mirrors",
		"VLAN filtering, spanning tree, neighbour suppression and a querier of the bridge",
		"checksum and segmentation offloads, of NICs and of guests",
	},
	check:  checkAFXDP,
	nic:    (*Host).addXSKNIC,
	vm:     func(h *Host, i int) error { return h.addRaw(i, kernel.VhostUser) },
	finish: (*Host).startPolling,
}

// checkAFXDP finds what a switch in user space has not got, and what a socket has not.
func checkAFXDP(c *Config) error {
	for i := range c.NICs {
		if n := &c.NICs[i]; n.XDP.Program != nil {
			return c.cannot("%s: a program of its own; the path's gives frames to the socket", n.Name)
		}
	}
	return checkDPDK(c)
}

// xskRing is the entries of each ring of a socket.
const xskRing = 2048

// A boundXSK is a socket as the process on a core sees it: its system calls are made there.
type boundXSK struct {
	*kernel.XSK
	core *kernel.Core
}

func (b boundXSK) Wakeup() { b.XSK.Wakeup(b.core) }

// addXSKNIC makes a NIC of the kernel's, and a port of the switch on a socket of it.
func (h *Host) addXSKNIC(n *NIC, cpu int) error {
	p, err := h.poller()
	if err != nil {
		return err
	}
	u, err := p.core.AddUserPort(h.at(n.Name, n.Bridge, n.Port, n.MTU), -1, false, vswitch.DataRoom)
	if err != nil {
		return err
	}
	domain, err := h.hostDomain(n)
	if err != nil {
		return err
	}
	name := n.Name + "-nic" // the switch's port has the name
	_, err = h.Kernel.AddNIC(kernel.NICConfig{
		Name: name, IOMMU: h.cfg.IOMMU, Domain: domain, Queues: n.Queues, Ring: n.Ring, ITR: n.ITR, DropEn: n.DropEn, FirstCPU: cpu, Node: *n.Node, IRQAffinity: n.IRQAffinity,
		XDP: XDPConfig{Program: xdp.ToSocket, Name: "xsk"}, At: kernel.Interface{Alone: true},
	}, func(irq nic.IRQ) (*nic.NIC, error) { return h.newNIC(n, h.Bridge.Config().MAC, irq) })
	if err != nil {
		return err
	}
	blocks, size := p.pool.UMEM()
	x, err := h.Kernel.AddXSK(kernel.XSKConfig{
		NIC: name, UMEM: kernel.UMEM{Blocks: blocks, BlockSize: size, Room: vswitch.DataRoom},
		Ring: xskRing, ZeroCopy: !h.cfg.XSKCopy, Forwards: true, Ready: p.core.Wake,
	})
	if err != nil {
		return err
	}
	port, err := vswitch.NewXSK(vswitch.XSKConfig{Core: p.core, Pool: p.pool, Socket: x.Socket, Kernel: boundXSK{x, p.core}, Index: u.Index()})
	if err != nil {
		return err
	}
	x.Start()
	return p.plug(port, u, n.Port, true)
}
