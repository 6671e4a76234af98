package bridge_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ringside/bridge"
	"ringside/bridge/neigh"
	"ringside/bridge/reference"
	"ringside/bridge/snoop"
	"ringside/bridge/stp"
	"ringside/sim"
)

var (
	steps = flag.Int("steps", 0, "`how many` steps TestReference makes; 0 is as many as fit into 5 s")
	seed  = flag.Uint64("seed", 26, "what TestReference's steps are chosen by")
)

// A script is a configuration and what is done with it, as bytes: configLen bytes of
// configuration, and stepLen for each step. Every string of bytes is a script, and
// one from which steps were cut is one too.
const (
	configLen = 48
	stepLen   = 16
)

// A pair is a bridge and the reference, to which the same is done.
type pair struct {
	b   *bridge.Bridge
	r   *reference.Bridge
	cfg bridge.Config
	now sim.Time
	log *strings.Builder // what is done, if not nil

	named int // ports so far
}

func (p *pair) say(format string, args ...any) {
	if p.log != nil {
		fmt.Fprintf(p.log, format+"\n", args...)
	}
}

// play runs a script and returns where the two part, or "".
func play(script []byte, log *strings.Builder) string {
	config := make([]byte, configLen)
	script = script[copy(config, script):]
	p := &pair{log: log}
	if err := p.open(config); err != "" {
		return err
	}
	for i := 0; len(script) > 0; i++ {
		step := make([]byte, stepLen)
		script = script[copy(step, script):]
		diff := p.step(step)
		p.inform()
		if diff == "" && (i%16 == 15 || len(script) == 0) {
			diff = p.compare()
		}
		if diff != "" {
			return fmt.Sprintf("step %d: %s", i, diff)
		}
	}
	return ""
}

// fields is the fields of a struct that are not zero.
func fields(s any) string {
	var b strings.Builder
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() {
			fmt.Fprintf(&b, " %s:%v", v.Type().Field(i).Name, f)
		}
	}
	return b.String()
}

// open makes both bridges.
func (p *pair) open(c []byte) string {
	p.cfg = configOf(c)
	p.say("bridge%s", fields(p.cfg))
	var err error
	if p.b, err = bridge.New(p.cfg); err != nil {
		return err.Error()
	}
	p.r = reference.New(p.cfg)
	if p.cfg.Neighbours != nil {
		p.r.SetHost(knownHost)
	}
	for i := range 4 {
		if diff := p.addPort(portOf(c[16+8*i:], byte(i+1))); diff != "" {
			return diff
		}
	}
	p.inform()
	return ""
}

// inform tells the reference what the spanning tree decided.
func (p *pair) inform() {
	for _, n := range p.b.Ports() {
		p.r.SetState(n, p.b.State(n))
	}
	var hold sim.Time
	if tree := p.b.STP(p.now); tree.TopologyChange {
		hold = tree.ForwardDelay
	}
	p.r.SetHold(hold)
}

// bit is one bit of c.
func bit(c byte, n int) bool { return c>>n&1 != 0 }

func configOf(c []byte) bridge.Config {
	cfg := bridge.Config{
		Name: "br0", Seed: uint64(c[0]), MAC: bridgeMAC,
		Ageing:           []sim.Time{0, 100 * sim.Millisecond, 100 * sim.Millisecond, sim.Second, sim.Never, bridge.Hub, 20 * sim.Second, 0}[c[1]%8],
		MaxLearned:       []int{0, 0, 6, 12}[c[2]%4],
		GroupFwdMask:     []uint16{0, 0, 1<<14 | 1<<3, 0xfff8}[c[2]>>2%4],
		Promisc:          c[3]%4 == 3,
		NoLinkLocalLearn: bit(c[3], 7),
		VLANFiltering:    bit(c[4], 0),
		VLANProtocol:     []uint16{0, 0x8100, 0x88a8, 0}[c[4]>>1%4],
		DefaultPVID:      []uint16{0, 0, bridge.NoPVID, 2}[c[4]>>3%4],
		NoSnooping:       c[5]%4 == 3,
	}
	if bit(c[5], 7) {
		cfg.MAC = portMAC(1)
	}
	cfg.Multicast = snoop.Config{
		Querier:     bit(c[6], 0),
		IGMPVersion: []int{2, 2, 2, 3}[c[7]>>3%4],
		MLDVersion:  []int{1, 1, 1, 2}[c[7]>>5%4],
		Router:      snoop.Router(c[6] >> 3 % 4 % 3),
	}
	if bit(c[7], 0) {
		cfg.Neighbours = neighbours()
	}
	cfg.STP = c[7]>>1%4 == 3
	if bit(c[6], 5) {
		cfg.Addrs.LinkLocal = ip("fe80::1")
	}
	if cfg.VLANFiltering {
		cfg.VLANs = vlansOf(c[8:12])
	}
	return cfg
}

