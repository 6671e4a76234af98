package trace

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/sim"
)

// sample is a short run: events and a frame that comes in, arrives and dies.
func sample() []Record {
	return []Record{
		{At: 0, Kind: Event, Who: 1, A: 1},
		{At: 67200, Kind: FrameIn, Who: 0, A: 1, B: Bytes([]byte("frame"))},
		{At: 67200, Kind: Event, Who: 2, A: 2},
		{At: 90000, Kind: Delivered, Who: 0, A: 1, B: Bytes([]byte("frame"))},
		{At: 90001, Kind: Dropped, Who: WhoDropped(cost.Tap, cost.FullRing), A: 2},
		{At: 90001, Kind: Sent, Who: 0, A: 3, B: Bytes(nil)},
	}
}

func hashOf(records []Record) string {
	var h Hash
	for _, r := range records {
		h.Add(r)
	}
	return h.String()
}

// slowHash folds the same lanes in numbers without end.
func slowHash(records []Record) string {
	mask := new(big.Int).SetUint64(math.MaxUint64)
	fold := func(x, y uint64) uint64 {
		p := new(big.Int).Mul(new(big.Int).SetUint64(x), new(big.Int).SetUint64(y))
		hi, lo := new(big.Int).Rsh(p, 64), new(big.Int).And(p, mask)
		return hi.Uint64() ^ lo.Uint64()
	}
	var a uint64
	for _, r := range records {
		a = fold(a^uint64(r.At)^root2, r.A^root3)
		a = fold(a^r.B, uint64(r.Who)<<8^uint64(r.Kind)^root5)
	}
	return (&Hash{a: a, n: uint64(len(records))}).String()
}

func TestHashFoldsLikeLargeNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 200 {
		var records []Record
		for range r.IntN(50) {
			records = append(records, Record{sim.Time(r.Int64()), Kind(r.IntN(5)), r.Uint32(), r.Uint64(), r.Uint64()})
		}
		require.Equal(t, slowHash(records), hashOf(records))
	}
}

func TestDeliveredIsAddOfItsRecord(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var one, other Hash
	var kept []Record
	other.Keep(func(r Record) { kept = append(kept, r) })
	for range 100 {
		want := Record{sim.Time(r.Int64()), Delivered, r.Uint32(), r.Uint64(), r.Uint64()}
		one.Add(want)
		other.Delivered(want.At, want.Who, want.A, want.B)
		require.Equal(t, want, kept[len(kept)-1])
	}
	require.Equal(t, one.String(), other.String())
}

func TestEqualTracesHaveEqualHashes(t *testing.T) {
	require.Equal(t, hashOf(sample()), hashOf(sample()))
	require.Equal(t, new(Hash).String(), hashOf(nil), "the zero value is an empty trace")
	require.Regexp(t, "^sha256:[0-9a-f]{64}$", hashOf(nil))
}

func TestOrderMatters(t *testing.T) {
	seen := map[string]string{hashOf(sample()): "in order"}
	for i := range sample() {
		for j := range i {
			s := sample()
			s[i], s[j] = s[j], s[i]
			h, what := hashOf(s), fmt.Sprintf("%d and %d swapped", j, i)
			if other, ok := seen[h]; ok {
				t.Errorf("%s has the hash of %s", what, other)
			}
			seen[h] = what
		}
	}
}

func TestEveryBitOfEveryFieldMatters(t *testing.T) {
	seen := map[string]string{hashOf(sample()): "nothing changed"}
	check := func(what string, s []Record) {
		h := hashOf(s)
		if other, ok := seen[h]; ok {
			t.Errorf("%s has the hash of %s", what, other)
		}
		seen[h] = what
	}
	for i := range sample() {
		for bit := range 64 {
			for field, flip := range map[string]func(*Record){
				"At":   func(r *Record) { r.At ^= 1 << bit },
				"Kind": func(r *Record) { r.Kind ^= 1 << (bit % 8) },
				"Who":  func(r *Record) { r.Who ^= 1 << (bit % 32) },
				"A":    func(r *Record) { r.A ^= 1 << bit },
				"B":    func(r *Record) { r.B ^= 1 << bit },
			} {
				if field == "Kind" && bit >= 8 || field == "Who" && bit >= 32 {
					continue
				}
				s := sample()
				flip(&s[i])
				check(fmt.Sprintf("record %d with bit %d of %s flipped", i, bit, field), s)
			}
		}
	}
}

// Frames of every length that takes another way through Bytes, as they differ in
// practice: in one bit, in two, in length, in the order of their parts.
func TestEveryBitOfAFrameMatters(t *testing.T) {
	type frame struct {
		what    string
		n, i, j int
	}
	seen := map[uint64]frame{}
	check := func(b []byte, what string, i, j int) {
		f := frame{what, len(b), i, j}
		if other, ok := seen[Bytes(b)]; ok {
			t.Errorf("%+v has the hash of %+v", f, other)
		}
		seen[Bytes(b)] = f
	}
	r := rand.New(rand.NewPCG(3, 3))
	for n := 0; n < 260; n += 1 + n/100*12 {
		zeros, random := make([]byte, n), make([]byte, n)
		for i := range random {
			random[i] = byte(r.Uint32())
		}
		check(zeros, "zeros", 0, 0)
		if n >= 8 { // short random frames may be equal
			check(random, "random", 0, 0)
		}
		for i := range 8 * n {
			zeros[i/8] ^= 1 << (i % 8)
			check(zeros, "bit i set", i, 0)
			if j := r.IntN(8 * n); j < i {
				zeros[j/8] ^= 1 << (j % 8)
				check(zeros, "bits i and j set", i, j)
				zeros[j/8] ^= 1 << (j % 8)
			}
			zeros[i/8] ^= 1 << (i % 8)
		}
	}
	// Sixteen-byte parts that change places.
	parts := make([]byte, 256)
	for i := range parts {
		parts[i] = byte(i / 16)
	}
	check(parts, "parts in order", 0, 0)
	for i := range 16 {
		for j := range i {
			f := bytes.Clone(parts)
			copy(f[16*i:], parts[16*j:16*j+16])
			copy(f[16*j:], parts[16*i:16*i+16])
			check(f, "parts i and j swapped", i, j)
		}
	}
}

