package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ringside"
	"ringside/bridge"
	"ringside/internal/capture"
	"ringside/internal/labfile"
	"ringside/internal/report"
	"ringside/internal/staged"
	"ringside/internal/wholefile"
	"ringside/kernel"
	"ringside/machine"
	"ringside/sim"
)

// options are the flags that build a machine and play captures into it.
type options struct {
	replay ringside.Replay
	cfg    ringside.Config
	addrs  map[int]netip.Addr
	config string // the lab's file
	lab    *labfile.Lab
	flags  *pflag.FlagSet
	book   string // "" for the default
	host   *machine.Machine
	guest  string
	json   bool
	width  int
}

// machine adds the flags that replay and trace share.
func (o *options) machine(fs *pflag.FlagSet) {
	o.guest, o.addrs = "sink", map[int]netip.Addr{}
	o.replay.VMs, o.cfg.Seed = 4, 1
	o.flags, fs.SortFlags = fs, false
	fs.StringVar(&o.config, "config", "", "a lab: a YAML `FILE` with bridges, NICs, guests, VLANs, entries; see docs/config.md. Flags fill in what it leaves out")
	fs.StringVar(&o.replay.NIC, "nic", "", "the `NIC` on whose wire the capture is played; otherwise the first")
	flag(fs, "speed", "SPEED", "original", "original, top (as fast as the link goes), xN (N times as fast), pps=N (frames a second) or mbps=N", func(s string) (err error) {
		o.replay.Speed, err = ringside.ParseSpeed(s)
		return trimmed(err)
	})
	whole(fs, &o.replay.Limit, "limit", "", "put at most N frames on the wire, over all loops", 1, 1<<62, "1000")
	flag(fs, "until", "SPAN", "", "end at this virtual time, with what is in flight then, as in 2.5s; otherwise the run ends when all is at rest", func(s string) error {
		t, ok := duration(s)
		if !ok {
			return fmt.Errorf("give a span of virtual time above zero and below 106 days, as in --until 2.5s")
		}
		o.replay.Until = t
		return nil
	})
	flag(fs, "settle", "SPAN", "", "play the capture from this virtual time on, when spanning trees have converged, as in 30s", func(s string) error {
		t, ok := duration(s)
		if !ok || t > 6*24*3600*sim.Second {
			return fmt.Errorf("give a span of virtual time above zero and up to six days, as in --settle 30s")
		}
		o.replay.Settle = t
		return nil
	})
	flag(fs, "truncated", "skip|pad", "skip", "frames that the capture cut short: leave them out, or fill them up with zeros", func(s string) error {
		switch s {
		case "skip", "pad":
			o.replay.PadTruncated = s == "pad"
			return nil
		}
		return fmt.Errorf("give skip or pad, as in --truncated pad")
	})
	whole(fs, &o.replay.VMs, "vms", "4", "how many guests there are", 1, bridge.MaxPorts-1, "4")
	flag(fs, "guest", "PROGRAM", "sink", "what they run: sink takes frames; echo answers ARP, ND and ping for its --addr; reflect sends each frame back; slow=SPAN is a sink that is busy that long with each", func(s string) (err error) {
		o.replay.Program, err = labfile.Program(s)
		o.guest = s
		return err
	})
	flag(fs, "map", "MAC=vmK", "", "give a destination address to a guest; may be repeated, or a list with commas. Without it the most talkative destinations get a guest each", func(s string) error {
		list, err := parseMap(s)
		o.replay.Map = append(o.replay.Map, list...)
		return err
	})
	flag(fs, "addr", "ADDR=vmK", "", "what guest K answers for under --guest echo; may be repeated", func(s string) error { return parseAddrs(s, o.addrs) })
	flag(fs, "path", "PATH", "native", "the way between NIC and guests: "+pathWords(), func(s string) (err error) {
		o.cfg.Path, err = ringside.ParsePath(s)
		return err
	})
	xdpFlags(fs, &o.cfg)
	whole(fs, &o.replay.Batch, "batch", "1", "frames that a guest may fetch in one system call, as recvmmsg does", 1, 1024, "32")
	flag(fs, "link", "LINK", "10G", "the wire: its speed, 1G, 10G, 25G, 40G or 100G, or what happens to frames on it in words of tc-netem(8), or both, as in \"25G delay 5ms 1ms loss 1%\"", func(s string) (err error) {
		o.cfg.LinkBPS, o.cfg.Link, err = ringside.ParseLink(s)
		return trimmed(err)
	})
	whole(fs, &o.cfg.Queues, "queues", "1", "receive queues of the NIC, spread by RSS, a vector and a CPU each", 1, 16, "4")
	flag(fs, "ring", "N", "256", "receive descriptors of each queue, a multiple of 8", func(s string) error {
		const lo, hi = 8, 4096
		wrong := fmt.Errorf("give a multiple of 8 from %d to %d, as in --ring 512", lo, hi)
		var n int
		if _, err := fmt.Sscanf(s+" ", "%d ", &n); err != nil || fmt.Sprint(n) != s || n < lo || n > hi || n%8 != 0 {
			return wrong
		}
		o.cfg.Ring = n
		return nil
	})
	flag(fs, "itr", "SPAN", "50us", "least gap between two interrupts of a vector (EITR): whole microseconds up to 8191us, off, or a number of interrupts a second", func(s string) (err error) {
		o.cfg.ITR, err = parseITR(s)
		return err
	})
	fs.BoolVar(&o.cfg.DropEn, "drop-en", false, "a queue without free descriptors drops at once, instead of stalling the others (SRRCTL.DROP_EN)")
	flag(fs, "offload", "WORDS", "none", "what the NIC and its driver do beside moving frames: gro, lro, tso, tx, rx, csum for tx and rx, txvlan, rxvlan, with commas between them, or all of them but lro", func(s string) (err error) {
		if o.cfg.Offloads, err = ringside.ParseOffloads(s); err != nil {
			return fmt.Errorf("%w, as in --offload gro,tso,csum", err)
		}
		return nil
	})
	whole(fs, &o.cfg.CPUs, "cpus", "", "emulated CPUs; otherwise one for each queue, and up to four for the guests", 1, 1024, "5")
	whole(fs, &o.cfg.TapQueue, "tap-queue", "1000", "frames that may wait for each guest", 1, 1<<20, "1000")
	flag(fs, "host-addr", "CIDR", "", "an address of the host's own stack on the bridge, which answers ARP, ND and ping; may be repeated", func(s string) error {
		p, err := parseHostAddr(s)
		o.cfg.Host.Addresses = append(o.cfg.Host.Addresses, p)
		return err
	})
	flag(fs, "host-mac", "MAC", "02:00:00:00:00:fe", "its hardware address", func(s string) (err error) {
		o.cfg.Host.MAC, err = parseMAC(s)
		return err
	})
	flag(fs, "book", "NAME|FILE", "linux-xeon", "the prices: a name that ringside book lists, or a .yaml file of your own", func(s string) error {
		o.book = s
		return nil
	})
	machineFlag(fs, &o.host)
	flag(fs, "seed", "N", "1", "of everything that is left to chance", func(s string) (err error) {
		o.cfg.Seed, err = parseSeed(s)
		return err
	})
}

