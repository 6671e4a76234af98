package differential

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"ringside/bridge"
)

func everything(string) bool { return true }
func nothing(string) bool    { return false }

// A setup is a function of its seed, and of what the sides have.
func TestGenerateIsAFunctionOfItsSeed(t *testing.T) {
	for seed := range uint64(20) {
		a, b := Generate(seed, 300, everything), Generate(seed, 300, everything)
		require.Equal(t, a, b)
		assert.NotEqual(t, a.Steps, Generate(seed+1, 300, everything).Steps)
	}
}

// With all features on offer a few hundred setups use each kind of step, each
// flag of a port, and every class of frame; with none, none.
func TestGenerateReachesEverything(t *testing.T) {
	kinds, used := map[Kind]bool{}, map[string]bool{}
	for seed := range uint64(150) {
		s := Generate(seed, 320, everything)
		for name := range s.features() {
			used[name] = true
		}
		for _, st := range s.Steps {
			kinds[st.Kind] = true
			require.NotEmpty(t, st.String())
			if st.Kind == Frame {
				require.GreaterOrEqual(t, len(st.Bytes), headerLen, "a TAP takes no less")
			}
		}
	}
	for _, k := range []Kind{Frame, Wait, SetBridge, SetPort, AddFDB, DelFDB, FlushFDB, AddVLAN, DelVLAN, SetVLAN, AddMDB, DelMDB, AddNeigh, DelNeigh, Attach, Detach, Up, Down, SetMTU} {
		assert.True(t, kinds[k], "kind %d", k)
	}
	for _, f := range portFlags {
		assert.True(t, used["port "+f.name], f.name)
	}
	for name := range Generate(7, 300, nothing).features() {
		t.Errorf("%s is used, and was not on offer", name)
	}
}

// A broken side is our bridge that is wrong in one way.
type broken struct {
	Ours
	wrong func(*Step, *Outcome)
	state func(*State)
}

func (b *broken) Do(s *Step) (Outcome, error) {
	o, err := b.Ours.Do(s)
	if b.wrong != nil {
		b.wrong(s, &o)
	}
	return o, err
}

func (b *broken) State(which Tables) (State, error) {
	s, err := b.Ours.State(which)
	if b.state != nil {
		b.state(&s)
	}
	return s, err
}

// The judge sees a difference that was planted, whatever it is: a copy that is
// missing, one too many, one with a wrong byte or a missing tag, one in a wrong
// place, a refusal, an entry.
func TestCompareSeesAPlantedDifference(t *testing.T) {
	broadcastOn2 := Step{Kind: Frame, Port: 2, Bytes: Tagged(5, Ethernet(broadcast, station(9), EtherTest, 1, 2, 3, 4))}
	setup := &Setup{Name: "planted", Ports: make([]Settings, 3), Steps: []Step{
		{Kind: Frame, Port: 1, Bytes: Ethernet(broadcast, station(1), EtherTest, 1)},
		broadcastOn2,
		{Kind: AddFDB, Port: 1, MAC: station(7), State: FDBStatic, Flags: Replace},
	}}
	on := func(kind Kind, port int, f func(*Outcome)) func(*Step, *Outcome) {
		return func(s *Step, o *Outcome) {
			if s.Kind == kind && s.Port == port {
				f(o)
			}
		}
	}
	for name, c := range map[string]struct {
		side broken
		step int
	}{
		"a copy is missing":     {broken{Ours: Ours{Unreal: true}, wrong: on(Frame, 2, func(o *Outcome) { o.Copies = o.Copies[1:] })}, 1},
		"a copy too many":       {broken{Ours: Ours{Unreal: true}, wrong: on(Frame, 2, func(o *Outcome) { o.Copies = append(o.Copies, o.Copies[2]) })}, 1},
		"a wrong byte":          {broken{Ours: Ours{Unreal: true}, wrong: on(Frame, 2, func(o *Outcome) { o.Copies[1].Bytes = bytes.Repeat([]byte{1}, 22) })}, 1},
		"the tag is gone":       {broken{Ours: Ours{Unreal: true}, wrong: on(Frame, 2, func(o *Outcome) { o.Copies[0].Bytes = bare(o.Copies[0].Bytes) })}, 1},
		"to the port's stack":   {broken{Ours: Ours{Unreal: true}, wrong: on(Frame, 2, func(o *Outcome) { o.Copies[2].Place = Place{ToPort, 2} })}, 1},
		"refused":               {broken{Ours: Ours{Unreal: true}, wrong: on(AddFDB, 1, func(o *Outcome) { o.Err = errors.New("no") })}, 2},
		"an entry is missing":   {broken{Ours: Ours{Unreal: true}, state: func(s *State) { s.FDB = s.FDB[:min(len(s.FDB), 9)] }}, 1},
		"a port in wrong state": {broken{Ours: Ours{Unreal: true}, state: func(s *State) { s.Ports = []string{"port 1 blocking"} }}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Compare(&Ours{Unreal: true}, &c.side, setup)
			require.NoError(t, err)
			require.NotNil(t, r.Difference)
			assert.Equal(t, c.step, r.Difference.Step)
			assert.Contains(t, r.Difference.String(), "planted")
		})
	}
	r, err := Compare(&Ours{Unreal: true}, &Ours{Unreal: true}, setup)
	require.NoError(t, err)
	assert.Nil(t, r.Difference, "nothing was planted")
	assert.Equal(t, 2, r.Frames)
}

