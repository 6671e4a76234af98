package offload

// A Verdict says of a checksum what looking at it gave.
type Verdict uint8

// The verdicts.
const (
	Unchecked Verdict = iota // there is none, or not all of what it covers is here
	Good
	Bad
)

// Sums are the verdicts on a frame's checksums.
type Sums struct {
	IP    Verdict // of an IPv4 header
	L4    Verdict // of TCP, UDP and ICMP
	Proto uint8   // that L4 is of
}

// Verify checks the checksums of a frame: of IPv4's header, and of TCP, UDP,
// ICMP and ICMPv6 in packets that are no fragment. A frame with other contents, or
// whose headers are not whole, is unchecked; so is UDP without a checksum.
func Verify(parts [][]byte) Sums {
	n := length(parts)
	head := []byte(nil)
	if len(parts) > 0 {
		head = parts[0]
	}
	if len(head) < min(n, MaxHeader) {
		var room [MaxHeader]byte
		head = gather(room[:], parts)
	}
	h, ok := parse(head, n)
	if !ok {
		return h.onlyIP(head)
	}
	var v Sums
	if !h.v6 {
		if v.IP = Bad; Sum(h.ipHeader(head), 0) == 0xFFFF {
			v.IP = Good
		}
	}
	if h.frag || !h.summed(head) {
		return v
	}
	initial := uint16(0)
	if h.proto != protoICMP {
		initial = h.pseudo(head, h.end-h.l4)
	}
	v.Proto, v.L4 = h.proto, Bad
	if sum, ok := sumParts(parts, h.l4, h.end, initial); ok && sum == 0xFFFF {
		v.L4 = Good
	}
	return v
}

// onlyIP is the verdict on a frame whose IPv4 header is whole and nothing else.
func (h *headers) onlyIP(head []byte) (v Sums) {
	if h.v6 || h.proto == 0 || h.l4 < h.l3+ip4Header || h.l4 > len(head) || head[h.l3]>>4 != 4 {
		return v
	}
	if v.IP = Bad; Sum(h.ipHeader(head), 0) == 0xFFFF {
		v.IP = Good
	}
	return v
}

// summed says that the packet has a checksum that is known here.
func (h *headers) summed(head []byte) bool {
	switch h.proto {
	case protoTCP:
		return true
	case protoUDP:
		return head[h.l4+udpSum]|head[h.l4+udpSum+1] != 0
	case protoICMP:
		return !h.v6 && h.end-h.l4 >= 4
	case protoICMPv6:
		return h.v6 && h.end-h.l4 >= 4
	}
	return false
}
