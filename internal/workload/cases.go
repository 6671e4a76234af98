package workload

import (
	"ringside/vswitch"
	"ringside/xdp"
)

// cases is the table of workloads, by path.
var cases = []Case{
	{"xdp-drop", "a program at the driver drops every frame unread", "XDP_DROP", xdpVerdict(xdp.DropAll, false, droppedByKernel)},
	{"xdp-drop-read", "a program at the driver reads every frame and drops it", "XDP_DROP of a program that reads the frame", xdpVerdict(xdp.DropTouch, false, droppedByKernel)},
	{"xdp-tx", "a program swaps the addresses and sends every frame back", "XDP_TX", xdpVerdict(xdp.SwapTx, false, toWire)},
	{"xdp-redirect", "a program sends every frame on by another NIC, through the bulk queue", "XDP_REDIRECT by a map of devices", xdpRedirect},
	{"xdp-pass-drop", "a program passes all, and the stack drops as in kernel-drop", "XDP_PASS in front of a drop in iptables raw", xdpPassDrop},
	{"xdp-generic-drop", "a program behind the driver drops sk_buffs", "generic XDP_DROP", xdpVerdict(xdp.DropTouch, true, droppedByKernel)},
	{"xdp-generic-tx", "a program behind the driver sends sk_buffs back", "generic XDP_TX", xdpVerdict(xdp.SwapTx, true, toWire)},
	{"kernel-drop", "a port of the kernel's bridge that is in no VLAN: driver, GRO, receive core, first hook, freed",
		"a drop in iptables raw; the hook of netfilter and its one rule are not there", kernelDrop},
	{"udp-no-port", "driver, GRO, receive core, the host's IP layer, freed",
		"UDP to a port that nobody has; no ICMP error is sent", udpNoPort},
	{"tap-sink-same", "the whole native path into one guest, one read a frame, on the CPU that takes frames off the ring",
		"a UDP sink on the core of the receive queue, with bridge and tap in place of IP, UDP and socket", tapSink(false)},
	{"tap-sink-other", "the whole native path into one guest, one read a frame, on another CPU",
		"a UDP sink on another core, with bridge and tap in place of IP, UDP and socket", tapSink(true)},
	{"l2fwd", "a process in user space passes bursts between two NICs, both ways, and looks nothing up", "testpmd io, l2fwd, ixy-fwd; addresses stay as they are", l2fwd(true)},
	{"l2fwd-one", "the same, one way", "likewise", l2fwd(false)},
	{"afxdp-fwd", "the bridge in user space behind AF_XDP sockets, from NIC to NIC, one way", "a switch on AF_XDP", afxdpForward},
	{"pmd-drop", "a process in user space frees what it has polled", "DPDK drop", pmdDrop},
	{"ovs-p2p", "pairs of ports and the price of a flow cache, one way", "OVS-DPDK between NICs; its one price is that of a cache that hits", as(vswitch.Flow, l2fwd(false))},
	{"ovs-p2p-both", "the same, both ways on one core", "likewise", as(vswitch.Flow, l2fwd(true))},
	{"vpp-p2p", "pairs of ports and the price of VPP's graph, one way", "VPP cross-connect", as(vswitch.Graph, l2fwd(false))},
	{"vpp-p2p-both", "the same, both ways on one core", "likewise", as(vswitch.Graph, l2fwd(true))},
	{"vpp-bridge-both", "the bridge and the price of VPP's graph, both ways on one core", "VPP bridge domain", as(vswitch.Graph, switchP2P(true))},
	{"switch-p2p", "the bridge in user space on poll-mode drivers, from NIC to NIC, one way", "a switch in user space with a MAC table; its table and its learning are those of our bridge", switchP2P(false)},
	{"switch-p2p-both", "the same, both ways on one core", "likewise", switchP2P(true)},
	{"switch-p2v", "the bridge in user space, from a NIC into a guest's vhost-user ring", "likewise, with a guest that keeps up", switchP2V},
	{"vhost-rx", "from a NIC through the kernel's bridge and vhost-net to a guest; a CPU each for interrupts, vhost and guest", "a guest behind vhost-net that receives", vhostRx},
	{"vhost-tx", "a guest sends through vhost-net, and its tap's port drops; a CPU each for vhost and guest", "testpmd in a guest behind vhost-net, XDP drop at the tap; the drop is an sk_buff's here", vhostTx},
	{"bridge-forward", "from one NIC through the kernel's bridge to another, on one CPU",
		"switching or forwarding in the kernel", bridgeForward},
}