// knownHost is what the host knows of its neighbours.
var knownHost = reference.Host{
	Own:        map[netip.Addr]bool{ip4(1): true, ip6(1): true},
	Neighbours: map[netip.Addr]bridge.MAC{ip4(2): host(2), ip4(3): host(3), ip6(2): host(2), ip6(4): host(4)},
}

func neighbours() *neigh.Table {
	t := neigh.NewTable()
	for a := range knownHost.Own {
		t.AddLocal(neigh.Bridge, a)
	}
	for a, mac := range knownHost.Neighbours {
		t.Set(neigh.Bridge, a, neigh.Neighbour{MAC: mac, State: neigh.Reachable})
	}
	return t
}

// vlansOf is up to four VLANs.
func vlansOf(c []byte) (list []bridge.VLAN) {
	for _, v := range c {
		if v != 0 && v%4 != 3 {
			list = append(list, vlanOf(v))
		}
	}
	return list
}

func vlanOf(c byte) bridge.VLAN {
	v := bridge.VLAN{VID: 1 + uint16(c%4), PVID: bit(c, 3), Untagged: bit(c, 4)}
	if c>>5 == 7 && !v.PVID {
		v.End = v.VID + 2
	}
	return v
}

func portOf(c []byte, n byte) bridge.PortConfig {
	var cfg bridge.PortConfig
	if bit(c[0], 0) {
		cfg.MAC = portMAC(n % 3)
	}
	cfg.NoLearning = c[1]%8 == 7
	cfg.NoFlood = c[1]>>3%8 == 7
	cfg.NoMcastFlood = c[2]%8 == 7
	cfg.NoBcastFlood = c[2]>>3%8 == 7
	cfg.Hairpin = c[3]%4 == 3
	cfg.Isolated = c[3]>>2%2 == 1
	cfg.Locked = c[4]%4 == 3
	cfg.MAB = c[4]%8 == 7
	cfg.McastToUnicast = c[5]%4 == 3
	cfg.FastLeave = c[5]>>2%4 == 3
	cfg.McastRouter = snoop.Router(c[5] >> 4 % 4 % 3)
	cfg.NeighSuppress = c[6]%4 == 3
	cfg.NeighVLANSuppress = c[6]>>2%8 == 7
	cfg.NoPVID = c[6]>>5%8 == 7
	cfg.GroupFwdMask = []uint16{0, 0, 0, 0, 0, 0, 1<<14 | 1<<3, 0xfffd}[c[1]>>5]
	cfg.VLANs = vlansOf(c[7:8])
	return cfg
}

// addPort adds a port to both.
func (p *pair) addPort(cfg bridge.PortConfig) string {
	p.plain(&cfg)
	p.named++
	cfg.Name = fmt.Sprint("swp", p.named)
	got, err := p.b.AddPort(cfg)
	if err != nil {
		return err.Error()
	}
	want := p.r.AddPort(cfg)
	p.say("port %d%s", want, fields(cfg))
	if got != want {
		return fmt.Sprintf("port %d, want %d", got, want)
	}
	return ""
}

// modern has reports of old versions be new ones where sources are looked at: what
// becomes of the former the reference does not know. In Linux such a member gets no
// source that another has named before.
func (p *pair) modern(c []byte) []byte {
	switch kind := c[6] % 32; {
	case p.cfg.Multicast.IGMPVersion == 3 && (kind == 4 || kind == 16):
		c[6] = 7
	case p.cfg.Multicast.MLDVersion == 2 && (kind == 9 || kind == 17):
		c[6] = 12
	}
	return c
}

// plain takes from a port what the reference does not know of it: mcast_to_unicast and
// fastleave, which follows single hosts, where sources are looked at.
func (p *pair) plain(cfg *bridge.PortConfig) {
	if p.sources() {
		cfg.McastToUnicast, cfg.FastLeave = false, false
	}
}

