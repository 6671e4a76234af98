package nic_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

// loop is a wire at line rate that never ends: the same few frames again and
// again, all ready from the start.
type loop struct {
	frames [][]byte
	next   int
	id     uint64
	left   int
}

func (l *loop) Receive(f *nic.WireFrame) bool {
	if l.left == 0 {
		return false
	}
	l.left--
	l.id++
	f.ID, f.At, f.Data = l.id, 0, l.frames[l.next]
	if l.next++; l.next == len(l.frames) {
		l.next = 0
	}
	return true
}

func (l *loop) Transmit(*nic.WireFrame) {}

// flows returns n frames of size bytes that differ in addresses and ports.
func flows(n, size int) (frames [][]byte) {
	for i := range n {
		f := make([]byte, size)
		copy(f, []byte{2, 0, 0, 0, 1, byte(i), 2, 0, 0, 0, 0, byte(i + 2), 8, 0, 0x45})
		binary.BigEndian.PutUint16(f[16:], uint16(size-14))
		f[22], f[23] = 64, 17
		binary.BigEndian.PutUint32(f[26:], 0x0A000001+uint32(i)*0x01010101)
		binary.BigEndian.PutUint32(f[30:], 0x0A800001)
		binary.BigEndian.PutUint16(f[34:], uint16(1000+7*i))
		binary.BigEndian.PutUint16(f[36:], 9)
		frames = append(frames, f)
	}
	return frames
}

// BenchmarkReceive measures a frame from the wire to its descriptor's
// write-back, and the least that a driver does with it: it looks at DD, gives
// the same buffer back, and rings the doorbell once for 64 frames. The copy into
// the buffer, the hash of the bytes and the charges are in it.
func BenchmarkReceive(b *testing.B) {
	for _, queues := range []int{1, 4} {
		for _, size := range []int{60, 64, 512, 1514} {
			name := "queue"
			if queues > 1 {
				name = fmt.Sprintf("rss%d", queues)
			}
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) { benchReceive(b, queues, size) })
		}
	}
}

func benchReceive(b *testing.B, queues, size int) {
	w := &loop{frames: flows(16, size)}
	r, err := nictest.NewRig(nic.Config{Wire: w, Queues: queues})
	if err != nil {
		b.Fatal(err)
	}
	d, err := nictest.Up(r, queues, nictest.Options{Polling: true, RSS: queues > 1, Rctl: nic.RctlUPE | nic.RctlMPE, Descs: 256})
	if err != nil {
		b.Fatal(err)
	}
	line := sim.Time(size+24) * 800 // at 10 Gbit/s
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	w.left = b.N
	r.NIC.Arrive()
	for done := 0; done < b.N; {
		d.Now += 64 * line
		r.NIC.CatchUp(d.Now)
		for q := range d.Rx {
			done += recycle(d, q)
		}
	}
	b.StopTimer()
	if list, n := r.NIC.Misuses(); n != 0 {
		b.Fatal(list[0])
	}
}

// recycle gives every done descriptor its buffer back, and says how many.
func recycle(d *nictest.Driver, queue int) (n int) {
	r := d.Rx[queue]
	i, use := r.Clean, r.Use
	for i != use {
		desc := r.Desc[i*16 : i*16+16 : i*16+16]
		if desc[8]&nic.RxDD == 0 {
			break
		}
		give := r.Desc[use*16 : use*16+16 : use*16+16]
		binary.LittleEndian.PutUint64(give, uint64(r.Buffers[use]))
		binary.LittleEndian.PutUint64(give[8:], 0)
		i = (i + 1) & (r.Len() - 1)
		use = (use + 1) & (r.Len() - 1)
		n++
	}
	r.Clean, r.Use = i, use
	if n > 0 {
		d.Write(nic.RDT(queue), use)
	}
	return n
}

// BenchmarkTransmit measures a frame from its descriptor to the wire and back to
// the driver, with a doorbell for every 32.
func BenchmarkTransmit(b *testing.B) {
	for _, size := range []int{60, 64, 512, 1514} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r, err := nictest.NewRig(nic.Config{Wire: &loop{}})
			if err != nil {
				b.Fatal(err)
			}
			d, err := nictest.Up(r, 1, nictest.Options{Polling: true})
			if err != nil {
				b.Fatal(err)
			}
			ring := d.Tx[0]
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for sent := 0; sent < b.N; sent += 32 {
				for range 32 {
					d.NIC.SetTxTag(0, ring.Use, nic.Tag{ID: 1})
					ring.Tx(ring.Use).Give(uint64(ring.Buffers[ring.Use]), size, nic.TxEOP|nic.TxIFCS|nic.TxRS, size)
					ring.Use = (ring.Use + 1) & (ring.Len() - 1)
				}
				d.Write(nic.TDT(0), ring.Use)
				d.Now += 32 * sim.Time(size+24) * 800
				d.NIC.CatchUp(d.Now)
			}
		})
	}
}
