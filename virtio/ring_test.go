package virtio

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/mem"
	"ringside/sim"
)

// bench is a ring of that size in a memory of 64 KiB, buffers behind it.
func bench(t testing.TB, size uint16, f Features) (*Ring, *mem.Memory, mem.Addr) {
	t.Helper()
	m := mem.New(64 << 10)
	l, end := Place(0, size)
	r, err := NewRing(m, l, f)
	require.NoError(t, err)
	return r, m, end
}

// both runs a test with event indices and with flags.
func both(t *testing.T, f func(*testing.T, Features)) {
	t.Run("event index", func(t *testing.T) { f(t, FRingEventIdx) })
	t.Run("flags", func(t *testing.T) { f(t, 0) })
}

// startAt has a new ring begin as if so many chains had gone through before.
func (r *Ring) startAt(n uint16) {
	r.setAvailIdx(n)
	r.setUsedIdx(n)
	r.Driver.idx, r.Driver.kicked, r.Driver.seen = n, n, n
	r.Device.last, r.Device.used, r.Device.called = n, n, n
	if r.eventIdx {
		binary.LittleEndian.PutUint16(r.usedEventAt(), n)
		binary.LittleEndian.PutUint16(r.availEventAt(), n)
	}
}

// A buffer that the driver gives is the buffer that the device gets, and comes back.
func TestBufferGoesThereAndBack(t *testing.T) {
	both(t, func(t *testing.T, f Features) {
		r, m, at := bench(t, 8, f)
		copy(m.Bytes(at, 8), "question")
		head, ok := r.Driver.Add(10, []Buffer{{at, 5}, {at + 5, 3}}, []Buffer{{at + 100, 6}})
		require.True(t, ok)
		assert.Equal(t, 5, r.Driver.Free())
		assert.True(t, r.Driver.KickNeeded())
		assert.False(t, r.Driver.KickNeeded(), "there is nothing new")

		var c Chain
		ok, err := r.Device.Next(10, &c)
		require.True(t, ok)
		require.NoError(t, err)
		assert.Equal(t, head, c.Head)
		assert.Equal(t, [][]byte{[]byte("quest"), []byte("ion")}, c.Out)
		assert.EqualValues(t, 8, c.OutLen)
		assert.EqualValues(t, 6, c.InLen)
		copy(c.In[0], "answer")
		r.Device.Push(20, head, 6)
		assert.True(t, r.Device.CallNeeded())

		got, n, ok := r.Driver.Get(20)
		require.True(t, ok)
		assert.Equal(t, head, got)
		assert.EqualValues(t, 6, n)
		assert.Equal(t, "answer", string(m.Bytes(at+100, 6)))
		assert.Equal(t, 8, r.Driver.Free())
	})
}

// The cases of a ring: each begins at an index and fills, empties, and goes round.
func TestRingCases(t *testing.T) {
	for _, start := range []uint16{0, 1, 7, 8, 65535, 65534, 65529, 32768} {
		for _, size := range []uint16{1, 2, 8} {
			t.Run(fmt.Sprintf("from %d, size %d", start, size), func(t *testing.T) {
				both(t, func(t *testing.T, f Features) {
					r, _, at := bench(t, size, f)
					r.startAt(start)
					var c Chain
					none := func() {
						ok, err := r.Device.Next(sim.Never, &c)
						assert.False(t, ok)
						assert.NoError(t, err)
						_, _, ok = r.Driver.Get(sim.Never)
						assert.False(t, ok)
					}
					none() // empty
					for range 3 {
						for i := range size {
							_, ok := r.Driver.Add(0, []Buffer{{at, uint32(i) + 1}}, nil)
							require.True(t, ok)
						}
						_, ok := r.Driver.Add(0, []Buffer{{at, 1}}, nil)
						require.False(t, ok, "full")
						for i := range size {
							ok, err := r.Device.Next(0, &c)
							require.True(t, ok)
							require.NoError(t, err)
							require.EqualValues(t, int(i)+1, len(c.Out[len(c.Out)-1]), "in order")
							r.Device.Push(0, c.Head, 0)
						}
						none2, err := r.Device.Next(0, &c)
						require.False(t, none2)
						require.NoError(t, err)
						_, _, ok = r.Driver.Get(0)
						require.True(t, ok)
						_, ok = r.Driver.Add(0, []Buffer{{at, 1}}, nil)
						require.True(t, ok, "one free")
						_, ok = r.Driver.Add(0, []Buffer{{at, 1}}, nil)
						require.False(t, ok)
						ok, _ = r.Device.Next(0, &c)
						require.True(t, ok)
						r.Device.Push(0, c.Head, 0)
						for range size {
							_, _, ok := r.Driver.Get(0)
							require.True(t, ok)
						}
						none()
						c.Reset()
					}
					assert.NoError(t, r.Driver.Err())
					assert.NoError(t, r.Device.Err())
				})
			})
		}
	}
}

