package ringside_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm"
)

// FuzzMailbox is a guest that writes what it likes to its mailbox, when it likes. Only
// what is its own may change; each message is answered, with NACK where it asks for what
// it may not have; frames for the other guest come.
func FuzzMailbox(f *testing.F) {
	word := func(w ...uint32) (b []byte) {
		b = append(b, byte(len(w)), 3)
		for _, x := range w {
			b = binary.LittleEndian.AppendUint32(b, x)
		}
		return b
	}
	f.Add(word(1))
	f.Add(append(word(1), word(2, 0x0302fa02, 0x0504)...))
	f.Add(append(word(1), word(2<<16|2, 0x01000002, 0x0100)...))            // the other guest's address, as one more
	f.Add(append(word(1), word(30<<16|3, 0xffffffff, 0xffffffff, 1, 2)...)) // more groups than words
	f.Add(append(word(1), word(1<<16|4, 7)...))
	f.Add(append(word(1), word(5, 1<<31)...))
	f.Add(append(word(1), word(3<<16|6)...))
	f.Add(word(0xffffffff))
	f.Fuzz(func(t *testing.T, in []byte) {
		w := &offered{gap: 10 * sim.Microsecond}
		for i := range 100 {
			w.frames = append(w.frames, vmFrame(1, i))
		}
		h, err := ringside.New(ringside.Config{Path: ringside.SRIOV, Wire: w, VMs: []ringside.VM{
			{Program: vm.Sink}, {Program: vm.Sink, Known: []bridge.MAC{{2, 0, 0, 0, 1, 1}, {2, 7, 7, 7, 7, 7}}},
		}})
		require.NoError(t, err)
		defer h.Close()
		vf, now := h.NIC.VF(0), sim.Time(0)
		before := others(t, h)
		reset := true // the driver has done it
		for n := 0; len(in) >= 2 && n < 40; n++ {
			size, how := int(in[0])%(nic.MailboxLen+1), in[1]
			in = in[2:]
			now += sim.Time(how) * 100 * sim.Nanosecond
			require.NoError(t, h.RunUntil(now))
			if how&1 != 0 {
				vf.Write(nic.V2PMAILBOX, nic.V2PVFU, now)
			}
			var m [nic.MailboxLen]uint32
			for i := range m {
				m[i], _ = vf.Read(nic.VTMBMEM+4*uint32(i), now)
			}
			for i := 0; i < size && len(in) >= 4; i++ {
				m[i], in = binary.LittleEndian.Uint32(in), in[4:]
				require.NoError(t, vf.Write(nic.VTMBMEM+4*uint32(i), m[i], now))
			}
			if how&16 != 0 {
				vf.FLR(now)
				reset = false
			}
			vf.Read(nic.V2PMAILBOX, now) // what was answered before
			vf.Write(nic.V2PMAILBOX, uint32(how)&nic.V2PACK|nic.V2PREQ, now)
			now += 20 * sim.Microsecond
			require.NoError(t, h.RunUntil(now))
			require.Equal(t, before, others(t, h), "message %#x", m)
			answer, _ := vf.Read(nic.VTMBMEM, now)
			if m[0]>>30 != 0 {
				continue // it is an answer itself
			}
			if may := reset && mayAsk(&m) || m[0]&0xFFFF == 1; !may {
				require.NotZero(t, answer&(1<<30), "message %#x, answer %#x", m[:4], answer)
			} else {
				require.NotZero(t, answer&(3<<30), "message %#x, answer %#x", m[:4], answer)
			}
			reset = reset || m[0]&0xFFFF == 1
		}
		require.NoError(t, h.RunUntil(now+2*sim.Millisecond))
		require.EqualValues(t, 100, h.Report().VMs[1].Frames)
		_, misuses := h.NIC.Misuses()
		require.Zero(t, misuses)
	})
}

// mayAsk says whether a message is one that a VF whose address the host has set might
// have done.
func mayAsk(m *[nic.MailboxLen]uint32) bool {
	switch info := m[0] >> 16 & 0xFF; m[0] & 0xFFFF {
	case 2:
		return info == 1 || info == 0 && m[1] == 2 && m[2]&0xFFFF == 1
	case 3, 4:
		return true
	case 5:
		return m[1] >= 64 && m[1] <= nic.MaxFrame
	case 6:
		return info&^2 == 0
	}
	return false
}

// others is what the filters hold for everybody but VF 0.
func others(t *testing.T, h *ringside.Host) (state []uint32) {
	read := func(reg uint32) uint32 {
		v, err := h.NIC.Read(reg, h.Kernel.Now())
		require.NoError(t, err)
		return v
	}
	const mine = 1 << nic.RahPoolShift
	for i := range nic.MaxAddrs {
		if hi := read(nic.RAH(i)); hi&nic.RahAV != 0 && hi&^(nic.RahAV|0xFFFF|mine) != 0 {
			state = append(state, uint32(i), read(nic.RAL(i)), hi&^mine)
		}
	}
	for p := 1; p < nic.Pools; p++ {
		state = append(state, read(nic.VMOLR(p)), read(nic.VMVIR(p)))
	}
	for i := range nic.VLVFs {
		if v := read(nic.VLVF(i)) >> nic.VlvfPoolShift & 0xFE; v != 0 {
			state = append(state, uint32(i), v)
		}
	}
	return append(state, read(nic.VFRE)&^1, read(nic.VFTE)&^1, read(nic.DTXSWC), read(nic.VT_CTL), read(nic.MRQC), read(nic.QDE))
}
