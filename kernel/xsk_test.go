package kernel_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/sim"
	"ringside/xdp"
)

// A user is a process that polls, has a socket, and does to it what its script says.
type user struct {
	core   *kernel.Core
	x      *kernel.XSK
	at     []sim.Time
	act    func(u *user)
	taken  [][]byte
	memory *mem.Memory
	umem   kernel.UMEM
}

func (u *user) Poll(c *kernel.Core) bool {
	if len(u.at) > 0 && u.at[0] <= c.Now() {
		u.at = u.at[1:]
		u.act(u)
		c.Charge(cost.XskRingRx, 1)
		return true
	}
	c.Charge(cost.RteEthRxIdle, 1)
	return false
}

func (u *user) Next() sim.Time {
	if len(u.at) > 0 {
		return u.at[0]
	}
	return sim.Never
}

func (u *user) InFlight() uint64  { return 0 }
func (u *user) Check() error      { return nil }
func (u *user) Stalled() []string { return nil }

// withSocket is a host whose NIC gives everything to a socket of 64-entry rings and a UMEM
// of two blocks of a page size each, with other pages about them that nobody may touch.
func withSocket(t testing.TB, zeroCopy bool, program xdp.Program) (*kerneltest.Rig, *user, []byte) {
	t.Helper()
	r := withXDP(t, 1, kernel.XDPConfig{Program: program}, nil)
	u := &user{memory: r.Memory}
	all, err := r.Memory.Alloc(5) // 32 pages: fence, block, fence, block, fence
	require.NoError(t, err)
	const block = 8 * mem.PageSize
	u.umem = kernel.UMEM{Blocks: []mem.Addr{all + block, all + 3*block}, BlockSize: block, Room: 2048}
	fence := r.Memory.Bytes(all, 32*mem.PageSize)
	for i := range fence {
		fence[i] = 0xee
	}
	var xerr error
	u.core, xerr = r.AddPoller(kernel.PollerConfig{Name: "user"}, u)
	require.NoError(t, xerr)
	u.x, xerr = r.AddXSK(kernel.XSKConfig{NIC: "eth0", UMEM: u.umem, Ring: 64, ZeroCopy: zeroCopy, Ready: u.core.Wake})
	require.NoError(t, xerr)
	return r, u, fence
}

// fenced says that nothing was written outside of the two blocks.
func fenced(fence []byte) bool {
	const block = 8 * mem.PageSize
	for i, b := range fence {
		inside := i >= block && i < 2*block || i >= 3*block
		if !inside && b != 0xee {
			return false
		}
	}
	return true
}

// take reads what has come.
func (u *user) take() {
	for {
		d, _, ok := u.x.Rx.TakeDesc(u.core.Now())
		if !ok {
			break
		}
		blk := u.umem.Blocks[d.Addr/uint64(u.umem.BlockSize)]
		u.taken = append(u.taken, append([]byte(nil), u.memory.Bytes(blk+mem.Addr(d.Addr%uint64(u.umem.BlockSize)), int(d.Len))...))
	}
	u.x.Rx.Release()
}

// Frames land in the buffers that the process gave, and are dropped, and counted, when it
// gave too few or reads none.
func TestFramesLandInTheProcessMemory(t *testing.T) {
	for _, zeroCopy := range []bool{false, true} {
		for _, tt := range []struct{ buffers, frames, got int }{{16, 10, 10}, {16, 40, 16}, {0, 5, 0}} {
			r, u, fence := withSocket(t, zeroCopy, xdp.ToSocket)
			for i := range tt.buffers {
				u.x.Fill.PutAddr(uint64(i/14)<<15+uint64(i%14)*2304, 0)
			}
			u.x.Fill.Publish()
			u.x.Start()
			u.act, u.at = (*user).take, []sim.Time{10 * sim.Millisecond}
			wire := to(0, tt.frames, 200)
			r.Play(0, wire...)
			require.NoError(t, r.Run())
			require.Equal(t, len(u.taken), tt.got, "zero-copy %v, %+v", zeroCopy, u.x.Stat())
			for i, f := range u.taken {
				assert.Equal(t, wire[i], f)
			}
			b := r.Balance()
			assert.EqualValues(t, tt.got, b.ToHost)
			assert.True(t, fenced(fence))
			if tt.got < tt.frames {
				assert.Positive(t, u.x.Stat().FillRingEmpty)
				// A device without descriptors wakes nobody: the wire keeps what it has.
				assert.EqualValues(t, int(b.In)-tt.got, b.Dropped+b.InFlight)
				assert.True(t, zeroCopy || int(b.In) == tt.frames)
			}
		}
	}
}