// A chain may lie across the end of the table, and its descriptors anywhere.
func TestChainOverTheEnd(t *testing.T) {
	r, _, at := bench(t, 8, 0)
	var c Chain
	for i := range 5 { // so that the free ones are 5, 6, 7, 4, 3, …
		_, ok := r.Driver.Add(0, []Buffer{{at, uint32(i + 1)}}, nil)
		require.True(t, ok)
		_, err := r.Device.Next(0, &c)
		require.NoError(t, err)
	}
	for h := range uint16(5) {
		r.Device.Push(0, h, 0)
		_, _, ok := r.Driver.Get(0)
		require.True(t, ok)
	}
	var out []Buffer
	for i := range 8 {
		out = append(out, Buffer{at + mem.Addr(i*16), 16})
	}
	ahead := r.Driver.Ahead(nil, 8)
	head, ok := r.Driver.Add(0, out, nil)
	require.True(t, ok)
	assert.Equal(t, ahead[0], head)
	c.Reset()
	ok, err := r.Device.Next(0, &c)
	require.True(t, ok)
	require.NoError(t, err)
	require.Len(t, c.Out, 8)
	assert.EqualValues(t, 128, c.OutLen)
	for i, b := range c.Out {
		a, _ := r.mem.AddrOf(b)
		assert.Equal(t, out[i].Addr, a)
	}
}

// Who is earlier does not see what was written later, and is told when it will be.
func TestTimesAreKept(t *testing.T) {
	both(t, func(t *testing.T, f Features) {
		r, _, at := bench(t, 8, f)
		r.Device.DisableKicks()
		r.Driver.Add(100, []Buffer{{at, 1}}, nil)
		var c Chain
		ok, err := r.Device.Next(99, &c)
		assert.False(t, ok)
		assert.NoError(t, err)
		more, when := r.Device.EnableKicks(60, 0)
		assert.False(t, more)
		assert.Equal(t, sim.Time(100), when, "the driver has found kicks off: it must be taken as having kicked")
		more, when = r.Device.EnableKicks(100, 0)
		assert.True(t, more)
		assert.Equal(t, sim.Never, when)
		more, when = r.Device.EnableKicks(100, 1)
		assert.False(t, more, "that one is known")
		assert.Equal(t, sim.Never, when)

		ok, _ = r.Device.Next(100, &c)
		require.True(t, ok)
		r.Driver.DisableCalls()
		r.Device.Push(200, c.Head, 0)
		assert.False(t, r.Device.CallNeeded())
		assert.False(t, r.Driver.Pending(199))
		_, _, ok = r.Driver.Get(199)
		assert.False(t, ok)
		assert.False(t, r.Driver.Overdue(), "it does not wait")
		more, when = r.Driver.EnableCalls(150)
		assert.False(t, more)
		assert.Equal(t, sim.Time(200), when)
		assert.True(t, r.Driver.Overdue(), "now it does, and nobody has called")
		more, when = r.Driver.EnableCalls(200)
		assert.True(t, more)
		assert.Equal(t, sim.Never, when)
		_, _, ok = r.Driver.Get(200)
		assert.True(t, ok)
	})
}

// vring_need_event, with every index modulo 2^16: it says whether the entry with the
// number event is among those from old up to new.
func TestNeedEventIsMembership(t *testing.T) {
	for _, base := range []uint16{0, 5, 65530, 32765} {
		for n := range uint16(12) {
			for e := range uint16(16) {
				old, event := base, base+e-2
				want := false
				for i := range n {
					want = want || old+i == event
				}
				assert.Equal(t, want, needEvent(event, old+n, old), "event %d, from %d, %d more", event, old, n)
			}
		}
	}
}

// A driver that enables calls late is called once, and not for what it has seen.
func TestDelayedCalls(t *testing.T) {
	both(t, func(t *testing.T, f Features) {
		r, _, at := bench(t, 8, f)
		var c Chain
		r.Driver.DisableCalls()
		for range 8 {
			r.Driver.Add(0, []Buffer{{at, 1}}, nil)
		}
		more, _ := r.Driver.EnableCallsDelayed(0)
		assert.False(t, more)
		calls := ""
		for range 8 {
			ok, _ := r.Device.Next(0, &c)
			require.True(t, ok)
			r.Device.Push(0, c.Head, 0)
			if r.Device.CallNeeded() {
				calls += "x"
				continue
			}
			calls += "-"
		}
		if f == 0 {
			assert.Equal(t, "xxxxxxxx", calls)
			return
		}
		assert.Equal(t, "------x-", calls, "the seventh is the first beyond three quarters")
		assert.True(t, r.Driver.Overdue())
		more, _ = r.Driver.EnableCallsDelayed(0)
		assert.True(t, more, "more than three quarters are there")
	})
}

