package report

import (
	"fmt"
	"strings"

	"ringside/cost"
)

// The equation groups operations by what they are for. Every operation stands in
// one group, so the groups add up to the whole.
type group uint8

const (
	inDevice group = iota
	inIRQ
	inPoll
	inDriver
	inCalls
	inBridge
	inHost
	inTap
	inWake
	inBorder
	inCopy
	inVirtio
	inGuest
	inTLB
	inXDP
	inPMD
	numGroups
)

var groupNames = [numGroups]string{"C_device", "C_irq", "C_poll", "C_driver", "C_calls", "C_bridge", "C_host",
	"C_tap", "C_wake", "C_border", "C_copy", "C_virtio", "C_guest", "C_tlb", "C_xdp", "C_pmd"}

// A symbol is how the equation writes an operation: its count, its price, and
// the group it stands in. Operations of a group that were done equally often
// share the first one's count.
type symbol struct {
	group group
	count string
	price string
}

var symbols = [cost.NumOps]symbol{
	cost.DescFetch:     {inDevice, "n_fetch", "c_fetch"},
	cost.DMAWrite:      {inDevice, "n_write", "c_write"},
	cost.DMARead:       {inDevice, "n_read", "c_read"},
	cost.DescWriteback: {inDevice, "n_done", "c_done"},
	cost.TLP:           {inDevice, "n_tlp", "c_tlp"},
	cost.MSIX:          {inDevice, "n_msix", "c_msix"},

	cost.HardIRQ:   {inIRQ, "I", "c_irq"},
	cost.NAPIPoll:  {inPoll, "P", "c_poll"},
	cost.MMIOWrite: {inPoll, "R", "c_mmio"},
	cost.MMIORead:  {inPoll, "n_mmior", "c_mmior"},

	cost.RxDesc:      {inDriver, "N", "c_desc"},
	cost.FirstTouch:  {inDriver, "n_touch", "c_touch"},
	cost.BuildSKB:    {inDriver, "n_skb", "c_skb"},
	cost.GROReceive:  {inDriver, "n_gro", "c_gro"},
	cost.RxFrag:      {inDriver, "n_frag", "c_frag"},
	cost.PageRecycle: {inDriver, "n_reuse", "c_reuse"},
	cost.PageAlloc:   {inDriver, "n_page", "c_page"},
	cost.TxDesc:      {inDriver, "n_tx", "c_tx"},

	cost.Call:         {inCalls, "n_call", "c_call"},
	cost.IndirectCall: {inCalls, "n_icall", "c_icall"},

	cost.FDBLookup:  {inBridge, "n_find", "c_find"},
	cost.VLANLookup: {inBridge, "n_vlan", "c_vlan"},
	cost.FDBLearn:   {inBridge, "n_learn", "c_learn"},
	cost.FDBInsert:  {inBridge, "n_new", "c_new"},
	cost.FDBAge:     {inBridge, "n_age", "c_age"},
	cost.SKBClone:   {inBridge, "n_clone", "c_clone"},

	cost.LocalRx: {inHost, "n_in", "c_in"},
	cost.LocalTx: {inHost, "n_out", "c_out"},

	cost.Lock:       {inTap, "n_lock", "c_lock"},
	cost.RemoteLine: {inTap, "n_line", "c_line"},
	cost.KfreeSKB:   {inTap, "n_free", "c_free"},

	cost.Wakeup:        {inWake, "W", "c_wake"},
	cost.ContextSwitch: {inWake, "X", "c_switch"},

	cost.SyscallEnter: {inBorder, "S", "c_enter"},
	cost.SyscallExit:  {inBorder, "n_exit", "c_leave"},

	cost.CopyToUser:   {inCopy, "B", "c_byte"},
	cost.CopyFromUser: {inCopy, "B_in", "c_byte_in"},

	cost.Checksum:     {inCalls, "B_sum", "c_sum"},
	cost.TunnelHeader: {inBridge, "n_tunnel", "c_tunnel"},

	cost.VringGet:  {inVirtio, "n_get", "c_get"},
	cost.VringPut:  {inVirtio, "n_put", "c_put"},
	cost.Eventfd:   {inVirtio, "n_event", "c_event"},
	cost.VMExit:    {inVirtio, "E", "c_exit"},
	cost.IRQInject: {inVirtio, "n_inject", "c_inject"},
	cost.VirqEOI:   {inVirtio, "n_eoi", "c_eoi"},

	cost.GuestIRQ:    {inGuest, "n_girq", "c_girq"},
	cost.TransportRx: {inGuest, "n_seg", "c_seg"},
	cost.TransportTx: {inGuest, "n_segtx", "c_segtx"},
	cost.GuestWork:   {inGuest, "G", "c_guest"},

	cost.STLBHit:      {inTLB, "n_stlb", "c_stlb"},
	cost.PageWalkStep: {inTLB, "n_walk", "c_walk"},
	cost.IOTLBWalk:    {inDevice, "n_iowalk", "c_iowalk"},
	cost.DMAMap:       {inDriver, "n_map", "c_map"},
	cost.IOTLBFlush:   {inDriver, "n_flush", "c_flush"},
	cost.PostedIRQ:    {inVirtio, "n_post", "c_post"},

	cost.ColdLine: {inWake, "n_cold", "c_cold"},
	cost.NUMALine: {inWake, "n_far", "c_far"},
	cost.NUMACopy: {inCopy, "B_far", "c_byte_far"},
	cost.SMTShare: {inWake, "n_smt", "c_smt"},

	cost.XDPDesc:   {inXDP, "n_xdesc", "c_xdesc"},
	cost.XDPRun:    {inXDP, "n_prog", "c_prog"},
	cost.XDPMap:    {inXDP, "n_xmap", "c_xmap"},
	cost.XDPReturn: {inXDP, "n_ret", "c_ret"},
	cost.XSKDesc:   {inXDP, "n_xsk", "c_xsk"},
	cost.XSKAddr:   {inXDP, "n_umem", "c_umem"},

	cost.PMDIdle:    {inPMD, "n_idle", "c_idle"},
	cost.PMDRx:      {inPMD, "n_prx", "c_prx"},
	cost.PMDTx:      {inPMD, "n_ptx", "c_ptx"},
	cost.PMDForward: {inPMD, "n_fwd", "c_fwd"},
	cost.PMDLookup:  {inPMD, "n_look", "c_look"},
	cost.Mbuf:       {inPMD, "n_mbuf", "c_mbuf"},
	cost.FlowCache:  {inPMD, "n_flow", "c_flow"},
	cost.GraphNodes: {inPMD, "n_node", "c_node"},
}

