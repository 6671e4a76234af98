package ringside_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/cost"
	"ringside/sim"
	"ringside/virtio"
	"ringside/vm"
	"ringside/vm/guest"
	"ringside/vxlan"
)

// under is the address of a host in the underlay.
func under(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}) }

// overlayHost is a host number i, from 1, whose NIC is a port of no bridge and has the
// host's address, with a bridge for guests that a VTEP is a port of. Edit may change it.
func overlayHost(i int, vms []ringside.VM, edit func(*ringside.Config), remotes ...int) ringside.LabHost {
	v := ringside.VTEP{Config: vxlan.Config{VNI: 42, Local: under(i)}}
	for _, r := range remotes {
		v.Remotes = append(v.Remotes, under(r))
	}
	c := ringside.Config{
		NICs: []ringside.NIC{{Bridge: ringside.NoBridge, Host: ringside.HostStack{Addresses: []netip.Prefix{netip.PrefixFrom(under(i), 24)}}}},
		VMs:  vms, VTEPs: []ringside.VTEP{v},
	}
	if edit != nil {
		edit(&c)
	}
	return ringside.LabHost{Name: fmt.Sprint("h", i), Config: c}
}

// overlay is two such hosts with a cable between them.
func overlay(a, b ringside.LabHost) ringside.LabConfig {
	return ringside.LabConfig{
		Hosts:  []ringside.LabHost{a, b},
		Cables: []ringside.Cable{{A: ringside.End{Host: "h1"}, B: ringside.End{Host: "h2"}}},
	}
}

// bare is a guest with a program and no stack.
func bare(p vm.Program) []ringside.VM { return []ringside.VM{{Program: p}} }

func TestAFrameGoesFromGuestToGuestThroughATunnel(t *testing.T) {
	var a, b [][]byte
	l := newLab(t, overlay(
		overlayHost(1, bare(once(&a, frame(7, 1))), nil, 2),
		overlayHost(2, bare(once(&b)), nil, 1),
	))
	require.NoError(t, l.Run())
	assert.Equal(t, [][]byte{frame(7, 1)}, b)
	assert.Empty(t, a)
	v := l.Host("h2").VTEPs[0]
	e, ok := v.Lookup(vxlan.MAC{2, 0, 0, 0, 9, 1})
	require.True(t, ok, "the sender was learned to be behind host 1")
	assert.Equal(t, under(1), e.Remotes[0].Addr)
	r := l.Report()
	for _, h := range r.Hosts {
		assert.True(t, h.Report.Conservation.Balanced)
		t.Log(h.Report.Conservation)
	}
	assert.EqualValues(t, 1, r.Hosts[0].Report.VTEPs[0].TxFrames)
	assert.EqualValues(t, 1, r.Hosts[1].Report.VTEPs[0].RxFrames)
	assert.EqualValues(t, 1450, r.Hosts[1].Report.VTEPs[0].MTU)
}

// stacked is a guest with a stack, at 192.0.2.n, whose MTU leaves room for the tunnel.
func stacked(n, mtu int, main guest.Program) []ringside.VM {
	return []ringside.VM{{Name: fmt.Sprint("vm", n), MTU: mtu, Addresses: []netip.Prefix{addr(n)}, Processes: process("main", main)}}
}

// What a guest sends another on the other host gets, byte for byte, on one segment:
// neighbours are found by ARP through the tunnel.
func TestTCPThroughATunnelIsTheSameAtBothEnds(t *testing.T) {
	const size = 2<<20 + 123
	run := func() *ringside.LabReport {
		l := newLab(t, overlay(
			overlayHost(1, stacked(1, 1450, bulkClient("192.0.2.2", size)), nil, 2),
			overlayHost(2, stacked(2, 1450, bulkServer), nil, 1),
		))
		require.NoError(t, l.Run())
		return l.Report()
	}
	r := run()
	got := r.Hosts[1].Report.VMs[0].Results
	require.Len(t, got, 3)
	assert.EqualValues(t, size, got[0].Value)
	assert.Equal(t, r.Hosts[0].Report.VMs[0].Results[0].Text, got[2].Text)
	t.Logf("%.2f Gbit/s; %+v", float64(got[0].Value)*8/float64(got[1].Value), r.Hosts[0].Report.VTEPs[0].Stats)
	for _, h := range r.Hosts {
		t.Log(h.Report.Conservation)
	}
	assert.Equal(t, r.TraceHash, run().TraceHash, "the same in every run")
}