// sources says that sources are looked at. A port that is disabled when a source is
// named gets nothing from it in Linux when it comes back, which the reference does not
// know: ports are not disabled then.
func (p *pair) sources() bool {
	return p.cfg.Multicast.IGMPVersion == 3 || p.cfg.Multicast.MLDVersion == 2
}

// pool is addresses that meet each other.
var pool = func() []bridge.MAC {
	macs := []bridge.MAC{
		broadcast, bridgeMAC, portMAC(0), portMAC(1), portMAC(2), {},
		linkLocal(0), linkLocal(1), linkLocal(2), linkLocal(3), linkLocal(0x0e), linkLocal(0x10),
		groupMAC(ip("239.1.1.1")), groupMAC(ip("ff0e::1")), {3, 0, 0, 0, 0, 1},
	}
	for n := range byte(9) {
		macs = append(macs, host(n))
	}
	return macs
}()

// addressOf is mostly a station.
func addressOf(c byte) bridge.MAC {
	if c < 160 {
		return host(c % 8)
	}
	return pool[int(c)%len(pool)]
}

var (
	groups4 = []string{"239.1.1.1", "239.1.1.2", "224.0.0.5", "232.1.1.1"}
	groups6 = []string{"ff0e::1", "ff0e::2", "ff02::1", "ff3e::1"}
)

// frameOf is a frame.
func frameOf(c []byte) []byte {
	dst, src, n := addressOf(c[2]), addressOf(c[3]), c[3]%8
	g4, g6 := groups4[c[7]%4], groups6[c[7]%4]
	f := data(dst, src)
	switch c[6] % 32 {
	case 0, 1:
		f = udp4(n, g4)
	case 2, 3:
		f = udp6(n, g6)
	case 4:
		f = igmpJoin(n, g4)
	case 5:
		f = igmpLeave(n, g4)
	case 6:
		f = igmpQuery(n, c[8]%101, []string{"0.0.0.0", "0.0.0.0", g4, g4}[c[9]%4])
	case 7, 8:
		f = igmp3(n, 1+c[8]%6, g4, sourcesOf(c[9], ip4)...)
	case 9:
		f = mldJoin(n, g6)
	case 10:
		f = mldDone(n, g6)
	case 11:
		f = mldQuery(n, c[8]%5, []string{"::", "::", g6, g6}[c[9]%4])
	case 12, 13:
		f = mld2(n, 1+c[8]%6, g6, sourcesOf(c[9], ip6)...)
	case 14:
		f = arp(dst, src, 1+c[8]%2, ip4(c[8]>>1%4), ip4(c[8]>>3%4))
	case 15:
		f = nd(dst, src, 135+c[8]%2, c[8]>>1%2*0x40, ip6(n), ip6(c[8]>>2%8), ip6(c[8]>>5))
	case 16: // one byte is wrong
		f = igmpJoin(n, g4)
		f[14+int(c[8])%(len(f)-14)] ^= 1 << (c[9] % 8)
	case 17:
		f = mldJoin(n, g6)
		f[14+int(c[8])%(len(f)-14)] ^= 1 << (c[9] % 8)
	case 18:
		f = ethernet(groupMAC(ip("224.0.0.13")), src, 0x0800, packet4(ip4(n), ip("224.0.0.13"), 103, []byte{0x20, 0, 0xdf, 0xff})...)
	}
	for _, t := range c[4:6] {
		if t%4 < 2 { // none
			continue
		}
		f = tagged([]uint16{0x8100, 0x88a8}[t>>7], uint16(t>>2%6)+uint16(t>>5%4)<<13, f)
	}
	if c[10] == 0 {
		f = f[:min(len(f), int(c[11])%24)]
	}
	return f
}

// sourcesOf is up to three sources.
func sourcesOf[A any](c byte, of func(byte) A) (list []A) {
	for i := range 3 {
		if bit(c, i) {
			list = append(list, of(byte(i+1)))
		}
	}
	return list
}