// A frame that is longer than a buffer is dropped once, whole: its last piece is no frame.
func TestAFrameLongerThanABufferIsDroppedWhole(t *testing.T) {
	for _, zeroCopy := range []bool{false, true} {
		r, u, fence := withSocket(t, zeroCopy, xdp.ToSocket)
		for i := range 28 {
			u.x.Fill.PutAddr(uint64(i/14)<<15+uint64(i%14)*2304, 0)
		}
		u.x.Fill.Publish()
		u.x.Start()
		u.act, u.at = (*user).take, []sim.Time{10 * sim.Millisecond}
		var whole [][]byte
		for i, size := range []int{200, 2049, 2048, 3000, 3072, 60} {
			f := to(0, 1, size)[0]
			r.Play(sim.Time(i)*sim.Microsecond, f)
			if size <= 2048 {
				whole = append(whole, f)
			}
		}
		require.NoError(t, r.Run())
		assert.Equal(t, whole, u.taken, "zero-copy %v", zeroCopy)
		assert.EqualValues(t, 3, r.Drops.ByReason()[cost.PktTooBig])
		assert.EqualValues(t, 3, u.x.Stat().RxDropped)
		b := r.Balance()
		assert.EqualValues(t, 6, b.In)
		assert.EqualValues(t, 3, b.Dropped)
		assert.True(t, fenced(fence))
	}
}

// What a process sends leaves by the wire, and its buffers come back; what it says that is
// no frame is counted.
func TestFramesOfAProcessLeave(t *testing.T) {
	for _, zeroCopy := range []bool{false, true} {
		r, u, fence := withSocket(t, zeroCopy, xdp.ToSocket)
		u.x.Start()
		u.act = func(u *user) {
			for i := range uint64(10) {
				copy(u.memory.Bytes(u.umem.Blocks[0]+mem.Addr(i*512), 100), kerneltest.Frame(kerneltest.Remote(0), kerneltest.Station(0), 100, byte(i)))
				u.x.Tx.PutDesc(xdp.Desc{Addr: i * 512, Len: 100}, xdp.Tag{}, u.core.Now())
			}
			for _, bad := range []xdp.Desc{
				{Addr: 2 * 8 * mem.PageSize, Len: 60}, {Addr: 8*mem.PageSize - 10, Len: 60}, {Addr: 1<<64 - 20, Len: 60},
				{Addr: 0, Len: 1 << 31}, {Addr: 0, Len: 3}, {Addr: 0, Len: 60, Options: 1}, {Addr: 0, Len: 5000},
			} {
				u.x.Tx.PutDesc(bad, xdp.Tag{}, u.core.Now())
			}
			u.x.Tx.Publish()
			u.x.Wakeup(u.core)
		}
		u.at = []sim.Time{sim.Millisecond}
		require.NoError(t, r.Run())
		require.Len(t, r.Wire.Sent, 10)
		for i, f := range r.Wire.Sent {
			assert.Equal(t, kerneltest.Frame(kerneltest.Remote(0), kerneltest.Station(0), 100, byte(i)), f.Data)
		}
		assert.EqualValues(t, 7, u.x.Stat().TxInvalid)
		assert.Equal(t, 10, u.x.Comp.Ready())
		assert.True(t, fenced(fence))
	}
}

