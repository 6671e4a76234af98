package virtnet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/netstack"
	"ringside/virtio"
	"ringside/vm/virtnet"
)

// A device writes what it likes into the guest's buffers and says what it likes of
// them, within what a ring takes: every packet that is handed up is as long as it says
// and has a header that was negotiated, every other one is counted, and no buffer is
// lost.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{1, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}, byte(3))
	f.Add([]byte{1, 100, 1, 1, 54, 0, 1, 0, 34, 0, 16, 0, 2, 0, 1, 9, 0}, byte(3))
	f.Add([]byte{0, 11, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255}, byte(0))
	f.Fuzz(func(t *testing.T, calls []byte, features byte) {
		offered := most
		if features&1 == 0 {
			offered &^= virtio.FMrgRxbuf
		}
		if features&2 == 0 {
			offered &^= virtio.FGuestCSUM
		}
		fake := newFake(t, offered.Closed())
		d := fake.driver(virtnet.Config{})
		require.NoError(t, fake.probe())
		got, up := uint64(0), uint64(0)
		each := func(p *netstack.Packet) {
			n := 0
			for _, part := range p.Parts {
				n += len(part)
			}
			require.Equal(t, n, p.Len)
			require.True(t, d.Negotiated().FromDevice(p.Meta))
			up++
		}
		poll := func() {
			d.Interrupt(0)
			for more := true; more; {
				var n int
				n, more = d.Poll(64, each)
				got += uint64(n)
			}
		}
		dev := &fake.rx[0].Device
		for len(calls) > 1 {
			length, high := int(calls[0])|int(calls[1]&15)<<8, calls[1]
			calls = calls[2:]
			var c virtio.Chain
			ok, err := dev.Next(0, &c)
			require.NoError(t, err)
			if !ok {
				poll()
				continue
			}
			n := copy(c.In[0], calls)
			calls = calls[n*int(high&16)/16:] // or the same bytes again
			dev.Push(0, c.Head, uint32(min(length, len(c.In[0]))))
			if high&32 != 0 {
				poll()
			}
		}
		poll()
		require.Equal(t, got, up+d.Stat().RxErrors)
		require.NoError(t, fake.failed)
		r := fake.rx[0]
		more, _ := dev.Pending(0, 0)
		require.True(t, more, "the device has buffers again")
		require.Equal(t, r.Size()-r.Driver.Free(), r.Driver.InFlight(), "no buffer is lost")
	})
}
