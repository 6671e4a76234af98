package scenario

import (
	"fmt"
	"math/big"
	"strings"

	"ringside"
	"ringside/cost"
	"ringside/wire"
)

// totals are the names under which facts of the whole lab stand. No host has one of
// them.
var totals = []string{"frames", "drops", "bill", "peers", "cables", "time", "events"}

// A fact is a name and what the run made of it.
type fact struct {
	name  string
	value quantity // without a number if the program has not recorded it
	says  string   // what it is, for lists

	untold bool // recorded, and not in the table of programs
}

// facts are what expectations can name. Which there are is known before a run.
type facts struct {
	list []fact
	at   map[string]int
}

func (fs *facts) add(name string, value quantity, says string) {
	if i, ok := fs.at[name]; ok {
		fs.list[i].value = value
		return
	}
	fs.at[name] = len(fs.list)
	fs.list = append(fs.list, fact{name: name, value: value, says: says})
}

func (fs *facts) count(name string, n uint64, says string) { fs.add(name, number(n), says) }

// look is the value of a name after a run.
func (fs *facts) look(name string) (quantity, error) {
	i, ok := fs.at[name]
	if !ok {
		return quantity{}, fs.unknown(name)
	}
	v := fs.list[i].value
	if v.n == nil && v.text == "" {
		return v, &absentError{name}
	}
	return v, nil
}

// probe is a value of the right kind for a name, before a run.
func (fs *facts) probe(name string) (quantity, error) {
	i, ok := fs.at[name]
	if !ok {
		return quantity{}, fs.unknown(name)
	}
	return quantity{n: big.NewRat(1, 1), dim: fs.list[i].value.dim}, nil
}

// An absentError is a result that a program has not recorded.
type absentError struct{ name string }

func (e *absentError) Error() string { return "nothing: its program has not come to that" }

// unknown lists what was probably meant: the names that are nearest, and those that
// begin as this one does.
func (fs *facts) unknown(name string) error {
	parts := strings.Split(name, ".")
	for n := len(parts); n > 0; n-- {
		prefix := strings.Join(parts[:n-1], ".")
		below := fs.below(prefix)
		if len(below) == 0 {
			continue
		}
		of := ""
		if prefix != "" {
			of = " in " + prefix
		}
		return fmt.Errorf("there is no %q%s: %s", parts[n-1], of, nearest(parts[n-1], below, "there are "))
	}
	return fmt.Errorf("there is no %q", name)
}

// below are the next words of names that begin with prefix.
func (fs *facts) below(prefix string) (list []string) {
	if prefix != "" {
		prefix += "."
	}
	seen := map[string]bool{}
	for _, f := range fs.list {
		rest, ok := strings.CutPrefix(f.name, prefix)
		if word, _, _ := strings.Cut(rest, "."); ok && word != "" && !seen[word] {
			seen[word] = true
			list = append(list, word)
		}
	}
	return list
}

// gather makes facts of a report and of what programs were to record.
func gather(r *ringside.LabReport, run runs) *facts {
	fs := &facts{at: map[string]int{}}
	for _, h := range r.Hosts {
		fs.host(h.Name+".", h.Report, run)
	}
	fs.whole(r)
	for _, c := range r.Cables {
		fs.cable("cables."+c.Name+".to_a.", c.ToA)
		fs.cable("cables."+c.Name+".to_b.", c.ToB)
	}
	fs.peers(r, run)
	fs.add("time", nanoseconds(r.VirtualNs), "virtual time at the end")
	fs.count("events", r.Events, "of the whole run")
	return fs
}

// host is what one machine has to say.
func (fs *facts) host(at string, r *ringside.Report, run runs) {
	fs.frames(at+"frames.", &r.Conservation)
	fs.drops(at+"drops", r.Drops)
	fs.latency(at+"latency.", r.Latency)
	fs.bill(at+"bill.", []*ringside.Report{r})
	for _, v := range r.VMs {
		fs.vm(at+"vms."+v.Name+".", v)
		fs.results(at+"vms."+v.Name+".", run[at+"vms."+v.Name], v.Results)
	}
	for _, c := range r.CPUs {
		fs.add(at+"cpus."+c.Name+".busy", nanoseconds(c.BusyNs), "time that it worked")
		fs.add(at+"cpus."+c.Name+".load", share(uint64(c.BusyNs), uint64(r.VirtualNs)), "share of the time that it worked")
	}
	for _, l := range r.Links {
		fs.way(at+"links."+l.NIC+".rx.", &l.Rx)
		fs.way(at+"links."+l.NIC+".tx.", &l.Tx)
	}
	for _, v := range r.VTEPs {
		fs.vtep(at+"vteps."+v.Name+".", &v)
	}
	for _, b := range r.Bridges {
		fs.bridge(at+"bridges."+b.Name+".", &b)
	}
}

