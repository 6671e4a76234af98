package scenario

import (
	"math/big"

	"ringside"
	"ringside/internal/programs"
)

// runs are the programs of machines with a stack, by the name under which their
// facts stand: HOST.vms.NAME or peers.NAME.
type runs map[string][]programs.Entry

// results are what the processes of one machine recorded. Those that the table of
// programs has are there before they are.
func (fs *facts) results(at string, run []programs.Entry, list []ringside.ResultReport) {
	for _, e := range run {
		for _, r := range e.Results() {
			fs.add(at+e.Name+"."+r.Name, quantity{dim: dimOf(r.Unit)}, r.Says)
		}
	}
	for _, r := range list {
		name := at + r.Process + "." + r.Name
		i, told := fs.at[name]
		told = told && fs.list[i].value.dim == recorded(&r).dim
		fs.add(name, recorded(&r), "")
		fs.list[fs.at[name]].untold = !told
	}
}

// dimOf is what a number with that unit is a number of.
func dimOf(u string) dim {
	if u == programs.Text {
		return text
	}
	known, _ := unitNamed(u)
	return known.dim
}

// recorded is the value of a result. A unit that is not known is none.
func recorded(r *ringside.ResultReport) quantity {
	if r.Text != "" {
		return quantity{dim: text, text: r.Text}
	}
	q := quantity{n: new(big.Rat).SetInt64(r.Value)}
	if u, ok := unitNamed(r.Unit); ok {
		q.n.Mul(q.n, u.n)
		q.dim = u.dim
	}
	return q
}

// peers are the machines at wires.
func (fs *facts) peers(r *ringside.LabReport, run runs) {
	for _, p := range r.Peers {
		fs.vm("peers."+p.Name+".", ringside.VMReport{Frames: p.Frames, Bytes: p.Bytes, Sent: p.Sent, SentBytes: p.SentBytes, Stack: &p.Stack})
		fs.results("peers."+p.Name+".", run["peers."+p.Name], p.Results)
	}
}

// programsOf lists what every process recorded, in the order of the file.
func programsOf(r *ringside.LabReport, run runs) (list []Program) {
	for _, p := range r.Peers {
		list = append(list, processes(p.Name, run["peers."+p.Name], p.Results)...)
	}
	for _, h := range r.Hosts {
		for _, v := range h.Report.VMs {
			list = append(list, processes(h.Name+"/"+v.Name, run[h.Name+".vms."+v.Name], v.Results)...)
		}
	}
	return list
}

func processes(who string, run []programs.Entry, results []ringside.ResultReport) []Program {
	var list []Program
	at := map[string]int{}
	process := func(name string) *Program {
		if _, ok := at[name]; !ok {
			at[name] = len(list)
			list = append(list, Program{Who: who, Process: name})
		}
		return &list[at[name]]
	}
	for _, e := range run {
		process(e.Name)
	}
	for _, r := range results {
		p := process(r.Process)
		p.Results = append(p.Results, Fact{Name: r.Name, Value: recorded(&r).in(unit{})})
	}
	return list
}
