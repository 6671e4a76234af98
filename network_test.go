package ringside_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/bridge/neigh"
	"ringside/bridge/snoop"
	"ringside/cost"
	"ringside/kernel"
	"ringside/nic"
	"ringside/sim"
	"ringside/vm"
)

// A line is a wire with a script that keeps what is sent to it.
type line struct {
	frames []nic.WireFrame
	sent   [][]byte
}

func (l *line) Receive(f *nic.WireFrame) bool {
	if len(l.frames) == 0 {
		return false
	}
	*f, l.frames = l.frames[0], l.frames[1:]
	return true
}

func (l *line) Transmit(f *nic.WireFrame) { l.sent = append(l.sent, bytes.Clone(f.Data)) }

// play puts frames on the line, a microsecond apart.
func (l *line) play(at sim.Time, frames ...[]byte) *line {
	for _, f := range frames {
		id := uint64(len(l.frames) + 1)
		l.frames = append(l.frames, nic.WireFrame{ID: id, At: at + sim.Time(id)*sim.Microsecond, Data: f})
	}
	return l
}

// A frame between stations a and b of the test, 0xff is everybody.
func frame(to, from byte, payload ...byte) []byte {
	f := make([]byte, 60)
	copy(f, []byte{2, 0, 0, 0, 9, to, 2, 0, 0, 0, 9, from, 0x88, 0xb5})
	if to == 0xff {
		copy(f, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	}
	copy(f[14:], payload)
	return f
}

// collect is a guest that keeps what it gets.
func collect(into *[][]byte) vm.Program {
	return func(g *vm.Guest) error {
		for {
			f, err := g.Receive()
			if err != nil {
				return err
			}
			*into = append(*into, bytes.Clone(f))
		}
	}
}

// once is a guest that sends frames and keeps what it gets.
func once(into *[][]byte, frames ...[]byte) vm.Program {
	return func(g *vm.Guest) error {
		for _, f := range frames {
			to := g.Task.Memory().Bytes(4096, len(f))
			copy(to, f)
			if err := g.Send(to); err != nil {
				return err
			}
		}
		return collect(into)(g)
	}
}

func TestAFrameCrossesTwoBridgesByAPatch(t *testing.T) {
	var a, b, c [][]byte
	w := (&line{}).play(sim.Millisecond, frame(0xff, 1), frame(7, 1))
	h, err := ringside.New(ringside.Config{
		Wire: w, Bridges: make([]ringside.Bridge, 2), Patches: make([]ringside.Patch, 1),
		VMs: []ringside.VM{
			{Program: collect(&a)},
			{Program: once(&b, frame(1, 7)), Bridge: "br1"},
			{Program: collect(&c), Bridge: ringside.NoBridge},
		},
	})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	want := [][]byte{frame(0xff, 1), frame(7, 1)}
	assert.Equal(t, want, b, "both came over the patch")
	assert.Equal(t, want[:1], a[len(a)-1:])
	assert.Empty(t, c, "a tap on no bridge gets nothing")
	assert.Equal(t, [][]byte{frame(1, 7)}, w.sent)
	rep := h.Report()
	assert.True(t, rep.Conservation.Balanced)
	_, p, ok := h.Kernel.Port("patch0b")
	require.True(t, ok)
	got, ok := h.Bridges[1].Lookup(bridge.MAC{2, 0, 0, 0, 9, 1}, 0, h.Engine.Now())
	require.True(t, ok)
	assert.Equal(t, p, got.Port, "br1 learned the far station on its end of the patch")
}

func TestEveryNICHasItsOwnWire(t *testing.T) {
	w0, w1 := (&line{}).play(0, frame(2, 1)), (&line{}).play(sim.Millisecond, frame(1, 2))
	w1.frames[0].ID = 100
	h, err := ringside.New(ringside.Config{NICs: []ringside.NIC{{Wire: w0}, {Name: "uplink", Wire: w1, Queues: 2, LinkBPS: 1e9}}})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	assert.Equal(t, [][]byte{frame(2, 1)}, w1.sent)
	assert.Equal(t, [][]byte{frame(1, 2)}, w0.sent)
	rep := h.Report()
	assert.EqualValues(t, 2, rep.Conservation.FromWire)
	assert.EqualValues(t, 2, rep.Conservation.ToWire)
	assert.Len(t, rep.CPUs, 3)
	assert.Equal(t, "cpu0", rep.CPUs[0].Name)
}

// What a port with hairpin sends back came over a bridge twice, and goes in no circle
// however many frames there are.
func TestHairpinIsNoStorm(t *testing.T) {
	frames := make([][]byte, 20000)
	for i := range frames {
		frames[i] = frame(0xff, 1)
	}
	h, err := ringside.New(ringside.Config{
		Wire: (&line{}).play(10*sim.Microsecond, frames...), Bridges: make([]ringside.Bridge, 2), VMs: []ringside.VM{{Program: vm.Sink}},
		Patches: []ringside.Patch{{B: ringside.PatchEnd{Port: bridge.PortConfig{Hairpin: true}}}},
	})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	assert.True(t, h.Report().Conservation.Balanced)
}

func TestALoopWithoutASpanningTreeEndsTheRun(t *testing.T) {
	cfg := ringside.Config{
		Wire: (&line{}).play(0, frame(0xff, 1)), Bridges: make([]ringside.Bridge, 2), Patches: make([]ringside.Patch, 2),
		VMs: []ringside.VM{{Program: vm.Sink}},
	}
	h, err := ringside.New(cfg)
	require.NoError(t, err)
	defer h.Close()
	err = h.Run()
	require.True(t, errors.Is(err, kernel.ErrStorm), "%v", err)
	for _, word := range []string{"br0, br1", "patch0a ", "patch1b ", "a second", "turn on stp"} {
		assert.ErrorContains(t, err, word)
	}
	t.Log(err)

	// Up to a time it may rage: its bounds are the queues.
	cfg.Wire = (&line{}).play(0, frame(0xff, 1))
	cfg.Patches = make([]ringside.Patch, 3) // more copies with every round
	h2, err := ringside.New(cfg)
	require.NoError(t, err)
	defer h2.Close()
	require.NoError(t, h2.RunUntil(5*sim.Millisecond))
	rep := h2.Report()
	assert.True(t, rep.Conservation.Balanced)
	assert.NotZero(t, rep.Conservation.Dropped["CPU_BACKLOG"])
}

func TestMirrorsCopyWhatComesInAndWhatGoesOut(t *testing.T) {
	var spied, a [][]byte
	w := (&line{}).play(0, frame(7, 1))
	h, err := ringside.New(ringside.Config{
		NICs: []ringside.NIC{{Wire: w, MirrorIn: "spy", MirrorOut: "spy"}},
		VMs: []ringside.VM{
			{Program: once(&a, frame(1, 7))},
			{Program: collect(&spied), Bridge: ringside.NoBridge, Port: bridge.PortConfig{Name: "spy"}},
		},
	})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	assert.ElementsMatch(t, [][]byte{frame(7, 1), frame(1, 7)}, spied)
	assert.Len(t, a, 1)
	assert.Len(t, w.sent, 1)
}

func TestFramesLongerThanAPortsMTUDie(t *testing.T) {
	long := append(frame(0xff, 1), make([]byte, 1500-46+5)...) // a byte more than 1500, header and tag
	var a, b [][]byte
	w := (&line{}).play(0, long, long[:len(long)-1])
	h, err := ringside.New(ringside.Config{
		Wire: w, VMs: []ringside.VM{{Program: collect(&a), MTU: 1500}, {Program: collect(&b)}},
	})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	assert.Equal(t, [][]byte{long[:len(long)-1]}, a)
	assert.Len(t, b, 2)
	assert.EqualValues(t, 1, h.Report().Conservation.Dropped["PKT_TOO_BIG"])
}

func TestConfigsThatCannotBeAreRefusedWithTheCure(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  ringside.Config
		says string
	}{
		{"two of one name", ringside.Config{NICs: []ringside.NIC{{Name: "x"}, {Name: "x"}}}, `an interface "x": the name is that of an interface already`},
		{"a bridge's name", ringside.Config{NICs: []ringside.NIC{{Name: "br0"}}}, `an interface "br0": the name is that of a bridge already`},
		{"no such bridge", ringside.Config{NICs: []ringside.NIC{{Bridge: "br7"}}}, `eth0: there is no bridge "br7"`},
		{"mirrored to itself", ringside.Config{NICs: []ringside.NIC{{MirrorIn: "eth0"}}}, `eth0: frames cannot be mirrored to "eth0"`},
		{"mirrored to nobody", ringside.Config{NICs: []ringside.NIC{{MirrorIn: "tap9"}}}, `mirrored to "tap9"`},
		{"a tiny MTU", ringside.Config{NICs: []ringside.NIC{{MTU: 20}}}, "eth0: MTU is 20; 68 to 65535 are possible"},
		{"an entry at nobody's port", ringside.Config{Bridges: []ringside.Bridge{{FDB: []ringside.FDBEntry{{Dev: "tap3"}}}}}, `br0: entry 00:00:00:00:00:00: it has no port "tap3"`},
	} {
		_, err := ringside.New(c.cfg)
		assert.ErrorContains(t, err, c.says, c.name)
	}
}