// spaced is a guest that sends frames a millisecond apart and keeps what it gets.
func spaced(into *[][]byte, frames ...[]byte) vm.Program {
	return func(g *vm.Guest) error {
		g.Sleep(sim.Millisecond)
		for _, f := range frames {
			to := g.Task.Memory().Bytes(4096, len(f))
			copy(to, f)
			if err := g.Send(to); err != nil {
				return err
			}
			g.Sleep(sim.Millisecond)
		}
		return collect(into)(g)
	}
}

// counts is how often each step was done on a host's CPUs and by its NICs.
func counts(h *ringside.Host) map[string]int {
	steps := map[string]int{}
	for _, a := range h.Kernel.Accounts() {
		for s := range cost.NumSteps {
			steps[s.String()] += int(a.Count(s))
		}
	}
	return steps
}

// What the third of three frames costs a host that sends it and one that gets it, in
// steps: by the difference of two runs.
func costOfAFrame(t *testing.T, lab func(frames [][]byte) ringside.LabConfig) (sender, receiver map[string]int) {
	var all [2][2]map[string]int
	for i, n := range []int{2, 3} {
		frames := make([][]byte, n)
		for k := range frames {
			frames[k] = frame(7, 1, byte(k))
		}
		l := newLab(t, lab(frames))
		require.NoError(t, l.RunUntil(20*sim.Millisecond))
		all[i] = [2]map[string]int{counts(l.Host("h1")), counts(l.Host("h2"))}
	}
	diff := func(host int) map[string]int { return minus(all[1][host], all[0][host]) }
	return diff(0), diff(1)
}

// minus is what a has more than b.
func minus(a, b map[string]int) map[string]int {
	d := map[string]int{}
	for s, n := range a {
		if n != b[s] {
			d[s] = n - b[s]
		}
	}
	return d
}

// The overlay costs exactly the steps that docs/vxlan.md lists, beside those of a packet
// of the host's own; and the NIC moves 50 bytes more.
func TestEveryStepOfTheOverlayIsOnTheBill(t *testing.T) {
	var a, b [][]byte
	direct := func(frames [][]byte) ringside.LabConfig {
		plain := func(name string, p vm.Program) ringside.LabHost {
			return ringside.LabHost{Name: name, Config: ringside.Config{VMs: bare(p)}}
		}
		return overlay(plain("h1", spaced(&a, frames...)), plain("h2", spaced(&b, frame(1, 7))))
	}
	tunnel := func(frames [][]byte) ringside.LabConfig {
		return overlay(
			overlayHost(1, bare(spaced(&a, frames...)), nil, 2),
			overlayHost(2, bare(spaced(&b, frame(1, 7))), nil, 1),
		)
	}
	sendDirect, takeDirect := costOfAFrame(t, direct)
	sendTunnel, takeTunnel := costOfAFrame(t, tunnel)
	assert.Equal(t, map[string]int{
		"vxlan_find_mac":      1,
		"vxlan_xmit":          1,
		"udp_tunnel_xmit_skb": 1,
		"ip_output":           1,
		"dev_queue_xmit":      1, // of the underlay's device
	}, minus(sendTunnel, sendDirect))
	assert.Equal(t, map[string]int{
		"ip_rcv":                   1,
		"vxlan_rcv":                1,
		"vxlan_snoop":              1,
		"gro_cells_receive":        1,
		"consume_skb":              1, // the outer packet
		"gro_cell_poll":            1,
		"__netif_receive_skb_core": 1,
	}, minus(takeTunnel, takeDirect))
}

// threeHosts are three overlay hosts, each by a cable to a fourth, which is a switch.
func threeHosts(hosts ...ringside.LabHost) ringside.LabConfig {
	s := ringside.LabHost{Name: "switch", Config: ringside.Config{NICs: make([]ringside.NIC, len(hosts))}}
	c := ringside.LabConfig{Hosts: append(hosts, s)}
	for i := range hosts {
		c.Cables = append(c.Cables, ringside.Cable{
			A: ringside.End{Host: hosts[i].Name}, B: ringside.End{Host: "switch", NIC: fmt.Sprint("eth", i)},
		})
	}
	return c
}

