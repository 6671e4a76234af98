package nic_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/mem"
	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

// cursor takes a fuzzer's bytes apart; behind the end all are 0.
type cursor struct{ b []byte }

func (c *cursor) take(n int) []byte {
	out := make([]byte, n)
	c.b = c.b[copy(out, c.b):]
	return out
}
func (c *cursor) u8() byte    { return c.take(1)[0] }
func (c *cursor) u16() uint16 { return binary.LittleEndian.Uint16(c.take(2)) }
func (c *cursor) u32() uint32 { return binary.LittleEndian.Uint32(c.take(4)) }

// registersOf lists the registers worth writing to: every one there is of two
// queues, some of the rest, and some that do not exist.
func registersOf() (list []uint32) {
	list = []uint32{nic.CTRL, nic.STATUS, nic.CTRL_EXT, nic.VET, nic.ICR, nic.ICS, nic.IMS, nic.IMC, nic.IAM, nic.ICR2,
		nic.RCTL, nic.TCTL, nic.TIPG, nic.GPIE, nic.EICS, nic.EIMS, nic.EIMC, nic.EIAC, nic.EIAM, nic.EICR, nic.IVAR_MISC,
		nic.RXPBS, nic.TXPBS, nic.DTXCTL, nic.RXCSUM, nic.RLPML, nic.RFCTL, nic.MRQC, nic.VT_CTL,
		nic.MPC, nic.GPRC, nic.GORCL, nic.GORCH, nic.RNBC, nic.TPT, 0x4000, 0x10, 0x2801, 0xFFFFFFFF}
	for q := range 3 { // the third does not exist
		list = append(list, nic.RDBAL(q), nic.RDBAH(q), nic.RDLEN(q), nic.SRRCTL(q), nic.RDH(q), nic.RDT(q), nic.RXDCTL(q), nic.RQDPC(q),
			nic.TDBAL(q), nic.TDBAH(q), nic.TDLEN(q), nic.TDH(q), nic.TDT(q), nic.TXDCTL(q), nic.TDBAL(q)+0x38)
	}
	for _, v := range []int{0, 1, 2, 24, 25} {
		list = append(list, nic.EITR(v))
	}
	for i := range 4 {
		list = append(list, nic.IVAR(i), nic.MTA(i), nic.RETA(i), nic.RSSRK(i), nic.RAL(i), nic.RAH(i))
	}
	return append(list, nic.RSCCTL(0), nic.RSCCTL(1))
}

// fuzzRig is a NIC of two queues, brought up, in memory that is full of 0xA5
// where no ring and no buffer is: read as a descriptor, that has DD set and
// points outside.
func fuzzRig(t testing.TB) *nictest.Driver {
	m := mem.New(1 << 20)
	all := m.Bytes(0, m.Size())
	for i := range all {
		all[i] = 0xA5
	}
	d := up(t, nic.Config{Memory: m, Queues: 2, FIFO: 4 << 10}, nictest.Options{Descs: 16, Given: 10, RSS: true, Rctl: nic.RctlUPE | nic.RctlLPE})
	return d
}

