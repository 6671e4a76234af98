package vswitch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/trace"
	"ringside/vhostuser"
	"ringside/virtio"
	"ringside/vswitch"
)

// A fake is a core that nobody charges, and a guest that counts.
type fake struct {
	now                       sim.Time
	steps                     [cost.NumSteps]uint64
	begun, delivered, dropped int
	why                       map[cost.DropReason]int
	woken                     []sim.Time
	calls                     int
	got                       [][]byte
	err                       error
}

func newFake() *fake { return &fake{why: map[cost.DropReason]int{}} }

func (f *fake) Now() sim.Time                                       { return f.now }
func (f *fake) Charge(s cost.Step, n uint64)                        { f.steps[s] += n }
func (f *fake) ChargeBytes(s cost.Step, n, _ uint64)                { f.steps[s] += n }
func (f *fake) ChargeFrame(_ uint64, s cost.Step, n, _ uint64)      { f.steps[s] += n }
func (f *fake) Watched() bool                                       { return false }
func (f *fake) Show(*trace.Frame)                                   {}
func (f *fake) Wake(at sim.Time)                                    { f.woken = append(f.woken, at) }
func (f *fake) Cloned(uint64)                                       {}
func (f *fake) Fail(err error)                                      { f.err = err }
func (f *fake) Index() int32                                        { return 1 }
func (f *fake) Signal()                                             { f.calls++ }
func (f *fake) Begin([]byte) uint64                                 { f.begun++; return uint64(f.begun) }
func (f *fake) Drop(_ uint64, _ int32, _ []byte, r cost.DropReason) { f.dropped++; f.why[r]++ }
func (f *fake) Deliver(_ uint64, _ sim.Time, frame []byte) {
	f.delivered++
	f.got = append(f.got, bytes.Clone(frame))
}

// A rig is a port, its VMM's end, and a guest's rings in a memory.
type rig struct {
	*fake
	pool  *vswitch.Pool
	port  *vswitch.Vhost
	front *vhostuser.Frontend
	mem   *mem.Memory
	pair  virtio.Pair
}

func newRig(t *testing.T, size uint16) *rig {
	t.Helper()
	r := &rig{fake: newFake(), mem: mem.New(64 * mem.PageSize)}
	var err error
	r.pool, err = vswitch.NewPool(mem.New(1<<20), 64)
	require.NoError(t, err)
	r.port, err = vswitch.NewVhost(vswitch.VhostConfig{Core: r, Guest: r, Pool: r.pool})
	require.NoError(t, err)
	r.front, err = vhostuser.Connect(r.port.Backend().Message)
	require.NoError(t, err)
	var end mem.Addr
	r.pair.Rx, end = virtio.Place(0, size)
	r.pair.Tx, _ = virtio.Place(end, size)
	return r
}

func (r *rig) start(t *testing.T, f virtio.Features) (rx, tx *virtio.Ring) {
	t.Helper()
	require.NoError(t, r.front.Start(r.mem, f, []virtio.Pair{r.pair}, func(int) vhostuser.Event { return r }))
	return r.port.Backend().Ring(0), r.port.Backend().Ring(1)
}

// post gives the guest's side of a ring a buffer of n bytes at the page.
func post(t *testing.T, ring *virtio.Ring, at sim.Time, page int, n uint32, out bool) {
	t.Helper()
	b := []virtio.Buffer{{Addr: mem.Addr(page) * mem.PageSize, Len: n}}
	var ok bool
	if out {
		_, ok = ring.Driver.Add(at, b, nil)
	} else {
		_, ok = ring.Driver.Add(at, nil, b)
	}
	require.True(t, ok)
}

const base = virtio.FVersion1

// A frame of the guest comes out as it went in, once it is published, and its chain goes
// back; a frame for it is in its memory with a header in front.
func TestFramesBothWays(t *testing.T) {
	r := newRig(t, 16)
	rx, tx := r.start(t, base|virtio.FRingEventIdx)
	assert.False(t, tx.Driver.KickNeeded(), "nothing was added")
	frame := bytes.Repeat([]byte{7, 8}, 40)
	copy(r.mem.Bytes(32*mem.PageSize+virtio.HdrLen, 80), frame)
	assert.Equal(t, sim.Never, r.port.Next())
	post(t, tx, 100, 32, virtio.HdrLen+80, true)
	assert.Equal(t, sim.Time(100), r.woken[len(r.woken)-1], "the core is told, though nobody kicks")
	burst := make([]*vswitch.Mbuf, 8)
	assert.Zero(t, r.port.Receive(burst), "of a later time")
	assert.Equal(t, sim.Time(100), r.port.Next())
	r.now = 100
	require.Equal(t, 1, r.port.Receive(burst))
	assert.Equal(t, frame, burst[0].Data)
	head, _, ok := tx.Driver.Get(100)
	assert.True(t, ok)
	assert.Zero(t, head)

	n, why := r.port.Transmit(burst[:1])
	assert.Zero(t, n)
	assert.Equal(t, cost.FullRing, why)
	post(t, rx, 100, 33, 2000, false)
	n, _ = r.port.Transmit(burst[:1])
	assert.Equal(t, 1, n)
	_, length, ok := rx.Driver.Get(100)
	assert.True(t, ok)
	assert.EqualValues(t, virtio.HdrLen+80, length)
	assert.Equal(t, frame, r.mem.Bytes(33*mem.PageSize+virtio.HdrLen, 80))
	assert.Equal(t, 1, r.delivered)
	assert.Equal(t, r.pool.Size(), r.pool.Left())
	assert.Positive(t, r.calls)
}

