package virtio

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"ringside/offload"
)

func TestNegotiate(t *testing.T) {
	for _, tc := range []struct {
		name           string
		device, driver Features
		want           string // error, "" for none
	}{
		{"nothing but VERSION_1", Known, FVersion1, ""},
		{"everything", Known, Known, ""},
		{"a legacy driver", Known, FCSUM, "a legacy driver, without VERSION_1"},
		{"what was not offered", FVersion1, FVersion1 | FMAC, "MAC not offered"},
		{"a bit that nobody knows", Known, FVersion1 | 1<<40, "bit 40 not offered"},
		{"GUEST_TSO4 without GUEST_CSUM", Known, FVersion1 | FGuestTSO4, "GUEST_TSO4 without GUEST_CSUM"},
		{"GUEST_TSO6 without GUEST_CSUM", Known, FVersion1 | FGuestTSO6 | FCSUM, "GUEST_TSO6 without GUEST_CSUM"},
		{"HOST_TSO4 without CSUM", Known, FVersion1 | FHostTSO4 | FGuestCSUM, "HOST_TSO4 without CSUM"},
		{"HOST_TSO6 and HOST_USO without CSUM", Known, FVersion1 | FHostTSO6 | FHostUSO, "HOST_TSO6|HOST_USO without CSUM"},
		{"GUEST_USO4 without GUEST_CSUM", Known, FVersion1 | FGuestUSO4, "GUEST_USO4 without GUEST_CSUM"},
		{"MQ without a control queue", Known, FVersion1 | FMQ, "MQ without CTRL_VQ"},
		{"a driver's choice, in order", Known, FVersion1 | FCSUM | FHostTSO4 | FMrgRxbuf | FRingEventIdx, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Negotiate(tc.device, tc.driver)
			if tc.want == "" {
				assert.NoError(t, err)
				assert.Equal(t, tc.driver, f)
				return
			}
			assert.ErrorIs(t, err, ErrFeatures)
			assert.EqualError(t, err, "virtio: features refused: "+tc.want)
			assert.Zero(t, f)
		})
	}
}