// step does one thing to both.
func (p *pair) step(c []byte) string {
	n := bridge.Port(c[1] % 6)
	_, known := p.ports()[n]
	switch op := c[0]; {
	case op < 176:
		return p.frame(bridge.Port(c[1]%7)-bridge.Port(c[12]/255), frameOf(p.modern(c)))
	case op < 200:
		unit := []sim.Time{sim.Millisecond, 10 * sim.Millisecond, 100 * sim.Millisecond, sim.Second, 10 * sim.Second}[c[2]%5]
		return p.until(p.now + sim.Time(c[1])*unit)
	case op < 208:
		e := bridge.Entry{
			MAC: addressOf(c[2]), VLAN: uint16(c[4] % 5), Port: n, Kind: bridge.Kind(c[3] % 3), Sticky: bit(c[3], 2),
			Locked: c[3]>>5 == 7,
		}
		if e.ExternLearned = c[3]>>3%4 == 3; e.ExternLearned {
			e.Kind, e.Sticky = bridge.Dynamic, false
		}
		return p.add(e)
	case op < 212:
		mac, vid := addressOf(c[2]), uint16(c[3]%5)
		p.say("delete %v %d", mac, vid)
		if got, want := p.b.Delete(mac, vid), p.r.Delete(mac, vid); got != want {
			return fmt.Sprintf("deleting %v of VLAN %d: %v, want %v", mac, vid, got, want)
		}
	case op < 216:
		if len(p.ports()) < 7 {
			return p.addPort(portOf(c[2:], c[2]))
		}
	case op < 219:
		if known && n != bridge.Local {
			p.say("remove port %d", n)
			p.r.RemovePort(n)
			if err := p.b.RemovePort(n); err != nil {
				return err.Error()
			}
		}
	case op < 226:
		if known && n != bridge.Local {
			return p.setPort(n, c[2:])
		}
	case op < 232:
		if up := bit(c[2], 0); known && n != bridge.Local && !p.sources() {
			p.say("link of %d %v", n, up)
			p.r.SetLink(n, up)
			p.b.SetLink(n, up)
		}
	case op < 236:
		if s := stp.State(c[2] % 5); known && n != bridge.Local && !p.sources() {
			p.say("state of %d %v", n, s)
			p.b.SetState(n, s) // what comes of it is read from State
		}
	case op < 242:
		if v := vlanOf(c[2]); known {
			p.say("vlan add%s on %d", fields(v), n)
			p.r.AddVLAN(n, v)
			if err := p.b.AddVLAN(n, v); err != nil {
				return err.Error()
			}
		}
	case op < 248:
		if v := vlanOf(c[2]); known {
			p.say("vlan delete%s on %d", fields(v), n)
			p.r.DeleteVLAN(n, v)
			p.b.DeleteVLAN(n, v)
		}
	case op < 251:
		f := bridge.Filter{Port: n % 4, Self: c[2]%8 == 7, VLAN: uint16(c[3] % 4)}
		for i, is := range []*bridge.Is{&f.Permanent, &f.Static, &f.Sticky, &f.Extern, &f.ByUser} {
			if bit(c[4], i) {
				*is = []bridge.Is{bridge.Yes, bridge.No}[c[5]>>i&1]
			}
		}
		p.say("flush%s", fields(f))
		if got, want := p.b.Flush(f), p.r.Flush(f); got != want {
			return fmt.Sprintf("flushed %d entries, want %d", got, want)
		}
	case op < 253:
		return p.group(n, c)
	case op == 255:
		return p.configure(configOf(c))
	case op < 255:
		if s := stp.State(c[2] % 5); known && n != bridge.Local && p.has(n, uint16(c[3]%5)) {
			p.say("state of VLAN %d on %d %v", c[3]%5, n, s)
			p.r.SetVLANState(n, uint16(c[3]%5), s)
			if err := p.b.SetVLANState(n, uint16(c[3]%5), s); err != nil {
				return err.Error()
			}
		}
	}
	return ""
}

// configure changes what can change at any time.
func (p *pair) configure(cfg bridge.Config) string {
	c := p.b.Config()
	c.MaxLearned, c.GroupFwdMask, c.Promisc = cfg.MaxLearned, cfg.GroupFwdMask, cfg.Promisc
	c.NoLinkLocalLearn, c.VLANFiltering, c.VLANProtocol = cfg.NoLinkLocalLearn, cfg.VLANFiltering, cfg.VLANProtocol
	p.say("configure MaxLearned:%d GroupFwdMask:%x Promisc:%v NoLinkLocalLearn:%v VLANFiltering:%v VLANProtocol:%x",
		c.MaxLearned, c.GroupFwdMask, c.Promisc, c.NoLinkLocalLearn, c.VLANFiltering, c.VLANProtocol)
	p.r.SetConfig(c)
	if err := p.b.SetConfig(c); err != nil {
		return err.Error()
	}
	return ""
}

// has says that a port is in a VLAN.
func (p *pair) has(n bridge.Port, vid uint16) bool {
	return slices.ContainsFunc(p.b.VLANs(n), func(v bridge.VLANState) bool { return v.VID == vid })
}

