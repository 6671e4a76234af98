package validate

import (
	"fmt"

	"ringside/internal/workload"
)

// The goals: factors within which the median of a group is to be.
const (
	polledGoal = 1.15
	kernelGoal = 1.25
	virtioGoal = 1.5
)

// groups is what others have measured. Sources are those of the books: docs/validate.md
// lists them.
func groups() []Group {
	return []Group{
		{Name: "xdp", Goal: kernelGoal, About: "programs at the driver and behind it, one core, 64 bytes", Rows: xdpRows()},
		{Name: "kernel", Goal: kernelGoal, About: "the kernel's receive path, one core unless said, 64 bytes", Rows: kernelRows()},
		{Name: "polled", Goal: polledGoal, About: "drivers in user space, NIC to NIC, both ways on one core", Rows: polledRows()},
		{Name: "switch", Goal: polledGoal, About: "switches in user space, NIC to NIC, one core", Rows: switchRows()},
		{Name: "virtio", Goal: virtioGoal, About: "back ends of virtio, one core for the back end", Rows: virtioRows()},
		{Name: "scaling", Goal: polledGoal, About: "several cores, and what the NIC takes", Rows: scalingRows()},
	}
}

// at is a row in Mpps that was read in its source.
func at(source, machine, what, name string, published float64) Row {
	return Row{What: what, Machine: machine, Source: source, Status: "READ", Unit: "Mpps", Published: published, Case: name}
}

// without is a row that cannot be predicted, and why.
func without(source, machine, what string, published float64, why string) Row {
	return Row{What: what, Machine: machine, Source: source, Status: "READ", Unit: "Mpps", Published: published, Why: why}
}

func (r Row) with(k workload.Knobs) Row { r.knobs = k; return r }

func (r Row) derived() Row { r.Status = "DERIVED"; return r }
func (r Row) priced() Row  { r.Priced = true; return r }
func (r Row) retp() Row    { r.retpoline = true; r.What += ", retpolines"; return r }

func xdpRows() []Row {
	return []Row{
		at("S1", "e5-1650v4", "XDP drop", "xdp-drop", 24).priced(),
		at("S1", "e5-1650v4", "XDP redirect to another port", "xdp-redirect", 8.65),
		at("S1", "e5-1650v4", "XDP pass, then iptables raw drop", "xdp-pass-drop", 4.5).priced(),
		at("S2", "i7-6700k", "XDP drop, frame untouched", "xdp-drop", 19.80),
		at("S2", "i7-6700k", "XDP drop, frame read", "xdp-drop-read", 12.01).priced(),
		at("S2", "i7-6700k", "XDP transmit", "xdp-tx", 10.11).priced(),
		at("S2", "i7-6700k", "generic XDP drop", "xdp-generic-drop", 8.41),
		at("S2", "i7-6700k", "generic XDP transmit", "xdp-generic-tx", 4.57),
		at("S3", "e5-1650v4-x520", "XDP redirect, ixgbe to i40e", "xdp-redirect", 11.91),
		at("S3", "e5-1650v4-x520", "XDP redirect, ixgbe to i40e", "xdp-redirect", 7.44).retp(),
	}
}

func kernelRows() []Row {
	return []Row{
		at("S1", "e5-1650v4", "iptables raw drop", "kernel-drop", 4.8),
		at("S3", "e5-1650v4-xl710", "iptables raw drop, GRO on", "kernel-drop", 5.705).priced(),
		at("S3", "e5-1650v4-xl710", "iptables raw drop, GRO off", "kernel-drop", 6.702),
		at("S3", "e5-1650v4-xl710", "to a UDP port that nobody has", "udp-no-port", 3.327).priced(),
		at("S3", "e5-1650v4-xl710", "UDP sink, same core (nearest: tap)", "tap-sink-same", 0.718),
		at("S3", "e5-1650v4-xl710", "UDP sink, another core (nearest: tap)", "tap-sink-other", 2.312),
		without("S1", "e5-1650v4", "conntrack drop", 1.8, "no connection tracking"),
		without("S3", "e5-1650v4-xl710", "handed to another core by XDP, then no UDP port", 3.52, "no cpumap"),
		without("S3", "e5-1650v4", "AF_XDP over veth, 512 B", 1.024, "no program at a veth"),
		without("B7", "none", "Open vSwitch in the kernel, NIC to NIC", 1.88, "the machine was not read, and its flow table is not the bridge"),
		without("S16", "e5-2650", "FreeBSD forwarding, one queue", 1.30, "another kernel"),
	}
}

func polledRows() (rows []Row) {
	batches := []int{1, 2, 4, 8, 16, 32, 64, 128, 256}
	for _, c := range []struct {
		machine string
		mpps    []float64
	}{
		{"e5-2620v3", []float64{4.72, 7.90, 12.22, 16.74, 20.12, 21.78, 22.12, 22.10, 22.60}},
		{"e5-2620v3-1.2", []float64{2.72, 4.40, 6.94, 9.18, 10.82, 11.22, 11.62, 11.66, 11.78}},
	} {
		for i, n := range batches {
			r := at("S4", c.machine, fmt.Sprintf("ixy forward, batch %d", n), "l2fwd", c.mpps[i])
			r.knobs = workload.Knobs{Batch: n, Plain: true}
			r.Priced = c.machine == "e5-2620v3-1.2" && (n == 1 || n == 32) // mmio_write, pmd_rx
			rows = append(rows, r)
		}
	}
	return append(rows,
		at("S4", "e5-2620v3", "DPDK l2fwd", "l2fwd", 23.4),
		at("S4", "e5-2620v3-1.2", "DPDK l2fwd", "l2fwd", 19.8).priced(),
		at("S1", "e5-1650v4", "DPDK drop", "pmd-drop", 43.5),
	)
}