// A broadcast goes to every other host once, and to none twice; the answer to where it
// came from alone.
func TestABroadcastIsReplicatedAtTheHead(t *testing.T) {
	var a, b, c [][]byte
	all := frame(0xff, 1)
	l := newLab(t, threeHosts(
		overlayHost(1, bare(spaced(&a, all)), nil, 2, 3),
		overlayHost(2, bare(func(g *vm.Guest) error {
			f, err := g.Receive()
			if err != nil {
				return err
			}
			b = append(b, bytes.Clone(f))
			return once(&b, frame(1, 7))(g)
		}), nil, 1, 3),
		overlayHost(3, bare(collect(&c)), nil, 1, 2),
	))
	require.NoError(t, l.Run())
	assert.Equal(t, [][]byte{all}, b)
	assert.Equal(t, [][]byte{all}, c)
	assert.Equal(t, [][]byte{frame(1, 7)}, a)
	r := l.Report()
	one := r.Hosts[0].Report
	assert.EqualValues(t, 2, one.VTEPs[0].TxFrames)
	assert.EqualValues(t, 1, one.Conservation.Cloned-sumFloods(one), "a clone for the second host")
	assert.EqualValues(t, 1, r.Hosts[1].Report.VTEPs[0].TxFrames, "the answer is not flooded")
	assert.EqualValues(t, 1, r.Hosts[2].Report.VTEPs[0].RxFrames)
	assert.Equal(t, map[string]int{"vxlan_find_mac": 2, "vxlan_xmit_one": 1, "vxlan_xmit": 2}, only(counts(l.Host("h1")), "vxlan_find_mac", "vxlan_xmit_one", "vxlan_xmit"))
}

// sumFloods is the copies that the bridge of a host with one guest and a VTEP made of
// its broadcasts: one goes up.
func sumFloods(r *ringside.Report) uint64 { return r.Bridges[0].Ports[0].Tx }

// only is some of the counts.
func only(all map[string]int, names ...string) map[string]int {
	m := map[string]int{}
	for _, n := range names {
		m[n] = all[n]
	}
	return m
}

func TestAnotherNetworkIsNotLetIn(t *testing.T) {
	var a, b [][]byte
	l := newLab(t, overlay(
		overlayHost(1, bare(spaced(&a, frame(7, 1), frame(0xff, 1))), func(c *ringside.Config) { c.VTEPs[0].VNI = 43 }, 2),
		overlayHost(2, bare(collect(&b)), nil, 1),
	))
	require.NoError(t, l.Run())
	assert.Empty(t, b)
	h := l.Report().Hosts[1].Report
	assert.EqualValues(t, 2, h.Conservation.Dropped["VXLAN_VNI_NOT_FOUND"])
	assert.EqualValues(t, 0, h.VTEPs[0].RxFrames)
}

// A station that is set by hand to be elsewhere cannot be played from another host, and
// its frames go where it was set to be.
func TestAStaticEntryDoesNotMove(t *testing.T) {
	var a, b [][]byte
	l := newLab(t, overlay(
		overlayHost(1, bare(spaced(&a, frame(7, 1), frame(7, 2))), nil, 2),
		overlayHost(2, bare(collect(&b)), func(c *ringside.Config) {
			c.VTEPs[0].FDB = []vxlan.Entry{{MAC: vxlan.MAC{2, 0, 0, 0, 9, 1}, Kind: vxlan.Static, Remotes: []vxlan.Remote{{Addr: under(3)}}}}
		}, 1),
	))
	require.NoError(t, l.Run())
	assert.Equal(t, [][]byte{frame(7, 2)}, b)
	assert.EqualValues(t, 1, l.Report().Hosts[1].Report.Conservation.Dropped["VXLAN_ENTRY_EXISTS"])
	e, _ := l.Host("h2").VTEPs[0].Lookup(vxlan.MAC{2, 0, 0, 0, 9, 1})
	assert.Equal(t, under(3), e.Remotes[0].Addr)
}

func TestWithoutARemoteNothingLeaves(t *testing.T) {
	var a, b [][]byte
	l := newLab(t, overlay(
		overlayHost(1, bare(spaced(&a, frame(7, 1))), nil),
		overlayHost(2, bare(collect(&b)), nil, 1),
	))
	require.NoError(t, l.Run())
	assert.EqualValues(t, 1, l.Report().Hosts[0].Report.Conservation.Dropped["VXLAN_NO_REMOTE"])
	assert.EqualValues(t, 1, l.Host("h1").VTEPs[0].Stats().L2Miss)
}

// A remote that is not there: the frames are taken, and the host's stack says that it
// gave them up. One that no route leads to is a drop at the tunnel.
func TestARemoteThatIsNotThere(t *testing.T) {
	var a, b [][]byte
	l := newLab(t, overlay(
		overlayHost(1, bare(spaced(&a, frame(7, 1))), nil, 9),
		overlayHost(2, bare(collect(&b)), func(c *ringside.Config) { c.VTEPs[0].Remotes = []netip.Addr{netip.MustParseAddr("203.0.113.1")} }),
	))
	require.NoError(t, l.RunUntil(10*sim.Second))
	assert.Empty(t, b)
	st, _ := l.Host("h1").Kernel.HostStats()
	var lost uint64
	for _, d := range st.Drops {
		lost += d.Count
	}
	assert.EqualValues(t, 1, lost, "%+v", st.Drops)

	l = newLab(t, overlay(
		overlayHost(1, bare(spaced(&a, frame(7, 1))), func(c *ringside.Config) { c.VTEPs[0].Remotes = []netip.Addr{netip.MustParseAddr("203.0.113.1")} }),
		overlayHost(2, bare(collect(&b)), nil, 1),
	))
	require.NoError(t, l.Run())
	assert.EqualValues(t, 1, l.Report().Hosts[0].Report.Conservation.Dropped["IP_OUTNOROUTES"])
}