// tag is a frame with a VLAN tag.
func tag(vid byte, f []byte) []byte {
	return bridge.Copy{Tag: 0x81000000 | uint32(vid)}.Apply(nil, f)
}

// access is a port in one VLAN, for stations that know of none.
func access(vid uint16) bridge.PortConfig {
	return bridge.PortConfig{NoPVID: true, VLANs: []bridge.VLAN{{VID: vid, PVID: true, Untagged: true}}}
}

// trunk is a port with tagged frames of VLANs.
func trunk(vids ...uint16) bridge.PortConfig {
	c := bridge.PortConfig{NoPVID: true}
	for _, v := range vids {
		c.VLANs = append(c.VLANs, bridge.VLAN{VID: v})
	}
	return c
}

// Tags come off and go on where frames leave: between a trunk on the wire, access
// ports of guests, a trunk to a guest, a patch, and a mirror.
func TestVLANsOverPatchesAndWires(t *testing.T) {
	var ten, twenty, both, far, spied [][]byte
	w := (&line{}).play(sim.Millisecond, tag(10, frame(0xff, 1)), tag(20, frame(0xff, 2)), tag(30, frame(0xff, 3)), frame(0xff, 4))
	filtering := ringside.Bridge{Config: bridge.Config{VLANFiltering: true}}
	h, err := ringside.New(ringside.Config{
		Bridges: []ringside.Bridge{filtering, filtering},
		NICs:    []ringside.NIC{{Wire: w, Port: trunk(10, 20)}},
		Patches: []ringside.Patch{{A: ringside.PatchEnd{Port: trunk(20), MirrorOut: "spy"}, B: ringside.PatchEnd{Port: trunk(20)}}},
		VMs: []ringside.VM{
			{Program: once(&ten, frame(1, 7)), Port: access(10)},
			{Program: collect(&twenty), Port: access(20)},
			{Program: collect(&both), Port: trunk(10, 20)},
			{Program: once(&far, frame(2, 8)), Port: access(20), Bridge: "br1"},
			{Program: collect(&spied), Bridge: ringside.NoBridge, Port: bridge.PortConfig{Name: "spy"}},
		},
	})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	assert.Equal(t, [][]byte{frame(0xff, 1)}, ten)
	assert.ElementsMatch(t, [][]byte{frame(2, 8), frame(0xff, 2)}, twenty)
	assert.ElementsMatch(t, [][]byte{tag(10, frame(1, 7)), tag(20, frame(2, 8)), tag(10, frame(0xff, 1)), tag(20, frame(0xff, 2))}, both)
	assert.Equal(t, [][]byte{frame(0xff, 2)}, far, "only VLAN 20 goes over the patch")
	assert.ElementsMatch(t, [][]byte{tag(10, frame(1, 7)), tag(20, frame(2, 8))}, w.sent)
	assert.Equal(t, [][]byte{tag(20, frame(0xff, 2))}, spied, "a mirror shows what is on the patch")
	rep := h.Report()
	assert.True(t, rep.Conservation.Balanced)
	assert.EqualValues(t, 2, rep.Conservation.Dropped["RS_VLAN_FILTERED"])
	assert.NotZero(t, rep.Bill.Steps[cost.BrAllowedIngress].Count)
	assert.NotZero(t, rep.Bill.Steps[cost.BrHandleVlan].Count)
}

