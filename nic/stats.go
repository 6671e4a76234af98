package nic

// Statistics registers [8.18]. All are cleared by reading them, and stick at
// their highest value; the octet counters are pairs, cleared by reading the high
// half.
const (
	MPC   = 0x4010 // frames that the packet buffer had no room for
	GPRC  = 0x4074 // good packets received
	BPRC  = 0x4078 // broadcasts among them
	MPRC  = 0x407C // multicasts among them
	GPTC  = 0x4080 // good packets sent
	GORCL = 0x4088 // good octets received, FCS included
	GORCH = 0x408C
	GOTCL = 0x4090 // good octets sent, FCS included
	GOTCH = 0x4094
	RNBC  = 0x40A0 // frames that waited for a descriptor
	RUC   = 0x40A4 // undersize frames
	ROC   = 0x40AC // oversize frames
	TORL  = 0x40C0 // octets received, good or not
	TORH  = 0x40C4
	TOTL  = 0x40C8 // octets sent
	TOTH  = 0x40CC
	TPR   = 0x40D0 // packets received, good or not
	TPT   = 0x40D4 // packets sent
	MPTC  = 0x40F0 // multicasts sent
	BPTC  = 0x40F4 // broadcasts sent
)

// statNames has the statistics, those included that never count because what
// they count cannot happen on this wire: errors, collisions, pause frames.
var statNames = map[uint32]string{
	MPC: "MPC", GPRC: "GPRC", BPRC: "BPRC", MPRC: "MPRC", GPTC: "GPTC",
	GORCL: "GORCL", GORCH: "GORCH", GOTCL: "GOTCL", GOTCH: "GOTCH", RNBC: "RNBC", RUC: "RUC", ROC: "ROC",
	TORL: "TORL", TORH: "TORH", TOTL: "TOTL", TOTH: "TOTH", TPR: "TPR", TPT: "TPT", MPTC: "MPTC", BPTC: "BPTC",
	0x4000: "CRCERRS", 0x4004: "ALGNERRC", 0x4008: "SYMERRS", 0x400C: "RXERRC",
	0x4014: "SCC", 0x4018: "ECOL", 0x401C: "MCC", 0x4020: "LATECOL", 0x4028: "COLC", 0x4030: "DC",
	0x4034: "TNCRS", 0x4040: "RLEC", 0x4048: "XONRXC", 0x404C: "XONTXC",
	0x4050: "XOFFRXC", 0x4054: "XOFFTXC", 0x4058: "FCRUC", 0x40A8: "RFC", 0x40B0: "RJC",
}

// counters are the statistics since they were last read.
type counters struct {
	mpc, rnbc, ruc, roc    uint64
	gprc, bprc, mprc, gorc uint64
	gptc, bptc, mptc, gotc uint64
	tpr, tor               uint64
	tpt, tot               uint64
	rqdpc                  [MaxQueues]uint64
}

// sticky is what a 32-bit counter shows.
func sticky(v *uint64) uint32 {
	shown := min(*v, 1<<32-1)
	*v = 0
	return uint32(shown)
}

// low is the low half of a pair, which does not clear it; high is the high half,
// which does.
func low(v *uint64) uint32 { return uint32(*v) }

func high(v *uint64) uint32 {
	shown := uint32(*v >> 32)
	*v = 0
	return shown
}

// rqdpcMax is where RQDPC sticks: it has twelve bits [8.10].
const rqdpcMax = 0xFFF

// read clears and returns a statistics register; ok is false if reg is none.
func (c *counters) read(reg uint32) (v uint32, ok bool) {
	switch reg {
	case MPC:
		return sticky(&c.mpc), true
	case RNBC:
		return sticky(&c.rnbc), true
	case RUC:
		return sticky(&c.ruc), true
	case ROC:
		return sticky(&c.roc), true
	case GPRC:
		return sticky(&c.gprc), true
	case BPRC:
		return sticky(&c.bprc), true
	case MPRC:
		return sticky(&c.mprc), true
	case GPTC:
		return sticky(&c.gptc), true
	case BPTC:
		return sticky(&c.bptc), true
	case MPTC:
		return sticky(&c.mptc), true
	case TPR:
		return sticky(&c.tpr), true
	case TPT:
		return sticky(&c.tpt), true
	case GORCL:
		return low(&c.gorc), true
	case GORCH:
		return high(&c.gorc), true
	case GOTCL:
		return low(&c.gotc), true
	case GOTCH:
		return high(&c.gotc), true
	case TORL:
		return low(&c.tor), true
	case TORH:
		return high(&c.tor), true
	case TOTL:
		return low(&c.tot), true
	case TOTH:
		return high(&c.tot), true
	}
	_, ok = statNames[reg]
	return 0, ok
}
