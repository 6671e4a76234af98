package nic_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

// packet is an Ethernet frame with an IP packet in it, src and dst being of one
// family.
func packet(src, dst netip.AddrPort, proto byte) []byte {
	f := make([]byte, 100)
	copy(f, hostMAC+"\x02\x00\x00\x00\x00\x02")
	a, b := src.Addr().AsSlice(), dst.Addr().AsSlice()
	var l4 []byte
	if src.Addr().Is4() {
		copy(f[12:], "\x08\x00\x45")
		f[23] = proto
		copy(f[26:], a)
		copy(f[30:], b)
		l4 = f[34:]
	} else {
		copy(f[12:], "\x86\xdd\x60")
		f[20] = proto
		copy(f[22:], a)
		copy(f[38:], b)
		l4 = f[54:]
	}
	binary.BigEndian.PutUint16(l4, src.Port())
	binary.BigEndian.PutUint16(l4[2:], dst.Port())
	return f
}

// slowToeplitz is the hash bit by bit, as Microsoft's text has it.
func slowToeplitz(key [40]byte, input []byte) (h uint32) {
	for i := range len(input) * 8 {
		if input[i/8]&(0x80>>(i%8)) == 0 {
			continue
		}
		for b := range 32 {
			at := i + b
			if key[at/8]&(0x80>>(at%8)) != 0 {
				h ^= 1 << (31 - b)
			}
		}
	}
	return h
}

// TestMicrosoftsSuite is the verification suite for RSS that Microsoft
// publishes with the hash: addresses, ports, and the hash with and without them.
func TestMicrosoftsSuite(t *testing.T) {
	for _, tt := range []struct {
		dst, src       string
		alone, withTCP uint32
	}{
		{"161.142.100.80:1766", "66.9.149.187:2794", 0x323e8fc2, 0x51ccc178},
		{"65.69.140.83:4739", "199.92.111.2:14230", 0xd718262a, 0xc626b0ea},
		{"12.22.207.184:38024", "24.19.198.95:12898", 0xd2d0a5de, 0x5c2b394a},
		{"209.142.163.6:2217", "38.27.205.30:48228", 0x82989176, 0xafc7327f},
		{"202.188.127.2:1303", "153.39.163.191:44251", 0x5d1809c5, 0x10e828a2},
		{"[3ffe:2501:200:3::1]:1766", "[3ffe:2501:200:1fff::7]:2794", 0x2cc18cd5, 0x40207d3d},
		{"[ff02::1]:4739", "[3ffe:501:8::260:97ff:fe40:efab]:14230", 0x0f0c461c, 0xdde51bbf},
		{"[fe80::200:f8ff:fe21:67cf]:38024", "[3ffe:1900:4545:3:200:f8ff:fe21:67cf]:44251", 0x4b61e985, 0x02d1feef},
	} {
		t.Run(tt.src, func(t *testing.T) {
			src, dst := netip.MustParseAddrPort(tt.src), netip.MustParseAddrPort(tt.dst)
			kinds := map[byte]nic.RSSType{6: nic.RSSTCPIPv4, 17: nic.RSSUDPIPv4, 1: nic.RSSIPv4}
			if src.Addr().Is6() {
				kinds = map[byte]nic.RSSType{6: nic.RSSTCPIPv6, 17: nic.RSSUDPIPv6, 1: nic.RSSIPv6}
			}
			for proto, kind := range kinds {
				want := tt.withTCP
				if proto == 1 {
					want = tt.alone
				}
				for _, queues := range []int{1, 4, 16} {
					d := up(t, nic.Config{Queues: queues}, nictest.Options{RSS: true, Polling: true, Descs: 8})
					d.Wire.Play(nic.WireFrame{ID: 1, Data: packet(src, dst, proto)})
					d.Now = us
					got := d.Harvest(int(want&127) % queues) // RETA as nictest fills it
					require.Len(t, got, 1, "queue")
					assert.Equal(t, kind, got[0].Type)
					assert.Equal(t, want, got[0].Hash, "%#x", got[0].Hash)
					clean(t, d)
				}
			}
		})
	}
}

