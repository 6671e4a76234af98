package bridge_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/bridge"
)

// A stacker is two bridges that filter VLANs, whose ports 4 are one cable.
type stacker struct {
	t    *testing.T
	tpid uint16
	b    [2]*bridge.Bridge
	in   [2]map[bridge.Port]map[uint16]bool // untagged, by port and VLAN
	pvid [2]map[bridge.Port]uint16
}

func newStacker(t *testing.T, tpid uint16, vlans []byte) *stacker {
	s := &stacker{t: t, tpid: tpid}
	for i := range s.b {
		cfg := bridge.Config{VLANFiltering: true, VLANProtocol: tpid, DefaultPVID: bridge.NoPVID, NoSnooping: true}
		var err error
		s.b[i], err = bridge.New(cfg)
		require.NoError(t, err)
		s.in[i] = map[bridge.Port]map[uint16]bool{bridge.Local: {}}
		s.pvid[i] = map[bridge.Port]uint16{}
		for range 4 {
			p, err := s.b[i].AddPort(bridge.PortConfig{})
			require.NoError(t, err)
			s.in[i][p] = map[uint16]bool{}
		}
	}
	for n, v := range vlans[:min(len(vlans), 24)] {
		s.add(n%2, bridge.Port(v%5), bridge.VLAN{VID: 1 + uint16(v>>3%3), PVID: bit(v, 6), Untagged: bit(v, 7)})
	}
	return s
}

// add puts a port into a VLAN.
func (s *stacker) add(i int, p bridge.Port, v bridge.VLAN) {
	require.NoError(s.t, s.b[i].AddVLAN(p, v))
	s.in[i][p][v.VID] = v.Untagged
	if v.PVID {
		s.pvid[i][p] = v.VID
	} else if s.pvid[i][p] == v.VID {
		s.pvid[i][p] = 0
	}
}

// pass has a frame come in by a port of one of the bridges. It checks what every copy
// may look like, follows the cable, and returns the frames that leave by other ports.
func (s *stacker) pass(i int, p bridge.Port, frame []byte, depth int) (out [][]byte) {
	v := s.b[i].Handle(p, frame, 0)
	vid, body := s.classify(i, p, frame)
	for _, c := range v.Out {
		got := c.Apply(nil, frame)
		untagged, member := s.in[i][c.Port][vid]
		require.Truef(s.t, member && vid != 0, "bridge %d: %x of VLAN %d leaves by %d", i, frame, vid, c.Port)
		want := body
		if !untagged {
			want = tagged(s.tpid, s.priority(frame)|vid, body)
		}
		require.Equalf(s.t, want, got, "bridge %d: %x of VLAN %d, by port %d", i, frame, vid, c.Port)
		if c.Port == 4 && depth < 2 {
			out = append(out, s.pass(1-i, 4, got, depth+1)...)
		} else {
			out = append(out, got)
		}
	}
	return out
}

// classify is the VLAN that a frame is in, 0 if none, and the frame without its tag.
// A tag of the bridge's own protocol says so; all other frames are of the PVID.
func (s *stacker) classify(i int, p bridge.Port, frame []byte) (vid uint16, body []byte) {
	body = frame
	if s.own(frame) {
		vid = binary.BigEndian.Uint16(frame[14:]) & 0xfff
		body = append(bytes.Clone(frame[:12]), frame[16:]...)
	}
	if vid == 0 {
		vid = s.pvid[i][p]
	}
	if _, member := s.in[i][p][vid]; !member {
		return 0, body
	}
	return vid, body
}

func (s *stacker) own(frame []byte) bool { return binary.BigEndian.Uint16(frame[12:]) == s.tpid }

func (s *stacker) priority(frame []byte) uint16 {
	if s.own(frame) {
		return binary.BigEndian.Uint16(frame[14:]) &^ 0xfff
	}
	return 0
}

// stack is a frame with the tags that c tells.
func stack(c []byte) []byte {
	f := data(broadcast, host(1))
	for _, t := range c[:min(len(c), 6)] {
		f = tagged([]uint16{0x8100, 0x88a8}[t>>7], []uint16{0, 1, 2, 3, 4, 0xfff, 1, 2}[t&7]|uint16(t>>3&15)<<12, f)
	}
	return f
}

// Whatever tags a frame has, a filtering bridge touches none but the one of its own
// protocol in front, and frames leave by members of their VLAN only.
func FuzzVLANStack(f *testing.F) {
	f.Add(false, byte(1), []byte{0xc1, 0xc1, 0x09, 0x0a}, []byte{})
	f.Add(true, byte(2), []byte{0xca, 0x52, 0x13, 0x14, 0xd3}, []byte{0x81, 0x02, 0x03})
	f.Add(false, byte(0), []byte{0xd0, 0xd0, 0x14, 0x14}, []byte{0x38})
	f.Add(false, byte(4), []byte{0xd4, 0xd4, 0x91, 0x14}, []byte{0x85})
	f.Fuzz(func(t *testing.T, provider bool, port byte, vlans, tags []byte) {
		tpid := uint16(0x8100)
		if provider {
			tpid = 0x88a8
		}
		s := newStacker(t, tpid, vlans)
		s.pass(0, bridge.Port(port%5), stack(tags), 0)
	})
}

// A cable between two bridges carries customers' frames whole, be their tags what they
// may: what goes in by an access port comes out of the other as it was. A tag of the
// bridges' own protocol is not a customer's: it is taken, or the frame dropped.
func TestVLANStackThroughATrunk(t *testing.T) {
	all := []byte{0x00, 0x01, 0x02, 0x05, 0x7a, 0x80, 0x81, 0x82, 0x85, 0xfa}
	for _, tpid := range []uint16{0x8100, 0x88a8} {
		s := newStacker(t, tpid, nil)
		for i := range s.b {
			s.add(i, 1, bridge.VLAN{VID: 2, PVID: true, Untagged: true})
			s.add(i, 4, bridge.VLAN{VID: 2})
		}
		for _, outer := range all {
			for _, inner := range all {
				frame := stack([]byte{inner, outer})
				want := [][]byte{frame}
				if vid := binary.BigEndian.Uint16(frame[14:]) & 0xfff; s.own(frame) && (vid == 0 || vid == 2) {
					want = [][]byte{append(bytes.Clone(frame[:12]), frame[16:]...)}
				} else if s.own(frame) {
					want = nil
				}
				require.Equalf(t, want, s.pass(0, 1, frame, 0), "%x", frame)
			}
		}
	}
}
