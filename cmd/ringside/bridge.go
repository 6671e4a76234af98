package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ringside"
	"ringside/bridge"
	"ringside/internal/iproute"
	"ringside/internal/report"
	"ringside/internal/spell"
	"ringside/nic"
)

// A look is what the verbs of bridge have in common: a replay, and what to show of
// its bridges.
type look struct {
	options
	show iproute.Options
	br   string
	time bool // monitor
}

// flags adds those of bridge(8), and then those of a replay.
func (l *look) flags(fs *pflag.FlagSet, stats bool) {
	fs.SortFlags = false
	fs.StringVar(&l.br, "br", "", "only this bridge")
	fs.StringVar(&l.show.Dev, "dev", "", "only this interface")
	if stats {
		fs.BoolVarP(&l.show.Details, "details", "d", false, "show more, as bridge -d does")
		fs.BoolVarP(&l.show.Stats, "statistics", "s", false, "show counters and timers, as bridge -s does")
	}
	fs.BoolVarP(&l.json, "json", "j", false, "print JSON with the names that bridge -j has")
	l.machine(fs)
}

// vlan adds a filter by VLAN under the name that bridge(8) has for it there.
func (l *look) vlan(fs *pflag.FlagSet, name string) {
	flag(fs, name, "VID", "", "only this VLAN", func(s string) error {
		var n uint16
		if _, err := fmt.Sscanf(s+" ", "%d ", &n); err != nil || fmt.Sprint(n) != s || n < 1 || n > 4094 {
			return fmt.Errorf("give a VLAN from 1 to 4094, as in --%s 10", name)
		}
		l.show.VLAN = n
		return nil
	})
}

func bridgeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bridge OBJECT CAPTURE…",
		Short: "Show a bridge's tables after a capture, or as they change",
		Long: `Bridge plays captures into the machine as replay does and shows what its bridges
know when the run ends, in the words of bridge(8): the forwarding database, VLANs,
multicast groups, ports. The run ends when all is at rest, or with --until. Monitor
shows every change, in order, as bridge monitor does.

--config gives the machine: bridges, ports with their flags, VLANs, entries.`,
		Example: `  ringside bridge fdb show testdata/mix.pcap
  ringside bridge vlan show testdata/vlan.pcap --config testdata/labs/trunk.yaml
  ringside bridge monitor testdata/ping.pcap`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return unknownObject(c, args[0])
		},
	}
	c.AddCommand(fdbCommand(), vlanCommand(), mdbCommand(), linkCommand(), flapCommand(), monitorCommand())
	return c
}

func unknownObject(c *cobra.Command, name string) error {
	var objects []string
	for _, o := range c.Commands() {
		objects = append(objects, o.Name())
	}
	if near := spell.Nearest(name, objects); near != "" {
		return usagef("bridge has no object %s; did you mean %q?", clip(name), near)
	}
	return usagef("bridge has no object %s; the objects are %s", clip(name), strings.Join(objects, ", "))
}

// object makes the command that shows one of the tables. Show is what it prints of
// the bridges.
func (l *look) object(name, short, example string, show func(w io.Writer, list []*iproute.Bridge) error) *cobra.Command {
	c := &cobra.Command{
		Use: name + " [show] CAPTURE… [flags]", Short: short, Example: example,
		Long: fmt.Sprintf("%s, as bridge %s show prints it,\nwhen the capture has been played.", short, name),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 && (args[0] == "show" || args[0] == "list") {
				args = args[1:]
			}
			if err := l.begin("bridge "+name+" show", args); err != nil {
				return err
			}
			return l.play(c, func(h *ringside.Host) error {
				list, err := l.bridges(h)
				if err != nil {
					return err
				}
				return show(c.OutOrStdout(), list)
			})
		},
	}
	l.flags(c.Flags(), true)
	return c
}

// begin checks the arguments.
func (l *look) begin(verb string, args []string) error {
	if l.replay.Files = args; len(args) == 0 {
		return usagef("%s: name a capture to play, as in ringside %s testdata/mix.pcap, or - for standard input", verb, verb)
	}
	return l.ready()
}

// play plays the captures and has then look at the machine.
func (l *look) play(c *cobra.Command, then func(*ringside.Host) error) error {
	in, err := openInput(c, &l.options)
	if err != nil {
		return err
	}
	defer in.close()
	progress := newProgress(c.ErrOrStderr(), false)
	l.replay.Progress = progress.frames
	_, err = l.replay.Run(l.cfg, then)
	progress.end()
	return advised(err)
}

// bridges are those of the machine that were asked for, as they are now.
func (l *look) bridges(h *ringside.Host) (list []*iproute.Bridge, err error) {
	links := l.interfaces(h)
	if err := l.known(h, links); err != nil {
		return nil, err
	}
	for _, b := range h.Bridges {
		if l.br != "" && l.br != b.Config().Name {
			continue
		}
		shown := iproute.New(b, links, h.Engine.Now())
		for _, v := range h.VTEPs {
			if at, _, _ := h.Kernel.Port(v.Config().Name); at == b {
				shown.AddVTEP(v)
			}
		}
		list = append(list, shown)
	}
	return list, nil
}