// With mergeable buffers a frame takes as many chains as it needs, or none.
func TestMergeableBuffers(t *testing.T) {
	r := newRig(t, 16)
	rx, _ := r.start(t, base|virtio.FMrgRxbuf)
	m := r.pool.Get()
	m.Data = m.Data[:1000]
	for i := range 3 {
		post(t, rx, 0, 32+i, 300, false)
	}
	n, why := r.port.Transmit([]*vswitch.Mbuf{m})
	assert.Zero(t, n)
	assert.Equal(t, cost.FullRing, why)
	post(t, rx, 0, 40, 300, false)
	n, _ = r.port.Transmit([]*vswitch.Mbuf{m})
	assert.Equal(t, 1, n)
	assert.EqualValues(t, 3, r.steps[cost.RteVhostMore])
	assert.EqualValues(t, 4, binary.LittleEndian.Uint16(r.mem.Bytes(32*mem.PageSize+10, 2)), "num_buffers")
	for _, want := range []uint32{300, 300, 300, 112} {
		_, got, ok := rx.Driver.Get(0)
		assert.True(t, ok)
		assert.Equal(t, want, got)
	}
}

// What a guest can put on its ring is counted and dropped, or costs it the port; the
// memory behind the table is never read as a frame.
func TestHostileGuests(t *testing.T) {
	for _, tc := range []struct {
		name   string
		len    uint32
		hdr    []byte
		at     mem.Addr
		why    cost.DropReason
		closed error
	}{
		{"a frame", virtio.HdrLen + 60, nil, 0, cost.NotDropped, nil},
		{"too short", virtio.HdrLen + 13, nil, 0, cost.PktTooSmall, nil},
		{"longer than an mbuf", virtio.HdrLen + vswitch.DataRoom + 1, nil, 0, cost.PktTooBig, nil},
		{"a checksum that nobody negotiated", virtio.HdrLen + 60, []byte{1, 0, 0, 0, 0, 0, 20, 0, 2, 0}, 0, cost.DevHdr, nil},
		{"segments", virtio.HdrLen + 60, []byte{1, 1, 54, 0, 1, 0, 34, 0, 16, 0}, 0, cost.DevHdr, nil},
		{"an unknown kind", virtio.HdrLen + 60, []byte{0, 77}, 0, cost.DevHdr, nil},
		{"no header", virtio.HdrLen - 1, nil, 0, 0, virtio.ErrOrder},
		{"outside of memory", 100, nil, 64 * mem.PageSize, 0, virtio.ErrAddress},
		{"over the end of memory", 100, nil, 64*mem.PageSize - 99, 0, virtio.ErrAddress},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, 16)
			_, tx := r.start(t, base)
			at := tc.at
			if at == 0 {
				at = 32 * mem.PageSize
				copy(r.mem.Bytes(at, 4096), tc.hdr)
			}
			_, ok := tx.Driver.Add(0, []virtio.Buffer{{Addr: at, Len: tc.len}}, nil)
			require.True(t, ok)
			burst := make([]*vswitch.Mbuf, 4)
			n := r.port.Receive(burst)
			if tc.closed != nil {
				assert.ErrorIs(t, r.port.Backend().Closed(), tc.closed)
				assert.Nil(t, r.port.Backend().Ring(1))
				assert.Zero(t, r.begun)
				m := r.pool.Get()
				_, why := r.port.Transmit([]*vswitch.Mbuf{m})
				assert.Equal(t, cost.DevReady, why)
				return
			}
			assert.NoError(t, r.port.Backend().Closed())
			assert.Equal(t, 1, r.begun)
			if tc.why == cost.NotDropped {
				assert.Equal(t, 1, n)
				return
			}
			assert.Zero(t, n)
			assert.Equal(t, map[cost.DropReason]int{tc.why: 1}, r.why)
			assert.Equal(t, r.pool.Size(), r.pool.Left())
		})
	}
}

