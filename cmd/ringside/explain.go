package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ringside"
	"ringside/bridge"
	"ringside/cost"
	"ringside/internal/journey"
	"ringside/internal/report"
	"ringside/internal/spell"
	"ringside/sim"
	"ringside/vm"
)

// An explainer asks a bridge about one frame.
type explainer struct {
	look
	port   string
	after  string
	number uint64
	words  frameWords
	frame  []byte
	from   string // where it is from, for people
}

func explainCommand() *cobra.Command {
	e := &explainer{}
	c := &cobra.Command{
		Use:   "explain --port PORT [FRAME] [flags]",
		Short: "What a bridge would do with a frame, and why",
		Long: `Explain asks a bridge what it would do with a frame that comes in by a port: every
check in the order in which the bridge makes it, with the entry, the flag or the
VLAN that it hung on, and then each port by which the frame leaves, with its tags.
Nothing is sent and nothing is learned.

The frame is bytes in hex, with or without colons and blanks; or made of words,
--src, --dst, --vlan, --type; or one of a capture, with --frame N CAPTURE. The bridge
is as --config describes it, and as it is after the capture that --after names, or
at the time --until says. PORT is an interface, or a bridge's name for a frame that
the host sends.`,
		Example: `  ringside explain --port eth0 --src 02:00:00:00:00:11 --dst 02:00:00:00:00:12
  ringside explain --port eth0 --dst 02:00:00:00:00:22 --vlan 20 --config my.yaml
  ringside explain --port tap0 --frame 3 testdata/ping.pcap --after testdata/ping.pcap
  ringside explain --port eth0 ffffffffffff020000000011080600010800060400010200`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := e.begin(args); err != nil {
				return err
			}
			return e.run(c)
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.StringVar(&e.port, "port", "", "the `PORT` by which the frame comes in: an interface, or a bridge for a frame of the host's")
	fs.StringVar(&e.after, "after", "", "the `CAPTURE` that is played before")
	whole(fs, &e.number, "frame", "", "the frame with this number in the capture that follows, or in --after", 1, math.MaxInt64, "3")
	e.words.flags(fs)
	e.machine(fs)
	e.paper(fs)
	return c
}

// begin checks the arguments and finds the frame.
func (e *explainer) begin(args []string) (err error) {
	switch {
	case e.port == "":
		return usagef("explain: by which port? Name it, as in --port eth0")
	case len(args) > 1 && e.number == 0:
		args = []string{strings.Join(args, "")} // hex with blanks
	case len(args) > 1:
		return usagef("explain: --frame %d is of one capture, and %d were named", e.number, len(args))
	}
	if e.after != "" {
		e.replay.Files = []string{e.after}
	}
	if err := e.ready(); err != nil {
		return err
	}
	switch {
	case e.number > 0 && e.words.given():
		return usagef("explain: --frame takes the frame of a capture; leave --src, --dst, --vlan and --type out")
	case e.number > 0:
		return e.find(args)
	case len(args) == 1 && e.words.given():
		return usagef("explain: the frame is given in hex and in words; give one of them")
	case len(args) == 1:
		e.from = "given in hex"
		e.frame, err = parseHex(args[0])
		return err
	case e.words.given():
		e.from = "made of words"
		e.frame, err = e.words.frame()
		return err
	}
	return usagef("explain: which frame? Give it in hex, or words as in --src 02:00:00:00:00:11 --dst ff:ff:ff:ff:ff:ff, or --frame 3 CAPTURE")
}

// find takes the frame from a capture.
func (e *explainer) find(args []string) error {
	file := e.after
	if len(args) == 1 {
		file = args[0]
	}
	if file == "" {
		return usagef("explain: --frame %d of which capture? Name it, as in --frame %d testdata/ping.pcap", e.number, e.number)
	}
	if file == "-" {
		return usagef("explain: the capture is read on its own, so it cannot be standard input")
	}
	r := e.replay
	r.Files = []string{file}
	found, err := r.Find(e.number)
	if err != nil {
		return err
	}
	if found.Frame == nil {
		return usagef("explain: frame %d of %s does not go on the wire: %s", e.number, file, found.Skipped)
	}
	e.frame, e.from = found.Frame, fmt.Sprintf("frame %d of %s", e.number, file)
	return nil
}

// parseHex reads a frame's bytes.
func parseHex(s string) ([]byte, error) {
	digits := strings.TrimPrefix(strings.NewReplacer(":", "", " ", "", "-", "", "\n", "", "\t", "").Replace(s), "0x")
	b, err := hex.DecodeString(digits)
	switch {
	case err != nil:
		return nil, usagef("explain: %s is no frame in hex: two digits for each byte, as in ffffffffffff0200000000110806", clip(s))
	case len(b) == 0 || len(b) > 1<<16:
		return nil, usagef("explain: a frame has 1 to 65536 bytes, and this has %d", len(b))
	}
	return b, nil
}

// run brings the machine to the moment that was asked for, and asks.
func (e *explainer) run(c *cobra.Command) error {
	var what *explanation
	ask := func(h *ringside.Host) (err error) {
		what, err = e.ask(h)
		return err
	}
	err := error(nil)
	if e.after != "" {
		err = e.play(c, ask)
	} else {
		err = e.still(ask)
	}
	if err != nil {
		return err
	}
	if e.json {
		return printJSON(c.OutOrStdout(), what.json())
	}
	return what.write(c.OutOrStdout(), columns(e.width, c.OutOrStdout()))
}

// still makes the machine without playing anything into it.
func (e *explainer) still(ask func(*ringside.Host) error) error {
	cfg := e.cfg
	for len(cfg.VMs) < e.replay.VMs {
		cfg.VMs = append(slices.Clip(cfg.VMs), ringside.VM{Program: e.replay.Program})
	}
	for i := range cfg.VMs {
		if cfg.VMs[i].Program == nil {
			cfg.VMs[i].Program = vm.Sink
		}
	}
	for _, m := range e.replay.Map {
		cfg.VMs[m.VM].Known = append(slices.Clip(cfg.VMs[m.VM].Known), m.MAC)
	}
	h, err := ringside.New(cfg)
	if err != nil {
		return err
	}
	defer h.Close()
	if until := max(e.replay.Until, e.replay.Settle); until > 0 {
		if err := h.RunUntil(until); err != nil {
			return err
		}
	}
	return ask(h)
}

// ask asks the bridge that the port belongs to.
func (e *explainer) ask(h *ringside.Host) (*explanation, error) {
	var names []string
	for _, b := range h.Bridges {
		names = append(names, b.Config().Name)
		for _, p := range append([]bridge.Port{bridge.Local}, b.Ports()...) {
			name := portName(b, p)
			if p != bridge.Local {
				names = append(names, name)
			}
			if name == e.port {
				now := h.Engine.Now()
				return &explanation{explainer: e, br: b, in: p, now: now, Explanation: b.Explain(p, e.frame, now)}, nil
			}
		}
	}
	if near := spell.Nearest(e.port, names); near != "" {
		return nil, usagef("--port %s: there is no such port; did you mean %s?", clip(e.port), near)
	}
	return nil, usagef("--port %s: there is no such port; there are %s", clip(e.port), strings.Join(names, ", "))
}

func portName(b *bridge.Bridge, p bridge.Port) string {
	if p == bridge.Local {
		return b.Config().Name
	}
	return b.PortConfig(p).Name
}

var portNumber = regexp.MustCompile(`\bport (\d+)\b`)

// named is text with the names of ports in place of their numbers.
func (x *explanation) named(text string) string {
	return portNumber.ReplaceAllStringFunc(text, func(s string) string {
		n, err := strconv.ParseInt(s[len("port "):], 10, 32)
		if name := portName(x.br, bridge.Port(n)); err == nil && name != "" {
			return name
		}
		return s
	})
}

// fate is what becomes of the frame, in words.
func (x *explanation) fate() string {
	v := &x.Verdict
	switch v.Action {
	case bridge.Drop:
		return fmt.Sprintf("DROPPED: %s, %s", v.Reason, v.Reason.Says())
	case bridge.PassPort:
		if v.Reason == cost.RSBPDU {
			return "TAKEN by the spanning tree, and forwarded nowhere"
		}
		return fmt.Sprintf("NOT FORWARDED: it is for %s's own stack, and without one there it is dropped: %s, %s", x.port, v.Reason, v.Reason.Says())
	case bridge.Up:
		return "UP, into the bridge's own interface, and nowhere else"
	case bridge.Forward:
		return "FORWARDED by one port"
	}
	if !v.Work.Has(bridge.Flooded) {
		return "SENT to the group's members and routers, in " + report.Count(uint64(len(v.Out)), "copy", "copies")
	}
	return "FLOODED to " + report.Count(uint64(len(v.Out)), "copy", "copies")
}

// egress is how a copy leaves, in words.
func (x *explanation) egress(c bridge.Copy) string {
	var s string
	switch {
	case c.Strip && c.Tag != 0:
		s = "its tag replaced by " + tagWords(c.Tag)
	case c.Strip:
		s = "without its tag"
	case c.Tag != 0:
		s = "with " + tagWords(c.Tag) + " put in front"
	default:
		s = "as it came"
	}
	if c.To != (bridge.MAC{}) {
		s += fmt.Sprintf(", to %v alone", c.To)
	}
	if c.Port == bridge.Local {
		s += ", up to the host"
	}
	if x.tooLong(c) {
		s += fmt.Sprintf(", but longer than its MTU %d: %s", x.mtu(portName(x.br, c.Port)), cost.PktTooBig)
	}
	return s
}

// tooLong says that a copy dies at its port, as is_skb_forwardable has it: a tag
// does not count.
func (x *explanation) tooLong(c bridge.Copy) bool {
	const header, tag = 14, 4
	mtu, f := x.mtu(portName(x.br, c.Port)), c.Apply(nil, x.frame)
	most := mtu + header + tag
	if len(f) > header && (f[12] == 0x81 && f[13] == 0 || f[12] == 0x88 && f[13] == 0xa8) {
		most += tag
	}
	return c.Port != bridge.Local && mtu != 0 && len(f) > most
}

func tagWords(tag uint32) string {
	kind := "a tag"
	if tag>>16 == bridge.Dot1AD {
		kind = "an 802.1ad tag"
	}
	s := fmt.Sprintf("%s of VLAN %d", kind, tag&0xfff)
	if pcp := tag >> 13 & 7; pcp != 0 {
		s += fmt.Sprintf(", priority %d", pcp)
	}
	return s
}

// write prints it for people.
func (x *explanation) write(w io.Writer, width int) error {
	width = min(max(width, report.MinWidth), report.MaxWidth)
	var out bytes.Buffer
	item := func(label, text string, indent int) {
		for i, l := range report.Wrap(text, width-indent) {
			if i > 0 {
				label = ""
			}
			fmt.Fprintf(&out, "%-*s%s\n", indent, label, l)
		}
	}
	item("frame", fmt.Sprintf("%s, %s", x.from, report.Count(uint64(len(x.frame)), "byte", "bytes")), 10)
	item("", strings.Join(journey.Decode(x.frame), "; "), 10)
	where := fmt.Sprintf("by %s of %s, %s", x.port, x.br.Config().Name, x.br.State(x.in))
	if x.in == bridge.Local {
		where = fmt.Sprintf("from the host, by %s", x.port)
	}
	item("comes in", where, 10)
	item("when", x.when(), 10)
	fmt.Fprintln(&out)
	for _, c := range x.Checks {
		mark := "  "
		if c.Decisive {
			mark = "* "
		}
		says := x.named(c.Says)
		if c.Port != bridge.NoPort {
			says = portName(x.br, c.Port) + ": " + says
		}
		item(mark+c.Step, says, 27)
	}
	fmt.Fprintln(&out)
	item("", x.fate(), 0)
	for _, c := range x.Verdict.Out {
		item("  "+portName(x.br, c.Port), x.egress(c), 19)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// when is the moment of which it is told.
func (x *explanation) when() string {
	s := "at the beginning: nothing was learned yet"
	if x.now > 0 {
		s = "at " + report.Span(x.now) + " of virtual time"
	}
	if x.after != "" {
		s += ", after " + x.after
	}
	return s
}

// An explanation is the answer, and what was asked.
type explanation struct {
	*explainer
	br  *bridge.Bridge
	in  bridge.Port
	now sim.Time
	bridge.Explanation
}

const explanationSchema = "ringside.explanation/1"

type explanationJSON struct {
	Schema  string       `json:"schema"`
	Bridge  string       `json:"bridge"`
	Port    string       `json:"port"` // the bridge's name for a frame of the host's
	State   string       `json:"state"`
	AtPs    int64        `json:"at_ps"`
	After   string       `json:"after,omitempty"`
	Frame   string       `json:"frame"` // hex
	Decoded []string     `json:"decoded"`
	Checks  []checkJSON  `json:"checks"`
	Action  string       `json:"action"`
	Reason  string       `json:"reason,omitempty"` // of a drop, as on the bill
	Learned string       `json:"learned"`
	Egress  []egressJSON `json:"egress"`
}

type checkJSON struct {
	Step     string `json:"step"`
	Port     string `json:"port,omitempty"`
	Says     string `json:"says"`
	Decisive bool   `json:"decisive,omitempty"`
}

type egressJSON struct {
	Port  string   `json:"port"`
	Up    bool     `json:"up,omitempty"` // into the bridge's own interface
	Strip bool     `json:"strip,omitempty"`
	Tag   *tagJSON `json:"tag,omitempty"` // put in front
	To    string   `json:"to,omitempty"`
	Frame string   `json:"frame"`          // as it leaves, hex
	Drop  string   `json:"drop,omitempty"` // why it dies at the port
}

type tagJSON struct {
	Protocol string `json:"protocol"`
	VLAN     uint32 `json:"vlan"`
	Priority uint32 `json:"priority"`
}

// json is it for programs.
func (x *explanation) json() explanationJSON {
	v := &x.Verdict
	j := explanationJSON{
		Schema: explanationSchema, Bridge: x.br.Config().Name, Port: x.port, State: x.br.State(x.in).String(), AtPs: int64(x.now), After: x.after,
		Frame: hex.EncodeToString(x.frame), Decoded: journey.Decode(x.frame), Checks: []checkJSON{}, Action: v.Action.String(),
		Learned: v.Work.Learned().String(), Egress: []egressJSON{},
	}
	if v.Action == bridge.Drop || v.Action == bridge.PassPort {
		j.Reason = v.Reason.String()
	}
	for _, c := range x.Checks {
		row := checkJSON{Step: c.Step, Says: x.named(c.Says), Decisive: c.Decisive}
		if c.Port != bridge.NoPort {
			row.Port = portName(x.br, c.Port)
		}
		j.Checks = append(j.Checks, row)
	}
	for _, c := range v.Out {
		row := egressJSON{Port: portName(x.br, c.Port), Up: c.Port == bridge.Local, Strip: c.Strip, Frame: hex.EncodeToString(c.Apply(nil, x.frame))}
		if c.Tag != 0 {
			row.Tag = &tagJSON{"802.1Q", c.Tag & 0xfff, c.Tag >> 13 & 7}
			if c.Tag>>16 == bridge.Dot1AD {
				row.Tag.Protocol = "802.1ad"
			}
		}
		if c.To != (bridge.MAC{}) {
			row.To = c.To.String()
		}
		if x.tooLong(c) {
			row.Drop = cost.PktTooBig.String()
		}
		j.Egress = append(j.Egress, row)
	}
	return j
}