// The spanning tree opens a loop of two patches: after it has settled, a broadcast
// is everywhere once.
func TestASpanningTreeOpensALoop(t *testing.T) {
	var a, b [][]byte
	w := (&line{}).play(40*sim.Second, frame(0xff, 1))
	tree := ringside.Bridge{Config: bridge.Config{STP: true}}
	h, err := ringside.New(ringside.Config{
		Wire: w, Bridges: []ringside.Bridge{tree, tree}, Patches: make([]ringside.Patch, 2),
		VMs: []ringside.VM{{Program: collect(&a)}, {Program: collect(&b), Bridge: "br1"}},
	})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	seen := func(all [][]byte) (n int) {
		for _, f := range all {
			if bytes.Equal(f, frame(0xff, 1)) {
				n++
			}
		}
		return n
	}
	assert.Equal(t, 1, seen(a))
	assert.Equal(t, 1, seen(b))
	rep := h.Report()
	assert.True(t, rep.Conservation.Balanced)
	states := map[string]int{}
	for _, br := range rep.Bridges {
		for _, p := range br.Ports {
			states[p.State]++
		}
	}
	assert.Equal(t, map[string]int{"": 2, "forwarding": 6, "blocking": 1}, states)
	assert.Greater(t, rep.Conservation.Own, uint64(40), "a hello on every port every two seconds")
	assert.NotZero(t, rep.Bill.Steps[cost.BrSendBpdu].Count)
	assert.NotZero(t, rep.Bill.Steps[cost.BrStpRcv].Count)
	assert.NotEmpty(t, w.sent, "hellos leave by the wire, too")
}