// pathWords are the names of the paths.
func pathWords() string {
	var list []string
	for _, p := range ringside.Paths() {
		list = append(list, p.String())
	}
	return strings.Join(list, ", ")
}

// paper adds the flags that say how to print.
func (o *options) paper(fs *pflag.FlagSet) {
	fs.BoolVar(&o.json, "json", false, "print one JSON object for programs")
	whole(fs, &o.width, "width", "", "columns of the page, at most 100; otherwise those of the terminal", report.MinWidth, 1000, "80")
}

// trimmed is err without the name of what it speaks of, which the caller gives.
func trimmed(err error) error {
	if err == nil {
		return nil
	}
	if _, rest, ok := strings.Cut(err.Error(), ": "); ok {
		return fmt.Errorf("%s", rest)
	}
	return err
}

// ready checks what no single flag can, and opens the book.
func (o *options) ready() error {
	r := &o.replay
	if err := o.readLab(); err != nil {
		return err
	}
	for _, m := range r.Map {
		if m.VM >= r.VMs {
			return usagef("--map %v=vm%d: there are vm0 to vm%d; --vms %d makes more", m.MAC, m.VM, r.VMs-1, m.VM+1)
		}
		if m.MAC == o.cfg.Host.MAC || m.MAC == (bridge.MAC{2, 0, 0, 0, 0, 0xfe}) && o.cfg.Host.MAC == (bridge.MAC{}) {
			return usagef("--map %v=vm%d: that is the host's own address; --host-mac gives the host another", m.MAC, m.VM)
		}
		for _, other := range r.Map {
			if other.MAC == m.MAC && other.VM != m.VM {
				return usagef("--map %v: given to vm%d and to vm%d; an address has one guest", m.MAC, m.VM, other.VM)
			}
		}
	}
	for k, a := range o.addrs {
		if k >= r.VMs {
			return usagef("--addr %v=vm%d: there are vm0 to vm%d; --vms %d makes more", a, k, r.VMs-1, k+1)
		}
		for len(r.Addrs) <= k {
			r.Addrs = append(r.Addrs, netip.Addr{})
		}
		r.Addrs[k] = a
	}
	if len(o.addrs) > 0 && o.guest != "echo" {
		return usagef("--addr is what --guest echo answers for; these guests run %s", o.guest)
	}
	if len(o.addrs) == 0 && o.guest == "echo" && !o.hasGuests() {
		return usagef("--guest echo answers for nothing without an address; add one, as in --guest echo --addr 192.0.2.1=vm0")
	}
	if r.Guest == "" {
		r.Guest = o.guest
	}
	if o.guest == "reflect" {
		r.Grace = 50 * sim.Millisecond
	}
	o.cfg.Machine = o.host
	var err error
	o.cfg.Book, err = openBook(o.book, o.host)
	return err
}

