package guest_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside/vm/guest"
	"ringside/vm/guest/guesttest"
)

// ring is n machines in pairs, each pair with streams both ways at once over a cable
// that loses and reorders. It returns the hash of every frame, and checks the bytes.
func ring(t testing.TB, seed uint64, n int) (string, int) {
	lab := guesttest.New(t, seed)
	machines := make([]*guesttest.Machine, n)
	ended := 0
	for i := range n {
		sink := func(p *guest.Proc) error {
			l, err := p.Listen("tcp", ":9")
			if err != nil {
				return err
			}
			for {
				c, err := l.Accept()
				if err != nil {
					return err
				}
				p.Go("stream", func(p *guest.Proc) error {
					h := sha256.New()
					_, err := io.Copy(h, c)
					if err == nil {
						_, err = c.Write(h.Sum(nil))
					}
					c.Close()
					return err
				})
			}
		}
		source := func(p *guest.Proc) error {
			for range 3 {
				c, err := p.Dial("tcp", fmt.Sprintf("10.0.%d.%d:9", i/2, 2-i%2))
				if err != nil {
					return err
				}
				p.Go("stream", func(p *guest.Proc) error {
					defer c.Close()
					ended++
					return stream(p, c)
				})
			}
			return nil
		}
		machines[i] = lab.Machine(guest.Config{Name: fmt.Sprint("m", i), Processes: []guest.Process{{Name: "sink", Main: sink}, {Name: "source", Main: source}}},
			fmt.Sprintf("10.0.%d.%d/24", i/2, 1+i%2))
	}
	for i := 0; i < n; i += 2 {
		lab.Join(machines[i].NIC(0), machines[i+1].NIC(0), guesttest.Cable{Loss: 97, Reorder: 61, Delay: 20_000_000, Offloads: i%4 == 0})
	}
	lab.Run()
	require.Equal(t, 3*n, ended)
	return lab.Hash()
}

// stream sends what the process's chance gives and reads the hash of what arrived.
func stream(p *guest.Proc, c net.Conn) error {
	h, b := sha256.New(), make([]byte, 10_000)
	for range 10 {
		for i := range b {
			b[i] = byte(p.Rand().Uint32())
		}
		h.Write(b)
		if _, err := c.Write(b); err != nil {
			return err
		}
		p.Work(time.Duration(p.Rand().IntN(5000)))
	}
	if err := c.(*guest.Conn).CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(c)
	if err == nil && string(got) != string(h.Sum(nil)) {
		err = fmt.Errorf("what arrived has another hash")
	}
	return err
}

// Sixteen machines, 48 connections, loss and reordering: the same frames at the same
// times in every run, whatever the processors and the garbage collector do.
func TestSameSeedSameFrames(t *testing.T) {
	want, frames := ring(t, 1, 16)
	t.Logf("%d frames", frames)
	again := func(name string) {
		got, _ := ring(t, 1, 16)
		require.Equal(t, want, got, name)
	}
	again("once more")
	for _, procs := range []int{1, 2, 8} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		again(fmt.Sprint("on ", procs, " processors"))
	}
	var stop atomic.Bool
	defer stop.Store(true)
	go func() {
		for !stop.Load() {
			runtime.GC()
		}
	}()
	again("under the garbage collector")
	other, _ := ring(t, 2, 16)
	require.NotEqual(t, want, other, "another seed")
}