// A term is count · (price + price + …).
type term struct {
	count  string
	n      uint64
	prices []string
	values []uint64 // thousandths of a cycle
}

// symbols and numbers are the two lines of the equation that a term stands in.
func (t *term) symbols() string { return factor(t.count, t.prices) }

func (t *term) numbers() string {
	var v []string
	for _, m := range t.values {
		v = append(v, Milli(m))
	}
	return factor(Comma(t.n), v)
}

func factor(count string, of []string) string {
	if len(of) == 1 {
		return count + "·" + of[0]
	}
	return count + "·(" + strings.Join(of, " + ") + ")"
}

// A sum is one group of the equation.
type sum struct {
	name   string
	apart  bool // every price in a term of its own
	terms  []term
	extra  uint64 // cycles beside the book's prices: the guests' own work
	cycles uint64 // as the bill prints it
}

// equation takes the bill apart into groups of terms. Groups without cycles are
// left out.
func equation(b *cost.Bill, narrow bool) (sums []sum, exact uint64) {
	for g := group(0); g < numGroups; g++ {
		s := sum{name: groupNames[g], apart: narrow}
		for o := cost.Op(0); o < cost.NumOps; o++ {
			if symbols[o].group == g {
				exact += s.add(b, o)
			}
		}
		if s.cycles > 0 {
			sums = append(sums, s)
		}
	}
	return sums, exact
}

