package nic_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

// A slowSwitch is what the switch does with a frame, written down plainly: sets of pools
// as maps, one question after the other.
type slowSwitch struct {
	pools     int // the PF's is the last
	owns      map[[6]byte]map[int]bool
	groups    map[uint16]bool
	takes     map[int]map[string]bool // of each pool: broadcast, groups, all groups, unknown, untagged
	vlans     map[uint16]map[int]bool
	filtering bool
	passing   map[uint16]bool
	enabled   map[int]bool
	loopback  bool
	checked   map[int]bool
	unknown   func(mac [6]byte) bool // the unicast table passes it
}

func groupHash(mac [6]byte) uint16 { return uint16(mac[5])<<4 | uint16(mac[4])>>4 }

// asked is the pools that have asked for a frame, and whether one of them has its
// address.
func (s *slowSwitch) asked(f []byte) (pools map[int]bool, inside bool, why cost.DropReason) {
	dst := [6]byte(f)
	pools = map[int]bool{}
	known := len(s.owns[dst]) > 0
	for p := range s.pools {
		switch t := s.takes[p]; {
		case s.owns[dst][p],
			dst == everybody && t["broadcast"],
			dst != everybody && dst[0]&1 != 0 && t["all groups"],
			dst != everybody && dst[0]&1 != 0 && t["groups"] && !known && s.groups[groupHash(dst)],
			dst[0]&1 == 0 && !known && t["unknown"] && s.unknown(dst):
			pools[p] = true
		}
	}
	vid := uint16(0)
	if f[12] == 0x81 && f[13] == 0 {
		vid = uint16(f[14]&0xF)<<8 | uint16(f[15])
	}
	for p := range pools {
		if vid == 0 && !s.takes[p]["untagged"] || vid != 0 && s.filtering && !s.vlans[vid][p] {
			delete(pools, p)
		}
	}
	if vid != 0 && s.filtering && !s.passing[vid] {
		return map[int]bool{}, false, cost.NICRxVLAN
	}
	for p := range pools {
		inside = inside || dst[0]&1 == 0 && s.owns[dst][p]
	}
	return pools, inside, cost.NotDropped
}

// reach takes out the pools that cannot receive.
func (s *slowSwitch) reach(pools map[int]bool) {
	for p := range pools {
		if p != s.pools-1 && !s.enabled[p] {
			delete(pools, p)
		}
	}
}

// fromWire is where a frame of the wire goes.
func (s *slowSwitch) fromWire(f []byte) (map[int]bool, cost.DropReason) {
	pools, _, why := s.asked(f)
	if why != cost.NotDropped {
		return nil, why
	}
	if len(pools) == 0 {
		pools[s.pools-1] = true
	}
	s.reach(pools)
	if len(pools) == 0 {
		return nil, cost.NICRxDisabled
	}
	return pools, cost.NotDropped
}

// fromPool is where a frame of a pool goes, and whether it leaves.
func (s *slowSwitch) fromPool(from int, f []byte) (pools map[int]bool, leaves bool, why cost.DropReason) {
	src := [6]byte(f[6:])
	if s.checked[from] && !s.owns[src][from] {
		return nil, false, cost.NICTxSpoofMAC
	}
	if vid := uint16(f[14]&0xF)<<8 | uint16(f[15]); s.checked[from] && f[12] == 0x81 && vid != 0 && !s.vlans[vid][from] {
		return nil, false, cost.NICTxSpoofVLAN
	}
	if !s.loopback {
		return nil, true, cost.NotDropped
	}
	pools, inside, _ := s.asked(f)
	delete(pools, from)
	if len(pools) == 0 && inside {
		return nil, false, cost.RSSamePort
	}
	s.reach(pools)
	if len(pools) == 0 && inside {
		return nil, false, cost.NICRxDisabled
	}
	return pools, !inside, cost.NotDropped
}