// policies are what happens to frames that cannot go on a wire as they are. They
// stand in the help of every verb that reads captures.
const policies = `What cannot go on a wire as it stands is changed or left out, and counted by
reason on the bill:

  TRUNCATED       the capture kept only a part: left out (--truncated pad fills
                  it up with zeros instead, FILLED)
  TOO_SHORT       shorter than an Ethernet header: left out
  LINK_TYPE       of an interface of a pcapng that is not Ethernet: left out.
                  A file that has no Ethernet at all is refused
  FILE_CUT_SHORT  the file ends inside a record: what is before it is played
  PADDED          shorter than 60 bytes: padded with zeros, as every sender does
  TIME_REVERSED   stamped before the frame in front of it, or more than six days
                  after the first: sent right behind the one in front
  UNTIMED         without a time of its own: sent right behind the one in front

A frame whose time comes while the one in front of it is still on the link goes
out right behind it: that is the link's doing, and counts as no change. Frames
longer than the NIC takes (9.5 KiB) go on the wire and are dropped there, with the
reason. A file that contradicts itself is refused, and so is one without a frame
that can go on the wire.
`

func replayCommand() *cobra.Command {
	var o options
	var out string
	var quiet bool
	c := &cobra.Command{
		Use:   "replay FILE… [flags]",
		Short: "Play captures into the machine and print the bill",
		Long: `Replay plays captures into the machine, one after another, and prints the bill:
the journey by stage and operation, the cost as an equation, where every frame
went, latency with percentiles exact to one part in 64, drops. Files are pcap or
pcapng, gzip'd or not; - is standard input.

` + policies + "\n" + linkHelp + `
Exit codes: 0 success, 1 the run failed, 2 wrong usage or unreadable input, 130
interrupted.`,
		Example: `  ringside replay testdata/mix.pcap
  ringside replay testdata/ping.pcap --vms 2 --guest echo --addr 192.0.2.1=vm1
  ringside replay testdata/udp-flood.pcap --speed pps=3000000 --guest slow=2us
  ringside replay testdata/http.pcap --link "loss 1% delay 5ms 1ms reorder 25% gap 5"
  ringside replay testdata/mix.pcap --map 02:00:00:00:00:80=vm0 --vms 1 --book unit
  tcpdump -w - -c 100 | ringside replay - --json --out stages.pcapng`,
		RunE: func(c *cobra.Command, args []string) error {
			o.replay.Files = args
			if len(args) == 0 {
				return usagef("replay: name a capture to play, as in ringside replay testdata/mix.pcap, or - for standard input")
			}
			if err := o.ready(); err != nil {
				return err
			}
			return replay(c, &o, out, quiet)
		},
	}
	fs := c.Flags()
	o.machine(fs)
	o.batching(fs)
	o.sched(fs)
	whole(fs, &o.replay.Loop, "loop", "1", "times the files are played", 1, 1<<30, "10")
	fs.Var(&value{kind: "FILE", set: func(s string) error { out = s; return nil }}, "out", "write a pcapng with one interface for every stage: what passed there, its fate and why")
	o.paper(fs)
	fs.BoolVarP(&quiet, "quiet", "q", false, "print nothing but errors, and the report if --json asks for it")
	return c
}

