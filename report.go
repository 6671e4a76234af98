package ringside

import (
	"fmt"
	"slices"

	"ringside/cost"
	"ringside/kernel"
	"ringside/sim"
	"ringside/vm/guest"
)

// ReportSchema names the shape of a Report as JSON.
const ReportSchema = "ringside.report/1"

// A Report is what a run has to say. Its JSON is stable: integers are integers,
// maps are sorted, and nothing in it depends on the wall clock.
type Report struct {
	Schema       string               `json:"schema"`
	Seed         uint64               `json:"seed"`
	Path         string               `json:"path"`
	Book         string               `json:"book"`
	Hz           uint64               `json:"clock_hz"`
	Machine      Machine              `json:"machine"`
	Input        *Input               `json:"input,omitempty"`
	Links        []LinkReport         `json:"links,omitempty"` // of NICs whose Link does something
	Conservation Conservation         `json:"conservation"`
	Drops        []Drop               `json:"drops"`
	VMs          []VMReport           `json:"vms"`
	Stages       []StageReport        `json:"stages"`
	CPUs         []CPUReport          `json:"cpus"`
	Totals       Totals               `json:"totals"`
	Latency      Latency              `json:"latency_ns"`
	Bridges      []BridgeReport       `json:"bridges,omitempty"`
	VTEPs        []VTEPReport         `json:"vteps,omitempty"`
	VFs          []VFReport           `json:"vfs,omitempty"`   // virtual functions, of the path sriov
	IOMMU        *IOMMUReport         `json:"iommu,omitempty"` // nil without one
	Stack        *StackReport         `json:"stack,omitempty"` // the host's own, if it has one
	Neighbours   []NeighbourReport    `json:"neighbours,omitempty"`
	Storm        *kernel.Storm        `json:"storm,omitempty"` // of frames that go in circles
	Softnet      []kernel.SoftnetStat `json:"softnet_stat"`
	XDP          []XDPStat            `json:"xdp,omitempty"`    // of NICs that have a program
	Paging       *PagingReport        `json:"paging,omitempty"` // nil without a model of TLBs
	Sched        *SchedReport         `json:"sched,omitempty"`  // of a machine whose tasks move, or whose CPUs are not alike
	VirtualNs    int64                `json:"virtual_ns"`
	Events       uint64               `json:"events"`
	TraceHash    string               `json:"trace_hash"`

	Bill *cost.Bill `json:"-"`
}

// Input is what was replayed.
type Input struct {
	File     string            `json:"file"`   // all of them, with spaces between
	Files    []string          `json:"files"`  // one by one
	Frames   uint64            `json:"frames"` // put on the wire, over all loops
	Bytes    uint64            `json:"bytes"`
	Speed    string            `json:"speed"`
	Loops    int               `json:"loops"`
	Guest    string            `json:"guest"`              // the program of every guest
	Skipped  map[string]uint64 `json:"skipped"`            // read and not put on the wire, by reason
	Adjusted map[string]uint64 `json:"adjusted,omitempty"` // put on the wire with a change, by reason
	Mapping  []Mapped          `json:"mapping"`            // which address went to which VM
	Unmapped uint64            `json:"unmapped"`           // frames to addresses that no VM has
	Groups   uint64            `json:"groups"`             // frames to broadcast and multicast addresses
}

// Mapped is one destination address and its VM.
type Mapped struct {
	MAC    string `json:"mac"`
	VM     string `json:"vm"`
	Frames uint64 `json:"frames"`
}

// Conservation is the account of frames: In + Cloned + Segmented = Delivered +
// Dropped + Merged + InFlight.
type Conservation struct {
	In        uint64            `json:"in"` // from the wire, guests and the host's stack
	Cloned    uint64            `json:"cloned"`
	Segmented uint64            `json:"segmented"` // made by cutting frames, beyond the first of each
	Merged    uint64            `json:"merged"`    // joined another frame
	Delivered uint64            `json:"delivered"`
	Dropped   map[string]uint64 `json:"dropped"`
	InFlight  uint64            `json:"in_flight"`
	Balanced  bool              `json:"balanced"`

	FromWire uint64 `json:"from_wire"`
	Own      uint64 `json:"own"`
	ToVMs    uint64 `json:"to_vms"`
	ToHost   uint64 `json:"to_host"`
	ToWire   uint64 `json:"to_wire"`
}

func (c *Conservation) dropped() (n uint64) {
	for _, v := range c.Dropped {
		n += v
	}
	return n
}

// A Drop is how many frames died at one place for one reason.
type Drop struct {
	Stage  string `json:"stage"`
	Reason string `json:"reason"`
	Linux  bool   `json:"linux"` // the reason is one of Linux's
	Frames uint64 `json:"frames"`
	Says   string `json:"says"`
}