// udpSender sends datagrams of those sizes to an address, 10 ms apart.
func udpSender(to string, sizes ...int) guest.Program {
	return func(p *guest.Proc) error {
		c, err := p.Dial("udp", to+":9")
		if err != nil {
			return err
		}
		for _, n := range sizes {
			if _, err := c.Write(make([]byte, n)); err != nil {
				p.RecordText("refused", err.Error())
			}
			p.Sleep(10 * time.Millisecond)
		}
		return c.Close()
	}
}

// udpTaker records the sizes of what comes.
func udpTaker(p *guest.Proc) error {
	c, err := p.ListenPacket("udp", ":9")
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<16)
	for i := 0; ; i++ {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		p.Record(fmt.Sprint("took", i), int64(n), "B")
	}
}

// took is the sizes that a guest's udpTaker has recorded.
func took(r *ringside.Report) (sizes []int64) {
	for _, x := range r.VMs[0].Results {
		sizes = append(sizes, x.Value)
	}
	return sizes
}

// The black hole: guests with an MTU of 1500 over an underlay of 1500. What is short
// arrives; what is long dies at the bridge, which tells nobody. Less in the guests, or
// more below, and all of it arrives.
func TestAnMTUOf1500OverATunnelIsABlackHole(t *testing.T) {
	// 28 bytes of headers make packets of 1450, 1455 and 1500 bytes. The bridge lets up to
	// four bytes more than the MTU pass, since there might be a tag.
	sizes := []int{100, 1422, 1427, 1472}
	for _, row := range []struct {
		name         string
		guest, below int
		want         []int64
		lost         uint64
	}{
		{"1500 over 1500", 1500, 1500, []int64{100, 1422}, 2},
		{"1500 over 1550", 1500, 1550, []int64{100, 1422, 1427, 1472}, 0},
		{"1450 over 1500: the guest cuts", 1450, 1500, []int64{100, 1422, 1427, 1472}, 0},
	} {
		below := func(c *ringside.Config) { c.NICs[0].MTU = row.below }
		l := newLab(t, overlay(
			overlayHost(1, stacked(1, row.guest, udpSender("192.0.2.2", sizes...)), below, 2),
			overlayHost(2, stacked(2, row.guest, udpTaker), below, 1),
		))
		require.NoError(t, l.Run(), row.name)
		r := l.Report()
		assert.Equal(t, row.want, took(r.Hosts[1].Report), row.name)
		assert.Equal(t, row.lost, r.Hosts[0].Report.Conservation.Dropped["PKT_TOO_BIG"], row.name)
		for _, d := range r.Hosts[0].Report.Drops {
			assert.Equal(t, "bridge", d.Stage, row.name)
		}
	}
}