// interfaces numbers the interfaces: behind lo the bridges, then the ports of each.
func (l *look) interfaces(h *ringside.Host) map[string]iproute.Interface {
	links := map[string]iproute.Interface{}
	index := 2
	add := func(name string) {
		mtu := l.mtu(name)
		if h.VTEP(name) != nil {
			mtu = h.Kernel.MTU(name)
		}
		links[name] = iproute.Interface{Index: index, MTU: mtu}
		index++
	}
	for _, b := range h.Bridges {
		add(b.Config().Name)
	}
	for _, b := range h.Bridges {
		for _, p := range b.Ports() {
			add(b.PortConfig(p).Name)
		}
	}
	return links
}

// The most that devices take: a NIC's frames without their header and FCS, as in
// ixgbe, and what can be said of others.
const (
	nicMTU   = nic.MaxFrame - 14 - 4
	otherMTU = 65535
)

// mtu is that of an interface: what the lab says, or the most that it takes; 0 is
// the default of a bridge.
func (l *look) mtu(name string) int {
	upTo := func(said, most int) int {
		if said == 0 {
			return most
		}
		return min(said, most)
	}
	if len(l.cfg.NICs) == 0 && name == "eth0" {
		return nicMTU
	}
	for _, b := range l.cfg.Bridges {
		if b.Name == name {
			return b.Host.MTU
		}
	}
	for _, n := range l.cfg.NICs {
		if n.Name == name {
			return upTo(n.MTU, nicMTU)
		}
	}
	for _, v := range l.cfg.VMs {
		if v.Port.Name == name {
			return upTo(v.MTU, otherMTU)
		}
	}
	for _, p := range l.cfg.Patches {
		for _, e := range []ringside.PatchEnd{p.A, p.B} {
			if e.Name == name {
				return upTo(e.MTU, otherMTU)
			}
		}
	}
	return otherMTU
}

// known checks --br and --dev.
func (l *look) known(h *ringside.Host, links map[string]iproute.Interface) error {
	var bridges, devs []string
	for _, b := range h.Bridges {
		bridges = append(bridges, b.Config().Name)
	}
	for name := range links {
		devs = append(devs, name)
	}
	slices.Sort(devs)
	if err := among("br", "bridge", l.br, bridges); err != nil {
		return err
	}
	return among("dev", "interface", l.show.Dev, devs)
}

func among(flag, what, name string, names []string) error {
	if name == "" || slices.Contains(names, name) {
		return nil
	}
	if near := spell.Nearest(name, names); near != "" {
		return usagef("--%s %s: there is no such %s; did you mean %s?", flag, clip(name), what, near)
	}
	return usagef("--%s %s: there is no such %s; there are %s", flag, clip(name), what, strings.Join(names, ", "))
}

// rows prints what all bridges have of something, as JSON or as text.
func rows[T any](l *look, w io.Writer, list []*iproute.Bridge, of func(*iproute.Bridge) []T, text func(io.Writer, []T) error) error {
	all := []T{}
	for _, b := range list {
		all = append(all, of(b)...)
	}
	if l.json {
		return printJSON(w, all)
	}
	return text(w, all)
}

func fdbCommand() *cobra.Command {
	l := &look{}
	c := l.object("fdb", "The forwarding database",
		`  ringside bridge fdb show testdata/mix.pcap
  ringside bridge fdb show testdata/mix.pcap --dev tap0 --json
  ringside bridge fdb testdata/vlan.pcap --config testdata/labs/trunk.yaml --vlan 10`,
		func(w io.Writer, list []*iproute.Bridge) error {
			return rows(l, w, list, func(b *iproute.Bridge) []iproute.FDB { return b.FDBs(l.show) }, iproute.WriteFDB)
		})
	l.vlan(c.Flags(), "vlan")
	flag(c.Flags(), "state", "STATE", "", "only entries that are permanent, static or dynamic", func(s string) error {
		if !slices.Contains([]string{"permanent", "static", "dynamic"}, s) {
			return fmt.Errorf("give permanent, static or dynamic, as in --state static")
		}
		l.show.State = s
		return nil
	})
	return c
}

func vlanCommand() *cobra.Command {
	l := &look{}
	c := l.object("vlan", "The VLANs of each interface",
		`  ringside bridge vlan show testdata/vlan.pcap --config testdata/labs/trunk.yaml
  ringside bridge vlan show testdata/vlan.pcap --config testdata/labs/trunk.yaml -s`,
		func(w io.Writer, list []*iproute.Bridge) error {
			return rows(l, w, list, func(b *iproute.Bridge) []iproute.VLANPort { return b.VLANPorts(l.show) }, iproute.WriteVLAN)
		})
	l.vlan(c.Flags(), "vid")
	return c
}

func mdbCommand() *cobra.Command {
	l := &look{}
	c := l.object("mdb", "The multicast groups that ports want",
		`  ringside bridge mdb show testdata/mix.pcap
  ringside bridge mdb show testdata/mix.pcap --config testdata/labs/igmp.yaml -d -s`,
		func(w io.Writer, list []*iproute.Bridge) error {
			m := iproute.MDBs(list, l.show)
			if l.json {
				return printJSON(w, []iproute.MDB{m})
			}
			return iproute.WriteMDB(w, m)
		})
	l.vlan(c.Flags(), "vid")
	return c
}