// A VMReport is what one guest got and sent.
type VMReport struct {
	Name      string `json:"name"`
	Frames    uint64 `json:"frames"`
	Bytes     uint64 `json:"bytes"`
	Truncated uint64 `json:"truncated,omitempty"`
	Sent      uint64 `json:"sent"`
	SentBytes uint64 `json:"sent_bytes"`
	CPU       int    `json:"cpu"`

	Stack   *StackReport   `json:"stack,omitempty"` // of a guest with Processes
	Results []ResultReport `json:"results,omitempty"`
}

// A StackReport is what the TCP/IP stack of a guest or a peer has counted.
type StackReport struct {
	IPReceived     uint64            `json:"ip_received"`
	IPSent         uint64            `json:"ip_sent"`
	IPForwarded    uint64            `json:"ip_forwarded"`
	TCPReceived    uint64            `json:"tcp_received"` // segments; merged ones count as one
	TCPSent        uint64            `json:"tcp_sent"`     // likewise those that a device cuts
	TCPRetransmits uint64            `json:"tcp_retransmits"`
	TCPTimeouts    uint64            `json:"tcp_timeouts"`
	TCPConnects    uint64            `json:"tcp_connects"`
	TCPAccepts     uint64            `json:"tcp_accepts"`
	TCPResets      uint64            `json:"tcp_resets"` // sent and received
	UDPReceived    uint64            `json:"udp_received"`
	UDPSent        uint64            `json:"udp_sent"`
	Dropped        map[string]uint64 `json:"dropped"` // packets, by the stack's reasons
}

// A ResultReport is what a process has recorded: a number with its unit, or a text.
type ResultReport struct {
	Process string `json:"process"`
	Name    string `json:"name"`
	Value   int64  `json:"value"`
	Unit    string `json:"unit,omitempty"`
	Text    string `json:"text,omitempty"`
}

// A StageReport is one stage's part of the bill.
type StageReport struct {
	Stage  string              `json:"stage"`
	Frames uint64              `json:"frames"`
	Cycles uint64              `json:"cycles"`
	Ops    map[string]OpReport `json:"ops"`
}

// An OpReport is one operation's line.
type OpReport struct {
	Count    uint64 `json:"count"`
	Cycles   uint64 `json:"cycles"`
	Bytes    uint64 `json:"bytes"`
	DeviceNs uint64 `json:"device_ns,omitempty"` // time of a device, which costs no cycles
}

// A CPUReport is how busy one CPU was.
type CPUReport struct {
	Name   string `json:"name"`
	Cycles uint64 `json:"cycles"`
	BusyNs int64  `json:"busy_ns"`
}

// Totals are the bill in one line.
type Totals struct {
	Cycles          uint64  `json:"cycles"`
	CyclesPerFrame  float64 `json:"cycles_per_frame"` // for every frame that came in
	Interrupts      uint64  `json:"interrupts"`
	Polls           uint64  `json:"polls"`
	Syscalls        uint64  `json:"syscalls"`
	ContextSwitches uint64  `json:"context_switches"`
	Copies          uint64  `json:"copies"`
	BytesCopied     uint64  `json:"bytes_copied"`
}

// Latency is how long frames took into their guests, in nanoseconds.
type Latency struct {
	Min  int64 `json:"min"`
	P50  int64 `json:"p50"`
	P90  int64 `json:"p90"`
	P99  int64 `json:"p99"`
	P999 int64 `json:"p999"`
	Max  int64 `json:"max"`
}

// Bill is the ledger so far.
func (h *Host) Bill() *cost.Bill {
	return cost.Sum(h.book, slices.Concat(h.devices, h.Kernel.Accounts())...)
}

// Report sums the run up.
func (h *Host) Report() *Report {
	bill := h.Bill()
	r := &Report{
		Schema: ReportSchema, Seed: h.cfg.Seed, Path: h.cfg.Path.String(), Book: h.book.Name, Hz: h.book.Hz, Machine: h.machine(),
		Links: h.linkReports(), Conservation: h.conservation(), Drops: h.dropList(), VMs: h.vmReports(), Bill: bill,
		Bridges: h.bridgeReports(), VTEPs: h.vtepReports(), VFs: h.vfReports(), IOMMU: h.iommuReport(), Stack: h.hostStackReport(), Neighbours: h.neighbourReports(),
		Storm: h.Kernel.Storm(), Softnet: h.Kernel.SoftnetStats(), XDP: h.Kernel.XDPStats(), VirtualNs: h.Kernel.Now().Nanoseconds(),
		Events: h.Engine.Fired(), TraceHash: h.Hash.String(),
	}
	for s := cost.Stage(0); s < cost.NumStages; s++ {
		r.Stages = append(r.Stages, stageReport(bill, s))
	}
	for i, a := range h.Kernel.Accounts() {
		share := bill.CPUs[len(h.devices)+i]
		r.CPUs = append(r.CPUs, CPUReport{share.Name, share.Cycles, sim.Span(a.Ticks(), sim.Scale(h.book.Hz)).Nanoseconds()})
	}
	copies, bytes := bill.Copied()
	r.Totals = Totals{
		Cycles: bill.Cycles(), Interrupts: bill.Count(cost.HardIRQ), Polls: bill.Count(cost.NAPIPoll),
		Syscalls: bill.Count(cost.SyscallEnter), ContextSwitches: bill.Count(cost.ContextSwitch),
		Copies: copies, BytesCopied: bytes,
	}
	r.Paging = h.pagingReport()
	if n := r.Conservation.In; n > 0 && r.Paging != nil {
		r.Paging.MissesPerFrame = float64((r.Paging.STLBHits+r.Paging.Walks)*100/n) / 100
		r.Paging.WalksPerFrame = float64(r.Paging.Walks*100/n) / 100
	}
	if n := r.Conservation.In; n > 0 {
		r.Totals.CyclesPerFrame = float64(r.Totals.Cycles*100/n) / 100
	}
	r.Latency = h.latency()
	r.Sched = h.schedReport(bill, r)
	return r
}