// longFrame is an IPv4 packet of n bytes, which may be fragmented or not.
func longFrame(n int, df bool) []byte {
	f := make([]byte, 14+n)
	copy(f, []byte{2, 0, 0, 0, 9, 7, 2, 0, 0, 0, 9, 1, 0x08, 0, 0x45, 0, byte(n >> 8), byte(n), 0, 1, 0, 0, 64, 17})
	if df {
		f[20] = 0x40
	}
	copy(f[26:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	for i := range n - 20 {
		f[34+i] = byte(i)
	}
	return f
}

// With an MTU of its own that is more than fits, a VTEP answers for what may not be cut,
// and sends the rest in fragments, which come out as the frame that went in.
func TestWhatDoesNotFitIsAnsweredOrCut(t *testing.T) {
	var a, b [][]byte
	wide := func(c *ringside.Config) { c.VTEPs[0].MTU = 9000 }
	l := newLab(t, overlay(
		overlayHost(1, bare(spaced(&a, frame(7, 1), longFrame(1451, true), longFrame(4000, false), longFrame(1450, true))), wide, 2),
		overlayHost(2, bare(collect(&b)), wide, 1),
	))
	require.NoError(t, l.Run())
	assert.Equal(t, [][]byte{frame(7, 1), longFrame(4000, false), longFrame(1450, true)}, b)
	require.Len(t, a, 1)
	want := vxlan.TooBig(nil, longFrame(1451, true), 1450)
	assert.Equal(t, want, a[0])
	one := l.Report().Hosts[0].Report
	assert.Equal(t, map[string]uint64{"PKT_TOO_BIG": 1}, one.Conservation.Dropped)
	assert.Equal(t, "tunnel", one.Drops[0].Stage)
	assert.Equal(t, map[string]int{"skb_tunnel_check_pmtu": 1, "vxlan_xmit": 3}, only(counts(l.Host("h1")), "skb_tunnel_check_pmtu", "vxlan_xmit"))
}

// With DF set nothing is cut: it is dropped.
func TestWithDFSetWhatDoesNotFitIsDropped(t *testing.T) {
	var a, b [][]byte
	wide := func(c *ringside.Config) { c.VTEPs[0].MTU, c.VTEPs[0].DF = 9000, vxlan.DFSet }
	l := newLab(t, overlay(
		overlayHost(1, bare(spaced(&a, frame(7, 1), longFrame(4000, false))), wide, 2),
		overlayHost(2, bare(collect(&b)), wide, 1),
	))
	require.NoError(t, l.Run())
	assert.Equal(t, [][]byte{frame(7, 1)}, b)
	assert.EqualValues(t, 1, l.Report().Hosts[0].Report.Conservation.Dropped["PKT_TOO_BIG"])
}

// over6 makes the underlay of a host number i IPv6.
func over6(i int, edit func(*ringside.VTEP)) func(*ringside.Config) {
	at := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i)) }
	return func(c *ringside.Config) {
		c.NICs[0].Host.Addresses = []netip.Prefix{netip.PrefixFrom(at(i), 64)}
		c.VTEPs[0].Local, c.VTEPs[0].Remotes = at(i), []netip.Addr{at(3 - i)}
		if edit != nil {
			edit(&c.VTEPs[0])
		}
	}
}

func TestTheUnderlayCanBeIPv6(t *testing.T) {
	for _, row := range []struct {
		name string
		edit [2]func(*ringside.VTEP)
		want bool
	}{
		{"with checksums", [2]func(*ringside.VTEP){}, true},
		{"without, and they are asked for", [2]func(*ringside.VTEP){func(v *ringside.VTEP) { v.ZeroChecksumTx = true }}, false},
		{"without, and they are not", [2]func(*ringside.VTEP){func(v *ringside.VTEP) { v.ZeroChecksumTx = true }, func(v *ringside.VTEP) { v.ZeroChecksumRx = true }}, true},
	} {
		var a, b [][]byte
		l := newLab(t, overlay(
			overlayHost(1, bare(spaced(&a, frame(7, 1), longFrame(1430, false))), over6(1, row.edit[0])),
			overlayHost(2, bare(collect(&b)), over6(2, row.edit[1])),
		))
		require.NoError(t, l.Run(), row.name)
		r := l.Report()
		assert.Equal(t, 1430, r.Hosts[0].Report.VTEPs[0].MTU, row.name)
		if row.want {
			assert.Equal(t, [][]byte{frame(7, 1), longFrame(1430, false)}, b, row.name)
			continue
		}
		assert.Empty(t, b, row.name)
	}
}

// Over IPv6 nothing is cut for a tunnel.
func TestOverIPv6WhatDoesNotFitIsDropped(t *testing.T) {
	var a, b [][]byte
	wide := func(v *ringside.VTEP) { v.MTU = 9000 }
	l := newLab(t, overlay(
		overlayHost(1, bare(spaced(&a, longFrame(1431, false), frame(7, 1))), over6(1, wide)),
		overlayHost(2, bare(collect(&b)), over6(2, wide)),
	))
	require.NoError(t, l.Run())
	assert.Equal(t, [][]byte{frame(7, 1)}, b)
	assert.EqualValues(t, 1, l.Report().Hosts[0].Report.Conservation.Dropped["PKT_TOO_BIG"])
}

// The underlay may be a bridge's own interface, with the NIC a port of that bridge.
func TestTheUnderlayCanBeABridge(t *testing.T) {
	var a, b [][]byte
	bridged := func(i int) func(*ringside.Config) {
		return func(c *ringside.Config) {
			c.Bridges = []ringside.Bridge{{}, {Host: c.NICs[0].Host}}
			c.NICs[0] = ringside.NIC{Bridge: "br1"}
		}
	}
	l := newLab(t, overlay(
		overlayHost(1, bare(spaced(&a, frame(7, 1))), bridged(1), 2),
		overlayHost(2, bare(collect(&b)), bridged(2), 1),
	))
	require.NoError(t, l.Run())
	assert.Equal(t, [][]byte{frame(7, 1)}, b)
}