func linkCommand() *cobra.Command {
	l := &look{}
	return l.object("link", "The ports, their states and flags",
		`  ringside bridge link show testdata/mix.pcap
  ringside bridge link show testdata/mix.pcap --config testdata/labs/stp.yaml -d`,
		func(w io.Writer, list []*iproute.Bridge) error {
			return rows(l, w, list, func(b *iproute.Bridge) []iproute.Link { return b.LinkRows(l.show) }, iproute.WriteLinks)
		})
}

func flapCommand() *cobra.Command {
	l := &look{}
	c := l.object("flap", "Stations that move to and fro",
		`  ringside bridge flap show testdata/mix.pcap`,
		func(w io.Writer, list []*iproute.Bridge) error {
			return rows(l, w, list, func(b *iproute.Bridge) []iproute.Flap { return b.Flaps(l.show) }, iproute.WriteFlaps)
		})
	c.Long = fmt.Sprintf(`Stations that moved %d times or more from port to port within %v before the run
ended: there is a loop, or two stations have one address. bridge(8) has no such
table; the kernel writes it to its log.`, bridge.FlapMoves, report.Span(bridge.FlapTime))
	return c
}

// objects are what monitor can be asked for, and the labels of their events.
var objects = map[string]string{"fdb": "NEIGH", "link": "LINK", "vlan": "VLAN", "mdb": "MDB", "all": ""}

func monitorCommand() *cobra.Command {
	l := &look{}
	c := &cobra.Command{
		Use:   "monitor [fdb|link|vlan|mdb|all] CAPTURE… [flags]",
		Short: "Every change of a bridge, in order",
		Long: `Monitor prints every change of the machine's bridges while the capture is played,
as bridge monitor does: entries learned, moved and aged (NEIGH), ports that change
their state (LINK), VLANs, groups and router ports (MDB). What a bridge is set up
with is printed too, at time 0. With --json each line is one object.`,
		Example: `  ringside bridge monitor testdata/ping.pcap -t
  ringside bridge monitor fdb testdata/mix.pcap --json
  ringside bridge monitor mdb testdata/mix.pcap --config testdata/labs/igmp.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			label, all := "", true
			if len(args) > 0 {
				if known, ok := objects[args[0]]; ok {
					label, all, args = known, known == "", args[1:]
				}
			}
			if err := l.begin("bridge monitor", args); err != nil {
				return err
			}
			return l.monitor(c, label, all)
		},
	}
	c.Flags().BoolVarP(&l.time, "timestamp", "t", false, "print the virtual time of each, in seconds")
	l.flags(c.Flags(), false)
	return c
}

// monitor plays the captures and prints the events of the bridges.
func (l *look) monitor(c *cobra.Command, label string, all bool) error {
	m := &monitor{look: l, label: label, all: all, w: c.OutOrStdout()}
	m.listen(&l.cfg)
	l.replay.Start = m.start
	if err := l.play(c, nil); err != nil {
		return err
	}
	return m.err
}

// A monitor prints events. Those of a machine that is being built are kept until
// its interfaces have names.
type monitor struct {
	*look
	label   string
	all     bool
	w       io.Writer
	bridges []*iproute.Bridge
	early   []earlyEvent
	err     error
}

type earlyEvent struct {
	bridge int
	bridge.Event
}

// listen has the bridges of a machine tell their events.
func (m *monitor) listen(cfg *ringside.Config) {
	if cfg.Bridges = slices.Clone(cfg.Bridges); len(cfg.Bridges) == 0 {
		cfg.Bridges = make([]ringside.Bridge, 1)
	}
	for i := range cfg.Bridges {
		cfg.Bridges[i].Notify = func(e bridge.Event) {
			if m.bridges == nil {
				m.early = append(m.early, earlyEvent{i, e})
				return
			}
			m.print(i, e)
		}
	}
}

// start is the machine being built.
func (m *monitor) start(h *ringside.Host) {
	links := m.interfaces(h)
	if m.err = m.known(h, links); m.err != nil {
		h.Engine.Fail(m.err)
		return
	}
	for _, b := range h.Bridges {
		m.bridges = append(m.bridges, iproute.New(b, links, 0))
	}
	for _, e := range m.early {
		m.print(e.bridge, e.Event)
	}
	m.early = nil
}

func (m *monitor) print(i int, e bridge.Event) {
	row := m.bridges[i].Event(e)
	if m.err != nil || !m.all && row.Label != m.label || m.br != "" && row.Bridge != m.br || m.show.Dev != "" && row.Dev() != m.show.Dev {
		return
	}
	if m.json {
		enc := json.NewEncoder(m.w)
		enc.SetEscapeHTML(false)
		m.err = enc.Encode(row)
		return
	}
	_, m.err = fmt.Fprintln(m.w, row.Text(m.all, m.time))
}