// FuzzRegisters reads and writes registers, lets time pass and frames come. The
// device must not panic, its books must agree after every step, what it does not
// have must be an error, and it must write nothing but rings and posted buffers.
func FuzzRegisters(f *testing.F) {
	regs := registersOf()
	index := func(reg uint32) byte {
		for i, r := range regs {
			if r == reg {
				return byte(i)
			}
		}
		panic(reg)
	}
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{2, 60, 0, 5, 3, 0, 4, 1, index(nic.RXDCTL(0)), 0, 0, 0, 0, 2, 60, 0, 5, 3, 0, 4})
	f.Add(bytes.Repeat([]byte{2, 0xFF, 7, 3, 3, 1, 0, 5, 0}, 30))
	f.Add([]byte{6, 200, 0, 6, 60, 1, 3, 9, 9, 1, index(nic.TXDCTL(0)), 0, 0, 0, 2, 5, 0, 1, index(nic.CTRL), 0, 0, 0, 4})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4096 {
			return
		}
		c := cursor{in}
		d := fuzzRig(t)
		d.IRQ.Then = func(v int, at sim.Time) {
			if v < 2 && len(d.IRQ.Log) < 300 { // without EIAC it would never end
				d.NIC.CatchUp(at)
				_ = d.NIC.Write(nic.EIMS, 1<<v, at)
			}
		}
		where := func() uint64 { // for a ring: the ones there are, or the 0xA5
			return []uint64{uint64(d.Rx[0].Base), uint64(d.Rx[1].Base) + 128, uint64(d.Tx[0].Base), 1<<20 - 4096, 1<<20 - 64, 1 << 32}[c.u8()%6]
		}
		id := uint64(0)
		for steps := 0; len(c.b) > 0 && steps < 1000; steps++ {
			switch op := c.u8(); op % 8 {
			case 0, 1:
				reg := regs[int(c.u8())%len(regs)]
				v := c.u32()
				name := nic.RegisterName(reg)
				if strings.HasPrefix(name, "RDBAL") || strings.HasPrefix(name, "TDBAL") {
					v = uint32(where())
				} else if strings.HasPrefix(name, "RDBAH") || strings.HasPrefix(name, "TDBAH") {
					v &= 1
				}
				if op%8 == 0 {
					_, err := d.NIC.Read(reg, d.Now)
					checkErr(t, reg, err, d)
				} else {
					checkErr(t, reg, d.NIC.Write(reg, v, d.Now), d)
				}
			case 2, 3:
				size := int(c.u16()) % 12000
				data := make([]byte, size)
				head := c.take(min(size, 40))
				copy(data, head)
				id++
				d.Wire.Play(nic.WireFrame{ID: id, At: d.Engine.Now() + sim.Time(c.u8())*10*ns, Data: data})
			case 4:
				d.Now += sim.Time(c.u16()) * ns
				_ = d.Engine.RunUntil(d.Now)
				d.NIC.CatchUp(d.Now)
			case 5: // a CPU that is behind another, or ahead
				back := sim.Time(c.u8()) * ns
				d.Now = max(d.Engine.Now(), d.Now+100*ns-back)
			case 6: // a frame to send, if the driver thinks there is room
				q := int(c.u8() & 1)
				if r := d.Tx[q]; r.Unused() > 4 {
					r.Clean = r.Use // whatever became of the last
					n := 1 + int(c.u8())
					r.Tx(r.Use).Give(uint64(r.Buffers[r.Use]), n, nic.TxEOP|nic.TxIFCS|nic.TxRS, n)
					r.Use = (r.Use + 1) % r.Len()
					_ = d.NIC.Write(nic.TDT(q), r.Use, d.Now)
				}
			case 7: // posted buffers
				q := int(c.u8() & 1)
				r := d.Rx[q]
				for range c.u8() % 4 {
					r.Rx(r.Use).Give(uint64(r.Buffers[r.Use]))
					r.Use = (r.Use + 1) % r.Len()
				}
				_ = d.NIC.Write(nic.RDT(q), r.Use, d.Now)
			}
			require.NoError(t, d.NIC.Check())
		}
		d.Now += 100 * us
		_ = d.Engine.RunUntil(d.Now)
		d.NIC.CatchUp(d.Now)
		require.NoError(t, d.NIC.Check())
		checkConserved(t, d, id)
		untouched(t, d)
	})
}

// checkErr says that exactly what the device does not have is an error.
func checkErr(t *testing.T, reg uint32, err error, d *nictest.Driver) {
	if strings.HasPrefix(nic.RegisterName(reg), "0x") && !errors.Is(err, nic.ErrNoRegister) {
		t.Fatalf("%#x does not exist, and the error is %v", reg, err)
	}
	if err != nil && !errors.Is(err, nic.ErrNoRegister) && !errors.Is(err, nic.ErrReadOnly) && !errors.Is(err, nic.ErrWriteOnly) {
		t.Fatalf("%#x: %v", reg, err)
	}
	if _, n := d.NIC.Misuses(); err != nil && n == 0 {
		t.Fatalf("%v, and no misuse", err)
	}
}