// Whatever set is closed, and has VERSION_1, can be negotiated.
func TestClosedCanBeNegotiated(t *testing.T) {
	bits := []Features{FCSUM, FGuestCSUM, FGuestTSO4, FGuestTSO6, FHostTSO4, FHostTSO6, FCtrlVQ, FMQ, FGuestUSO4, FHostUSO}
	for i := range 1 << len(bits) {
		f := FVersion1
		for k, b := range bits {
			if i>>k&1 != 0 {
				f |= b
			}
		}
		_, err := Negotiate(Known, f.Closed())
		assert.NoError(t, err, f)
		if _, err := Negotiate(Known, f); err == nil {
			assert.Equal(t, f, f.Closed(), "nothing is taken from what can be had")
		}
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	const n = 4000
	for _, m := range []offload.Meta{
		{},
		{Valid: true},
		{NeedsCsum: true, CsumStart: 34, CsumOffset: 16},
		{NeedsCsum: true, CsumStart: 34, CsumOffset: 16, GSO: offload.GSOTCPv4, GSOSize: 1448, HdrLen: 66},
		{NeedsCsum: true, CsumStart: 54, CsumOffset: 16, GSO: offload.GSOTCPv6, GSOSize: 1, HdrLen: n},
		{NeedsCsum: true, CsumStart: 34, CsumOffset: 6, GSO: offload.GSOUDPL4, GSOSize: 65535, HdrLen: 0},
		{NeedsCsum: true, CsumStart: n - 2},
	} {
		b := make([]byte, HdrLen+4)
		for i := range b {
			b[i] = 0xAA
		}
		PutHdr(b, m, 3)
		got, buffers, err := ParseHdr(b, n)
		assert.NoError(t, err)
		assert.Equal(t, m, got)
		assert.EqualValues(t, 3, buffers)
		assert.Equal(t, []byte{0xAA, 0xAA, 0xAA, 0xAA}, b[HdrLen:], "nothing behind it is written")
		buffers, plain := Plain(b)
		assert.EqualValues(t, 3, buffers)
		assert.Equal(t, m == offload.Meta{}, plain, "%+v", m)
		if m.Plain() {
			short := make([]byte, HdrLen)
			PutPlain(short, m.Valid, 3)
			assert.Equal(t, b[:HdrLen], short, "%+v", m)
		}
	}
}

func TestHeaderIsHostile(t *testing.T) {
	for _, tc := range []struct {
		name string
		hdr  []byte
		ok   bool
	}{
		{"short", make([]byte, HdrLen-1), false},
		{"unknown flags are ignored", []byte{0xF8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, true},
		{"checksum's place at the end", []byte{1, 0, 0, 0, 0, 0, 96, 0, 2, 0, 0, 0}, true},
		{"checksum's place one beyond", []byte{1, 0, 0, 0, 0, 0, 97, 0, 2, 0, 0, 0}, false},
		{"checksum's place far beyond, its sum beyond 2^16", []byte{1, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0}, false},
		{"gso_type 2", []byte{1, 2, 54, 0, 1, 0, 34, 0, 16, 0, 0, 0}, false},
		{"UDP fragments, which nobody negotiates", []byte{1, 3, 54, 0, 1, 0, 34, 0, 6, 0, 0, 0}, false},
		{"ECN of nothing", []byte{1, 0x80, 54, 0, 1, 0, 34, 0, 16, 0, 0, 0}, false},
		{"ECN of UDP", []byte{1, 0x85, 54, 0, 1, 0, 34, 0, 6, 0, 0, 0}, false},
		{"ECN of TCP", []byte{1, 0x81, 54, 0, 1, 0, 34, 0, 16, 0, 0, 0}, true},
		{"segments without NEEDS_CSUM", []byte{0, 1, 54, 0, 1, 0, 34, 0, 16, 0, 0, 0}, false},
		{"gso_size 0", []byte{1, 1, 54, 0, 0, 0, 34, 0, 16, 0, 0, 0}, false},
		{"hdr_len of the whole frame", []byte{1, 1, 100, 0, 1, 0, 34, 0, 16, 0, 0, 0}, true},
		{"hdr_len beyond the frame", []byte{1, 1, 101, 0, 1, 0, 34, 0, 16, 0, 0, 0}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, _, err := ParseHdr(tc.hdr, 100)
			if tc.ok {
				assert.NoError(t, err)
				return
			}
			assert.ErrorIs(t, err, ErrHdr)
			assert.Zero(t, m)
		})
	}
}

func TestWhatMayBeSentByWhom(t *testing.T) {
	half := offload.Meta{NeedsCsum: true}
	tcp4, tcp6, udp := half, half, half
	tcp4.GSO, tcp6.GSO, udp.GSO = offload.GSOTCPv4, offload.GSOTCPv6, offload.GSOUDPL4
	for _, tc := range []struct {
		m                      offload.Meta
		fromDriver, fromDevice Features // that it takes
	}{
		{offload.Meta{}, 0, 0},
		{offload.Meta{Valid: true}, 0, FGuestCSUM},
		{half, FCSUM, FGuestCSUM},
		{tcp4, FCSUM | FHostTSO4, FGuestCSUM | FGuestTSO4},
		{tcp6, FCSUM | FHostTSO6, FGuestCSUM | FGuestTSO6},
		{udp, FCSUM | FHostUSO, FGuestCSUM | FGuestUSO4 | FGuestUSO6},
	} {
		assert.True(t, tc.fromDriver.FromDriver(tc.m), "%+v", tc.m)
		assert.True(t, tc.fromDevice.FromDevice(tc.m), "%+v", tc.m)
		for f := Features(1); f != 0; f <<= 1 {
			if tc.fromDriver.Has(f) {
				assert.False(t, (Known &^ f).FromDriver(tc.m), "%+v without %v", tc.m, f)
			}
			if tc.fromDevice.Has(f) {
				assert.False(t, (Known &^ f).FromDevice(tc.m), "%+v without %v", tc.m, f)
			}
		}
	}
}

// Frames of a flow have one hash, both ways and with a tag; other flows others.
func TestFlowHash(t *testing.T) {
	tcp := func(src, dst byte, sport, dport byte) []byte {
		f := make([]byte, 14+20+20)
		f[12], f[13] = 8, 0
		f[14], f[23] = 0x45, 6
		f[29], f[33], f[35], f[37] = src, dst, sport, dport
		return f
	}
	a := tcp(1, 2, 3, 4)
	assert.Equal(t, FlowHash(a), FlowHash(tcp(2, 1, 4, 3)))
	assert.NotEqual(t, FlowHash(a), FlowHash(tcp(1, 2, 3, 5)))
	assert.NotEqual(t, FlowHash(a), FlowHash(tcp(1, 3, 3, 4)))
	tagged := append(append([]byte{}, a[:12]...), 0x81, 0, 0, 7)
	tagged = append(tagged, a[12:]...)
	assert.Equal(t, FlowHash(a), FlowHash(tagged))

	fragment, first := tcp(1, 2, 3, 4), tcp(1, 2, 9, 9)
	fragment[21], first[20] = 1, 0x20
	assert.Equal(t, FlowHash(fragment), FlowHash(first), "fragments of a packet have no ports")

	seen := map[uint32]int{}
	for p := range byte(64) {
		seen[FlowHash(tcp(1, 2, p, 80))*4>>30]++
	}
	for q, n := range seen {
		assert.Less(t, n, 32, "queue %d of four has most of 64 flows", q)
	}
	for n := range a {
		FlowHash(a[:n]) // whatever its length
	}
}

func BenchmarkFlowHash(b *testing.B) {
	f := make([]byte, 60)
	f[12], f[14], f[23] = 8, 0x45, 6
	for range b.N {
		FlowHash(f)
	}
}