// write16 writes into guest memory behind the driver's back.
func write16(b []byte, v uint16) { binary.LittleEndian.PutUint16(b, v) }

// What a hostile driver writes breaks the ring, with the error that says why, and it
// stays broken.
func TestHostileDriver(t *testing.T) {
	const size = 4
	type guest struct {
		r  *Ring
		at mem.Addr
	}
	put := func(g guest, list ...desc) {
		for i, d := range list {
			putDesc(g.r.desc, uint16(i), d)
		}
		g.r.setAvailIdx(1)
	}
	table := func(g guest, list ...desc) desc { // of descriptors, as an indirect one
		b := g.r.mem.Bytes(g.at, descLen*len(list))
		for i, d := range list {
			putDesc(b, uint16(i), d)
		}
		return desc{g.at, uint32(descLen * len(list)), descIndirect, 0}
	}
	for _, tc := range []struct {
		name string
		want error // nil: it is all right
		do   func(guest)
	}{
		{"plain", nil, func(g guest) { put(g, desc{g.at, 10, 0, 0}) }},
		{"index jumps by more than the ring", ErrAvail, func(g guest) { g.r.setAvailIdx(size + 1) }},
		{"index jumps back", ErrAvail, func(g guest) { g.r.setAvailIdx(65535) }},
		{"head outside of the table", ErrHead, func(g guest) { put(g); write16(g.r.avail[4:], size) }},
		{"head far outside", ErrHead, func(g guest) { put(g); write16(g.r.avail[4:], 65535) }},
		{"buffer begins outside", ErrAddress, func(g guest) { put(g, desc{64 << 10, 1, 0, 0}) }},
		{"buffer ends outside", ErrAddress, func(g guest) { put(g, desc{64<<10 - 1, 2, 0, 0}) }},
		{"buffer ends at the end", nil, func(g guest) { put(g, desc{64<<10 - 2, 2, 0, 0}) }},
		{"buffer ends beyond 2^64", ErrAddress, func(g guest) { put(g, desc{1<<64 - 1, 2, 0, 0}) }},
		{"buffer of 4 GiB", ErrAddress, func(g guest) { put(g, desc{0, 1<<32 - 1, 0, 0}) }},
		{"empty buffer", nil, func(g guest) { put(g, desc{g.at, 0, 0, 0}) }},
		{"next outside of the table", ErrNext, func(g guest) { put(g, desc{g.at, 1, descNext, size}) }},
		{"points to itself", ErrLoop, func(g guest) { put(g, desc{g.at, 1, descNext, 0}) }},
		{"loop of two", ErrLoop, func(g guest) { put(g, desc{g.at, 1, descNext, 1}, desc{g.at, 1, descNext, 0}) }},
		{"as long as the ring", nil, func(g guest) {
			put(g, desc{g.at, 1, descNext, 1}, desc{g.at, 1, descNext, 2}, desc{g.at, 1, descNext, 3}, desc{g.at, 1, 0, 0})
		}},
		{"readable behind writable", ErrOrder, func(g guest) { put(g, desc{g.at, 1, descWrite | descNext, 1}, desc{g.at, 1, 0, 0}) }},
		{"unknown flags are ignored", nil, func(g guest) { put(g, desc{g.at, 1, 0xFFF8, 0}) }},
		{"indirect", nil, func(g guest) { put(g, table(g, desc{g.at, 1, descNext, 1}, desc{g.at, 1, descWrite, 0})) }},
		{"indirect behind a plain one", nil, func(g guest) { put(g, desc{g.at, 1, descNext, 1}, table(g, desc{g.at, 1, 0, 0})) }},
		{"indirect, write flag ignored", nil, func(g guest) {
			d := table(g, desc{g.at, 1, 0, 0})
			d.flags |= descWrite
			put(g, d)
		}},
		{"indirect with a next one", ErrIndirect, func(g guest) {
			d := table(g, desc{g.at, 1, 0, 0})
			d.flags |= descNext
			put(g, d)
		}},
		{"indirect inside of indirect", ErrIndirect, func(g guest) { put(g, table(g, desc{g.at, 16, descIndirect, 0})) }},
		{"empty table", ErrIndirect, func(g guest) { put(g, desc{g.at, 0, descIndirect, 0}) }},
		{"half a descriptor", ErrIndirect, func(g guest) { put(g, desc{g.at, 24, descIndirect, 0}) }},
		{"table outside", ErrAddress, func(g guest) { put(g, desc{64<<10 - 8, 16, descIndirect, 0}) }},
		{"next outside of the indirect table", ErrNext, func(g guest) { put(g, table(g, desc{g.at, 1, descNext, 1})) }},
		{"loop in the indirect table", ErrLoop, func(g guest) { put(g, table(g, desc{g.at, 1, descNext, 0})) }},
		{"indirect chain longer than the ring", ErrLoop, func(g guest) {
			d := desc{g.at, 1, descNext, 0}
			list := make([]desc, size+1)
			for i := range list {
				d.next = uint16(i + 1)
				list[i] = d
			}
			list[size].flags = 0
			put(g, table(g, list...))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, _, at := bench(t, size, FRingIndirect)
			tc.do(guest{r, at})
			var c Chain
			ok, err := r.Device.Next(0, &c)
			if tc.want == nil {
				assert.True(t, ok)
				assert.NoError(t, err)
				return
			}
			assert.False(t, ok)
			assert.ErrorIs(t, err, tc.want)
			r.setAvailIdx(1) // it cannot be made good
			putDesc(r.desc, 0, desc{at, 1, 0, 0})
			ok, again := r.Device.Next(0, &c)
			assert.False(t, ok)
			assert.Equal(t, err, again)
			more, _ := r.Device.EnableKicks(sim.Never, 0)
			assert.False(t, more, "a broken ring has nothing")
		})
	}
}