// checkConserved says that no frame is lost: what the wire handed out is in
// memory, dropped or in flight.
func checkConserved(t *testing.T, d *nictest.Driver, played uint64) {
	n := d.NIC.Counts()
	taken := uint64(len(d.Wire.Frames)) - uint64(d.Wire.Left())
	if got := n.Written + n.Merged + n.Dropped + d.NIC.InFlight(); got != taken {
		t.Fatalf("%d frames taken of %d, %d written, %d dropped, %d in flight", taken, played, n.Written, n.Dropped, d.NIC.InFlight())
	}
	if n.Dropped+n.DroppedTx != d.Drops.Total() {
		t.Fatalf("%d and %d dropped, %d counted", n.Dropped, n.DroppedTx, d.Drops.Total())
	}
	for _, f := range d.Wire.Sent {
		if len(f.Data) < 60 || len(f.Data) > nic.MaxFrame-4 {
			t.Fatalf("a frame of %d bytes on the wire", len(f.Data))
		}
	}
	if n.Segmented > n.Sent || int(n.Sent) != len(d.Wire.Sent) {
		t.Fatalf("%d sent, %d on the wire", n.Sent, len(d.Wire.Sent))
	}
}

// untouched says that memory is 0xA5 where no ring and no buffer is. A buffer is
// as long as SRRCTL can make it, so what lies behind the last is left out.
func untouched(t *testing.T, d *nictest.Driver) {
	mine := make([]bool, 256)
	mark := func(a mem.Addr, n int) {
		for p := a / 4096; p <= (a+mem.Addr(n)-1)/4096 && int(p) < len(mine); p++ {
			mine[p] = true
		}
	}
	for _, rings := range [][]*nictest.Ring{d.Rx, d.Tx} {
		for _, r := range rings {
			mark(r.Base, len(r.Desc))
			for _, b := range r.Buffers {
				mark(b, 12<<10)
			}
		}
	}
	for p := range mine {
		if mine[p] {
			continue
		}
		for i, v := range d.Memory.Bytes(mem.Addr(p)*4096, 4096) {
			if v != 0xA5 {
				t.Fatalf("the device wrote to %#x", p*4096+i)
			}
		}
	}
}

// offloadRing is memory with a transmit ring of frames that ask for all there is:
// context and frame, eight times.
func offloadRing() []byte {
	memory := make([]byte, 1<<14)
	frame := segmentTo(false, false, 3000)
	copy(memory[1024:], frame)
	for i := range 8 {
		x := context4(20)
		x.MSS, x.Index, x.VLAN = 300+100*i, i&1, uint16(i)
		cmd, opts := uint32(nic.TxEOP|nic.TxIFCS|nic.TxRS), uint32(nic.TxIXSM|nic.TxTXSM|x.Index<<nic.TxIDXShift)
		if i&2 != 0 {
			cmd |= nic.TxVLE
		}
		if i&4 == 0 {
			cmd |= nic.TxTSE
		}
		nic.TxDesc(memory[256+32*i:]).GiveContext(x)
		d := nic.TxDesc(memory[256+32*i+16:])
		d.Give(1024, len(frame), cmd, len(frame)-54)
		d.Ask(opts)
	}
	return memory
}