// A difference in a long setup is shown with few steps: the station's first
// frame, and the one that should have found it.
func TestShrinkKeepsWhatIsNeeded(t *testing.T) {
	wrong := func(s *Step, o *Outcome) {
		if s.Kind == Frame && bridge.MAC(s.Bytes[:6]) == station(3) && len(o.Copies) == 1 && o.Copies[0].How == Out {
			o.Copies[0].Port++
		}
	}
	p := Pair{Linux: &Ours{Unreal: true}, Ours: &broken{Ours: Ours{Unreal: true}, wrong: wrong}}
	var out strings.Builder
	sum, err := p.Run(&out, Options{Seed: 1, Configs: 3, Steps: 300, Show: 1})
	require.NoError(t, err)
	require.Positive(t, sum.Differences)
	assert.Contains(t, out.String(), "again: -seed")
	_, small, ok := strings.Cut(out.String(), "the same with fewer steps:\n")
	require.True(t, ok)
	assert.LessOrEqual(t, strings.Count(small, "frame on"), 4, small)
}

// Our bridge agrees with itself over everything random.
func TestOursAgreesWithItself(t *testing.T) {
	p := Pair{Linux: &Ours{Unreal: true}, Ours: &Ours{Unreal: true}}
	for _, o := range bridgeOptions {
		p.Have = append(p.Have, o.name)
	}
	for _, o := range portOptions {
		p.Have = append(p.Have, "port "+o.name)
	}
	p.Have = append(p.Have, actions...)
	sum, err := p.Run(io.Discard, Options{Seed: 1, Configs: 10, Steps: 200})
	require.NoError(t, err)
	assert.Zero(t, sum.Differences)
	assert.Positive(t, sum.Frames)
}

// The archive is what the kernel's format asks for: magic numbers where the last
// file ended, names and data filled up to four bytes, a trailer.
func TestNewcCanBeReadBack(t *testing.T) {
	files := []file{
		{"init", modeFile, []byte("#!")}, {"dev", modeDir, nil}, {"modules/00-a.ko", modeFile, bytes.Repeat([]byte{7}, 4097)},
	}
	var b bytes.Buffer
	require.NoError(t, writeNewc(&b, files))
	rest := b.Bytes()
	field := func(i int) int {
		n, err := strconv.ParseUint(string(rest[6+8*i:14+8*i]), 16, 32)
		require.NoError(t, err)
		return int(n)
	}
	fill := func(n int) int { return (n + 3) &^ 3 }
	var got []file
	for len(rest) > 0 {
		require.Equal(t, "070701", string(rest[:6]))
		size, names := field(6), field(11)
		f := file{name: string(rest[110 : 110+names-1]), mode: uint32(field(1))}
		at := fill(110 + names)
		if size > 0 {
			f.data = rest[at : at+size]
		}
		rest = rest[at+fill(size):]
		got = append(got, f)
	}
	assert.Equal(t, append(files, file{name: "TRAILER!!!"}), got)
}

