package ringside_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm"
)

func TestPathsAreReadByTheirNames(t *testing.T) {
	for i, p := range ringside.Paths() {
		got, err := ringside.ParsePath(p.String())
		require.NoError(t, err)
		assert.Equal(t, p, got)
		assert.EqualValues(t, i, p)
	}
	p, err := ringside.ParsePath("")
	require.NoError(t, err)
	assert.Equal(t, ringside.Native, p)
	_, err = ringside.ParsePath("Native")
	assert.ErrorContains(t, err, "native, virtio, vhost, dpdk, sriov, afxdp, xdp")
}

// offered is a wire that plays frames at a rate and keeps what comes back.
type offered struct {
	frames [][]byte
	gap    sim.Time
	next   int
	back   [][]byte
}

func (w *offered) Receive(f *nic.WireFrame) bool {
	if w.next == len(w.frames) {
		return false
	}
	f.ID, f.Data, f.At = uint64(w.next), w.frames[w.next], sim.Time(w.next)*w.gap
	w.next++
	return true
}

func (w *offered) Transmit(f *nic.WireFrame) { w.back = append(w.back, bytes.Clone(f.Data)) }

func TestAProgramReflectsOnEveryPath(t *testing.T) {
	for _, p := range ringside.Paths() {
		t.Run(p.String(), func(t *testing.T) {
			w := &offered{gap: sim.Microsecond}
			for i := range 1000 {
				f := make([]byte, 60+i)
				copy(f, []byte{2, 0, 0, 0, 1, 0, 2, 9, 9, 9, 9, 9, 0x88, 0xb5, byte(i >> 8), byte(i)})
				w.frames = append(w.frames, f)
			}
			h, err := ringside.New(ringside.Config{Path: p, Wire: w, VMs: []ringside.VM{{Program: vm.Reflect}}})
			require.NoError(t, err)
			defer h.Close()
			require.NoError(t, h.Run())
			r := h.Report()
			assert.Equal(t, p.String(), r.Path)
			assert.Len(t, w.back, len(w.frames))
			t.Log(r.String(), r.Latency)
		})
	}
}
