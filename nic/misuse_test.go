package nic_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/nic"
	"ringside/nic/nictest"
)

// TestMisuse has everything that a driver must not do, and how it is reported.
func TestMisuse(t *testing.T) {
	off := func(d *nictest.Driver) { // both rings of queue 0
		d.Write(nic.RXDCTL(0), 0)
		d.Write(nic.TXDCTL(0), 0)
	}
	enable := uint32(nic.DctlENABLE)
	// tx fills the first transmit descriptor and rings the doorbell.
	tx := func(addr uint64, size int, cmd, opts uint32) func(*nictest.Driver) {
		return func(d *nictest.Driver) {
			desc := d.Tx[0].Tx(0)
			binary.LittleEndian.PutUint64(desc, addr)
			binary.LittleEndian.PutUint32(desc[8:], uint32(size)|cmd)
			binary.LittleEndian.PutUint32(desc[12:], uint32(size)<<nic.TxPaylenShift|opts)
			d.Write(nic.TDT(0), 1)
		}
	}
	const good = nic.TxTypeData | nic.TxDEXT | nic.TxEOP | nic.TxIFCS | nic.TxRS
	for _, tt := range []struct {
		name string
		do   func(*nictest.Driver)
		want string // the report
		drop cost.DropReason
	}{
		{"receive ring of length 0", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.RDLEN(0), 0)
			d.Write(nic.RXDCTL(0), enable)
		}, "RXDCTL[0] value 0x2000000: queue enabled with ring length 0", 0},
		{"transmit ring of length 0", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.TDLEN(0), 0)
			d.Write(nic.TXDCTL(0), enable)
		}, "TXDCTL[0] value 0x2000000: queue enabled with ring length 0", 0},
		{"ring length not a multiple of 128", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.RDLEN(0), 1000)
		}, "RDLEN[0] value 0x3e8: ring length not a multiple of 128", 0},
		{"ring length too long", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.TDLEN(0), 1<<20)
		}, "TDLEN[0] value 0x100000: ring length not a multiple of 128, or above 1 MiB", 0},
		{"misaligned base", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.RDBAL(0), 0x1040)
		}, "RDBAL[0] value 0x1040: ring base not a multiple of 128", 0},
		{"ring outside memory", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.RDBAH(0), 1)
			d.Write(nic.RXDCTL(0), enable)
		}, "RXDCTL[0] value 0x2000000: queue enabled with its ring outside memory", 0},
		{"ring half outside memory", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.TDBAL(0), 16<<20-128)
			d.Write(nic.TDLEN(0), 256)
			d.Write(nic.TXDCTL(0), enable)
		}, "TXDCTL[0] value 0x2000000: queue enabled with its ring outside memory", 0},
		{"head beyond the ring", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.RDH(0), 8)
			d.Write(nic.RXDCTL(0), enable)
		}, "RXDCTL[0] value 0x2000000: queue enabled with head or tail beyond its ring", 0},
		{"receive tail out of range", func(d *nictest.Driver) { d.Write(nic.RDT(0), 8) },
			"RDT[0] index 8 value 0x8: tail beyond the ring's last descriptor", 0},
		{"transmit tail out of range", func(d *nictest.Driver) { d.Write(nic.TDT(0), 0xFFFFFFFF) },
			"TDT[0] index 4294967295 value 0xffffffff: tail beyond the ring's last descriptor", 0},
		{"receive tail passes head", func(d *nictest.Driver) { d.Write(nic.RDT(0), 1) },
			"RDT[0] index 1 value 0x1: tail passes head", 0},
		{"tail moved while disabled", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.RDT(0), 5)
		}, "RDT[0] index 5 value 0x5: tail moved while the queue is disabled", 0},
		{"base of an enabled queue", func(d *nictest.Driver) { d.Write(nic.RDBAL(0), 0x10000) },
			"RDBAL[0] value 0x10000: written while the queue is enabled", 0},
		{"length of an enabled queue", func(d *nictest.Driver) { d.Write(nic.TDLEN(0), 256) },
			"TDLEN[0] value 0x100: written while the queue is enabled", 0},
		{"head of an enabled queue", func(d *nictest.Driver) { d.Write(nic.RDH(0), 2) },
			"RDH[0] value 0x2: written while the queue is enabled", 0},
		{"SRRCTL of an enabled queue", func(d *nictest.Driver) { d.Write(nic.SRRCTL(0), uint32(nic.SrrctlAdvOneBuf)|4) },
			"SRRCTL[0] value 0x2000004: written while the queue is enabled", 0},
		{"buffer size 0", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.SRRCTL(0), uint32(nic.SrrctlAdvOneBuf))
			d.Write(nic.RXDCTL(0), enable)
		}, "RXDCTL[0] value 0x2000000: queue enabled with buffer size 0", 0},
		{"legacy descriptors", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.SRRCTL(0), 2)
			d.Write(nic.RXDCTL(0), enable)
		}, "RXDCTL[0] value 0x2000000: queue enabled with an SRRCTL.DESCTYPE that is not modelled", 0},
		{"header split", func(d *nictest.Driver) {
			off(d)
			d.Write(nic.SRRCTL(0), 2<<25|2)
			d.Write(nic.RXDCTL(0), enable)
		}, "RXDCTL[0] value 0x2000000: queue enabled with an SRRCTL.DESCTYPE that is not modelled", 0},
		{"IVAR to no vector", func(d *nictest.Driver) { d.Write(nic.IVAR(0), nic.IvarValid|25) },
			"IVAR[0] index 0 value 0x99: cause mapped to a vector that does not exist", 0},
		{"IVAR_MISC to no vector", func(d *nictest.Driver) { d.Write(nic.IVAR_MISC, (nic.IvarValid|31)<<8) },
			"IVAR_MISC index 1 value 0x9f00: cause mapped to a vector that does not exist", 0},
		{"EITR of no vector", func(d *nictest.Driver) { _ = d.NIC.Write(nic.EITR(25), 8, d.Now) },
			"EITR[25] value 0x8: throttle of a vector that does not exist", 0},
		{"RETA to no queue", func(d *nictest.Driver) { d.Write(nic.RETA(3), 0x00010000) },
			"RETA[3] index 14 value 0x10000: redirection to a queue that does not exist", 0},
		{"virtualization by MRQC", func(d *nictest.Driver) { d.Write(nic.MRQC, 3) },
			"MRQC value 0x3: virtualization modes are not modelled", 0},
		{"virtualization by VT_CTL", func(d *nictest.Driver) { d.Write(nic.VT_CTL, 1) },
			"VT_CTL value 0x1: virtualization is not modelled", 0},
		{"FCS not stripped", func(d *nictest.Driver) { d.Write(nic.RCTL, uint32(nic.RctlEN)) },
			"RCTL value 0x2: receiver on without SECRC", 0},
		{"head write-back", func(d *nictest.Driver) { d.Write(nic.TDBAL(0)+0x38, 0x2001) },
			"TDWBAL[0] value 0x2001: head write-back is not modelled", 0},

		{"transmit descriptor without DEXT", tx(8192, 100, good&^nic.TxDEXT, 0),
			"TXD queue 0 index 0 value 0x1900000b300064: descriptor without DEXT", cost.NICTxBad},
		{"transmit descriptor of a reserved type", tx(8192, 100, good&^nic.TxTypeMask, 0),
			"TXD queue 0 index 0 value 0x1900002b000064: descriptor of a reserved type", cost.NICTxBad},
		{"transmit descriptor of length 0", tx(8192, 0, good, 0),
			"TXD queue 0 index 0 value 0x2b300000: descriptor of length 0", cost.NICTxBad},
		{"transmit descriptor with DD", tx(8192, 100, good, nic.TxDD),
			"TXD queue 0 index 0 value 0x1900012b300064: descriptor given with DD set", cost.NICTxBad},
		{"transmit data outside memory", tx(1<<32, 100, good, 0),
			"TXD queue 0 index 0 value 0x100000000: descriptor given with its data outside memory", cost.NICTxDMA},
		{"transmit data half outside memory", tx(16<<20-50, 100, good, 0),
			"TXD queue 0 index 0 value 0xffffce: descriptor given with its data outside memory", cost.NICTxDMA},
		{"TSO", tx(8192, 100, good|nic.TxTSE, 0), "offload asked for and no context", cost.NICTxBad},
		{"VLAN insertion", tx(8192, 100, good|nic.TxVLE, 0), "offload asked for and no context", cost.NICTxBad},
		{"IP checksum", tx(8192, 100, good, nic.TxIXSM), "offload asked for and no context", cost.NICTxBad},
		{"L4 checksum", tx(8192, 100, good, nic.TxTXSM), "offload asked for and no context", cost.NICTxBad},
		{"no IFCS", tx(8192, 100, good&^nic.TxIFCS, 0), "frame without IFCS", cost.NICTxBad},
		{"frame shorter than its header", tx(8192, 13, good, 0), "frame shorter than an Ethernet header", cost.NICTxBad},
		{"frame longer than 9.5 KiB", tx(8192, nic.MaxFrame-3, good, 0), "frame longer than 9.5 KiB", cost.NICTxBad},
		{"PAYLEN wrong", tx(8192, 100, good, 1<<nic.TxPaylenShift), "PAYLEN is not the length of the frame", 0},
		{"context descriptor inside a frame", func(d *nictest.Driver) {
			d.Tx[0].Tx(0).Give(8192, 60, nic.TxIFCS, 60)
			binary.LittleEndian.PutUint32(d.Tx[0].Tx(1)[8:], good&^nic.TxTypeMask|nic.TxTypeContext)
			d.Write(nic.TDT(0), 2)
		}, "TXD queue 0 index 1 value 0x2b200000: context descriptor inside a frame", cost.NICTxBad},
		{"chain as long as the ring", func(d *nictest.Driver) {
			for i := range uint32(7) {
				d.Tx[0].Tx(i).Give(8192, 60, nic.TxIFCS, 420)
			}
			d.Write(nic.TDT(0), 7)
		}, "TXD queue 0 index 0 value 0x7: chain as long as the ring, without EOP", cost.NICTxBad},
		{"transmit tail passes head", func(d *nictest.Driver) {
			for i := range uint32(8) {
				d.Tx[0].Tx(i).Give(8192, 60, good, 60)
			}
			d.Write(nic.TDT(0), 5)
			d.Write(nic.TDT(0), 4)
		}, "TDT[0] index 4 value 0x4: tail passes head", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := up(t, nic.Config{}, nictest.Options{Descs: 8, Given: 6})
			d.Now = 3 * us
			tt.do(d)
			list, total := d.NIC.Misuses()
			require.Len(t, list, 1)
			assert.EqualValues(t, 1, total)
			assert.Contains(t, list[0].String(), tt.want)
			assert.Equal(t, 3*us, list[0].At)
			if tt.drop != 0 {
				assert.Equal(t, 1, drops(d, tt.drop))
				assert.Empty(t, d.Wire.Sent)
				d.Now += us
				head := d.Read(nic.TDH(0))
				assert.NotZero(t, head, "the ring goes on")
				desc := d.Tx[0].Tx(head - 1)
				assert.Equal(t, binary.LittleEndian.Uint32(desc[8:])&nic.TxRS != 0 || desc.Done(), desc.Done())
			}
			require.NoError(t, d.NIC.Check())
		})
	}
}

