package kernel_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/sim"
	"ringside/xdp"
)

// A wild program does to each frame what the next bytes of its script say, and writes
// down how it left the frame.
type wild struct {
	script []byte
	left   map[uint32][]byte // by the frame's number
	wrong  []string
}

func (w *wild) next() int {
	if len(w.script) == 0 {
		return 0
	}
	b := w.script[0]
	w.script = w.script[1:]
	return int(b)
}

// run is the program. Whatever it manages to have of a frame it fills.
func (w *wild) run(x *xdp.Context) xdp.Action {
	id := binary.BigEndian.Uint32(x.Data()[14:])
	before := x.Len()
	for range w.next() % 4 {
		head, tail := (w.next()-128)*4, (w.next()-128)*16
		n := x.Len()
		if x.AdjustHead(head) {
			n -= head
		}
		if x.AdjustTail(tail) {
			n += tail
		}
		if x.Len() != n || n < 14 || n > 4096<<4 {
			w.wrong = append(w.wrong, fmt.Sprintf("frame %d has %d bytes, not %d", id, x.Len(), n))
		}
	}
	f := x.Data()
	if cap(f) != len(f) {
		w.wrong = append(w.wrong, "more can be had of a frame than it is")
	}
	if before != len(f) || w.next()%2 == 1 {
		for i := range f[12:] { // the addresses decide where it goes
			f[12+i] = byte(id) + byte(i)
		}
		f[12], f[13] = 0x88, 0xb5
	}
	w.left[id] = slices.Clone(f)
	switch a := w.next() % 9; a {
	case 5:
		panic("on purpose")
	case 6:
		return x.Redirect(w.next() - 100)
	case 7:
		return x.RedirectMap(w.next()%4-1, xdp.Action(w.next()))
	case 8:
		return x.RedirectSocket(xdp.Action(w.next()))
	default:
		return xdp.Action(a)
	}
}

// Whatever a program does and says, every frame has one fate, arrives as the program
// left it, and all buffers come back.
func FuzzPrograms(f *testing.F) {
	f.Add([]byte("a program that does this and that"), uint8(20), false)
	f.Add([]byte{3, 0, 255, 0, 255, 0, 255, 2, 3, 255, 0, 255, 0, 255, 0, 3, 0, 0, 1, 6, 101, 0, 0, 7, 1, 9, 0, 1, 4}, uint8(40), false)
	f.Add([]byte{3, 0, 255, 0, 255, 0, 255, 2, 3, 255, 0, 255, 0, 255, 0, 3, 0, 0, 1, 6, 101, 0, 0, 7, 1, 9, 0, 1, 4}, uint8(40), true)
	f.Fuzz(func(t *testing.T, script []byte, frames uint8, generic bool) {
		w := &wild{script: script, left: map[uint32][]byte{}}
		s := &kerneltest.Fates{}
		r := withXDP(t, 2, kernel.XDPConfig{Program: w.run, Generic: generic, Devices: []string{"tap1", "nobody", "eth0"}}, s)
		known(t, r)
		before := r.Memory.InUse()
		var at sim.Time
		for i := range int(frames) {
			n := 60 + i*i%1500
			if generic && i%9 == 8 {
				n += 5000
			}
			g := kerneltest.Frame(kerneltest.Station(i%3), kerneltest.Remote(i%2), n, byte(i))
			binary.BigEndian.PutUint32(g[14:], uint32(i+1))
			r.Play(at, g)
			at += sim.Time(i%5) * 3 * sim.Microsecond
		}
		require.NoError(t, r.Run())
		require.Empty(t, w.wrong)
		require.Empty(t, s.Early)
		b := r.Balance()
		require.EqualValues(t, frames, b.In)
		require.Zero(t, b.InFlight)
		require.LessOrEqual(t, r.Memory.InUse(), before+2)
		require.EqualValues(t, frames, r.XDPStats()[0].Runs()+r.Drops.ByReason()[cost.NICRxOversize])
		for _, a := range s.Order {
			require.Equal(t, w.left[uint32(a.ID)], a.Data, "frame %d", a.ID)
		}
		for _, sent := range r.Wire.Sent {
			left := w.left[uint32(sent.ID)]
			if pad := 60 - len(left); pad > 0 { // TCTL.PSP
				left = append(left, make([]byte, pad)...)
			}
			require.Equal(t, left, sent.Data, "frame %d", sent.ID)
		}
	})
}
