package ringside_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/cost"
	"ringside/trace"
)

// A guestSink keeps what each guest got.
type guestSink struct{ frames map[int32][][]byte }

func (s *guestSink) Frame(f *trace.Frame) {
	if f.Point == trace.VM && !f.Tx {
		s.frames[f.VM] = append(s.frames[f.VM], bytes.Join(append([][]byte{f.Data}, f.Frags...), nil))
	}
}
func (s *guestSink) Step(trace.Step)      {}
func (s *guestSink) Watching(uint64) bool { return false }

// Whatever is on, guests that take one frame after the other get the same frames of
// a capture, byte for byte. (That those of a flow keep their order, package kernel
// tests.)
func TestOffloadsDoNotChangeWhatGuestsGet(t *testing.T) {
	files, err := filepath.Glob("testdata/*.pcap")
	require.NoError(t, err)
	merged := uint64(0)
	for _, file := range files {
		var want map[int32][][]byte
		for _, words := range []string{"none", "gro", "gro,rx", "rxvlan,txvlan", "all", "lro", "lro,gro,rxvlan"} {
			s := &guestSink{map[int32][][]byte{}}
			replay := ringside.Replay{Files: []string{file}, VMs: 3, Speed: ringside.TopSpeed}
			r, err := replay.Run(ringside.Config{
				Seed: 1, Offloads: must(ringside.ParseOffloads(words)), Sink: s, TapQueue: 1 << 20, Ring: 4096, FIFO: 16 << 20,
			}, nil)
			require.NoError(t, err, "%s with %s", file, words)
			merged += r.Conservation.Merged
			for _, list := range s.frames {
				slices.SortFunc(list, bytes.Compare)
			}
			if want == nil {
				want = s.frames
			}
			for guest, list := range want {
				require.True(t, slices.EqualFunc(list, s.frames[guest], bytes.Equal), "%s with %s: guest %d has other frames", file, words, guest)
			}
			require.Len(t, s.frames, len(want))
		}
	}
	assert.NotZero(t, merged, "there is TCP in the captures")
}

// With nothing on, no step of an offload is on the bill, and the report says none.
func TestWithoutOffloadsThereAreNone(t *testing.T) {
	for words, some := range map[string]bool{"none": false, "all": true} {
		var bill *cost.Bill
		replay := ringside.Replay{Files: []string{"testdata/tcp-bulk.pcap"}, VMs: 2, Speed: ringside.TopSpeed}
		r, err := replay.Run(ringside.Config{Seed: 1, Offloads: must(ringside.ParseOffloads(words))}, func(h *ringside.Host) error {
			bill = h.Bill()
			return nil
		})
		require.NoError(t, err)
		n := uint64(0)
		for _, s := range []cost.Step{cost.SkbGroReceive, cost.NapiGroComplete, cost.SkbSegment, cost.SkbChecksumHelp, cost.SkbGroChecksum, cost.IgbTso, cost.IgbTxCsum} {
			n += bill.Steps[s].Count
		}
		assert.Equal(t, some, n > 0)
		assert.Equal(t, some, r.Conservation.Merged > 0)
		assert.Equal(t, some, r.Machine.Offloads != "")
	}
}