func share(part, whole uint64) quantity {
	q := number(0)
	if whole > 0 {
		q.n.SetFrac(new(big.Int).SetUint64(part), new(big.Int).SetUint64(whole))
	}
	return q
}

func (fs *facts) frames(at string, c *ringside.Conservation) {
	var dropped uint64
	for _, n := range c.Dropped {
		dropped += n
	}
	for _, f := range []struct {
		name string
		n    uint64
		says string
	}{
		{"in", c.In, "from the wire, guests and the host's stack"}, {"cloned", c.Cloned, "copies of flooded frames"},
		{"delivered", c.Delivered, "to guests, the host and the wire"}, {"dropped", dropped, "for all reasons"},
		{"in_flight", c.InFlight, "at the end"}, {"from_wire", c.FromWire, ""}, {"to_wire", c.ToWire, ""},
		{"to_vms", c.ToVMs, ""}, {"to_host", c.ToHost, ""},
		{"merged", c.Merged, "joined to another by GRO or LRO"}, {"segmented", c.Segmented, "made by splitting one"},
	} {
		if i, ok := fs.at[at+f.name]; ok { // of the whole lab: a sum
			old := fs.list[i].value
			old.n.Add(old.n, number(f.n).n)
			continue
		}
		fs.count(at+f.name, f.n, f.says)
	}
}

// drops are all reasons that there are, so that none of a kind can be expected.
func (fs *facts) drops(at string, list []ringside.Drop) {
	byReason := map[string]uint64{}
	var sum uint64
	for _, d := range list {
		byReason[d.Reason] += d.Frames
		sum += d.Frames
	}
	fs.count(at, sum, "frames that died inside, for all reasons")
	for r := cost.NotDropped + 1; r < cost.NumReasons; r++ {
		fs.count(at+"."+r.String(), byReason[r.String()], r.Says())
	}
}

func (fs *facts) latency(at string, l ringside.Latency) {
	for _, f := range []struct {
		name string
		ns   int64
	}{{"min", l.Min}, {"p50", l.P50}, {"p90", l.P90}, {"p99", l.P99}, {"p999", l.P999}, {"max", l.Max}} {
		fs.add(at+f.name, nanoseconds(f.ns), "from the wire or a guest into a guest")
	}
}

// bill is what was spent by one machine or by all, in all, by stage and by operation.
func (fs *facts) bill(at string, list []*ringside.Report) {
	var cycles, frames, interrupts, polls, syscalls, switches, copies, copied uint64
	stages := make([]struct{ cycles, frames uint64 }, cost.NumStages)
	ops := make([]struct{ count, cycles, bytes uint64 }, cost.NumOps)
	for _, r := range list {
		cycles += r.Totals.Cycles
		frames += r.Conservation.In
		interrupts += r.Totals.Interrupts
		polls += r.Totals.Polls
		syscalls += r.Totals.Syscalls
		switches += r.Totals.ContextSwitches
		copies += r.Totals.Copies
		copied += r.Totals.BytesCopied
		for s := range r.Stages {
			stages[s].cycles += r.Stages[s].Cycles
			stages[s].frames += r.Stages[s].Frames
			for o := range ops {
				op := r.Stages[s].Ops[cost.Op(o).String()]
				ops[o].count += op.Count
				ops[o].cycles += op.Cycles
				ops[o].bytes += op.Bytes
			}
		}
	}
	fs.count(at+"cycles", cycles, "spent in all")
	fs.add(at+"cycles_per_frame", share(cycles, frames), "for every frame that came in")
	fs.count(at+"interrupts", interrupts, "hard interrupts")
	fs.count(at+"polls", polls, "of NAPI")
	fs.count(at+"syscalls", syscalls, "entered by guests' processes on the host")
	fs.count(at+"context_switches", switches, "")
	fs.count(at+"copies", copies, "of payload")
	fs.add(at+"bytes_copied", bytes(copied), "")
	for s, l := range stages {
		name := at + "stages." + cost.Stage(s).String() + "."
		fs.count(name+"cycles", l.cycles, "")
		fs.count(name+"frames", l.frames, "that the stage saw")
		fs.add(name+"share", share(l.cycles, cycles), "of all cycles")
	}
	for o, l := range ops {
		name := at + "ops." + cost.Op(o).String() + "."
		fs.count(name+"count", l.count, "")
		fs.count(name+"cycles", l.cycles, "")
		if cost.Op(o).Bytes() {
			fs.add(name+"bytes", bytes(l.bytes), "")
		}
	}
}

