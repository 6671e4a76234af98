package guest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/netstack"
	"ringside/offload"
	"ringside/sim"
)

// Against a list that is sorted by (time, order of arming).
func TestTimersExpireLikeASortedList(t *testing.T) {
	type entry struct {
		id  int
		at  sim.Time
		seq int
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var h timers
		list, slow, seq := make([]*timer, 1+r.IntN(20)), []entry{}, 0
		for i := range list {
			list[i] = &timer{heap: &h}
		}
		now := sim.Time(0)
		for range 300 {
			id := r.IntN(len(list))
			was := slices.IndexFunc(slow, func(e entry) bool { return e.id == id })
			switch r.IntN(4) {
			case 0:
				require.Equal(t, was >= 0, list[id].Disarm())
				if was >= 0 {
					slow = slices.Delete(slow, was, was+1)
				}
			case 1, 2:
				at := now + sim.Time(r.IntN(50))
				list[id].Arm(at)
				if was >= 0 {
					slow = slices.Delete(slow, was, was+1)
				}
				seq++
				slow = append(slow, entry{id, at, seq})
			case 3:
				now += sim.Time(r.IntN(20))
				slices.SortFunc(slow, func(a, b entry) int {
					if a.at != b.at {
						return int(a.at - b.at)
					}
					return a.seq - b.seq
				})
				for len(slow) > 0 && slow[0].at <= now {
					require.Same(t, list[slow[0].id], h.expire(now), "seed %d", seed)
					slow = slow[1:]
				}
				require.Nil(t, h.expire(now))
			}
			next := sim.Never
			for _, e := range slow {
				next = min(next, e.at)
			}
			require.Equal(t, next, h.next())
		}
	}
}

func TestArmingForNeverDisarms(t *testing.T) {
	var h timers
	x := &timer{heap: &h}
	x.Arm(5)
	x.Arm(sim.Never)
	require.False(t, x.Disarm())
	require.Equal(t, sim.Never, h.next())
	require.Nil(t, h.expire(sim.Never))
}

func TestFrameQueueIsAFIFOWithABound(t *testing.T) {
	var q frameQueue
	r := rand.New(rand.NewPCG(1, 1))
	var want []byte
	for i := range 5000 {
		if r.IntN(2) == 0 {
			p := &netstack.Packet{Parts: [][]byte{{byte(i)}, {1, 2}}, Len: 3, Meta: offload.Meta{GSOSize: uint16(i)}}
			ok := q.push(p, 100)
			require.Equal(t, len(want) < 100, ok)
			if ok {
				want = append(want, byte(i))
			}
		} else if len(want) > 0 {
			f := q.first()
			require.Equal(t, []byte{want[0], 1, 2}, f.Parts[0])
			require.Equal(t, 3, f.Len)
			require.Equal(t, want[0], byte(f.Meta.GSOSize))
			q.pop()
			want = want[1:]
		}
		require.Equal(t, len(want), q.n)
	}
}

func TestParseLooksAtWhatIsThere(t *testing.T) {
	four := make([]byte, 14+20+8)
	copy(four[12:], []byte{8, 0, 0x45})
	four[23] = protoUDP
	opts := append([]byte(nil), four...)
	opts[14] = 0x4f
	fragment := append([]byte(nil), four...)
	fragment[21] = 1
	six := make([]byte, 14+40)
	copy(six[12:], []byte{0x86, 0xdd, 0x60})
	six[20] = protoICMPv6
	for name, row := range map[string]struct {
		b    []byte
		want int
		ip   bool
	}{
		"nothing": {nil, 0, false}, "ARP": {append(make([]byte, 12), 8, 6, 0, 1), 0, false}, "IPv4": {four, 34, true}, "with options": {append(opts, make([]byte, 40)...), 74, true}, "options cut short": {opts, 0, true},
		"a fragment": {fragment, 0, true}, "cut short": {four[:33], 0, false}, "IPv6": {six, 54, true}, "IPv6 cut short": {six[:53], 0, false},
	} {
		h := parse(row.b)
		require.Equal(t, row.want, h.transport, name)
		require.Equal(t, row.ip, h.size > 0, name)
	}
}

// Whatever the bytes are, a transport header begins behind a whole IP header and
// within the frame: its bytes are what is charged.
func FuzzParse(f *testing.F) {
	f.Add(make([]byte, 60))
	f.Add(append(make([]byte, 12), 8, 0, 0x4f, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := parse(b)
		if h.transport != 0 && (h.transport < 34 || h.transport > len(b) || len(h.src(b)) < 4 || len(h.dst(b)) < 4 || h.addrs+2*h.size > h.transport) {
			t.Fatalf("%+v of %d bytes", h, len(b))
		}
	})
}
