package offload

// A GSO says how a frame that is longer than a wire allows is to be cut.
type GSO uint8

// The kinds, as virtio_net_hdr and Linux's SKB_GSO_* know them. UDP fragmentation
// is not one, and neither is a segment inside a tunnel.
const (
	GSONone  GSO = iota
	GSOTCPv4     // TCP over IPv4
	GSOTCPv6     // TCP over IPv6
	GSOUDPL4     // UDP datagrams of equal length, the last may be shorter
)

// String is the name that reports use.
func (g GSO) String() string {
	names := [...]string{"none", "tcpv4", "tcpv6", "udp_l4"}
	if int(g) < len(names) {
		return names[g]
	}
	return "reserved"
}

// Meta is what travels beside a frame: virtio_net_hdr in words. The zero value is
// a plain frame whose checksums are what they are. Offsets count from the frame's
// first byte, tags included.
type Meta struct {
	NeedsCsum bool // checksum half done: the pseudo-header's sum stands at CsumStart+CsumOffset, to be completed over [CsumStart:]
	Valid     bool // somebody has verified the checksum (CHECKSUM_UNNECESSARY)
	GSO       GSO
	FixedID   bool   // every segment has the same IPv4 identification (SKB_GSO_TCP_FIXEDID); virtio cannot say so
	GSOSize   uint16 // payload bytes of a segment, 0 unless GSO
	HdrLen    uint16 // Ethernet to TCP or UDP header, of a GSO frame; a hint when a guest says it

	CsumStart  uint16 // first byte that is summed
	CsumOffset uint16 // of the checksum from there
	Segs       uint16 // wire frames that were merged into this or that it becomes; 0 means 1
}

// Plain says that a frame with this Meta can go anywhere as it is.
func (m Meta) Plain() bool { return !m.NeedsCsum && m.GSO == GSONone }

// Shift moves the offsets by n bytes, as when a tag is put in front of them or
// taken away. They stay within 16 bits: what a guest says may be near their ends.
func (m *Meta) Shift(n int) {
	if m.NeedsCsum {
		m.CsumStart = shifted(m.CsumStart, n)
	}
	if m.HdrLen != 0 {
		m.HdrLen = shifted(m.HdrLen, n)
	}
}

func shifted(at uint16, n int) uint16 { return uint16(min(max(int(at)+n, 0), 0xFFFF)) }