// The host itself speaks on the overlay: its stack's packet goes by its bridge into the
// tunnel, and so by the same stack once more, one call inside the other.
func TestTheHostSpeaksThroughItsOwnTunnel(t *testing.T) {
	var a [][]byte
	ask := func(g *vm.Guest) error {
		f := make([]byte, 60)
		copy(f, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 9, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 9, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2})
		return spaced(&a, f)(g)
	}
	l := newLab(t, overlay(
		overlayHost(1, bare(ask), nil, 2),
		overlayHost(2, nil, func(c *ringside.Config) {
			c.Host.Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24")}
		}, 1),
	))
	require.NoError(t, l.Run())
	require.Len(t, a, 1, "the other host's answer")
	assert.Equal(t, []byte{0, 2}, a[0][20:22])
	assert.Equal(t, []byte{192, 0, 2, 2}, a[0][28:32])
}

// pcapOf writes frames as a capture.
func pcapOf(t *testing.T, frames [][]byte) string {
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = binary.LittleEndian.AppendUint32(b, 4<<16|2)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, 1<<16)
	b = binary.LittleEndian.AppendUint32(b, 1) // Ethernet
	for i, f := range frames {
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	name := filepath.Join(t.TempDir(), "underlay.pcap")
	require.NoError(t, os.WriteFile(name, b, 0o600))
	return name
}

// tshark reads what was on the underlay's wire with every check it has, and has nothing
// to say: no malformed packet, no wrong checksum, nothing noted. The wire carries ARP of
// both layers, TCP, datagrams in fragments, and an ICMP error inside the tunnel.
func TestWiresharkReadsTheTunnelWithoutAWarning(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip(err)
	}
	for _, ipv6 := range []bool{false, true} {
		t.Run(map[bool]string{false: "IPv4", true: "IPv6"}[ipv6], func(t *testing.T) {
			var wire [][]byte
			edit := func(i int) func(*ringside.Config) {
				return func(c *ringside.Config) {
					if ipv6 {
						over6(i, nil)(c)
					}
					c.VTEPs[0].MTU = 9000
					if i == 1 {
						c.NICs[0].MirrorIn, c.NICs[0].MirrorOut = "spy", "spy"
					}
				}
			}
			spy := ringside.VM{Program: collect(&wire), Bridge: ringside.NoBridge, Port: bridge.PortConfig{Name: "spy"}}
			client := func(p *guest.Proc) error {
				if err := udpSender("192.0.2.2", 10, 1400, 1000)(p); err != nil {
					return err
				}
				return bulkClient("192.0.2.2", 100_000)(p)
			}
			server := func(p *guest.Proc) error {
				p.Go("udp", udpTaker)
				return bulkServer(p)
			}
			l := newLab(t, overlay(
				overlayHost(1, append(stacked(1, 1420, client), spy), edit(1), 2),
				overlayHost(2, stacked(2, 1420, server), edit(2), 1),
			))
			require.NoError(t, l.Run())
			out, err := exec.Command(tshark, "-r", pcapOf(t, wire), "-T", "fields", "-E", "separator=|", "-E", "occurrence=a",
				"-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
				"-e", "vxlan.vni", "-e", "vxlan.flags", "-e", "_ws.expert.severity", "-e", "_ws.expert.message", "-e", "frame.protocols").Output()
			require.NoError(t, err)
			kinds := map[string]int{}
			for i, line := range strings.Split(strings.TrimRight(string(out), "\n"), "\n") {
				f := strings.Split(line, "|")
				require.Len(t, f, 5, line)
				kinds[f[4]]++
				if strings.Contains(f[4], "vxlan") {
					assert.Equal(t, "42", f[0])
					assert.Equal(t, "0x0800", f[1])
				}
				messages := strings.Split(f[3], ",")
				for n, s := range strings.Split(f[2], ",") {
					const chat = "2097152" // as that a connection begins; that it ends is of more weight
					if !strings.HasSuffix(messages[n], "the connection closing") {
						assert.Contains(t, []string{"", chat}, s, "packet %d: %s", i+1, line)
					}
				}
				assert.NotContains(t, f[4], "malformed")
			}
			t.Log(kinds)
			var tcp int
			for k, n := range kinds {
				if strings.HasSuffix(k, "vxlan:eth:ethertype:ip:tcp") || strings.Contains(k, ":ip:tcp:data") {
					tcp += n
				}
			}
			assert.Greater(t, tcp, 70)
		})
	}
}

