package nic_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/nic"
	"ringside/nic/nictest"
)

func TestFilters(t *testing.T) {
	const (
		broadcast = "\xff\xff\xff\xff\xff\xff"
		group     = "\x01\x00\x5e\x01\x02\x03"
	)
	bam, upe, mpe := nic.RctlBAM, nic.RctlUPE, nic.RctlMPE
	setMTA := func(mo int) func(d *nictest.Driver) {
		hash := func(mo int) uint32 { // of group, by the datasheet's words
			a4, a5 := uint32(group[4]), uint32(group[5])
			return [4]uint32{a4>>4 | a5<<4, a4>>3 | a5<<5, a4>>2 | a5<<6, a4 | a5<<8}[mo] & 0xFFF
		}
		return func(d *nictest.Driver) { d.Write(nic.MTA(int(hash(mo)>>5)), 1<<(hash(mo)&31)) }
	}
	setRA := func(i int, mac string) func(d *nictest.Driver) {
		return func(d *nictest.Driver) {
			d.Write(nic.RAL(i), uint32(mac[0])|uint32(mac[1])<<8|uint32(mac[2])<<16|uint32(mac[3])<<24)
			d.Write(nic.RAH(i), nic.RahAV|uint32(mac[4])|uint32(mac[5])<<8)
		}
	}
	for _, tt := range []struct {
		name   string
		dst    string
		rctl   nic.Rctl
		setup  func(*nictest.Driver)
		passes bool
		pif    bool
	}{
		{"own address", hostMAC, 0, nil, true, false},
		{"own address while promiscuous", hostMAC, upe | mpe, nil, true, false},
		{"another's address", otherMAC, bam, nil, false, false},
		{"another's address while promiscuous", otherMAC, upe, nil, true, true},
		{"another's address, multicast promiscuous", otherMAC, mpe, nil, false, false},
		{"second address", otherMAC, 0, setRA(1, otherMAC), true, false},
		{"second address while promiscuous", otherMAC, upe, setRA(1, otherMAC), true, false},
		{"last address", otherMAC, 0, setRA(23, otherMAC), true, false},
		{"address without AV", otherMAC, 0, func(d *nictest.Driver) {
			setRA(1, otherMAC)(d)
			d.Write(nic.RAH(1), d.Read(nic.RAH(1))&^nic.RahAV)
		}, false, false},
		{"own address taken away", hostMAC, 0, func(d *nictest.Driver) { d.Write(nic.RAH(0), 0) }, false, false},
		{"own address taken away, promiscuous", hostMAC, upe, func(d *nictest.Driver) { d.Write(nic.RAH(0), 0) }, true, true},
		{"broadcast", broadcast, bam, nil, true, false},
		{"broadcast without BAM", broadcast, upe, nil, false, false},
		{"broadcast by multicast promiscuity", broadcast, mpe, nil, true, true},
		{"group", group, bam | upe, nil, false, false},
		{"group, multicast promiscuous", group, mpe, nil, true, true},
		{"group among the exact addresses", group, 0, setRA(3, group), true, false},
		{"group by the table, MO 0", group, 0, setMTA(0), true, true},
		{"group by the table, MO 1", group, 1 << 12, setMTA(1), true, true},
		{"group by the table, MO 2", group, 2 << 12, setMTA(2), true, true},
		{"group by the table, MO 3", group, 3 << 12, setMTA(3), true, true},
		{"group by the table, other MO", group, 2 << 12, setMTA(0), false, false},
		{"unicast is not looked up in the table", hostMAC[:4] + group[4:], 0, setMTA(0), false, false},
	} {
		for _, ip := range []bool{false, true} { // what is not plain goes another way
			t.Run(fmt.Sprintf("%s/%v", tt.name, ip), func(t *testing.T) {
				d := up(t, nic.Config{}, nictest.Options{Polling: true})
				if tt.setup != nil {
					tt.setup(d)
				}
				d.Write(nic.RCTL, uint32(nic.RctlEN|nic.RctlSECRC|tt.rctl))
				data := frame(1, tt.dst, 60).Data
				if ip {
					data = flows(1, 60)[0]
					copy(data, tt.dst)
				}
				d.Wire.Play(nic.WireFrame{ID: 1, Data: data})
				d.Now = us
				got := d.Harvest(0)
				if !tt.passes {
					require.Empty(t, got)
					assert.Equal(t, 1, drops(d, cost.NICRxFilter))
					clean(t, d)
					return
				}
				require.Len(t, got, 1)
				assert.Equal(t, tt.pif, got[0].Status&nic.RxPIF != 0, "PIF")
				clean(t, d)
			})
		}
	}
}