// replay runs it. What is written to a file appears when all went well, and the
// report after that.
func replay(c *cobra.Command, o *options, out string, quiet bool) error {
	in, err := openInput(c, o)
	if err != nil {
		return err
	}
	defer in.close()
	var file *wholefile.File
	var stages *staged.Writer
	if out != "" {
		if file, stages, err = openOut(o, in, out); err != nil {
			return err
		}
		defer file.Close()
		o.cfg.Sink = stages
	}
	show := newProgress(c.ErrOrStderr(), quiet)
	o.replay.Progress = show.frames
	rep, err := o.replay.Run(o.cfg, func(h *ringside.Host) error {
		if stages == nil {
			return nil
		}
		return stages.Finish(h.Engine.Now())
	})
	show.end()
	if err != nil {
		return advised(err)
	}
	if file != nil {
		if err := file.Commit(); err != nil {
			return err
		}
	}
	switch {
	case o.json:
		return printJSON(c.OutOrStdout(), rep)
	case quiet:
		return nil
	}
	page := report.Page{Columns: columns(o.width, c.OutOrStdout()), Bridges: o.lab != nil}
	if err := report.Write(c.OutOrStdout(), rep, page); err != nil {
		return err
	}
	if stages != nil {
		fmt.Fprintf(c.OutOrStdout(), "wrote %s: %s on %d interfaces\n", out, report.Count(stages.Packets(), "packet", "packets"), stages.Interfaces())
	}
	return nil
}

// advised is err with the flags that help.
func advised(err error) error {
	switch {
	case errors.Is(err, ringside.ErrEndless):
		return fmt.Errorf("%w (--until 3s, --vms 1)", err)
	case errors.Is(err, kernel.ErrStorm):
		return fmt.Errorf("%w; --until 5ms ends the run in the midst of it and shows what there is", err)
	case errors.Is(err, ringside.ErrAllCut):
		return fmt.Errorf("%w (--truncated pad)", err)
	}
	return err
}

// openOut begins the capture by stages.
func openOut(o *options, in *input, name string) (*wholefile.File, *staged.Writer, error) {
	if name == "-" {
		return nil, nil, usagef("--out -: standard output has the report; give a file's name, as in --out stages.pcapng")
	}
	for _, f := range o.replay.Files {
		a, errA := os.Stat(f)
		b, errB := os.Stat(name)
		if errA == nil && errB == nil && os.SameFile(a, b) && a.Mode().IsRegular() {
			return nil, nil, usagef("--out %s: that is the capture to be replayed; give another name", name)
		}
	}
	base, err := in.firstTime(o.replay.Files)
	if err != nil {
		return nil, nil, err
	}
	file, err := wholefile.Create(name)
	if err != nil {
		return nil, nil, usagef("--out: %w", err)
	}
	bps := o.cfg.LinkBPS
	if bps == 0 {
		bps = 10e9
	}
	return file, staged.New(file, staged.Options{Application: "ringside", Base: base, LinkBPS: bps,
		Comment: fmt.Sprintf("%s, %s, seed %d, prices of %s", strings.Join(o.replay.Files, " "), o.replay.Speed, o.cfg.Seed, o.cfg.Book.Name)}), nil
}

// firstTime is the stamp of the first record that has one, which becomes virtual
// time 0.
func (in *input) firstTime(files []string) (time.Time, error) {
	src, err := in.open(files[0])
	if err != nil {
		return time.Time{}, &ringside.InputError{Err: err}
	}
	defer src.Close()
	rd, err := capture.NewReader(src, files[0])
	if err != nil {
		return time.Time{}, &ringside.InputError{Err: err}
	}
	defer rd.Close()
	rec, err := rd.Next()
	if err != nil || rec.Time < 0 {
		return time.Time{}, nil // what is wrong will be said by the run
	}
	return time.Unix(0, rec.Time), nil
}

// printJSON prints one object.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