// The outer header on the wire is what was asked for, and by default Linux's.
func TestTheOuterHeaderIsWhatWasAskedFor(t *testing.T) {
	for _, row := range []struct {
		name string
		edit func(*ringside.VTEP)
		want string
	}{
		{"by default", func(*ringside.VTEP) {}, "tos 0x0 ttl 64 df false to 4789 sum true"},
		{"all", func(v *ringside.VTEP) {
			v.TTL, v.TOS, v.DF, v.NoUDPChecksum, v.Port = 9, 0xb8, vxlan.DFSet, true, 8472
		}, "tos 0xb8 ttl 9 df true to 8472 sum false"},
		{"as within", func(v *ringside.VTEP) { v.TTLInherit, v.TOSInherit, v.DF = true, true, vxlan.DFInherit }, "tos 0x0 ttl 64 df true to 4789 sum true"},
	} {
		var a, b, wire [][]byte
		edit := func(i int) func(*ringside.Config) {
			return func(c *ringside.Config) {
				row.edit(&c.VTEPs[0])
				if i == 1 {
					c.NICs[0].MirrorOut = "spy"
				}
			}
		}
		spy := ringside.VM{Program: collect(&wire), Bridge: ringside.NoBridge, Port: bridge.PortConfig{Name: "spy"}}
		l := newLab(t, overlay(
			overlayHost(1, append(bare(spaced(&a, longFrame(100, true), longFrame(100, true))), spy), edit(1), 2),
			overlayHost(2, bare(collect(&b)), edit(2), 1),
		))
		require.NoError(t, l.Run(), row.name)
		assert.Len(t, b, 2, row.name)
		var sources []uint16
		for _, f := range wire {
			if f[12] == 8 && f[13] == 0 {
				got := fmt.Sprintf("tos %#x ttl %d df %v to %d sum %v", f[15], f[22], f[20]&0x40 != 0, binary.BigEndian.Uint16(f[36:]), f[40] != 0 || f[41] != 0)
				assert.Equal(t, row.want, got, row.name)
				sources = append(sources, binary.BigEndian.Uint16(f[34:]))
			}
		}
		require.Len(t, sources, 2, row.name)
		assert.Equal(t, sources[0], sources[1], "one flow")
		assert.True(t, sources[0] >= 32768 && sources[0] < 61000)
	}
}

// TCP of guests that know nothing of the tunnel. With TSO, segments of 1500 bytes pass the
// bridge as one long frame, what they are cut into is answered for, and the sender makes
// them smaller: the transfer ends. Without, each segment dies at the bridge, of which
// nobody tells: a connection that is made and carries nothing.
func TestTCPOfGuestsThatKnowNothingOfTheTunnel(t *testing.T) {
	const size = 300_000
	run := func(off virtio.Features) *ringside.LabReport {
		client := stacked(1, 1500, bulkClient("192.0.2.2", size))
		client[0].Virtio.Off = off
		l := newLab(t, overlay(overlayHost(1, client, nil, 2), overlayHost(2, stacked(2, 1500, bulkServer), nil, 1)))
		require.NoError(t, l.RunUntil(5*sim.Second))
		sent := l.Report()
		assert.NotZero(t, sent.Hosts[0].Report.Conservation.Dropped["PKT_TOO_BIG"])
		return sent
	}
	r := run(0)
	a, b := r.Hosts[0].Report, r.Hosts[1].Report
	require.Len(t, b.VMs[0].Results, 3, "the server has the whole")
	assert.EqualValues(t, size, b.VMs[0].Results[0].Value)
	assert.Equal(t, a.VMs[0].Results[0].Text, b.VMs[0].Results[2].Text)
	assert.Equal(t, "tunnel", a.Drops[0].Stage)

	r = run(virtio.FHostTSO4)
	a, b = r.Hosts[0].Report, r.Hosts[1].Report
	assert.Empty(t, b.VMs[0].Results, "the server waits")
	assert.EqualValues(t, 1, b.VMs[0].Stack.TCPAccepts)
	assert.Equal(t, "bridge", a.Drops[0].Stage)
}