func TestIndirectIsNegotiated(t *testing.T) {
	r, _, at := bench(t, 4, 0)
	putDesc(r.desc, 0, desc{at, 16, descIndirect, 0})
	r.setAvailIdx(1)
	_, err := r.Device.Next(0, &Chain{})
	assert.ErrorIs(t, err, ErrIndirect)
}

// The driver does not believe a device that gives back what it never had.
func TestHostileDevice(t *testing.T) {
	used := func(r *Ring, slot uint16, id, n uint32) {
		b := r.used[ringHead+usedLen*int(slot):]
		binary.LittleEndian.PutUint32(b, id)
		binary.LittleEndian.PutUint32(b[4:], n)
		r.setUsedIdx(slot + 1)
	}
	for _, tc := range []struct {
		name string
		do   func(*Ring)
	}{
		{"chain outside of the table", func(r *Ring) { used(r, 0, 4, 0) }},
		{"chain far outside", func(r *Ring) { used(r, 0, 1<<31, 0) }},
		{"chain that is not in flight", func(r *Ring) { used(r, 0, 3, 0) }},
		{"a descriptor that is no head", func(r *Ring) { used(r, 0, 1, 0) }},
		{"more bytes than there is room", func(r *Ring) { used(r, 0, 0, 11) }},
		{"bytes in what may only be read", func(r *Ring) { used(r, 0, 2, 1) }},
		{"index jumps", func(r *Ring) { r.setUsedIdx(3) }},
		{"index jumps back", func(r *Ring) { r.setUsedIdx(65535) }},
		{"the same chain twice", func(r *Ring) {
			used(r, 0, 0, 0)
			_, _, ok := r.Driver.Get(0)
			if !ok {
				panic("the first time it is all right")
			}
			used(r, 1, 0, 0)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, _, at := bench(t, 4, 0)
			r.Driver.Add(0, nil, []Buffer{{at, 5}, {at, 5}}) // 0 and 1
			r.Driver.Add(0, []Buffer{{at, 5}}, nil)          // 2
			tc.do(r)
			_, _, ok := r.Driver.Get(0)
			assert.False(t, ok)
			assert.ErrorIs(t, r.Driver.Err(), ErrUsed)
			_, ok = r.Driver.Add(0, []Buffer{{at, 5}}, nil)
			assert.False(t, ok, "it stays broken")
			more, _ := r.Driver.EnableCalls(0)
			assert.True(t, !more || r.Driver.Err() != nil)
		})
	}
}