// TestToeplitzByTables holds the tables against the hash bit by bit, for random
// keys and inputs.
func TestToeplitzByTables(t *testing.T) {
	rng := sim.NewEngine(1).Rand("toeplitz")
	for range 30 {
		d := up(t, nic.Config{Queues: 4}, nictest.Options{RSS: true, Polling: true})
		var key [40]byte
		for i := range key {
			key[i] = byte(rng.Uint32())
		}
		for i := range nic.RSSRKWords {
			d.Write(nic.RSSRK(i), binary.LittleEndian.Uint32(key[4*i:]))
		}
		want := map[uint64]uint32{}
		for id := range uint64(100) {
			size, proto := 4, []byte{6, 17, 1}[rng.IntN(3)]
			if rng.IntN(2) == 0 {
				size = 16
			}
			addr := func() netip.AddrPort {
				b := make([]byte, size)
				for i := range b {
					b[i] = byte(rng.Uint32())
				}
				a, _ := netip.AddrFromSlice(b)
				return netip.AddrPortFrom(a, uint16(rng.Uint32()))
			}
			f := packet(addr(), addr(), proto)
			in := f[26:34]
			if size == 16 {
				in = f[22:54]
			}
			if proto != 1 {
				in = f[26:38]
				if size == 16 {
					in = f[22:58]
				}
			}
			want[id] = slowToeplitz(key, in)
			d.Wire.Play(nic.WireFrame{ID: id, Data: f})
		}
		d.Now = 100 * us
		n := 0
		for q := range 4 {
			for _, f := range d.Harvest(q) {
				require.Equal(t, want[f.Tag.ID], f.Hash)
				require.Equal(t, q, int(f.Hash&127)%4)
				n++
			}
		}
		require.Equal(t, 100, n)
		clean(t, d)
	}
}

