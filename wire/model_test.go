package wire

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/nic"
	"ringside/sim"
)

// A model is one direction of a link, slow and plain: it looks at all frames that
// ever were, and reckons in numbers without end.
type model struct {
	w      Way
	bps    uint64
	chance map[string]*rand.ChaCha8
	bad    bool
	since  int
	free   sim.Time // of the line
	idle   sim.Time // of the rate
	starts []sim.Time
	sizes  []int
	leaves []sim.Time
	last   sim.Time
	out    []modelled
	lost   [NumReasons]uint64
	wrong  uint64
}

type modelled struct {
	f   nic.WireFrame
	seq int
}

func newModel(w Way, seed, bps uint64, way string) *model {
	m := &model{w: w, bps: bps, chance: map[string]*rand.ChaCha8{}}
	for _, name := range []string{"duplicate", "loss", "bursts", "corrupt", "jitter", "reorder"} {
		m.chance[name] = sim.NewEngine(seed).Source("wire/eth0/" + way + "/" + name)
	}
	return m
}

// hits draws as Prob.hits does.
func (m *model) hits(name string, p Prob) bool {
	return p > 0 && m.chance[name].Uint64()/(1<<32) < uint64(p)
}

// bitTime is how long n bytes take, rounded up.
func bitTime(n int, bps uint64) sim.Time {
	ps := new(big.Int).Mul(big.NewInt(int64(n)), big.NewInt(8e12))
	q, rest := ps.DivMod(ps, new(big.Int).SetUint64(bps), new(big.Int))
	if rest.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return sim.Time(q.Int64())
}

func (m *model) play(frames []nic.WireFrame) []nic.WireFrame {
	for _, f := range frames {
		if m.bps > 0 {
			f.At = max(f.At, m.free)
			m.free = f.At + bitTime(max(len(f.Data), 60)+12, m.bps) + bitTime(12, m.bps)
		}
		copies := []nic.WireFrame{f}
		if m.hits("duplicate", m.w.Duplicate) {
			f.ID |= Copy
			copies = append(copies, f)
		}
		for _, c := range copies {
			if why := m.one(c); why != NotLost {
				m.lost[why]++
			}
		}
	}
	slices.SortStableFunc(m.out, func(a, b modelled) int { return int(min(max(a.f.At-b.f.At, -1), 1)) })
	var out []nic.WireFrame
	for _, o := range m.out {
		out = append(out, o.f)
	}
	return out
}

// one takes a frame through the effects.
func (m *model) one(f nic.WireFrame) Reason {
	if m.hits("loss", m.w.Loss) {
		return LinkLoss
	}
	if b := m.w.Bursts; b != (Bursts{}) {
		draw := m.chance["bursts"].Uint64()
		lose, turn := b.Good, b.ToBad
		if m.bad {
			lose, turn = b.Bad, b.ToGood
		}
		m.bad = m.bad != (draw%(1<<32) < uint64(turn))
		if draw/(1<<32) < uint64(lose) {
			return LinkBurst
		}
	}
	if m.hits("corrupt", m.w.Corrupt) {
		m.wrong++
		f.Data = bytes.Clone(f.Data)
		n := new(big.Int).SetUint64(m.chance["corrupt"].Uint64())
		bit := int(n.Rsh(n.Mul(n, big.NewInt(int64(8*len(f.Data)))), 64).Int64())
		f.Data[bit/8] ^= 1 << (bit % 8)
	}
	most := m.w.Limit
	if most == 0 {
		most = DefaultLimit
	}
	on := 0
	for _, at := range m.leaves {
		if at > f.At {
			on++
		}
	}
	if on >= most {
		return LinkLimit
	}
	if why := m.rate(&f); why != NotLost {
		return why
	}
	m.delay(&f)
	m.leaves = append(m.leaves, f.At)
	m.out = append(m.out, modelled{f, len(m.out)})
	return NotLost
}

func (m *model) rate(f *nic.WireFrame) Reason {
	bps, q := m.w.Rate.BPS, m.w.Rate.Queue
	if bps == 0 {
		return NotLost
	}
	if q == (Queue{}) {
		q.Frames = DefaultQueue
	}
	frames, bytes := 0, 0
	for i, at := range m.starts {
		if at > f.At {
			frames++
			bytes += m.sizes[i]
		}
	}
	if m.idle > f.At && (q.Frames > 0 && frames >= q.Frames || q.Bytes > 0 && bytes+len(f.Data) > q.Bytes) {
		return LinkQueue
	}
	start := max(m.idle, f.At)
	m.starts, m.sizes = append(m.starts, start), append(m.sizes, len(f.Data))
	f.At = start + bitTime(max(len(f.Data), 60)+12, bps)
	m.idle = f.At + bitTime(12, bps)
	return NotLost
}

