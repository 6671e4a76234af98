package virtio

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ringside/offload"
)

// HdrLen is the length of struct virtio_net_hdr, which is in front of every frame
// [5.1.6].
const HdrLen = 12

// Flags and kinds of segmentation in a header.
const (
	hdrNeedsCsum = 1
	hdrDataValid = 2

	gsoNone  = 0
	gsoTCPv4 = 1
	gsoTCPv6 = 4
	gsoUDPL4 = 5
	gsoECN   = 0x80 // the first segment has CWR: of TCP kinds
)

// ErrHdr says that a header breaks the format, or says what its frame is not.
var ErrHdr = errors.New("virtio: bad virtio_net_hdr")

var gsoTypes = [...]uint8{offload.GSONone: gsoNone, offload.GSOTCPv4: gsoTCPv4, offload.GSOTCPv6: gsoTCPv6, offload.GSOUDPL4: gsoUDPL4}

// PutHdr writes the header of a frame that is so, and fills so many buffers, into
// the first HdrLen bytes of b. On the way to the device numBuffers is 0.
func PutHdr(b []byte, m offload.Meta, numBuffers uint16) {
	h := (*[HdrLen]byte)(b)
	*h = [HdrLen]byte{}
	binary.LittleEndian.PutUint16(h[10:], numBuffers)
	if m.Valid {
		h[0] = hdrDataValid
	}
	if m.NeedsCsum {
		h[0] = hdrNeedsCsum
		binary.LittleEndian.PutUint16(h[6:], m.CsumStart)
		binary.LittleEndian.PutUint16(h[8:], m.CsumOffset)
	}
	if m.GSO != offload.GSONone {
		h[1] = gsoTypes[m.GSO]
		binary.LittleEndian.PutUint16(h[2:], m.HdrLen)
		binary.LittleEndian.PutUint16(h[4:], m.GSOSize)
	}
}

// PutPlain is PutHdr of a frame with nothing left to do, as nearly all are; valid says
// that somebody has verified its checksum. It writes in two pieces what a reader takes
// in two.
func PutPlain(b []byte, valid bool, numBuffers uint16) {
	h := (*[HdrLen]byte)(b)
	var flags uint64
	if valid {
		flags = hdrDataValid
	}
	binary.LittleEndian.PutUint64(h[:], flags)
	binary.LittleEndian.PutUint32(h[8:], uint32(numBuffers)<<16)
}

// Plain reads numBuffers of the header at b, which must be whole, and says whether
// there is nothing else in it: then the frame's Meta is the zero value.
func Plain(b []byte) (numBuffers uint16, plain bool) {
	h := (*[HdrLen]byte)(b)
	return binary.LittleEndian.Uint16(h[10:]), h[0] == 0 && h[1] == gsoNone
}

// ParseHdr reads the header at b of a frame of frameLen bytes, the header not
// counted. It checks what can be checked without the frame: kinds, and offsets
// against the length. Whether the kind was negotiated is for FromDriver and
// FromDevice to say.
func ParseHdr(b []byte, frameLen int) (m offload.Meta, numBuffers uint16, err error) {
	if len(b) < HdrLen {
		return m, 0, fmt.Errorf("%w: %d bytes of %d", ErrHdr, len(b), HdrLen)
	}
	h := (*[HdrLen]byte)(b)
	numBuffers, plain := Plain(b)
	if plain {
		return m, numBuffers, nil
	}
	m.Valid = h[0]&hdrDataValid != 0
	if h[0]&hdrNeedsCsum != 0 {
		m.NeedsCsum = true
		m.CsumStart, m.CsumOffset = binary.LittleEndian.Uint16(h[6:]), binary.LittleEndian.Uint16(h[8:])
		if int(m.CsumStart)+int(m.CsumOffset)+2 > frameLen {
			return offload.Meta{}, 0, fmt.Errorf("%w: checksum at %d+%d of a frame of %d bytes", ErrHdr, m.CsumStart, m.CsumOffset, frameLen)
		}
	}
	if h[1] == gsoNone {
		return m, numBuffers, nil
	}
	return m, numBuffers, parseGSO(&m, h, frameLen)
}

// parseGSO reads the rest of the header of a frame that is to be cut.
func parseGSO(m *offload.Meta, h *[HdrLen]byte, frameLen int) error {
	switch kind := h[1]; kind {
	case gsoTCPv4, gsoTCPv4 | gsoECN:
		m.GSO = offload.GSOTCPv4
	case gsoTCPv6, gsoTCPv6 | gsoECN:
		m.GSO = offload.GSOTCPv6
	case gsoUDPL4:
		m.GSO = offload.GSOUDPL4
	default:
		*m = offload.Meta{}
		return fmt.Errorf("%w: gso_type %#x", ErrHdr, kind)
	}
	m.HdrLen, m.GSOSize = binary.LittleEndian.Uint16(h[2:]), binary.LittleEndian.Uint16(h[4:])
	switch {
	case !m.NeedsCsum: // [5.1.6.2.1]
		*m = offload.Meta{}
		return fmt.Errorf("%w: segments without NEEDS_CSUM", ErrHdr)
	case m.GSOSize == 0:
		*m = offload.Meta{}
		return fmt.Errorf("%w: gso_size 0", ErrHdr)
	case int(m.HdrLen) > frameLen:
		n := m.HdrLen
		*m = offload.Meta{}
		return fmt.Errorf("%w: hdr_len %d of a frame of %d bytes", ErrHdr, n, frameLen)
	}
	return nil
}

// FromDriver says whether a driver that has chosen f may send a frame with m.
func (f Features) FromDriver(m offload.Meta) bool {
	return (!m.NeedsCsum || f.Has(FCSUM)) && f.gso(m.GSO, FHostTSO4, FHostTSO6, FHostUSO)
}

// FromDevice says whether a driver that has chosen f may be sent a frame with m.
func (f Features) FromDevice(m offload.Meta) bool {
	return (!m.NeedsCsum && !m.Valid || f.Has(FGuestCSUM)) && f.gso(m.GSO, FGuestTSO4, FGuestTSO6, FGuestUSO4|FGuestUSO6)
}

func (f Features) gso(g offload.GSO, tso4, tso6, uso Features) bool {
	switch g {
	case offload.GSONone:
		return true
	case offload.GSOTCPv4:
		return f.Has(tso4)
	case offload.GSOTCPv6:
		return f.Has(tso6)
	}
	return f.Has(uso)
}