func TestPacketTypesAndHashes(t *testing.T) {
	v4 := packet(netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("10.0.0.2:2000"), 6)
	v6 := packet(netip.MustParseAddrPort("[fd00::1]:1000"), netip.MustParseAddrPort("[fd00::2]:2000"), 6)
	with := func(f []byte, changes ...int) []byte {
		f = append([]byte(nil), f...)
		for i := 0; i < len(changes); i += 2 {
			f[changes[i]] = byte(changes[i+1])
		}
		return f
	}
	tag := func(f []byte, kind uint16) []byte {
		g := append([]byte(nil), f[:12]...)
		g = binary.BigEndian.AppendUint16(g, kind)
		return append(append(g, 0, 5), f[12:]...)
	}
	options := append(append(append([]byte(nil), v4[:34]...), 1, 1, 1, 1), v4[34:]...)
	options[14] = 0x46
	all := nic.MrqcRSS | nic.MrqcIPv4 | nic.MrqcTCPIPv4 | nic.MrqcUDPIPv4 | nic.MrqcIPv6 | nic.MrqcTCPIPv6 | nic.MrqcUDPIPv6
	h4, h4tcp := slowToeplitz(nictest.Key, v4[26:34]), slowToeplitz(nictest.Key, v4[26:38])
	h6, h6tcp := slowToeplitz(nictest.Key, v6[22:54]), slowToeplitz(nictest.Key, v6[22:58])
	for _, tt := range []struct {
		name   string
		data   []byte
		mrqc   nic.Mrqc
		packet uint32
		kind   nic.RSSType
		hash   uint32
	}{
		{"TCP over IPv4", v4, all, nic.PktIPv4 | nic.PktTCP, nic.RSSTCPIPv4, h4tcp},
		{"TCP over IPv4, only addresses wanted", v4, nic.MrqcRSS | nic.MrqcIPv4, nic.PktIPv4 | nic.PktTCP, nic.RSSIPv4, h4},
		{"TCP over IPv4, only UDP wanted", v4, nic.MrqcRSS | nic.MrqcUDPIPv4, nic.PktIPv4 | nic.PktTCP, nic.RSSNone, 0},
		{"RSS off", v4, all &^ nic.MrqcModeMask, nic.PktIPv4 | nic.PktTCP, nic.RSSNone, 0},
		{"UDP over IPv4", with(v4, 23, 17), all, nic.PktIPv4 | nic.PktUDP, nic.RSSUDPIPv4, h4tcp},
		{"SCTP over IPv4", with(v4, 23, 132), all, nic.PktIPv4 | nic.PktSCTP, nic.RSSIPv4, h4},
		{"ICMP", with(v4, 23, 1), all, nic.PktIPv4, nic.RSSIPv4, h4},
		{"ICMP, only TCP wanted", with(v4, 23, 1), nic.MrqcRSS | nic.MrqcTCPIPv4, nic.PktIPv4, nic.RSSNone, 0},
		{"first fragment", with(v4, 20, 0x20), all, nic.PktIPv4, nic.RSSIPv4, h4},
		{"later fragment", with(v4, 21, 9), all, nic.PktIPv4, nic.RSSIPv4, h4},
		{"do not fragment", with(v4, 20, 0x40), all, nic.PktIPv4 | nic.PktTCP, nic.RSSTCPIPv4, h4tcp},
		{"IPv4 with options", options, all, nic.PktIPv4 | nic.PktIPv4Ex | nic.PktTCP, nic.RSSTCPIPv4, h4tcp},
		{"IPv4 behind a VLAN tag", tag(v4, 0x8100), all, nic.PktIPv4 | nic.PktTCP, nic.RSSTCPIPv4, h4tcp},
		{"IPv4 behind two VLAN tags", tag(tag(v4, 0x8100), 0x8100), all, 0, nic.RSSNone, 0},
		{"IPv4 of version 5", with(v4, 14, 0x55), all, 0, nic.RSSNone, 0},
		{"IPv4 with a header too short", with(v4, 14, 0x44), all, 0, nic.RSSNone, 0},
		{"IPv4 cut in its header", v4[:33], all, 0, nic.RSSNone, 0},
		{"IPv4 cut in its ports", v4[:37], all, nic.PktIPv4 | nic.PktTCP, nic.RSSIPv4, h4},
		{"IPv4 cut behind its ports", v4[:38], all, nic.PktIPv4 | nic.PktTCP, nic.RSSTCPIPv4, h4tcp},
		{"IPv4 with options cut in its ports", options[:41], all, nic.PktIPv4 | nic.PktIPv4Ex | nic.PktTCP, nic.RSSIPv4, h4},
		{"TCP over IPv6", v6, all, nic.PktIPv6 | nic.PktTCP, nic.RSSTCPIPv6, h6tcp},
		{"TCP over IPv6, Ex wanted too", v6, all | nic.MrqcTCPIPv6Ex, nic.PktIPv6 | nic.PktTCP, nic.RSSTCPIPv6Ex, h6tcp},
		{"UDP over IPv6", with(v6, 20, 17), all, nic.PktIPv6 | nic.PktUDP, nic.RSSUDPIPv6, h6tcp},
		{"UDP over IPv6, Ex wanted", with(v6, 20, 17), nic.MrqcRSS | nic.MrqcUDPIPv6Ex, nic.PktIPv6 | nic.PktUDP, nic.RSSUDPIPv6Ex, h6tcp},
		{"ICMPv6", with(v6, 20, 58), all, nic.PktIPv6, nic.RSSIPv6, h6},
		{"IPv6, only addresses wanted", v6, nic.MrqcRSS | nic.MrqcIPv6, nic.PktIPv6 | nic.PktTCP, nic.RSSIPv6, h6},
		{"IPv6 with extension headers", with(v6, 20, 0), all, nic.PktIPv6 | nic.PktIPv6Ex, nic.RSSIPv6, h6},
		{"IPv6 with extension headers, Ex wanted", with(v6, 20, 43), nic.MrqcRSS | nic.MrqcIPv6Ex, nic.PktIPv6 | nic.PktIPv6Ex, nic.RSSIPv6Ex, h6},
		{"IPv6 that MRQC does not want", v6, nic.MrqcRSS | nic.MrqcTCPIPv4, nic.PktIPv6 | nic.PktTCP, nic.RSSNone, 0},
		{"IPv6 of version 4", with(v6, 14, 0x40), all, 0, nic.RSSNone, 0},
		{"IPv6 cut in its header", v6[:53], all, 0, nic.RSSNone, 0},
		{"IPv6 cut in its ports", v6[:57], all, nic.PktIPv6 | nic.PktTCP, nic.RSSIPv6, h6},
		{"ARP", with(v4, 12, 8, 13, 6), all, 0, nic.RSSNone, 0},
		{"only a header", v4[:14], all, 0, nic.RSSNone, 0},
		{"cut in its VLAN tag", tag(v4, 0x8100)[:16], all, 0, nic.RSSNone, 0},
		{"cut behind its VLAN tag", tag(v4, 0x8100)[:18], all, 0, nic.RSSNone, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := up(t, nic.Config{Queues: 2}, nictest.Options{RSS: true, Polling: true})
			d.Write(nic.MRQC, uint32(tt.mrqc))
			d.Wire.Play(nic.WireFrame{ID: 1, Data: tt.data})
			d.Now = us
			q := int(tt.hash&127) % 2
			if tt.kind == nic.RSSNone {
				q = 0
			}
			got := d.Harvest(q)
			require.Len(t, got, 1)
			assert.Equal(t, tt.packet, got[0].Packet, "%#x", got[0].Packet)
			assert.Equal(t, tt.kind, got[0].Type)
			assert.Equal(t, tt.hash, got[0].Hash)
			assert.Equal(t, tt.data, got[0].Data, "the VLAN tag stays")
			clean(t, d)
		})
	}
	t.Run("IPv4 behind two VLAN tags, EXT_VLAN set", func(t *testing.T) {
		d := up(t, nic.Config{Queues: 2}, nictest.Options{RSS: true, Polling: true})
		d.Write(nic.CTRL_EXT, uint32(nic.CtrlExtEXTVLAN))
		for i, f := range [][]byte{tag(tag(v4, 0x8100), 0x8100), tag(v4, 0x8100), v4} {
			d.Wire.Play(nic.WireFrame{ID: uint64(i), Data: f})
		}
		d.Now = us
		got := d.Harvest(int(h4tcp&127) % 2)
		require.Len(t, got, 3)
		for _, f := range got {
			assert.Equal(t, h4tcp, f.Hash)
		}
		clean(t, d)
	})
	t.Run("no hash in the descriptor without PCSD", func(t *testing.T) {
		d := up(t, nic.Config{Queues: 2}, nictest.Options{RSS: true, Polling: true})
		d.Write(nic.RXCSUM, 0)
		d.Wire.Play(nic.WireFrame{ID: 1, Data: v4})
		d.Now = us
		got := d.Harvest(int(h4tcp&127) % 2)
		require.Len(t, got, 1)
		assert.Zero(t, got[0].Hash)
		assert.Equal(t, nic.RSSNone, got[0].Type)
	})
}