// scramble gives a NIC a random configuration, and says it to the model.
func scramble(t *testing.T, v *nictest.Virtual, rng *rand.Rand) *slowSwitch {
	pools := v.NIC.VFs() + 1
	w := func(reg, val uint32) { require.NoError(t, v.NIC.Write(reg, val, 0)) }
	s := &slowSwitch{
		pools: pools, owns: map[[6]byte]map[int]bool{}, groups: map[uint16]bool{}, takes: map[int]map[string]bool{},
		vlans: map[uint16]map[int]bool{}, passing: map[uint16]bool{}, enabled: map[int]bool{}, checked: map[int]bool{},
		filtering: rng.IntN(2) == 0, loopback: rng.IntN(8) != 0,
	}
	rctl := nic.RctlEN | nic.RctlBAM | nic.RctlUPE | nic.RctlMPE | nic.RctlLPE | nic.RctlSECRC
	if s.filtering {
		rctl |= nic.RctlVFE
	}
	w(nic.RCTL, uint32(rctl))
	for i := range 12 {
		mac := addresses[i%len(addresses)]
		if i < len(addresses) && rng.IntN(2) == 0 || mac == everybody {
			w(nic.RAH(i), 0)
			continue
		}
		bits := rng.Uint32() & (1<<pools - 1)
		w(nic.RAL(i), uint32(mac[0])|uint32(mac[1])<<8|uint32(mac[2])<<16|uint32(mac[3])<<24)
		w(nic.RAH(i), uint32(mac[4])|uint32(mac[5])<<8|nic.RahAV|bits<<nic.RahPoolShift)
		if s.owns[mac] == nil {
			s.owns[mac] = map[int]bool{}
		}
		for p := range pools {
			if bits>>p&1 != 0 {
				s.owns[mac][p] = true
			}
		}
	}
	h := groupHash(addresses[6])
	s.groups[h] = true
	w(nic.MTA(int(h>>5)), 1<<(h&31))
	all := rng.IntN(2) == 0
	for i := range nic.MTAWords {
		w(nic.UTA(i), map[bool]uint32{true: 1<<32 - 1}[all])
		w(nic.VFTA(i), 0)
	}
	s.unknown = func([6]byte) bool { return all }
	dtxswc := uint32(0)
	if s.loopback {
		dtxswc = uint32(nic.DtxswcLoopbackEN)
	}
	vfre := uint32(0)
	for p := range pools {
		s.takes[p] = map[string]bool{}
		r := nic.VmolrLPE | nic.MaxFrame
		for name, bit := range map[string]nic.Vmolr{
			"broadcast": nic.VmolrBAM, "groups": nic.VmolrROMPE, "all groups": nic.VmolrMPME, "unknown": nic.VmolrROPE, "untagged": nic.VmolrAUPE,
		} {
			if rng.IntN(2) == 0 {
				s.takes[p][name] = true
				r |= bit
			}
		}
		w(nic.VMOLR(p), uint32(r))
		if rng.IntN(2) == 0 {
			s.checked[p] = true
			dtxswc |= 0x101 << p
		}
		if rng.IntN(4) != 0 {
			s.enabled[p] = true
			vfre |= 1 << p
		}
	}
	w(nic.DTXSWC, dtxswc)
	w(nic.VFRE, vfre)
	vfta := uint32(0)
	for i, vid := range []uint16{5, 6} {
		bits := rng.Uint32() & (1<<pools - 1)
		w(nic.VLVF(i), nic.VlvfEN|uint32(vid)|bits<<nic.VlvfPoolShift)
		s.vlans[vid] = map[int]bool{}
		for p := range pools {
			s.vlans[vid][p] = bits>>p&1 != 0
		}
		if rng.IntN(3) != 0 {
			s.passing[vid] = true
			vfta |= 1 << vid
		}
	}
	w(nic.VFTA(0), vfta)
	return s
}