// group enters a group by hand, or takes one out.
func (p *pair) group(n bridge.Port, c []byte) string {
	e := snoop.Static{Port: snoop.Port(n), VID: uint16(c[4] % 4), Permanent: bit(c[3], 0)}
	switch c[3] >> 1 % 4 {
	case 0:
		e.Group.MAC = snoop.MAC(pool[12+c[2]%4])
	case 1:
		e.Group.IP = ip(groups6[c[2]%4])
	default:
		e.Group.IP = ip(groups4[c[2]%4])
	}
	if c[3]>>3%4 == 3 {
		p.say("mdb del%s", fields(e))
		err := p.b.DeleteMDB(n, e.Group, netip.Addr{}, e.VID)
		if want := p.r.DeleteMDB(n, e.Group, e.VID); (err == nil) != want {
			return fmt.Sprintf("mdb del%s: %v, want %v", fields(e), err, want)
		}
		return ""
	}
	p.say("mdb add%s", fields(e))
	err := p.b.AddMDB(e)
	if want := p.r.AddMDB(e); (err == nil) != want {
		return fmt.Sprintf("mdb add%s: %v, want %v", fields(e), err, want)
	}
	return ""
}

// mdb is the bridge's groups in the reference's words.
func (p *pair) mdb() (lines []string) {
	for _, e := range p.b.MDB(p.now) {
		if e.Source.IsValid() {
			continue
		}
		include, sources := false, map[netip.Addr]sim.Time{}
		if e.Filtered {
			include = e.Include
			for _, s := range e.Sources {
				sources[s.Addr] = s.Timer
			}
		}
		lines = append(lines, reference.MDBLine(bridge.Port(e.Port), e.Group, e.VID, e.Permanent, e.Timer, include, sources))
	}
	slices.Sort(lines)
	return lines
}

// setPort changes a port of both, if the bridge takes it.
func (p *pair) setPort(n bridge.Port, c []byte) string {
	old := p.b.PortConfig(n)
	cfg := portOf(c, 0)
	p.plain(&cfg)
	cfg.McastToUnicast = old.McastToUnicast // what is there keeps the way it came
	cfg.Name, cfg.MAC, cfg.VLANs, cfg.NoPVID = old.Name, old.MAC, nil, old.NoPVID
	cfg.LinkDown = old.LinkDown
	if q := bridge.Port(c[7] % 8); p.ports()[q] && q != bridge.Local && q != n {
		cfg.BackupPort = p.b.PortConfig(q).Name
	}
	p.say("set port %d%s", n, fields(cfg))
	err := p.b.SetPort(n, cfg)
	if want := p.r.SetPort(n, cfg); (err == nil) != want {
		return fmt.Sprintf("setting port %d to %+v: %v, want %v", n, cfg, err, want)
	}
	return ""
}

func (p *pair) ports() map[bridge.Port]bool {
	m := map[bridge.Port]bool{bridge.Local: true}
	for _, n := range p.b.Ports() {
		m[n] = true
	}
	return m
}

// until has time go on to a moment. Whatever is due on the way is done in its order.
func (p *pair) until(end sim.Time) string {
	for p.now < end {
		p.now = min(max(p.b.Due(), p.now+sim.Millisecond), end)
		p.say("tick %v", p.now)
		got := p.b.Tick(p.now).Aged
		p.inform() // of one moment the tree's timers are first
		if want := p.r.Tick(p.now); got != want {
			return fmt.Sprintf("tick at %v: %d entries aged, want %d", p.now, got, want)
		}
	}
	return ""
}

// add enters an entry into both, if the bridge takes it.
func (p *pair) add(e bridge.Entry) string {
	p.say("add%s", fields(e))
	err := p.b.Add(e)
	if want := p.r.Add(e); (err == nil) != want {
		return fmt.Sprintf("adding %+v: %v, want %v", e, err, want)
	}
	return ""
}

// frame has a frame come in.
func (p *pair) frame(in bridge.Port, f []byte) string {
	p.say("frame on %d at %v: %x", in, p.now, f)
	before := bytes.Clone(f)
	got := p.b.Handle(in, f, p.now)
	if !bytes.Equal(f, before) {
		return fmt.Sprintf("the frame %x was written: %x", before, f)
	}
	want := p.r.Handle(in, f, p.now)
	if a, b := answer(got, f), answerOf(want); a != b {
		return fmt.Sprintf("frame %x on port %d at %v:\n got %s\nwant %s", f, in, p.now, a, b)
	}
	return ""
}