// When a patch is pulled the tree closes the other one, and the network is whole
// again.
func TestASpanningTreeMendsWhatBreaks(t *testing.T) {
	var a, b [][]byte
	w := (&line{}).play(40*sim.Second, frame(0xff, 1, 1)).play(100*sim.Second, frame(0xff, 1, 2))
	tree := ringside.Bridge{Config: bridge.Config{STP: true}}
	h, err := ringside.New(ringside.Config{
		Wire: w, Bridges: []ringside.Bridge{tree, tree}, Patches: make([]ringside.Patch, 2),
		VMs: []ringside.VM{{Program: collect(&a)}, {Program: collect(&b), Bridge: "br1"}},
	})
	require.NoError(t, err)
	defer h.Close()
	pull := h.Engine.NewTimer("pull", sim.HandlerFunc(func(sim.Time) {
		for _, end := range []string{"patch0a", "patch0b"} {
			br, p, ok := h.Kernel.Port(end)
			require.True(t, ok)
			require.NoError(t, h.Kernel.Change(br, func(br *bridge.Bridge) error { return br.SetLink(p, false) }))
		}
	}))
	h.Engine.Arm(pull, 50*sim.Second)
	require.NoError(t, h.Run())
	for _, got := range [][][]byte{a, b} {
		for i := range byte(2) {
			times := 0
			for _, f := range got {
				if bytes.Equal(f, frame(0xff, 1, 1+i)) {
					times++
				}
			}
			assert.Equal(t, 1, times, "broadcast %d", i)
		}
	}
	rep := h.Report()
	assert.Equal(t, "disabled", rep.Bridges[1].Ports[2].State)
	assert.Equal(t, "forwarding", rep.Bridges[1].Ports[3].State)
}

func TestABackupPortTakesOver(t *testing.T) {
	var a, b [][]byte
	w := (&line{}).play(sim.Millisecond, frame(7, 1))
	h, err := ringside.New(ringside.Config{
		Wire: w,
		VMs: []ringside.VM{
			{Program: collect(&a), Known: []bridge.MAC{{2, 0, 0, 0, 9, 7}}, Port: bridge.PortConfig{LinkDown: true, BackupPort: "tap1"}},
			{Program: collect(&b)},
		},
	})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	assert.Empty(t, a)
	assert.Equal(t, [][]byte{frame(7, 1)}, b)
	assert.EqualValues(t, 1, h.Report().Bill.Steps[cost.BackupPort].Count)
}

// arp is a question of station from for the address of another.
func arp(from byte, sender, target netip.Addr) []byte {
	f := frame(0xff, from)
	f[12], f[13] = 0x08, 0x06
	copy(f[14:], []byte{0, 1, 8, 0, 6, 4, 0, 1})
	copy(f[22:], f[6:12])
	copy(f[28:], sender.AsSlice())
	copy(f[32:], make([]byte, 6))
	copy(f[38:], target.AsSlice())
	return f
}