// A VMM that says anything, and a guest that writes anything: a message that is wrong
// closes the port for good; a ring that is served lies in what the table shares;
// nothing outside of that is written; every frame is accounted for.
func FuzzVhostUser(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 21, 22}, []byte{})
	f.Add([]byte{30, 0, 20, 21, 20, 21, 31, 20}, []byte{1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, calls, blob []byte) {
		const pages, first, shared = 16, 4, 8 // the table shares the pages 4 to 11 of the file
		file := mem.New(pages * mem.PageSize)
		all := file.Bytes(0, file.Size())
		for i := range all {
			all[i] = 0xAA
		}
		inside := all[first*mem.PageSize : (first+shared)*mem.PageSize]
		clear(inside)
		copy(inside, blob)
		c := newFake()
		pool, err := vswitch.NewPool(mem.New(1<<20), 32)
		require.NoError(t, err)
		port, err := vswitch.NewVhost(vswitch.VhostConfig{Core: c, Guest: c, Pool: pool})
		require.NoError(t, err)
		b := port.Backend()
		next := func() byte {
			if len(calls) == 0 {
				return 0
			}
			v := calls[0]
			calls = calls[1:]
			return v
		}
		u64 := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
		u32s := func(v ...uint32) (b []byte) {
			for _, x := range v {
				b = binary.LittleEndian.AppendUint32(b, x)
			}
			return b
		}
		cat := func(p ...[]byte) []byte { return bytes.Join(p, nil) }
		closed := false
		say := func(r vhostuser.Request, payload []byte, fds ...vhostuser.FD) {
			msg := cat(u32s(uint32(r), 1, uint32(len(payload))), payload)
			_, err := b.Message(msg, fds...)
			if closed {
				require.ErrorIs(t, err, vhostuser.ErrClosed)
			}
			closed = b.Closed() != nil
			require.Equal(t, closed, err != nil)
		}
		const user = 0x10000
		reach := make([]bool, pages) // pages that a table has shared
		table := func(n, offset uint64) {
			for i := range n {
				if at := offset/mem.PageSize + i; at < pages {
					reach[at] = true
				}
			}
			say(vhostuser.SetMemTable, cat(u32s(1, 0), u64(0), u64(n*mem.PageSize), u64(user), u64(offset)), file)
		}
		addr := func(i uint32, at uint64) {
			say(vhostuser.SetVringAddr, cat(u32s(i, 0), u64(user+at), u64(user+at+512), u64(user+at+256), u64(0)))
		}
		offered, taken, refused := 0, 0, 0
		burst := make([]*vswitch.Mbuf, 4)
		for len(calls) > 0 {
			switch op := next(); op {
			case 0:
				say(vhostuser.SetOwner, nil)
			case 1:
				say(vhostuser.SetFeatures, u64(uint64(base|virtio.FMrgRxbuf)))
			case 2:
				table(shared, first*mem.PageSize)
			case 3:
				say(vhostuser.SetVringNum, u32s(1, 8))
			case 4:
				addr(1, 0)
			case 5:
				say(vhostuser.SetVringKick, u64(1), c)
			case 6:
				say(vhostuser.SetVringNum, u32s(0, 8))
			case 7:
				addr(0, 1024)
			case 8:
				say(vhostuser.SetVringKick, u64(0|1<<8))
			case 9:
				say(vhostuser.SetVringCall, u64(uint64(next())), c)
			case 10:
				say(vhostuser.SetVringEnable, u32s(uint32(next()), uint32(next())))
			case 11:
				say(vhostuser.GetVringBase, u32s(uint32(next()), 0))
			case 12:
				say(vhostuser.SetVringBase, u32s(uint32(next()), uint32(next())))
			case 13:
				table(uint64(next()), uint64(next())*mem.PageSize)
			case 14:
				addr(uint32(next()), uint64(next())<<8|uint64(next()))
			case 15:
				say(vhostuser.SetFeatures, u64(uint64(next())<<28|uint64(next())))
			case 16:
				n := min(int(next()), len(calls))
				say(vhostuser.Request(next()), bytes.Clone(calls[:min(n, len(calls))]))
			case 17: // the guest writes
				at := (int(next())<<8 | int(next())) % len(inside)
				inside[at] = next()
			case 20:
				n := port.Receive(burst)
				taken += n
				for _, m := range burst[:n] {
					m.Free()
				}
			case 21:
				m := pool.Get()
				m.Data = m.Data[:60+int(next())]
				offered++
				if n, _ := port.Transmit([]*vswitch.Mbuf{m}); n == 0 {
					refused++
					m.Free()
				}
			case 30: // what a VMM does that means well
				front, err := vhostuser.Connect(b.Message)
				if err == nil {
					part, err := file.Part(first*mem.PageSize, shared*mem.PageSize)
					require.NoError(t, err)
					var p virtio.Pair
					p.Rx, p.Tx = virtio.Layout{Size: 8, Desc: 0, Avail: 256, Used: 512}, virtio.Layout{Size: 8, Desc: 1024, Avail: 1280, Used: 1536}
					front.Start(part, base, []virtio.Pair{p}, func(int) vhostuser.Event { return c })
				}
				closed = b.Closed() != nil
			}
			c.now++
			require.Equal(t, pool.Size(), pool.Left(), "an mbuf is lost")
			require.Equal(t, c.begun, taken+c.dropped)
			require.Equal(t, offered, c.delivered+refused)
			if closed = b.Closed() != nil; closed {
				require.Nil(t, b.Ring(0))
				require.Nil(t, b.Ring(1))
				require.True(t, errors.Is(b.Closed(), vhostuser.ErrClosed))
			}
		}
		require.NoError(t, c.err)
		for i, v := range all {
			if page := i / mem.PageSize; v != 0xAA && !reach[page] && (page < first || page >= first+shared) {
				t.Fatalf("byte %#x of the file was written, which no table has shared", i)
			}
		}
	})
}