// TestABadTxFrameGivesItsDescriptorsBack says that the driver is not stuck with
// a frame that was dropped, and that the next one leaves.
func TestABadTxFrameGivesItsDescriptorsBack(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Descs: 8})
	data := frame(1, otherMAC, 100).Data
	d.Tx[0].Tx(0).Give(1<<40, 100, nic.TxEOP|nic.TxIFCS|nic.TxRS, 100)
	d.Tx[0].Use = 1
	d.Write(nic.TDT(0), 1)
	d.Send(0, nic.Tag{ID: 2}, data, 0)
	require.NoError(t, d.Engine.RunToIdle())
	d.Now = us
	assert.Equal(t, 2, d.Reap(0))
	require.Len(t, d.Wire.Sent, 1)
	assert.EqualValues(t, 2, d.Wire.Sent[0].ID)
	assert.Len(t, d.IRQ.Log, 1)
}

func TestTheMisuseListIsBounded(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{})
	for i := range 1000 {
		_ = d.NIC.Write(nic.STATUS, uint32(i), d.Now)
	}
	list, total := d.NIC.Misuses()
	assert.Len(t, list, 100)
	assert.EqualValues(t, 1000, total)
	assert.EqualValues(t, 99, list[99].Value, "the first are kept")
}

// TestAQueueThatFailedToStartIsOff says that the driver can see it: ENABLE reads
// as clear, and frames for the queue are dropped.
func TestAQueueThatFailedToStartIsOff(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Polling: true})
	d.Write(nic.RXDCTL(0), 0)
	d.Write(nic.RDLEN(0), 0)
	d.Write(nic.RXDCTL(0), uint32(nic.DctlENABLE)|5)
	assert.EqualValues(t, 5, d.Read(nic.RXDCTL(0)))
	d.Wire.Play(frame(1, hostMAC, 60))
	d.Now = us
	d.NIC.CatchUp(d.Now)
	assert.Equal(t, 1, drops(d, cost.NICRxDisabled))
}

func TestAFrameForAQueueThatDoesNotExist(t *testing.T) {
	for _, kind := range []byte{17, 6, 1} {
		d := up(t, nic.Config{Queues: 2}, nictest.Options{RSS: true, Polling: true})
		for i := range nic.RETAWords {
			d.Write(nic.RETA(i), 0x0F0F0F0F)
		}
		f := flows(1, 60)[0]
		copy(f, hostMAC)
		f[23] = kind
		d.Wire.Play(nic.WireFrame{ID: 1, Data: f})
		d.Now = us
		d.NIC.CatchUp(d.Now)
		assert.Equal(t, 1, drops(d, cost.NICRxDisabled), fmt.Sprint(kind))
		require.NoError(t, d.NIC.Check())
	}
}
