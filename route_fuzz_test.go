package ringside_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/offload"
	"ringside/sim"
)

// hostile makes frames to a router of bytes: addresses that it has something to do
// with, headers whose sums are right, and behind them what the bytes say.
func hostile(data []byte) (frames [][]byte) {
	hosts := []string{"10.0.0.1", "10.0.0.254", "10.1.0.2", "10.1.0.254", "10.1.0.77", "224.0.0.1", "10.0.0.255", "0.0.0.0"}
	for len(data) > 4 && len(frames) < 20 {
		kind, n := data[0], 4+int(data[1])
		body := data[2:min(len(data), 2+n)]
		data = data[2+len(body):]
		f := append([]byte{2, 0, 0, 0, 0, 0xfe, 2, 0, 0, 0, 1, 1}, 0x08, kind&6)
		switch {
		case kind&1 != 0:
			f = append(f, 0x45|kind>>6, 0, 0, 0, 0, kind>>4, kind&0x20, 0, 64, body[0]%20, 0, 0)
			src, dst := netip.MustParseAddr(hosts[int(body[1])%len(hosts)]).As4(), netip.MustParseAddr(hosts[int(body[2])%len(hosts)]).As4()
			f = append(append(append(f, src[:]...), dst[:]...), body[3:]...)
			f[13] = 0
			binary.BigEndian.PutUint16(f[16:], uint16(len(f)-14))
			if h := int(f[14]&15) * 4; 14+h <= len(f) {
				binary.BigEndian.PutUint16(f[24:], ^offload.Sum(f[14:14+h], 0))
			}
		default:
			f = append(f, body...)
		}
		for len(f) < 60 {
			f = append(f, 0)
		}
		frames = append(frames, f)
	}
	return frames
}

// Whatever stations send to a host that routes, every frame is accounted for, and
// the same frames have the same fate.
func FuzzRouter(f *testing.F) {
	f.Add([]byte{1, 30, 17, 0, 2, 0, 7, 0, 8, 0, 12, 0, 0, 1, 2, 3, 4})
	f.Add([]byte{0xc1, 60, 1, 0, 3, 7, 4, 4, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{6, 24, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 1, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 254})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1500 {
			return
		}
		run := func() string {
			a, b := &line{}, &line{}
			a.play(0, hostile(data)...)
			c := router(false, a, b)
			c.NAT = []ringside.Masquerade{{Out: "br1", From: netip.MustParsePrefix("10.0.0.0/25")}}
			h, err := ringside.New(c)
			require.NoError(t, err)
			defer h.Close()
			require.NoError(t, h.RunUntil(10*sim.Second))
			require.NoError(t, h.Check())
			r := h.Report()
			require.True(t, r.Conservation.Balanced)
			return r.TraceHash
		}
		require.Equal(t, run(), run())
	})
}