// FuzzRing lets the fuzzer write the whole memory, rings and all, then plays
// frames and rings doorbells. Whatever the descriptors say, the device must not
// panic, its books must agree, and no frame may be lost.
func FuzzRing(f *testing.F) {
	ring := make([]byte, 512)
	for i := range 16 {
		nic.RxDesc(ring[16*i:]).Give(uint64(512 + 2048*i))
		nic.TxDesc(ring[256+16*i:]).Give(uint64(512+64*i), 64, nic.TxEOP|nic.TxIFCS|nic.TxRS, 64)
	}
	f.Add(byte(2), offloadRing(), []byte{3, 16, 2, 200, 3, 4, 2, 9})
	f.Add(byte(2), ring, []byte{0, 60, 1, 15, 2, 9, 3, 15})
	f.Add(byte(1), ring, []byte{0, 255, 0, 255, 1, 15, 2, 200, 3, 8, 3, 15, 2, 200})
	f.Add(byte(2), ring, []byte{6, 0xFD, 5, 120, 5, 120, 1, 15, 2, 200, 5, 120, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 5, 9, 2, 255, 6, 0})
	f.Add(byte(2), ring, []byte{6, 0xFD, 1, 15, 5, 100, 5, 100, 2, 20, 5, 100, 2, 20, 1, 7, 5, 100, 0, 60, 5, 100, 2, 255, 2, 255})
	f.Add(byte(130), bytes.Repeat([]byte{0, 2, 0, 0, 0, 0, 0, 0}, 64), []byte{0, 255, 1, 15, 2, 200, 1, 3, 2, 200})
	f.Fuzz(func(t *testing.T, srrctl byte, memory, in []byte) {
		if len(in) > 1024 || len(memory) > 64<<10 {
			return
		}
		m := mem.New(64 << 10)
		copy(m.Bytes(0, m.Size()), memory)
		r, err := nictest.NewRig(nic.Config{Memory: m, FIFO: 16 << 10})
		require.NoError(t, err)
		d := &nictest.Driver{Rig: r}
		d.Write(nic.GPIE, uint32(nic.GpieMultipleMSIX|nic.GpieEIAME))
		d.Write(nic.EIAC, 1)
		d.Write(nic.IVAR(0), nic.IvarValid|nic.IvarValid<<8)
		d.Write(nic.EIMS, 1)
		d.Write(nic.RDBAL(0), 0)
		d.Write(nic.RDLEN(0), 256)
		d.Write(nic.SRRCTL(0), uint32(nic.SrrctlAdvOneBuf)|uint32(srrctl&0x7F)|uint32(srrctl>>7)<<31)
		d.Write(nic.RXDCTL(0), uint32(nic.DctlENABLE))
		d.Write(nic.TDBAL(0), 256)
		d.Write(nic.TDLEN(0), 256)
		d.Write(nic.TXDCTL(0), uint32(nic.DctlENABLE))
		d.Write(nic.TCTL, uint32(nic.TctlEN))
		d.Write(nic.RCTL, uint32(nic.RctlEN|nic.RctlSECRC|nic.RctlUPE|nic.RctlMPE|nic.RctlLPE))
		id, flow := uint64(0), &stream{}
		for c := (cursor{in}); len(c.b) > 0; {
			switch op, v := c.u8()%7, c.u8(); op {
			case 0:
				id++
				d.Wire.Play(nic.WireFrame{ID: id, At: d.Engine.Now(), Data: bytes.Repeat([]byte{v}, 14+int(v)*36)})
			case 1:
				d.Write(nic.RDT(0), uint32(v%17))
				d.Write(nic.RXCSUM, uint32(v>>6)<<8)
				d.Write(nic.CTRL, uint32(nic.CtrlFD|nic.CtrlSLU)|uint32(v>>5&1)<<30)
			case 2:
				d.Now += sim.Time(v) * 100 * ns
				_ = d.Engine.RunUntil(d.Now)
				d.NIC.CatchUp(d.Now)
			case 3:
				d.Write(nic.TDT(0), uint32(v%17))
			case 4: // memory changes under the device
				at := int(v) * 2
				copy(m.Bytes(mem.Addr(at), 16), c.take(16))
			case 5: // a segment that goes on where the last ended
				id++
				d.Wire.Play(nic.WireFrame{ID: id, At: d.Engine.Now(), Data: flow.next(8*int(v), nil)})
			case 6:
				d.Write(nic.RSCCTL(0), uint32(v&0xD))
				d.Write(nic.EITR(0), uint32(v>>4)<<nic.EitrIntervalShift)
				d.Write(nic.RXCSUM, uint32(nic.RxcsumIPOFLD|nic.RxcsumTUOFLD))
			}
			require.NoError(t, d.NIC.Check())
		}
		checkConserved(t, d, id)
		if list, n := d.NIC.Misuses(); n > 0 && len(fmt.Sprint(list[0])) == 0 {
			t.Fatal("a misuse that says nothing")
		}
	})
}