func (fs *facts) vm(at string, v ringside.VMReport) {
	fs.count(at+"frames", v.Frames, "that it got")
	fs.add(at+"bytes", bytes(v.Bytes), "that it got, in frames")
	fs.count(at+"sent", v.Sent, "frames that it sent")
	fs.add(at+"sent_bytes", bytes(v.SentBytes), "in frames")
	if v.Stack != nil {
		fs.stack(at+"stack.", v.Stack)
	}
}

// stack is what the stack of a guest or a peer has counted.
func (fs *facts) stack(at string, s *ringside.StackReport) {
	var dropped uint64
	for _, n := range s.Dropped {
		dropped += n
	}
	for _, f := range []struct {
		name string
		n    uint64
		says string
	}{
		{"ip_received", s.IPReceived, "packets"}, {"ip_sent", s.IPSent, "packets"}, {"ip_forwarded", s.IPForwarded, "packets"},
		{"tcp_received", s.TCPReceived, "segments; merged ones count as one"}, {"tcp_sent", s.TCPSent, "segments; those that a device cuts count as one"},
		{"tcp_retransmits", s.TCPRetransmits, "segments"}, {"tcp_timeouts", s.TCPTimeouts, "of retransmission"}, {"tcp_connects", s.TCPConnects, ""},
		{"tcp_accepts", s.TCPAccepts, ""}, {"tcp_resets", s.TCPResets, "sent and received"},
		{"udp_received", s.UDPReceived, "datagrams"}, {"udp_sent", s.UDPSent, "datagrams"}, {"dropped", dropped, "packets, for all reasons"},
	} {
		fs.count(at+f.name, f.n, f.says)
	}
}

// way is one direction of a NIC's link.
func (fs *facts) way(at string, w *ringside.WayReport) {
	var lost uint64
	for _, n := range w.Lost {
		lost += n
	}
	fs.count(at+"in", w.In, "frames that came to the link")
	fs.count(at+"out", w.Out, "")
	fs.count(at+"lost", lost, "for all reasons")
	for r := wire.NotLost + 1; r < wire.NumReasons; r++ {
		fs.count(at+"lost."+r.String(), w.Lost[r.String()], r.Says())
	}
	fs.count(at+"duplicated", w.Duplicated, "")
	fs.count(at+"corrupted", w.Corrupted, "")
	fs.count(at+"reordered", w.Reordered, "came out after one that went in later")
	fs.count(at+"held", w.Held, "on the link at the end")
	fs.add(at+"delay.min", nanoseconds(w.DelayNs.Min), "")
	fs.add(at+"delay.mean", nanoseconds(w.DelayNs.Mean), "")
	fs.add(at+"delay.max", nanoseconds(w.DelayNs.Max), "")
}

// vtep is what went through a tunnel. Frames are those inside.
func (fs *facts) vtep(at string, v *ringside.VTEPReport) {
	fs.count(at+"entries", uint64(v.Entries), "of its table at the end")
	fs.count(at+"sent", v.TxFrames, "frames, each copy for a remote")
	fs.add(at+"sent_bytes", bytes(v.TxBytes), "")
	fs.count(at+"received", v.RxFrames, "frames")
	fs.add(at+"received_bytes", bytes(v.RxBytes), "")
	fs.count(at+"learned", v.Created, "stations")
	fs.count(at+"moved", v.Moved, "stations that changed their remote")
	fs.count(at+"unknown", v.L2Miss, "frames to one station that was not in the table")
}

func (fs *facts) bridge(at string, b *ringside.BridgeReport) {
	fs.count(at+"fdb", uint64(b.FDB.Entries), "entries at the end")
	fs.count(at+"fdb.moved", b.FDB.Moved, "stations that moved to another port")
	fs.count(at+"fdb.created", b.FDB.Created, "")
	fs.count(at+"mdb", uint64(b.MDB), "groups at the end")
	for _, p := range b.Ports {
		name := at + "ports." + p.Name + "."
		fs.count(name+"rx", p.Rx, "frames that came in by it")
		fs.count(name+"tx", p.Tx, "frames that were forwarded to it")
		fs.count(name+"drops", p.Drops, "of those that came in, dropped by the bridge")
	}
}

// whole is all machines together.
func (fs *facts) whole(r *ringside.LabReport) {
	var drops []ringside.Drop
	var all []*ringside.Report
	for _, h := range r.Hosts {
		fs.frames("frames.", &h.Report.Conservation)
		drops = append(drops, h.Report.Drops...)
		all = append(all, h.Report)
	}
	fs.drops("drops", drops)
	fs.bill("bill.", all)
}

func (fs *facts) cable(at string, w ringside.CableWayReport) {
	fs.count(at+"in", w.In, "frames sent into it")
	fs.count(at+"out", w.Out, "received")
	fs.count(at+"lost", w.Lost, "because it was pulled")
	fs.count(at+"held", w.Held, "on it at the end")
}