// add puts an operation's terms into the group and returns its exact price in
// thousandths of a cycle.
func (s *sum) add(b *cost.Bill, o cost.Op) uint64 {
	var l cost.OpLine
	for stage := range b.Ops {
		line := b.Ops[stage][o]
		l.Count += line.Count
		l.Bytes += line.Bytes
		l.MilliCycles += line.MilliCycles
		s.cycles += line.Cycles()
	}
	if l.MilliCycles == 0 {
		return 0
	}
	sym := symbols[o]
	each, perByte := b.Book.Cycles(o)
	if each > 0 {
		s.term(sym.count, l.Count, sym.price, each)
	}
	if perByte > 0 {
		s.term(sym.count, l.Bytes, sym.price, perByte)
	}
	if priced := l.Count*each + l.Bytes*perByte; l.MilliCycles > priced {
		s.extra += l.MilliCycles - priced
	}
	return l.MilliCycles
}

func (s *sum) term(count string, n uint64, price string, each uint64) {
	for i := range s.terms {
		if t := &s.terms[i]; t.n == n && !s.apart {
			t.prices, t.values = append(t.prices, price), append(t.values, each)
			return
		}
	}
	s.terms = append(s.terms, term{count, n, []string{price}, []uint64{each}})
}

// lines are the symbols and, under them, the numbers of one group, a pair of
// lines for every room columns.
func (s *sum) lines(room int) (pairs [][2]string) {
	var above, below string
	flush := func() {
		if above != "" {
			pairs = append(pairs, [2]string{above, below})
		}
		above, below = "", ""
	}
	put := func(sym, num string) {
		// The two stand under each other, term by term.
		w := max(width(sym), width(num))
		if above != "" && width(above)+3+w > room {
			flush()
		}
		if above != "" || len(pairs) > 0 {
			above, below = above+" + ", below+" + "
		}
		above, below = above+pad(sym, w, false), below+pad(num, w, false)
	}
	for i := range s.terms {
		put(s.terms[i].symbols(), s.terms[i].numbers())
	}
	if s.extra > 0 {
		put("work", Milli(s.extra))
	}
	flush()
	return pairs
}

func (p *page) equation(b *cost.Bill, total, frames uint64) {
	sums, exact := equation(b, p.w < 76)
	p.title("THE COST AS AN EQUATION")
	what := "C is the cycles of all CPUs, c_x the price of one x in the book"
	if b.Book.Counts() {
		what = "C is the operations of all CPUs and of the device, a cycle for each, c_x that cycle of one x"
	}
	p.para("  ", what+", n_x how often x was done: "+
		"N received descriptors, I interrupts, P polls, R register writes, W wake-ups, X context switches, S system calls, B bytes copied.")
	p.blank()
	name, value := 0, len(Comma(total))
	for _, s := range sums {
		name = max(name, width(s.name))
	}
	room := p.w - (2 + name + 3) - (2 + value)
	for _, s := range sums {
		for i, pair := range s.lines(room) {
			label, result := "", ""
			if i == 0 {
				label, result = pad(s.name, name, false)+" =", Comma(s.cycles)
			}
			p.line("  " + pad(label, name+3, false) + pad(Fit(pair[0], room), room, false) + "  " + pad(result, value, true))
			p.line("  " + pad("", name+3, false) + Fit(pair[1], room))
		}
	}
	p.blank()
	var parts, values []string
	for _, s := range sums {
		parts, values = append(parts, s.name), append(values, Comma(s.cycles))
	}
	p.para("  C = ", strings.Join(parts, " + "))
	p.para("    = ", strings.Join(values, " + "))
	if frames > 0 {
		p.para("    = ", fmt.Sprintf("%s cycles, which is %s for each of %s", Comma(total), ratio(total, frames), Count(frames, "frame", "frames")))
	}
	if exact != total*1000 {
		p.para("    ", fmt.Sprintf("Every line of the bill is rounded to whole cycles; unrounded, C is %s.", Milli(exact)))
	}
}
