package vxlan

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A long is a packet that does not fit, and whether it gets an answer.
type long struct {
	name   string
	frame  []byte
	mtu    int
	answer bool
}

// long4 is a frame of an IPv4 packet of n bytes that may not be fragmented.
func long4(n int, edit func(p []byte)) []byte {
	f := frameTo(stations[0], stations[1], 1, 17, 7, 9)[:14+20]
	for i := range n - 20 {
		f = append(f, byte(i%251))
	}
	p := f[14:]
	p[1], p[6], p[8] = 0x10, 0x40, 55
	binary.BigEndian.PutUint16(p[2:], uint16(n))
	if edit != nil {
		edit(p)
	}
	p[10], p[11] = 0, 0
	binary.BigEndian.PutUint16(p[10:], checksum(p[:int(p[0]&0xf)*4]))
	return f
}

func long6(n int, edit func(p []byte)) []byte {
	f := append(append(stations[0][:], stations[1][:]...), 0x86, 0xdd)
	p := make([]byte, n)
	p[0], p[6], p[7] = 0x60, 17, 55
	binary.BigEndian.PutUint16(p[4:], uint16(n-40))
	p[8], p[23], p[24], p[39] = 0xfd, 1, 0xfd, 2
	for i := range n - 40 {
		p[40+i] = byte(i % 251)
	}
	if edit != nil {
		edit(p)
	}
	return append(append([]byte(nil), f...), p...)
}

func tagOf(f []byte) []byte {
	return append(append(append([]byte(nil), f[:12]...), 0x81, 0, 0, 7), f[12:]...)
}

// longs are packets that do not fit into the underlay's 1500 bytes.
func longs() []long {
	set := func(at int, v ...byte) func([]byte) { return func(p []byte) { copy(p[at:], v) } }
	return []long{
		{"a byte too long", long4(1451, nil), 1450, true},
		{"odd", long4(1999, nil), 1450, true},
		{"may be fragmented", long4(1451, set(6, 0)), 1450, false},
		{"a fragment", long4(1451, set(6, 0x60)), 1450, false},
		{"to a group", long4(1451, set(16, 224, 0, 0, 9)), 1450, false},
		{"to all", long4(1451, set(16, 255, 255, 255, 255)), 1450, false},
		{"from nobody", long4(1451, set(12, 0, 0, 0, 0)), 1450, false},
		{"from itself", long4(1451, set(12, 127, 0, 0, 1)), 1450, false},
		{"an echo request", long4(1451, set(9, 1, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 8)), 1450, true},
		{"an ICMP error", long4(1451, set(9, 1, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 3)), 1450, false},
		{"in a tag", tagOf(long4(1451, nil)), 1450, false},
		{"IPv6", long6(1451, nil), 1450, true},
		{"IPv6, odd", long6(1999, nil), 1450, true},
		{"IPv6 from nobody", long6(1451, func(p []byte) { p[8], p[23] = 0, 0 }), 1450, false},
		{"IPv6 from a group", long6(1451, set(8, 0xff)), 1450, false},
		{"an ICMPv6 error", long6(1451, func(p []byte) { p[6], p[40] = 58, 2 }), 1450, false},
		{"an ICMPv6 echo request", long6(1451, func(p []byte) { p[6], p[40] = 58, 128 }), 1450, true},
		{"not IP", append(append(append([]byte(nil), stations[0][:]...), stations[1][:]...), make([]byte, 1600)...), 1450, false},
	}
}

func TestWhoIsToldThatItsPacketIsTooLong(t *testing.T) {
	for _, l := range append(longs(),
		long{"IPv4 into too little", long4(600, nil), 575, false},
		long{"IPv4 into the least", long4(600, nil), 576, true},
		long{"IPv6 into too little", long6(1300, nil), 1279, false},
		long{"IPv6 into the least", long6(1300, nil), 1280, true},
	) {
		require.False(t, Fits(len(l.frame), l.mtu), l.name)
		assert.Equal(t, l.answer, TooBig(nil, l.frame, l.mtu) != nil, l.name)
	}
	assert.True(t, Fits(1464, 1450))
	assert.False(t, Fits(1465, 1450))
}

// An answer adds up, goes back the way the packet came, and quotes it.
func TestAnAnswerIsSound(t *testing.T) {
	for _, l := range longs() {
		b := TooBig([]byte("kept"), l.frame, l.mtu)
		require.Equal(t, "kept", string(b[:4]))
		if b = b[4:]; len(b) == 0 {
			continue
		}
		assert.Equal(t, l.frame[6:12], b[:6], l.name)
		assert.Equal(t, l.frame[:6], b[6:12], l.name)
		p := b[14:]
		if p[0]>>4 == 4 {
			assert.Zero(t, checksum(p[:20]), l.name)
			assert.Zero(t, checksum(p[20:]), l.name)
			assert.Len(t, p, 576, l.name)
			assert.Equal(t, l.frame[14:14+548], p[28:], l.name)
			continue
		}
		pseudo := append(append([]byte(nil), p[8:40]...), 0, 0, p[4], p[5], 0, 0, 0, 58)
		assert.Zero(t, checksum(append(pseudo, p[40:]...)), l.name)
		assert.Len(t, p, 1280, l.name)
		assert.Equal(t, l.frame[14:14+1232], p[48:], l.name)
	}
}

// Whatever a guest sends gets an answer of the right form or none.
func FuzzTooBig(f *testing.F) {
	for _, l := range longs() {
		f.Add(l.frame, uint16(l.mtu))
	}
	f.Fuzz(func(t *testing.T, frame []byte, mtu uint16) {
		b := TooBig(nil, frame, int(mtu))
		if b == nil {
			return
		}
		require.Equal(t, frame[6:12], b[:6])
		p := b[14:]
		if b[12] == 0x08 {
			require.Zero(t, checksum(p[:20]))
			require.Zero(t, checksum(p[20:]))
			require.LessOrEqual(t, len(p), 576)
			require.Equal(t, mtu, binary.BigEndian.Uint16(p[26:]))
			return
		}
		pseudo := append(append([]byte(nil), p[8:40]...), 0, 0, p[4], p[5], 0, 0, 0, 58)
		require.Zero(t, checksum(append(pseudo, p[40:]...)))
		require.LessOrEqual(t, len(p), 1280)
	})
}