func switchRows() []Row {
	return []Row{
		at("S5", "e5-2690v3", "BESS, both ways", "l2fwd", 23.8).derived(),
		without("S5", "e5-2690v3", "FastClick, both ways", 18.0, "no graph of elements"),
		at("S5", "e5-2690v3", "VPP, both ways", "vpp-p2p-both", 16.1).derived(),
		without("S5", "e5-2690v3", "Snabb, both ways", 13.6, "no links between apps, and its drivers are its own"),
		at("S5", "e5-2690v3", "OVS-DPDK, both ways", "ovs-p2p-both", 11.7).derived().priced(),
		without("S5", "e5-2690v3", "VALE, both ways", 8.4, "netmap ports, which copy in the kernel"),
		at("S5", "e5-2690v3", "OVS-DPDK, one way", "ovs-p2p", 11.98).derived(),
		at("S5", "e5-2690v3", "BESS, one way (line rate)", "l2fwd-one", 14.88).derived(),
		at("S5", "e5-2690v3", "VPP, one way (line rate)", "vpp-p2p", 14.88).derived(),
		at("S6", "e5-2699v3", "VPP 17.01 cross-connect, no loss", "vpp-p2p-both", 12.7).priced(),
		at("S6", "e5-2699v3", "VPP 17.01 bridge domain, no loss", "vpp-bridge-both", 10.4).priced(),
		at("S11", "e5-2620v3-xl710", "OVS with AF_XDP, port to port (NIC assumed)", "afxdp-fwd", 7.3),
	}
}

func virtioRows() []Row {
	return []Row{
		at("S5", "e5-2690v3", "OVS-DPDK, NIC to VM", "switch-p2v", 7.65).derived(),
		at("S5", "e5-2690v3", "VPP, NIC to VM", "switch-p2v", 10.31).derived(),
		at("S5", "e5-2690v3", "FastClick, NIC to VM", "switch-p2v", 9.00).derived(),
		at("S5", "e5-2690v3", "Snabb, NIC to VM", "switch-p2v", 8.88).derived(),
		at("S12", "i7-5600u", "vhost-net, guest to host, batching", "vhost-tx", 3.9),
		at("S12", "i7-5600u", "vhost-net, guest to host, before batching", "vhost-tx", 3.1),
		at("S13", "kaby-lake-4.0", "virtio-user and vhost-net, SMAP on", "vhost-tx", 6.0),
		at("S13", "kaby-lake-4.0", "virtio-user and vhost-net, SMAP off", "vhost-tx", 7.5),
		at("S13", "broadwell-2.6", "virtio-user and vhost-net, SMAP on", "vhost-tx", 6.4),
		at("S13", "broadwell-2.6", "virtio-user and vhost-net, SMAP off", "vhost-tx", 8.2),
		without("S6", "e5-2699v3", "VPP cross-connect, vhost, VM, vhost, no loss", 2.8, "no poll-mode driver in a guest that forwards"),
		without("S15", "epyc-7302p", "Firecracker, 64 B, one way 88.2 us", 0.0113, "latency over two machines, not a rate"),
	}
}

// scalingRows have as many queues as cores, and flows spread over them.
func scalingRows() []Row {
	rows := []Row{
		at("S1", "e5-1650v4", "XDP redirect, ring 128", "xdp-redirect", 7.58).with(workload.Knobs{Ring: 128}),
		at("S1", "e5-1650v4", "iptables raw drop, 6 cores (linear)", "kernel-drop", 28.8).derived().with(workload.Knobs{Cores: 6}),
		at("S1", "e5-1650v4", "XDP drop, 6 cores (ceiling of the bus)", "xdp-drop", 115).with(workload.Knobs{Cores: 6}),
	}
	for _, c := range []struct {
		ring int
		mpps float64
	}{{1024, 29.8}, {512, 34.0}, {256, 46.1}, {128, 43.4}} {
		what := fmt.Sprintf("XDP redirect, 6 queues, ring %d", c.ring)
		rows = append(rows, at("S1", "e5-1650v4", what, "xdp-redirect", c.mpps).with(workload.Knobs{Cores: 6, Ring: c.ring}))
	}
	for i, mpps := range []float64{74.5, 97.6, 109.4, 115.5} {
		what := fmt.Sprintf("DPDK drop, %d cores", i+2)
		rows = append(rows, at("S1", "e5-1650v4", what, "pmd-drop", mpps).with(workload.Knobs{Cores: i + 2}))
	}
	return append(rows,
		without("S16", "e5-2650", "FreeBSD forwarding, 8 queues", 5.79, "another kernel, with a lock that it has lost since"),
	)
}