// What the builders build, another decoder reads, checksums and all.
func TestFramesAreWhatTheyClaim(t *testing.T) {
	group, host := netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("10.0.0.1")
	group6, host6 := netip.MustParseAddr("ff05::1:2"), netip.MustParseAddr("fe80::1")
	assert.Equal(t, bridge.MAC{1, 0, 0x5e, 1, 2, 3}, GroupMAC(group))
	assert.Equal(t, bridge.MAC{0x33, 0x33, 0, 1, 0, 2}, GroupMAC(group6))
	for _, c := range []struct {
		frame []byte
		want  string
	}{
		{Tagged(7, Ethernet(broadcast, station(1), EtherTest)), "Ethernet Dot1Q"},
		{Ethernet(broadcast, station(1), EtherARP, ARP(1, station(1), host, bridge.MAC{}, host)...), "Ethernet ARP"},
		{Ethernet(GroupMAC(group), station(1), EtherIPv4, IPv4(host, group, protoUDP, UDP(1, 2))...), "Ethernet IPv4 UDP Payload"},
		{Ethernet(GroupMAC(group), station(1), EtherIPv4, IPv4(host, group, protoIGMP, IGMP(IGMPv2Report, 0, group))...), "Ethernet IPv4 IGMP"},
		{Ethernet(GroupMAC(group), station(1), EtherIPv4, IPv4(host, group, protoIGMP, IGMPv3(Record{4, group, nil}, Record{1, group, []netip.Addr{host}}))...), "Ethernet IPv4 IGMP"},
		{Ethernet(GroupMAC(group6), station(1), EtherIPv6, MLD(host6, group6, MLDv1Report, 0, group6)...), "Ethernet IPv6 IPv6HopByHop ICMPv6 MLDv1MulticastListenerReport"},
		{Ethernet(GroupMAC(group6), station(1), EtherIPv6, MLDv2(host6, Record{3, group6, []netip.Addr{host6}})...), "Ethernet IPv6 IPv6HopByHop ICMPv6 MLDv2MulticastListenerReport"},
		{Ethernet(station(2), station(1), EtherIPv6, ND(host6, group6, NDSolicit, 0, host6, station(1))...), "Ethernet IPv6 ICMPv6 ICMPv6NeighborSolicitation"},
		{BPDU{Root: [8]byte{0x80}, MaxAge: 20 << 8}.Frame(station(1)), "Ethernet LLC STP"},
	} {
		p := gopacket.NewPacket(c.frame, layers.LayerTypeEthernet, gopacket.Default)
		var names []string
		for _, l := range p.Layers() {
			names = append(names, l.LayerType().String())
		}
		assert.Equal(t, c.want, strings.Join(names, " "), "%x", c.frame)
		if ip, ok := p.NetworkLayer().(*layers.IPv4); ok {
			assert.Zero(t, checksum(ip.Contents, 0), "IPv4 header")
			if ip.Protocol == layers.IPProtocolIGMP {
				assert.Zero(t, checksum(ip.Payload, 0), "IGMP")
			}
		}
		assert.True(t, strings.HasPrefix(Describe(c.frame), station2name(c.frame)), Describe(c.frame))
	}
}

func station2name(f []byte) string {
	return fmt.Sprintf("%v > %v", bridge.MAC(f[6:12]), bridge.MAC(f[:6]))
}

// ICMPv6 checksums over the pseudo header come out even.
func TestICMPv6Checksum(t *testing.T) {
	src, dst := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("ff02::16")
	m := icmpv6(src, dst, []byte{143, 0, 9, 9, 0, 0, 0, 0})
	pseudo := append(append(src.AsSlice(), dst.AsSlice()...), 0, 0, 0, 8, 0, 0, 0, 58)
	assert.Zero(t, checksum(append(pseudo, m...), 0))
}