// TestANewKeyCountsFromTheNextFrame changes key and table between frames.
func TestANewKeyCountsFromTheNextFrame(t *testing.T) {
	d := up(t, nic.Config{Queues: 4}, nictest.Options{RSS: true, Polling: true})
	f := flows(1, 60)[0]
	copy(f, hostMAC)
	key := nictest.Key
	for i := range 5 {
		d.Wire.Play(nic.WireFrame{ID: uint64(i), Data: f})
		d.Now += us
		want := slowToeplitz(key, f[26:38])
		got := d.Harvest(int(want&127) % 4)
		require.Len(t, got, 1)
		require.Equal(t, want, got[0].Hash)
		key[0], key[3] = byte(i), byte(7*i)
		d.Write(nic.RSSRK(0), binary.LittleEndian.Uint32(key[:]))
	}
	d.Write(nic.RSSRK(0), binary.LittleEndian.Uint32(nictest.Key[:]))
	for q := range 4 { // RETA sends everything to one queue
		for i := range nic.RETAWords {
			d.Write(nic.RETA(i), uint32(q)*0x01010101)
		}
		d.Wire.Play(nic.WireFrame{ID: 9, Data: f})
		d.Now += us
		require.Len(t, d.Harvest(q), 1)
	}
	clean(t, d)
}

// route finds for every queue of d a frame that RSS sends there.
func route(t *testing.T, d *nictest.Driver) map[int][]byte {
	found := map[int][]byte{}
	for _, f := range flows(64, 60) {
		copy(f, hostMAC)
		q := int(slowToeplitz(nictest.Key, f[26:38])&127) % len(d.Rx)
		found[q] = f
	}
	require.Len(t, found, len(d.Rx), "flows for every queue")
	return found
}