func TestLengths(t *testing.T) {
	tagged := func(size int) []byte {
		f := frame(1, hostMAC, size).Data
		f[12], f[13] = 0x81, 0
		return f
	}
	plain := func(size int) []byte { return flows(1, size)[0] }
	for _, tt := range []struct {
		name  string
		data  []byte
		lpe   bool
		rlpml uint32
		want  cost.DropReason
	}{
		{"empty", nil, false, 0, cost.NICRxRunt},
		{"13 bytes", frame(1, hostMAC, 13).Data, false, 0, cost.NICRxRunt},
		{"14 bytes", frame(1, hostMAC, 14).Data, false, 0, cost.NotDropped},
		{"1514 bytes", frame(1, hostMAC, 1514).Data, false, 0, cost.NotDropped},
		{"1514 bytes, plain", plain(1514), false, 0, cost.NotDropped},
		{"1515 bytes", frame(1, hostMAC, 1515).Data, false, 0, cost.NICRxOversize},
		{"1515 bytes, plain", plain(1515), false, 0, cost.NICRxOversize},
		{"1518 bytes with a VLAN tag", tagged(1518), false, 0, cost.NotDropped},
		{"1519 bytes with a VLAN tag", tagged(1519), false, 0, cost.NICRxOversize},
		{"RLPML without LPE", frame(1, hostMAC, 2000).Data, false, 9000, cost.NICRxOversize},
		{"as long as RLPML", frame(1, hostMAC, 8996).Data, true, 9000, cost.NotDropped},
		{"longer than RLPML", frame(1, hostMAC, 8997).Data, true, 9000, cost.NICRxOversize},
		{"longer than RLPML, plain", plain(8997), true, 9000, cost.NICRxOversize},
		{"RLPML below an ordinary frame", plain(1000), true, 1000, cost.NICRxOversize},
		{"RLPML 0", frame(1, hostMAC, 14).Data, true, 0, cost.NICRxOversize},
		{"64 KiB", frame(1, hostMAC, 65536).Data, true, 9728, cost.NICRxOversize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := up(t, nic.Config{}, nictest.Options{Polling: true, Rctl: nic.RctlUPE})
			if tt.lpe {
				d.Write(nic.RCTL, d.Read(nic.RCTL)|uint32(nic.RctlLPE))
			}
			d.Write(nic.RLPML, tt.rlpml)
			d.Wire.Play(nic.WireFrame{ID: 1, Data: tt.data})
			d.Now = 100 * us
			got := d.Harvest(0)
			runts, overs := 0, 0
			switch tt.want {
			case cost.NotDropped:
				require.Len(t, got, 1)
				assert.Equal(t, tt.data, got[0].Data)
			case cost.NICRxRunt:
				runts++
			case cost.NICRxOversize:
				overs++
			}
			assert.Equal(t, runts, drops(d, cost.NICRxRunt))
			assert.Equal(t, overs, drops(d, cost.NICRxOversize))
			assert.EqualValues(t, runts, d.Read(nic.RUC))
			assert.EqualValues(t, overs, d.Read(nic.ROC))
			assert.EqualValues(t, 0, d.Read(nic.RUC)+d.Read(nic.ROC), "reading clears")
			clean(t, d)
		})
	}
}

func TestAReceiverThatIsOffTakesNothing(t *testing.T) {
	for _, size := range []int{0, 13, 14, 60, 1514, 9000} {
		d := up(t, nic.Config{}, nictest.Options{Polling: true})
		d.Write(nic.RCTL, uint32(nic.RctlSECRC))
		d.Wire.Play(frame(1, hostMAC, size), nic.WireFrame{ID: 2, Data: flows(1, max(size, 60))[0]})
		d.Now = 20 * us
		assert.Empty(t, d.Harvest(0))
		assert.Equal(t, 2, drops(d, cost.NICRxDisabled))
		clean(t, d)
	}
}

func TestStatistics(t *testing.T) {
	d := up(t, nic.Config{}, nictest.Options{Polling: true, Rctl: nic.RctlMPE})
	d.Wire.Play(frame(1, hostMAC, 60), frame(2, "\xff\xff\xff\xff\xff\xff", 100), frame(3, "\x01\x00\x5e\x00\x00\x01", 200), frame(4, otherMAC, 300))
	d.Now = 10 * us
	d.NIC.CatchUp(d.Now)
	d.Send(0, nic.Tag{}, frame(1, "\xff\xff\xff\xff\xff\xff", 500).Data, 0)
	d.Send(0, nic.Tag{}, frame(1, "\x01\x00\x5e\x00\x00\x01", 20).Data, 0)
	for _, tt := range []struct {
		reg  uint32
		want uint32
	}{
		{nic.GPRC, 3}, {nic.BPRC, 1}, {nic.MPRC, 1}, {nic.TPR, 4},
		{nic.GORCL, 360 + 3*4}, {nic.TORL, 660 + 4*4},
		{nic.GPTC, 2}, {nic.BPTC, 1}, {nic.MPTC, 1}, {nic.TPT, 2},
		{nic.GOTCL, 560 + 2*4}, {nic.TOTL, 560 + 2*4}, // the short one is padded
		{0x4000, 0}, // CRCERRS: no such errors here
	} {
		t.Run(nic.RegisterName(tt.reg), func(t *testing.T) {
			assert.Equal(t, tt.want, d.Read(tt.reg))
			switch tt.reg {
			case nic.GORCL, nic.TORL, nic.GOTCL, nic.TOTL:
				assert.Equal(t, tt.want, d.Read(tt.reg), "the low half does not clear")
				assert.Zero(t, d.Read(tt.reg+4))
				assert.Zero(t, d.Read(tt.reg), "the high half does")
			default:
				assert.Zero(t, d.Read(tt.reg), "reading clears")
			}
		})
	}
	clean(t, d)
}