// A hostile process writes whatever it likes into its rings, at any time. Its frames may
// suffer; nothing outside of its memory is written, nothing is lost count of, and the run
// ends.
func FuzzSockets(f *testing.F) {
	f.Add([]byte("whatever it likes, at any time"), false)
	f.Add([]byte("whatever it likes, at any time"), true)
	f.Add([]byte{0, 0, 0, 255, 1, 0, 0, 255, 2, 196, 0, 1, 3, 128, 0, 7, 4, 0, 9, 9, 5, 1, 1, 1, 6, 0, 0, 1}, true)
	f.Fuzz(func(t *testing.T, script []byte, zeroCopy bool) {
		programs := []xdp.Program{xdp.ToSocket, func(x *xdp.Context) xdp.Action {
			switch n := x.Data()[15]; n % 6 {
			case 0:
				return xdp.Pass
			case 1:
				return xdp.SwapTx(x)
			case 2:
				x.AdjustHead(-int(n))
			case 3:
				x.AdjustTail(int(n) * 8)
			}
			return x.RedirectSocket(xdp.Drop)
		}}
		r, u, fence := withSocket(t, zeroCopy, programs[len(script)%2])
		known(t, r)
		u.x.Start()
		rings := []*xdp.Ring{u.x.Fill, u.x.Comp, u.x.Rx, u.x.Tx}
		u.act = func(u *user) {
			if len(script) < 4 {
				return
			}
			op := script[:4]
			script = script[4:]
			ring := rings[op[0]%4]
			now := u.core.Now()
			switch op[0] / 4 % 8 {
			case 0, 1: // an honest buffer, or several
				for i := range uint64(op[1]%32 + 1) {
					if u.x.Fill.Free() > 0 {
						u.x.Fill.PutAddr(i*2304%(16*mem.PageSize), now)
					}
				}
				u.x.Fill.Publish()
				u.x.Wakeup(u.core)
			case 2:
				u.take0()
			case 3: // a descriptor of any kind
				if u.x.Tx.Free() > 0 {
					u.x.Tx.PutDesc(xdp.Desc{Addr: uint64(op[1])<<12 + uint64(op[2])<<4, Len: uint32(op[3]) * 16}, xdp.Tag{}, now)
				}
				u.x.Tx.Publish()
				u.x.Wakeup(u.core)
			case 4: // any word, anywhere
				b := ring.Bytes()
				at := int(op[1])<<3&^3 + int(op[2]&1)*128
				binary.LittleEndian.PutUint32(b[at%(len(b)-4):], uint32(op[3])<<(op[2]%25))
			case 5: // the producer
				binary.LittleEndian.PutUint32(ring.Bytes(), uint32(op[2])<<8|uint32(op[3]))
				u.x.Wakeup(u.core)
			case 6: // the consumer
				binary.LittleEndian.PutUint32(ring.Bytes()[128:], uint32(op[1])<<24|uint32(op[3]))
			case 7:
				u.x.Wakeup(u.core)
			}
		}
		for i := range 2 + len(script)/4 {
			u.at = append(u.at, sim.Time(i)*9*sim.Microsecond)
		}
		for i, g := range to(0, 60, 300) {
			r.Play(sim.Time(i)*8*sim.Microsecond, g)
		}
		require.NoError(t, r.Run())
		require.True(t, fenced(fence))
		b := r.Balance()
		require.True(t, b.In == 60 || zeroCopy && b.In < 60, "%+v %+v", b, u.x.Stat())
	})
}

// take0 is take of a process that does not look.
func (u *user) take0() {
	for {
		if _, _, ok := u.x.Rx.TakeDesc(u.core.Now()); !ok {
			break
		}
	}
	u.x.Rx.Release()
}