// addresses are what frames of the property test are from and for.
var addresses = [][6]byte{
	nictest.MACOf(0), nictest.MACOf(1), nictest.MACOf(2), nictest.PFMAC, stranger,
	{2, 0xee, 0, 0, 0, 10}, {0x33, 0x33, 0, 0, 0x12, 0x34}, {1, 0, 0x5e, 0, 0, 1}, everybody,
}

// The switch does what a slow one does, for frames from the wire and from every pool,
// whatever the filters hold.
func TestTheSwitchAgreesWithASlowOne(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		v := vrig{virtual(t, 1+int(seed%3))}
		s := scramble(t, v.Virtual, rng)
		var id, own, took uint64
		now := sim.Time(0)
		for range 60 {
			now += 10 * sim.Microsecond
			id++
			f := ethernet(addresses[rng.IntN(len(addresses))], addresses[rng.IntN(6)], 60+rng.IntN(100), byte(id))
			if rng.IntN(3) == 0 {
				f[12], f[13], f[14], f[15] = 0x81, 0, byte(rng.IntN(2)<<5), byte(rng.IntN(4)+4)
				f[15] %= 7 // 4, 5, 6 and 0
			}
			from := rng.IntN(s.pools+1) - 1
			if from >= 0 && from < s.pools-1 && rng.IntN(2) == 0 {
				m := nictest.MACOf(from)
				copy(f[6:], m[:])
			}
			drops, sent := v.Drops.ByReason(), len(v.Wire.Sent)
			want, leaves, why := s.where(from, f)
			v.put(t, from, id, f, now)
			if from == s.pools-1 {
				own++
			}
			for p, got := range v.harvest(t, now+9*sim.Microsecond) {
				took += uint64(len(got))
				if !want[p] {
					require.Empty(t, got, "seed %d frame %d from %d: pool %d", seed, id, from, p)
					continue
				}
				require.Len(t, got, 1, "seed %d frame %d (%x) from %d: pool %d", seed, id, f[:18], from, p)
				require.True(t, bytes.Equal(got[0].Data, f), "pool %d", p)
			}
			require.Equal(t, leaves, len(v.Wire.Sent) > sent, "seed %d frame %d from %d leaves", seed, id, from)
			if why != cost.NotDropped {
				after := v.Drops.ByReason()
				require.Equal(t, drops[why]+1, after[why], "seed %d frame %d: %v", seed, id, why)
			}
			conserved(t, v.Virtual, own, took)
		}
	}
}

// where is fromWire or fromPool.
func (s *slowSwitch) where(from int, f []byte) (map[int]bool, bool, cost.DropReason) {
	if from < 0 {
		pools, why := s.fromWire(f)
		return pools, false, why
	}
	return s.fromPool(from, f)
}

// vrig is a NIC with VFs and steps for its tests.
type vrig struct{ *nictest.Virtual }

// put sends a frame from a pool, or from the wire if from is -1.
func (v vrig) put(t *testing.T, from int, id uint64, f []byte, now sim.Time) {
	switch {
	case from < 0:
		v.Wire.Play(nic.WireFrame{ID: id, At: now, Data: f})
	case from == len(v.Guests):
		v.SendPF(nic.Tag{ID: id, Arrived: now}, f, now)
	default:
		v.Guests[from].Now = now
		require.NoError(t, v.Guests[from].Send(nic.Tag{ID: id, Arrived: now}, f))
	}
}

// harvest is what every pool has got, the PF's the last.
func (v vrig) harvest(t *testing.T, now sim.Time) (list [][]nictest.Frame) {
	for _, g := range v.Guests {
		g.Now = now
		got, err := g.Harvest()
		require.NoError(t, err)
		list = append(list, got)
	}
	return append(list, v.HarvestPF(now))
}