// A bridge answers for a neighbour on a port with neigh_suppress, and its answer is
// a frame of its own: counted, billed, delivered.
func TestABridgeAnswersForANeighbour(t *testing.T) {
	var a, b [][]byte
	asker, asked := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.7")
	w := (&line{}).play(sim.Millisecond, arp(1, asker, asked))
	seven := bridge.MAC{2, 0, 0, 0, 9, 7}
	h, err := ringside.New(ringside.Config{
		Wire:    w,
		Bridges: []ringside.Bridge{{Neigh: []ringside.Neighbour{{Addr: asked, MAC: seven}}}},
		VMs: []ringside.VM{
			{Program: collect(&a), Known: []bridge.MAC{seven}, Port: bridge.PortConfig{NeighSuppress: true}},
			{Program: collect(&b)},
		},
	})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	require.Len(t, w.sent, 1)
	assert.Equal(t, []byte{2, 0, 0, 0, 9, 1, 2, 0, 0, 0, 9, 7, 8, 6}, w.sent[0][:14])
	assert.Empty(t, a, "the port is kept quiet")
	assert.Len(t, b, 1)
	rep := h.Report()
	assert.EqualValues(t, 1, rep.Conservation.Own)
	assert.EqualValues(t, 1, rep.Bill.Steps[cost.BrArpSend].Count)
	assert.EqualValues(t, 1, rep.Bill.Steps[cost.BrDoSuppress].Count)
	assert.True(t, rep.Conservation.Balanced)
}

// A question for an address of the host's own is the host's to answer, and kept from
// ports with neigh_suppress: with neighbours, a table of them, or none.
func TestAQuestionForTheHostIsKeptFromSuppressedPorts(t *testing.T) {
	asker, own := netip.MustParseAddr("192.0.2.1"), netip.MustParsePrefix("192.0.2.7/24")
	for name, br := range map[string]ringside.Bridge{
		"none":       {},
		"neighbours": {Neigh: []ringside.Neighbour{{Addr: netip.MustParseAddr("192.0.2.9"), MAC: bridge.MAC{2, 0, 0, 0, 9, 9}}}},
		"a table":    {Config: bridge.Config{Neighbours: neigh.NewTable()}},
	} {
		t.Run(name, func(t *testing.T) {
			var quiet, other [][]byte
			br.Host.Addresses = []netip.Prefix{own}
			w := (&line{}).play(sim.Millisecond, arp(1, asker, own.Addr()))
			h, err := ringside.New(ringside.Config{Wire: w, Bridges: []ringside.Bridge{br}, VMs: []ringside.VM{
				{Program: collect(&quiet), Port: bridge.PortConfig{NeighSuppress: true}}, {Program: collect(&other)},
			}})
			require.NoError(t, err)
			defer h.Close()
			require.NoError(t, h.Run())
			assert.Empty(t, quiet)
			assert.Len(t, other, 1)
			assert.Len(t, w.sent, 1, "the host's answer")
		})
	}
}

// A group goes to those that want it, to one of them under its own address if the
// port says so; the querier's questions are the bridge's own frames.
func TestGroupsGoToThoseThatWantThem(t *testing.T) {
	var a, b, c [][]byte
	group := netip.MustParseAddr("239.1.2.3")
	data := frame(0, 1)
	copy(data, []byte{0x01, 0x00, 0x5e, 1, 2, 3})
	data[12], data[13] = 0x08, 0x00
	copy(data[14:], []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 1, 17, 0x06, 0xcc, 192, 0, 2, 1, 239, 1, 2, 3})
	br := ringside.Bridge{
		Config: bridge.Config{},
		MDB: []ringside.MDBEntry{
			{Dev: "tap0", Static: snoop.Static{Group: snoop.Group{IP: group}, Permanent: true}},
		},
	}
	br.Multicast.Querier = true
	w := (&line{}).play(40*sim.Second, data)
	h, err := ringside.New(ringside.Config{
		Wire: w, Bridges: []ringside.Bridge{br},
		VMs: []ringside.VM{{Program: collect(&a)}, {Program: collect(&b)}, {Program: collect(&c)}},
	})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Run())
	has := func(all [][]byte) (n int) {
		for _, f := range all {
			if bytes.Equal(f, data) {
				n++
			}
		}
		return n
	}
	assert.Equal(t, []int{1, 0, 0}, []int{has(a), has(b), has(c)})
	assert.NotEmpty(t, b, "everybody is asked")
	rep := h.Report()
	assert.EqualValues(t, len(b)+len(w.sent)+len(a)-1+len(c)+int(rep.Conservation.ToHost), rep.Conservation.Own, "queries, one a port and one up")
	assert.NotZero(t, rep.Bill.Steps[cost.BrSendQuery].Count)
	assert.NotZero(t, rep.Bill.Steps[cost.BrMulticastFlood].Count)
	assert.True(t, rep.Conservation.Balanced)
}

func frameAt(id int, at sim.Time, data []byte) nic.WireFrame {
	return nic.WireFrame{ID: uint64(id + 1), At: at, Data: data}
}