// answer is a verdict in words, with the bytes that leave.
func answer(v bridge.Verdict, f []byte) string {
	w := reference.Answer{Action: v.Action, Reason: v.Reason, Learned: v.Work.Learned()}
	for _, c := range v.Out {
		w.Out = append(w.Out, reference.Egress{Port: c.Port, Frame: c.Apply(nil, f)})
	}
	return answerOf(w)
}

func answerOf(a reference.Answer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v, source %v", a.Action, a.Reason, a.Learned)
	slices.SortFunc(a.Out, func(x, y reference.Egress) int {
		return cmp.Or(cmp.Compare(x.Port, y.Port), bytes.Compare(x.Frame, y.Frame))
	})
	for _, e := range a.Out {
		fmt.Fprintf(&b, "\n     to %d %x", e.Port, e.Frame)
	}
	return b.String()
}

// compare compares what both know.
func (p *pair) compare() string {
	if err := p.b.Check(); err != nil {
		return err.Error()
	}
	got, want := ages(p.b.Entries(p.now)), ages(p.r.Entries())
	if !slices.Equal(got, want) {
		return fmt.Sprintf("the database differs:\n%s", diff(got, want))
	}
	for n := range p.ports() {
		got, want := p.b.VLANs(n), p.r.VLANs(n)
		for i := range got {
			got[i].Stats = bridge.VLANStats{}
		}
		if !slices.Equal(got, want) {
			return fmt.Sprintf("VLANs of port %d differ:\n%s", n, diff(got, want))
		}
	}
	if got, want := p.mdb(), p.r.MDB(); !slices.Equal(got, want) {
		return fmt.Sprintf("the multicast database differs:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if got, want := p.b.Learned(), p.r.Learned(); got != want {
		return fmt.Sprintf("%d learned, want %d", got, want)
	}
	return ""
}

// ages is the entries without the age of those that do not age.
func ages(list []bridge.Entry) []bridge.Entry {
	for i := range list {
		if list[i].Kind != bridge.Dynamic {
			list[i].Updated = 0
		}
	}
	return list
}

// diff is the lines of two lists that are not in both.
func diff[E comparable](got, want []E) string {
	var b strings.Builder
	for _, e := range got {
		if !slices.Contains(want, e) {
			fmt.Fprintf(&b, " got%s\n", fields(e))
		}
	}
	for _, e := range want {
		if !slices.Contains(got, e) {
			fmt.Fprintf(&b, "want%s\n", fields(e))
		}
	}
	return b.String()
}

// cut takes steps out of a script that fails, and zeroes bytes, as long as it fails.
func cut(script []byte) []byte {
	for size := (len(script) - configLen) / stepLen; size > 0; size /= 2 {
		for at := configLen; at+size*stepLen <= len(script); {
			shorter := slices.Delete(slices.Clone(script), at, at+size*stepLen)
			if play(shorter, nil) != "" {
				script = shorter
			} else {
				at += size * stepLen
			}
		}
	}
	for i := range script {
		zeroed := slices.Clone(script)
		zeroed[i] = 0
		if script[i] != 0 && play(zeroed, nil) != "" {
			script = zeroed
		}
	}
	return script
}

// report fails with the steps that lead to a difference.
func report(t *testing.T, script []byte) {
	t.Helper()
	var log strings.Builder
	script = cut(script)
	diff := play(script, &log)
	t.Fatalf("%s\n%s\nscript %q", log.String(), diff, script)
}

// The bridge decides as the reference does, frame for frame. The flag -steps makes it
// run longer: go test ./bridge -run TestReference -steps 5000000.
func TestReference(t *testing.T) {
	const length = 500
	start := time.Now()
	r := rand.New(rand.NewPCG(20, *seed))
	done := 0
	span := 5 * time.Second
	if testing.Short() {
		span = time.Second
	}
	for (*steps == 0 && time.Since(start) < span) || done < *steps {
		script := make([]byte, configLen+length*stepLen)
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		if play(script, nil) != "" {
			report(t, script)
		}
		done += length
	}
	t.Logf("%d steps", done)
}

func FuzzReference(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 8 {
		script := make([]byte, configLen+20*stepLen)
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if play(script, nil) != "" {
			report(t, script)
		}
	})
}