func (h *Host) latency() Latency {
	l := &h.Kernel.Latency
	return Latency{
		l.Min().Nanoseconds(), l.Quantile(500).Nanoseconds(), l.Quantile(900).Nanoseconds(),
		l.Quantile(990).Nanoseconds(), l.Quantile(999).Nanoseconds(), l.Max().Nanoseconds(),
	}
}

func stageReport(b *cost.Bill, s cost.Stage) StageReport {
	r := StageReport{Stage: s.String(), Frames: b.Frames[s], Cycles: b.StageCycles(s), Ops: map[string]OpReport{}}
	for o, l := range b.Ops[s] {
		if l.Count > 0 {
			r.Ops[cost.Op(o).String()] = OpReport{l.Count, l.Cycles(), l.Bytes, l.Picoseconds / 1000}
		}
	}
	return r
}

func (h *Host) conservation() Conservation {
	f := h.Kernel.Flow()
	c := Conservation{
		Own: f.Own, Cloned: f.Cloned, Segmented: f.Segmented, Merged: f.Merged, ToVMs: f.ToVMs, ToHost: f.ToHost,
		Dropped: map[string]uint64{}, InFlight: h.Kernel.InFlight(),
	}
	for _, n := range h.NICs {
		st := n.Counts()
		c.FromWire += st.In + n.UnderWay()
		c.ToWire += st.Sent
		c.Segmented += st.Segmented
		c.Merged += st.Merged
		c.Own += st.FromVFs
		c.Cloned += st.Cloned
		c.InFlight += n.InFlight()
	}
	c.In = c.FromWire + c.Own
	c.Delivered = c.ToVMs + c.ToHost + c.ToWire
	for r, n := range h.drops.ByReason() {
		if n > 0 {
			c.Dropped[cost.DropReason(r).String()] = n
		}
	}
	c.Balanced = c.In+c.Cloned+c.Segmented == c.Delivered+h.drops.Total()+c.Merged+c.InFlight
	return c
}

func (h *Host) dropList() []Drop {
	list := []Drop{}
	for s := range h.drops {
		for r, n := range h.drops[s] {
			if n > 0 {
				why := cost.DropReason(r)
				list = append(list, Drop{cost.Stage(s).String(), why.String(), why.Linux(), n, why.Says()})
			}
		}
	}
	return list
}

func (h *Host) vmReports() []VMReport {
	list, taps := []VMReport{}, h.Kernel.TapStats()
	for i, m := range h.vms {
		r := VMReport{Name: m.name, CPU: m.cpu}
		for n := range 1 + len(h.cfg.VMs[i].Interfaces) {
			var st kernel.TapStat
			if m.vfs != nil {
				st = m.vfs[n].Stat()
			} else {
				st, taps = taps[0], taps[1:]
			}
			r.Frames, r.Bytes, r.Truncated = r.Frames+st.RxFrames, r.Bytes+st.RxBytes, r.Truncated+st.Truncated
			r.Sent, r.SentBytes = r.Sent+st.TxFrames, r.SentBytes+st.TxBytes
		}
		if m.kernel != nil {
			r.Stack, r.Results = stackReport(m.kernel), results(m.kernel)
		}
		list = append(list, r)
	}
	return list
}

func stackReport(k *guest.Kernel) *StackReport { return countsOf(k.Stack().Stats()) }

func results(k *guest.Kernel) []ResultReport {
	list := []ResultReport{}
	for _, r := range k.Results() {
		list = append(list, ResultReport(r))
	}
	return list
}

// String is the report's first words, for logs.
func (r *Report) String() string {
	return fmt.Sprintf("%d in, %d delivered, %d cycles, %s", r.Conservation.In, r.Conservation.Delivered, r.Totals.Cycles, r.TraceHash)
}
