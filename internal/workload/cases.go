package workload

// cases is the table of workloads, by path.
var cases = []Case{
	{"kernel-drop", "a port of the kernel's bridge that blocks: driver, GRO, receive core, first hook, freed",
		"a drop in iptables raw; the hook of netfilter and its one rule are not there", kernelDrop},
	{"udp-no-port", "driver, GRO, receive core, the host's IP layer, freed",
		"UDP to a port that nobody has; no ICMP error is sent", udpNoPort},
	{"tap-sink-same", "the whole native path into one guest, one read a frame, on the CPU that takes frames off the ring",
		"a UDP sink on the core of the receive queue, with bridge and tap in place of IP, UDP and socket", tapSink(false)},
	{"tap-sink-other", "the whole native path into one guest, one read a frame, on another CPU",
		"a UDP sink on another core, with bridge and tap in place of IP, UDP and socket", tapSink(true)},
	{"bridge-forward", "from one NIC through the kernel's bridge to another, on one CPU",
		"switching or forwarding in the kernel", bridgeForward},
}
