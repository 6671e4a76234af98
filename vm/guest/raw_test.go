package guest_test

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/offload"
	"ringside/sim"
	"ringside/syscall"
	"ringside/vm/guest"
	"ringside/vm/guest/guesttest"
)

// ether is a frame of a type that nobody knows.
func ether(n int, last byte) []byte {
	f := make([]byte, n)
	copy(f, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1, 1, 0x88, 0xb5})
	f[n-1] = last
	return f
}

func TestRawSocketsSeeWholeFrames(t *testing.T) {
	var got [][]byte
	lab, s, m := two(t, guesttest.Cable{}, process("reads", func(p *guest.Proc) error {
		c, err := p.Packets("eth0", guest.RawOptions{Filter: func(head []byte) bool { return head[12] == 0x88 }})
		if err != nil {
			return err
		}
		b := make([]byte, 100)
		for range 3 {
			n, meta, err := c.ReadFrame(b)
			if err != nil {
				return err
			}
			require.Zero(t, meta)
			got = append(got, append([]byte(nil), b[:n]...))
		}
		return c.Close()
	}), process("writes", func(p *guest.Proc) error {
		p.Sleep(time.Millisecond)
		c, err := p.Packets("eth0", guest.RawOptions{})
		if err != nil {
			return err
		}
		for i, n := range []int{14, 60, 1514} {
			if err := c.WriteFrame(ether(n, byte(i)), offload.Meta{}); err != nil {
				return err
			}
		}
		for _, n := range []int{0, 13, 1519} {
			require.ErrorIs(t, c.WriteFrame(make([]byte, n), offload.Meta{}), syscall.EMSGSIZE)
		}
		return nil
	}))
	lab.Run()
	require.Equal(t, [][]byte{ether(14, 0), ether(60, 1), ether(1514, 2)[:100]}, got)
	require.EqualValues(t, 3, s.Account.Count(cost.GuestPacketRcv))
	require.EqualValues(t, 3, m.Account.Count(cost.GuestPacketSnd))
	require.EqualValues(t, 3, s.Account.Count(cost.GuestIPRcv), "the stack sees them, too")
	require.EqualValues(t, 14+60+100, s.Account.Line(cost.GuestCopyOut).Bytes)
	require.EqualValues(t, 14+60+1514, m.Account.Line(cost.GuestCopyIn).Bytes)
}

func TestARawSocketCanTakeFramesFromTheStack(t *testing.T) {
	lab, s, m := two(t, guesttest.Cable{}, process("takes", func(p *guest.Proc) error {
		_, err := p.Packets("eth0", guest.RawOptions{Take: true, Queue: 2})
		if err != nil {
			return err
		}
		p.SleepUntil(sim.Never)
		return nil
	}), process("asks", func(p *guest.Proc) error {
		_, err := p.DialTimeout("tcp", "10.0.0.1:80", 10*time.Second)
		require.Error(t, err)
		return nil
	}))
	lab.Run()
	require.Zero(t, s.NIC(0).Sent, "not even an answer to ARP")
	require.Positive(t, m.NIC(0).Sent)
	require.Zero(t, s.Account.Count(cost.GuestIPRcv))
}

func TestRawDeadlinesAndErrors(t *testing.T) {
	lab, _, _ := two(t, guesttest.Cable{}, process("p", func(p *guest.Proc) error {
		_, err := p.Packets("eth7", guest.RawOptions{})
		require.ErrorContains(t, err, `no interface "eth7"`)
		c, err := p.Packets("eth0", guest.RawOptions{Queue: 1})
		require.NoError(t, err)
		c.SetReadDeadline(p.Now().Add(time.Second))
		_, _, err = c.ReadFrame(make([]byte, 10))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		p.Sleep(2 * time.Second)
		require.EqualValues(t, 2, c.Dropped(), "of three one has room")
		p.Go("waits", func(p *guest.Proc) error {
			c.SetReadDeadline(time.Time{})
			c.ReadFrame(make([]byte, 10))
			_, _, err := c.ReadFrame(make([]byte, 10))
			require.ErrorIs(t, err, net.ErrClosed)
			return nil
		})
		p.Sleep(time.Second)
		require.NoError(t, c.Close())
		require.ErrorIs(t, c.Close(), net.ErrClosed)
		return nil
	}), nil)
	lab.Begin()
	for i := range 3 {
		lab.Machines[0].NIC(0).Inject(2*sim.Second+sim.Time(i), ether(60, 0))
	}
	lab.Run()
}

// What the device cannot do of a frame is done before it: cut and summed.
func TestRawFramesAreCutForADeviceThatDoesNot(t *testing.T) {
	var frames [][]byte
	lab, _, _ := two(t, guesttest.Cable{}, process("reads", func(p *guest.Proc) error {
		c, err := p.Packets("eth0", guest.RawOptions{Take: true})
		if err != nil {
			return err
		}
		for range 3 {
			b := make([]byte, 2000)
			n, _, err := c.ReadFrame(b)
			if err != nil {
				return err
			}
			frames = append(frames, b[:n])
		}
		return nil
	}), process("writes", func(p *guest.Proc) error {
		p.Sleep(time.Millisecond)
		c, err := p.Packets("eth0", guest.RawOptions{})
		if err != nil {
			return err
		}
		f := ether(14+20+20+3000, 7)
		f[12], f[13] = 8, 0
		copy(f[14:], []byte{0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1})
		f[14+20+12] = 5 << 4
		return c.WriteFrame(f, offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 16, GSO: offload.GSOTCPv4, GSOSize: 1400, HdrLen: 54})
	}))
	lab.Run()
	require.Len(t, frames, 3)
	for i, n := range []int{1454, 1454, 254} {
		require.Len(t, frames[i], n)
		v := offload.Verify([][]byte{frames[i]})
		require.Equal(t, offload.Sums{IP: offload.Good, L4: offload.Good, Proto: 6}, v)
	}
}

// When the device is full, packets wait and none is lost up to the queue's length.
func TestPacketsWaitForRoomInTheDevice(t *testing.T) {
	const count = 500
	lab, _, m := two(t, guesttest.Cable{BPS: 1e9, Room: 10}, process("sink", func(p *guest.Proc) error {
		c, err := p.ListenPacket("udp", ":9")
		if err != nil {
			return err
		}
		n := int64(0)
		p.RecordFunc("got", "", func() int64 { return n })
		for b := make([]byte, 2000); ; n++ {
			if _, _, err := c.ReadFrom(b); err != nil {
				return err
			}
		}
	}), process("source", func(p *guest.Proc) error {
		c, err := p.Dial("udp", "10.0.0.1:9")
		if err != nil {
			return err
		}
		c.Write(nil) // finds the neighbour
		p.Sleep(time.Millisecond)
		for range count {
			if _, err := c.Write(make([]byte, 1000)); err != nil {
				return err
			}
		}
		return nil
	}))
	lab.Run()
	require.Positive(t, m.NIC(0).Full)
	require.EqualValues(t, count+1, lab.Machines[0].Result("sink", "got").Value)
}