// FuzzHostileVF lets a guest write any register and any descriptor. Whatever it does,
// memory that is not its own stays as it was, the other guest gets its frames, faults are
// counted, and no frame is lost.
func FuzzHostileVF(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03 some descriptors and registers \xff\xfe"))
	f.Add(bytes.Repeat([]byte{1, 0, 0x20, 0, 0, 0, 0, 0}, 20))
	f.Add(bytes.Repeat([]byte{0x80, 0x38, 0x18, 9, 0x40, 0xff, 0xff, 0xff}, 20))
	f.Fuzz(func(t *testing.T, in []byte) {
		v := vrig{virtual(t, 2)}
		a, b := v.Guests[0], v.Guests[1]
		// The last quarter of the hostile guest's memory is not its own any more.
		_, err := a.Domain.Unmap(nictest.IOVA+3<<18, 1<<18, 0)
		require.NoError(t, err)
		v.IOMMU.Flush()
		hidden := a.Memory.Bytes(3<<18, 1<<18)
		for i := range hidden {
			hidden[i] = 0xa5
		}
		now, id, took := sim.Time(0), uint64(0), uint64(0)
		got := 0
		for len(in) >= 8 && id < 64 {
			op, rest := in[:8], in[8:]
			in = rest
			now += 2 * sim.Microsecond
			a.Now, b.Now = now, now
			word := uint32(op[4]) | uint32(op[5])<<8 | uint32(op[6])<<16 | uint32(op[7])<<24
			switch op[0] % 6 {
			case 0: // any register
				_ = a.Write(uint32(op[1])<<8&0x3F00|uint32(op[2])&^3, word, now)
				_, _ = a.Read(uint32(op[1])<<8&0x3F00|uint32(op[2])&^3, now)
			case 1: // any bytes in its rings
				copy(a.Rx.Desc[int(op[1])%(len(a.Rx.Desc)-8):], op)
				copy(a.Tx.Desc[int(op[2])%(len(a.Tx.Desc)-8):], op)
			case 2: // a likely receive descriptor at an odd place
				a.Rx.Rx(uint32(op[1]) % 32).Give(uint64(nictest.IOVA) + uint64(word&0x1FFFFF))
			case 3: // a likely frame from an odd place
				size := int(op[2]) + 14
				a.Tx.Tx(uint32(op[1])%32).Give(uint64(nictest.IOVA)+uint64(word&0x1FFFFF), size, nic.TxEOP|nic.TxIFCS|nic.TxRS, size)
				_ = a.Write(nic.TDT(0), (uint32(op[1])+1)%32, now)
			case 4:
				a.FLR(now)
				_ = a.Up()
			case 5:
				_ = a.Write(nic.TDT(0), word&31, now)
			}
			id += 2
			v.Wire.Play(
				nic.WireFrame{ID: id, At: now, Data: ethernet(nictest.MACOf(0), stranger, 60+int(op[3])*8, 1)},
				nic.WireFrame{ID: id + 1, At: now, Data: ethernet(nictest.MACOf(1), stranger, 60, 2)})
			b.Now = now + 1900*sim.Nanosecond
			frames, err := b.Harvest()
			require.NoError(t, err)
			took += uint64(len(frames))
			for _, f := range frames {
				if f.Tag.ID > 1 && f.Data[6] == stranger[0] && f.Data[7] == stranger[1] && f.Data[14] == 2 {
					got++
				}
			}
			took += uint64(len(v.HarvestPF(b.Now)))
			conserved(t, v.Virtual, 0, took)
		}
		require.Equal(t, int(id/2), got, "what is for the other guest comes")
		require.Equal(t, bytes.Repeat([]byte{0xa5}, 1<<18), hidden, "memory that is not mapped")
		require.GreaterOrEqual(t, a.Stat().Faults, v.Drops[cost.NIC][cost.NICIOMMUFault], "no frame is lost to a fault that is not counted")
		require.Equal(t, v.IOMMU.Stat().Faults, a.Stat().Faults)
		_, misuses := v.NIC.Misuses()
		require.Zero(t, misuses, "the host is not to blame")
	})
}