func TestLayoutIsChecked(t *testing.T) {
	m := mem.New(64 << 10)
	good, end := Place(0, 256)
	assert.LessOrEqual(t, int(end), m.Size())
	for _, tc := range []struct {
		name string
		do   func(*Layout)
		ok   bool
	}{
		{"as placed", func(*Layout) {}, true},
		{"no entries", func(l *Layout) { l.Size = 0 }, false},
		{"not a power of two", func(l *Layout) { l.Size = 255 }, false},
		{"too many", func(l *Layout) { l.Size = 32769 }, false},
		{"table outside", func(l *Layout) { l.Desc = 64 << 10 }, false},
		{"table at the end of all addresses", func(l *Layout) { l.Desc = 1<<64 - 16 }, false},
		{"table not aligned", func(l *Layout) { l.Desc = 8 }, false},
		{"avail ring not aligned", func(l *Layout) { l.Avail++ }, false},
		{"used ring not aligned", func(l *Layout) { l.Used += 2 }, false},
		{"used ring ends outside", func(l *Layout) { l.Used = 64<<10 - 4 }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := good
			tc.do(&l)
			_, err := NewRing(m, l, 0)
			if tc.ok {
				assert.NoError(t, err)
				return
			}
			assert.ErrorIs(t, err, ErrLayout)
		})
	}
}

// A buffer's whole way allocates nothing.
func TestNoAllocation(t *testing.T) {
	r, _, at := bench(t, 256, FRingEventIdx)
	out := []Buffer{{at, 12}, {at + 12, 1500}}
	var c Chain
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		c.Reset()
		r.Driver.Add(0, out, nil)
		r.Driver.KickNeeded()
		r.Device.Next(0, &c)
		r.Device.Push(0, c.Head, 0)
		r.Device.CallNeeded()
		r.Driver.Get(0)
	}))
}

func BenchmarkRing(b *testing.B) {
	r, _, at := bench(b, 256, FRingEventIdx)
	out := []Buffer{{at, 1514}}
	var c Chain
	for range b.N {
		c.Reset()
		r.Driver.Add(0, out, nil)
		r.Device.Next(0, &c)
		r.Device.Push(0, c.Head, 0)
		r.Driver.Get(0)
	}
}

// AddOwn is Add of every free descriptor by itself, to the last byte of the ring.
func TestAddOwnIsAddOfEach(t *testing.T) {
	const size, each = 8, 100
	both(t, func(t *testing.T, f Features) {
		one, mOne, at := bench(t, size, f)
		all, mAll, _ := bench(t, size, f)
		for round := range 20 {
			now := sim.Time(round)
			var want []uint16
			for one.Driver.Free() > 0 {
				head, ok := one.Driver.Add(now, nil, []Buffer{{at + each*mem.Addr(one.Driver.NextHead()), each}})
				require.True(t, ok)
				want = append(want, head)
			}
			assert.Equal(t, len(want), all.Driver.AddOwn(now, at, each))
			for k := range 1 + round%size { // some come back, not in order
				for _, r := range []*Ring{one, all} {
					var c Chain
					ok, err := r.Device.Next(now, &c)
					require.NoError(t, err)
					require.True(t, ok)
					r.Device.Push(now, c.Head, uint32(k))
				}
			}
			for {
				a, n, ok := one.Driver.Get(now)
				b, m, also := all.Driver.Get(now)
				require.Equal(t, []any{a, n, ok}, []any{b, m, also})
				if !ok {
					break
				}
			}
			require.Equal(t, mOne.Bytes(0, mOne.Size()), mAll.Bytes(0, mAll.Size()))
			require.Equal(t, one.availAt, all.availAt)
		}
	})
}

// A chain of one buffer that takes the short way is the chain that the long way finds, and
// what the long way refuses the short one does not take.
func TestShortWayOfOneBufferIsTheLongOne(t *testing.T) {
	r, m, at := bench(t, 8, FRingIndirect)
	end := mem.Addr(m.Size())
	for _, d := range []desc{
		{at, 100, descWrite, 0}, {at, 0, descWrite, 5}, {end - 10, 10, descWrite, 0}, {end - 10, 11, descWrite, 0},
		{^mem.Addr(0), 2, descWrite, 0}, {at, 1 << 31, descWrite, 0}, {at, 100, 0, 0}, {at, 100, descWrite | descNext, 1},
		{at, 16, descWrite | descIndirect, 0}, {at, 100, descWrite | 0xfff8, 0},
	} {
		putDesc(r.desc, 0, d)
		for _, had := range []uint64{0, 1<<32 - 101, 1<<32 - 100} {
			short, long := Chain{InLen: had}, Chain{InLen: had}
			err := r.Device.walk(&long, r.desc, 0, 1, false)
			if r.Device.single(&short, 0) {
				require.NoError(t, err, "%+v behind %d", d, had)
				assert.Equal(t, long, short, "%+v behind %d", d, had)
			} else if err == nil {
				assert.NotEqual(t, descWrite, d.flags&7, "%+v behind %d", d, had)
			}
		}
	}
}