func (m *model) delay(f *nic.WireFrame) {
	d := m.w.Delay
	if m.w.Reorder.P > 0 {
		hit := m.hits("reorder", m.w.Reorder.P)
		if m.since++; hit && m.since >= m.w.Reorder.Gap {
			m.since = 0
			return
		}
	}
	span := d.Fixed
	if d.Jitter > 0 {
		span = max(span+m.jitter(int64(d.Jitter)), 0)
	}
	f.At += span
	if !d.Overtake {
		f.At = max(f.At, m.last)
		m.last = f.At
	}
}

func (m *model) jitter(j int64) sim.Time {
	r := m.chance["jitter"]
	if !m.w.Delay.Normal {
		n := new(big.Int).SetUint64(r.Uint64())
		n.Rsh(n.Mul(n, big.NewInt(2*j+1)), 64)
		return sim.Time(n.Int64() - j)
	}
	sum := int64(0)
	for range 6 {
		draw := r.Uint64()
		sum += int64(draw%(1<<32)) + int64(draw/(1<<32)) - (1<<32 - 1)
	}
	n := new(big.Int).Mul(big.NewInt(sum), big.NewInt(j))
	return sim.Time(n.Quo(n, big.NewInt(1<<32)).Int64()) // towards nothing, as mulShift of what is positive
}

// same says where two runs of frames part.
func same(want, got []nic.WireFrame) string {
	for i := range want {
		if i >= len(got) {
			return fmt.Sprintf("frame %d: %d at %v is missing", i, want[i].ID, want[i].At)
		}
		w, g := want[i], got[i]
		if w.ID != g.ID || w.At != g.At || !bytes.Equal(w.Data, g.Data) {
			return fmt.Sprintf("frame %d: want %d at %d: %x\ngot %d at %d: %x", i, w.ID, w.At, w.Data, g.ID, g.At, g.Data)
		}
	}
	if len(got) > len(want) {
		return fmt.Sprintf("%d frames too many", len(got)-len(want))
	}
	return ""
}

func TestLinkIsItsModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	rounds := 1500
	if testing.Short() {
		rounds = 200
	}
	var seen [NumReasons]uint64
	for i := range rounds {
		w, seed := anyWay(r), r.Uint64()
		frames := anyFrames(r, 1+r.IntN(80))
		bps := []uint64{0, 1e9, 10e9, 3e6}[r.IntN(4)]
		checkModel(t, w, seed, bps, frames, &seen)
		if t.Failed() {
			t.Fatalf("round %d: %v", i, w)
		}
	}
	for why := NotLost + 1; why < NumReasons; why++ {
		require.NotZero(t, seen[why], "%v never came about", why)
	}
}

// checkModel holds both directions against the model.
func checkModel(t *testing.T, w Way, seed, bps uint64, frames []nic.WireFrame, seen *[NumReasons]uint64) {
	t.Helper()
	m := newModel(w, seed, bps, "rx")
	want := m.play(frames)
	got, c := through(t, seed, bps, w, frames)
	if d := same(want, got); d != "" {
		t.Errorf("rx: %s", d)
	}
	if c.Lost != m.lost || c.Corrupted != m.wrong {
		t.Errorf("rx: lost %v and %d corrupted, want %v and %d", c.Lost, c.Corrupted, m.lost, m.wrong)
	}
	m = newModel(w, seed, 0, "tx")
	want = m.play(frames)
	for _, ahead := range []bool{true, false} {
		got, c = back(t, seed, w, frames, ahead)
		if d := same(want, got); d != "" {
			t.Errorf("tx, ahead %v: %s", ahead, d)
		}
	}
	for why, n := range c.Lost {
		seen[why] += n
	}
}

// It makes no difference whether the far end knows its frames ahead, as a capture
// does, or has one only when its time has come.
func TestLiveFarEndGivesTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 500 {
		w, seed := anyWay(r), r.Uint64()
		frames := anyFrames(r, 1+r.IntN(60))
		want, _ := through(t, seed, 0, w, frames)
		l, far, n, e := newLink(t, seed, 0, Spec{Rx: w}, frames)
		far.live = e
		for i := range frames {
			e.Arm(e.NewTimer("far", sim.HandlerFunc(func(sim.Time) { n.Arrive() })), frames[i].At)
		}
		require.NoError(t, e.RunToIdle())
		require.Zero(t, l.Rx().Held)
		require.Empty(t, same(want, n.got), "%v", w)
	}
}