// tunnelled is a UDP packet from a host to the VTEP of host 1 with that payload.
func tunnelled(from netip.Addr, tos uint8, payload []byte) []byte {
	f := make([]byte, 14+20+8, 14+20+8+len(payload))
	copy(f, []byte{0x02, 0x4e, 0, 0, 0, 0, 2, 0, 0, 0, 0x55, 1, 0x08, 0, 0x45, tos, 0, 0, 0, 1, 0, 0, 64, 17})
	binary.BigEndian.PutUint16(f[16:], uint16(28+len(payload)))
	copy(f[26:], from.AsSlice())
	copy(f[30:], under(1).AsSlice())
	sum := uint32(0)
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(f[i:]))
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(f[24:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(f[34:], 40000)
	binary.BigEndian.PutUint16(f[36:], vxlan.DefaultPort)
	binary.BigEndian.PutUint16(f[38:], uint16(8+len(payload)))
	return append(f, payload...)
}

// Whatever comes from the wire to a VTEP's port: nothing is lost, what the VTEP lets in
// reaches the bridge, and its table and counters are those of one that was handed the
// payloads by themselves.
func FuzzTunnel(f *testing.F) {
	h := vxlan.NewHeader(42)
	good := append(h[:], frame(7, 1, 1, 2, 3)...)
	other := vxlan.NewHeader(43)
	f.Add(append([]byte{byte(len(good))}, good...))
	f.Add(append(append([]byte{byte(len(good))}, good...), append([]byte{byte(len(good))}, append(other[:], frame(7, 2)...)...)...))
	f.Add([]byte{0, 3, 8, 0, 0})
	f.Add(append([]byte{22}, append(h[:], 2, 0, 0, 0, 9, 7, 2, 0, 0, 0, 9, 1, 0x81, 0)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		var payloads, frames [][]byte
		for len(data) > 0 && len(payloads) < 20 {
			n := min(int(data[0]), len(data)-1)
			payloads, data = append(payloads, data[1:1+n]), data[1+n:]
		}
		w := &line{}
		var got [][]byte
		host := overlayHost(1, bare(collect(&got)), func(c *ringside.Config) { c.Wire, c.Ring, c.RAM = w, 64, 8<<20 }, 2)
		oracle, err := vxlan.New(vxlan.Config{VNI: 42, MAC: vxlan.MAC{2, 0x56}, Remotes: []netip.Addr{under(2)}})
		require.NoError(t, err)
		var s vxlan.Socket
		require.NoError(t, s.Add(oracle))
		for i, p := range payloads {
			from, tos := under(2+i%3), uint8(len(p))
			frames = append(frames, tunnelled(from, tos, p))
			s.Decap(p, len(p), from, tos, 0)
		}
		w.play(sim.Millisecond, frames...)
		m, err := ringside.New(host.Config)
		require.NoError(t, err)
		defer m.Close()
		require.NoError(t, m.RunUntil(50*sim.Millisecond))
		v := m.VTEPs[0]
		require.NoError(t, v.Check())
		in, want := v.Stats(), oracle.Stats()
		in.TxFrames, in.TxBytes, in.TxDropped, in.L2Miss = 0, 0, 0, 0 // what the bridge sends back
		require.Equal(t, want, in)
		table := func(v *vxlan.VTEP) (list []string) {
			for _, e := range v.Entries() {
				list = append(list, fmt.Sprint(e.MAC, e.Remotes))
			}
			return list
		}
		require.Equal(t, table(oracle), table(v))
	})
}

// A packet whose sender cannot be a host is refused by IP, before anything is learned of
// it: else the VTEP would send to a group, or to itself.
func TestNothingIsLearnedFromASenderThatIsNone(t *testing.T) {
	h := vxlan.NewHeader(42)
	for _, from := range []string{"255.255.255.255", "224.0.0.1", "127.0.0.1", "198.51.100.255", "198.51.100.1", "0.0.0.0"} {
		w := (&line{}).play(sim.Millisecond, tunnelled(netip.MustParseAddr(from), 0, append(h[:], frame(7, 1)...)))
		var got [][]byte
		host := overlayHost(1, bare(collect(&got)), func(c *ringside.Config) { c.Wire = w }, 2)
		m, err := ringside.New(host.Config)
		require.NoError(t, err)
		require.NoError(t, m.Run())
		assert.Equal(t, 1, m.VTEPs[0].Len(), "from %s", from)
		assert.Empty(t, got, "from %s", from)
		m.Close()
	}
}

// A remote that is the host itself is refused from the start, and dropped when it is set
// later.
func TestATunnelToItself(t *testing.T) {
	var got [][]byte
	host := overlayHost(1, bare(spaced(&got, frame(7, 1))), func(c *ringside.Config) { c.VTEPs[0].Local = netip.Addr{} }, 1)
	_, err := ringside.New(host.Config)
	require.ErrorContains(t, err, "vxlan0: remote 198.51.100.1 is an address of this very host")
	host.VTEPs[0].Remotes = nil
	m, err := ringside.New(host.Config)
	require.NoError(t, err)
	defer m.Close()
	require.NoError(t, m.Kernel.ChangeVTEP(m.VTEPs[0], func(v *vxlan.VTEP) error {
		return v.Add(vxlan.Entry{Kind: vxlan.Permanent, Remotes: []vxlan.Remote{{Addr: under(1)}}}, 0)
	}))
	require.NoError(t, m.Run())
	assert.Equal(t, map[string]uint64{"VXLAN_VNI_NOT_FOUND": 1}, m.Report().Conservation.Dropped)
}