// One changed bit turns over about half of the bits of the hash.
func TestHashOfBytesSpreads(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, n := range []int{1, 4, 8, 15, 16, 17, 60, 64, 65, 128, 1514} {
		var turned, rounds int
		for range 200 {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			h := Bytes(b)
			for range 20 {
				i := r.IntN(8 * n)
				b[i/8] ^= 1 << (i % 8)
				turned += bits.OnesCount64(h ^ Bytes(b))
				rounds++
				b[i/8] ^= 1 << (i % 8)
			}
		}
		if mean := float64(turned) / float64(rounds); mean < 28 || mean > 36 {
			t.Errorf("%d bytes: a bit turns %.2f of 64 over", n, mean)
		}
	}
}

func TestLengthMatters(t *testing.T) {
	seen := map[string]bool{}
	var zeros []Record
	for n := range 100 {
		h := hashOf(zeros)
		require.False(t, seen[h], "%d empty records", n)
		seen[h] = true
		zeros = append(zeros, Record{})
	}
	s := sample()
	for i := range s {
		h := hashOf(append(sample()[:i:i], s[i+1:]...))
		require.False(t, seen[h], "without record %d", i)
		seen[h] = true
	}
}

// A change early in a long run must still be seen at its end, also in a run of
// nearly equal records.
func TestChangeIsNeverForgotten(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var a, b Hash
	for i := range 100_000 {
		rec := Record{At: sim.Time(i) * sim.Nanosecond, Kind: Event, Who: 1, A: uint64(i)}
		a.Add(rec)
		if i == 10 {
			rec.B ^= 1 << r.IntN(64)
		}
		b.Add(rec)
		if i >= 10 && a.a == b.a {
			t.Fatalf("the difference is gone after %d records", i-10)
		}
	}
	require.Equal(t, a.Records(), b.Records())
}

func TestKeepHasEveryRecordAndChangesNothing(t *testing.T) {
	var kept []Record
	var h Hash
	h.Keep(func(r Record) { kept = append(kept, r) })
	for _, r := range sample() {
		h.Add(r)
	}
	require.Equal(t, sample(), kept)
	require.Equal(t, hashOf(sample()), h.String())
	require.Equal(t, uint64(len(kept)), h.Records())
}

func TestDiffFindsTheFirstDifference(t *testing.T) {
	s := sample()
	changed := sample()
	changed[4].Who = WhoDropped(cost.Tap, cost.NoMem)
	changed[5].A = 9
	for _, tt := range []struct {
		claim string
		a, b  []Record
		want  string
	}{
		{"equal", s, sample(), ""},
		{"both empty", nil, nil, ""},
		{"one field", s, changed, "record 4: 90.001ns dropped frame=2 at=tap reason=FULL_RING against 90.001ns dropped frame=2 at=tap reason=NOMEM"},
		{"second ends", s, s[:1], "record 1: 67.200ns in frame=1 who=0 bytes=80edab95f0549c76 against the end of the second trace"},
		{"first ends", s[:2], s, "record 2: the end of the first trace against 67.200ns event timer=2 seq=2"},
	} {
		require.Equal(t, tt.want, Diff(tt.a, tt.b), tt.claim)
	}
}

func TestNamesAreComplete(t *testing.T) {
	seen := map[string]bool{}
	add := func(name string) {
		require.NotEmpty(t, name)
		require.False(t, seen[name], name)
		seen[name] = true
	}
	for p := range NumPoints {
		add("point " + p.String())
	}
	for v := range NumVerdicts {
		add("verdict " + v.String())
	}
	for k := Event; k <= Sent; k++ {
		add("kind " + k.String())
	}
	require.Equal(t, "point?", NumPoints.String())
	require.Equal(t, "verdict?", NumVerdicts.String())
	require.Equal(t, "kind?", Kind(200).String())
}

func TestWhoDroppedKeepsStageAndReasonApart(t *testing.T) {
	seen := map[uint32]bool{}
	for s := range cost.NumStages {
		for r := range cost.NumReasons {
			who := WhoDropped(s, r)
			require.False(t, seen[who])
			seen[who] = true
		}
	}
}

// Hashes are compared between machines: these are fixed numbers.
func TestHashIsTheSameEverywhere(t *testing.T) {
	require.Equal(t, "sha256:375e8be43eb9ca480a7c2cb31f35fecd07d5f57550f530bea6c0cd72fffa2f1b", hashOf(sample()))
}

func TestAddDoesNotAllocate(t *testing.T) {
	var h Hash
	frame := make([]byte, 1514)
	if n := testing.AllocsPerRun(1000, func() {
		h.Add(Record{At: 1, Kind: FrameIn, A: 1, B: Bytes(frame)})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	var h Hash
	for i := uint64(0); b.Loop(); i++ {
		h.Add(Record{At: sim.Time(i), Kind: Event, Who: 3, A: i})
	}
}

func BenchmarkBytes(b *testing.B) {
	for _, n := range []int{60, 510, 1514} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			frame := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				Bytes(frame)
			}
		})
	}
}
