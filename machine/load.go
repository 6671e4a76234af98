package machine

import (
	"embed"
	"fmt"
	"io"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"

	"ringside/cost"
	"ringside/internal/form"
	"ringside/internal/spell"
	"ringside/sim"
)

// Schema is the first line of every machine file.
const Schema = "ringside.machine/1"

// The bounds of a machine. Its clock is within a factor of those for which prices were
// measured, so that a price keeps its bounds on it, too.
const (
	maxBytes       = 64 << 10
	minHz, maxHz   = 100_000_000, 10_000_000_000
	maxWait        = 10 * sim.Microsecond
	maxCores       = 4096
	maxTLB         = 1 << 16
	maxNIC         = 1_000_000_000_000 // frames a second
	maxKernelMajor = 99
)

//go:embed machines/*.yaml
var files embed.FS

// Names lists the built-in machines.
func Names() []string {
	entries, err := files.ReadDir("machines")
	if err != nil {
		panic(err) // embedded: it is there
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	slices.Sort(names)
	return names
}

// Text is the file of a built-in machine, to read or to begin one's own with.
func Text(name string) ([]byte, error) {
	if !slices.Contains(Names(), name) {
		hint := ""
		if near := spell.Nearest(name, Names()); near != "" {
			hint = fmt.Sprintf("did you mean %q? ", near)
		}
		return nil, fmt.Errorf("no machine is called %s: %sbuilt in are %s; a file of your own needs .yaml at its end or a / in its path",
			form.Quote(name), hint, strings.Join(Names(), ", "))
	}
	return files.ReadFile("machines/" + name + ".yaml")
}

// IsFile says whether Open takes the words for a file, and not for the name of a machine:
// as with books.
func IsFile(nameOrPath string) bool { return cost.IsFile(nameOrPath) }

// Open loads a machine by name or from a file: whatever has a path separator in it or
// ends in .yaml or .yml is a file, anything else is the name of a built-in machine.
func Open(nameOrPath string) (*Machine, error) {
	if !IsFile(nameOrPath) {
		return builtin(nameOrPath)
	}
	f, err := os.Open(nameOrPath)
	if err != nil {
		return nil, fmt.Errorf("machine: %w", err)
	}
	defer f.Close()
	return Load(f, nameOrPath)
}

func builtin(name string) (*Machine, error) {
	text, err := Text(name)
	if err != nil {
		return nil, err
	}
	return parse(text, name+".yaml", true)
}

// Load reads a machine of the user's. File is what errors call it. The error names
// everything that is wrong with the file, a line each: where, what and what to do.
func Load(r io.Reader, file string) (*Machine, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("machine %s: %w", file, err)
	}
	if len(text) > maxBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes, so this is no machine", file, maxBytes)
	}
	return parse(text, file, false)
}

type (
	field = form.Field
	known = form.Known
)

// A reader takes one file apart.
type reader struct {
	*form.Reader
	m       *Machine
	builtin bool
	waits   []wait
	retp    bool // the file says whether there are retpolines
}

// A wait is a latency that may be in cycles of a clock that stands further down.
type wait struct {
	field
	into *sim.Time
}

func parse(text []byte, file string, isBuiltin bool) (*Machine, error) {
	r := &reader{Reader: &form.Reader{File: file, Noun: "machine", Schema: Schema}, m: &Machine{}, builtin: isBuiltin}
	if root := r.Document(text); root != nil && r.HasSchema(root) {
		r.top(field{Node: root})
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return r.m, nil
}

func (r *reader) top(root field) {
	m := r.m
	r.Mapping(root, "a list of keys", []known{
		{Name: "schema", Read: func(field) {}},
		{Name: "name", Read: r.name},
		{Name: "title", Read: func(f field) { m.Title, _ = r.Text(f) }},
		{Name: "source", Read: func(f field) { m.Source, _ = r.Text(f) }},
		{Name: "clock_hz", Read: form.Whole(r.Reader, &m.Hz, minHz, maxHz)},
		{Name: "cores", Read: form.Whole(r.Reader, &m.Cores, 1, maxCores)},
		{Name: "threads", Read: form.Whole(r.Reader, &m.Threads, 1, 8)},
		{Name: "nodes", Read: form.Whole(r.Reader, &m.Nodes, 1, 64)},
		{Name: "l2", Read: r.wait(&m.L2)},
		{Name: "l3", Read: r.wait(&m.L3)},
		{Name: "dram", Read: r.wait(&m.DRAM)},
		{Name: "dram_far", Read: r.wait(&m.DRAMFar)},
		{Name: "remote", Read: r.wait(&m.Remote)},
		{Name: "remote_far", Read: r.wait(&m.RemoteFar)},
		{Name: "dma_line", Read: r.wait(&m.DMALine)},
		{Name: "tlb", Read: r.tlb},
		{Name: "nic", Read: r.nic},
		{Name: "kernel", Read: r.kernel},
		{Name: "mitigations", Read: r.On(&m.Mitigations)},
		{Name: "retpoline", Read: func(f field) { r.retp = true; r.On(&m.Retpoline)(f) }},
		{Name: "smap", Read: r.On(&m.SMAP)},
	})
	if !r.retp {
		m.Retpoline = m.Mitigations
	}
	if m.Name == "" && len(r.Problems()) == 0 {
		r.Fail(form.At(root.Node), "name: missing: a machine has one, as name: my-server")
	}
	if m.Hz == 0 {
		if len(r.Problems()) == 0 {
			r.Fail(form.At(root.Node), "clock_hz: missing: a machine has a clock, as clock_hz: 2_600_000_000")
		}
		return
	}
	for _, w := range r.waits {
		r.setWait(w)
	}
}

func (r *reader) name(f field) {
	s, ok := r.Text(f)
	switch {
	case !ok:
	case len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" || strings.Trim(s[:1], "._-") == "":
		r.Wrong(f, "%s: use up to 64 letters, digits, dots, dashes and underscores, so that it can stand in reports", form.Quote(s))
	case !r.builtin && slices.Contains(Names(), s):
		r.Wrong(f, "%s is a built-in machine: give this one a name of its own, so that a prediction says whose it is", form.Quote(s))
	default:
		r.m.Name = s
	}
}

// wait reads a latency, which is set when the clock is known.
func (r *reader) wait(into *sim.Time) func(field) {
	return func(f field) { r.waits = append(r.waits, wait{f, into}) }
}

func (r *reader) setWait(w wait) {
	s, ok := r.Text(w.field)
	if !ok {
		return
	}
	num, unit := s, ""
	if i := strings.LastIndexAny(s, "0123456789."); i >= 0 {
		num, unit = s[:i+1], strings.TrimSpace(s[i+1:])
	}
	v, ok := decimal(num)
	scale := big.NewRat(1000, 1)
	switch unit {
	case "ns":
	case "cyc":
		scale = big.NewRat(1e12, int64(r.m.Hz))
	default:
		ok = false
	}
	if !ok {
		r.Wrong(w.field, "%s is no time with its unit: write it as 21.2ns or 46cyc", form.Quote(s))
		return
	}
	ps, _ := v.Mul(v, scale).Float64()
	if ps < 1 || ps > float64(maxWait) {
		r.Wrong(w.field, "%s: give a time up to %s", form.Quote(s), form.Short(maxWait))
		return
	}
	*w.into = sim.Time(ps + 0.5)
}

// decimal is a number as people write it, with at most one point.
func decimal(s string) (*big.Rat, bool) {
	whole, frac, point := strings.Cut(s, ".")
	if len(s) > 32 || whole == "" || (frac != "") != point || strings.Trim(whole+frac, "0123456789") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

func (r *reader) tlb(f field) {
	level := func(into *[3]int) func(field) {
		return func(f field) {
			r.Mapping(f, "page sizes with how many translations are kept", []known{
				{Name: "4k", Read: form.Whole(r.Reader, &into[0], 0, maxTLB)},
				{Name: "2m", Read: form.Whole(r.Reader, &into[1], 0, maxTLB)},
				{Name: "1g", Read: form.Whole(r.Reader, &into[2], 0, maxTLB)},
			})
		}
	}
	r.Mapping(f, "levels, l1 and l2", []known{
		{Name: "l1", Read: level(&r.m.TLB.L1)},
		{Name: "l2", Read: level(&r.m.TLB.L2)},
	})
}

func (r *reader) nic(f field) {
	n := &r.m.NIC
	r.Mapping(f, "what is known of the adapter", []known{
		{Name: "model", Read: func(f field) { n.Model, _ = r.Text(f) }},
		{Name: "link", Read: r.link},
		{Name: "ports", Read: form.Whole(r.Reader, &n.Ports, 1, 64)},
		{Name: "mpps", Read: r.mpps},
		{Name: "pcie", Read: r.pcie},
		{Name: "ddio", Read: r.On(&n.DDIO)},
		{Name: "vector", Read: r.On(&n.Vector)},
	})
}

// links are the rates that a link can have.
var (
	links   = []string{"1G", "10G", "25G", "40G", "100G"}
	linkBPS = []uint64{1e9, 10e9, 25e9, 40e9, 100e9}
)

func (r *reader) link(f field) {
	if i, ok := r.Word(f, links...); ok {
		r.m.NIC.LinkBPS = linkBPS[i]
	}
}

func (r *reader) mpps(f field) {
	s, ok := r.Text(f)
	if !ok {
		return
	}
	v, ok := decimal(s)
	if !ok {
		r.Wrong(f, "%s is no number of millions a second, as 23.4 is", form.Quote(s))
		return
	}
	pps, _ := v.Mul(v, big.NewRat(1e6, 1)).Float64()
	if pps < 1 || pps > maxNIC {
		r.Wrong(f, "%s: give millions of frames a second above 0 and up to 1000000", form.Quote(s))
		return
	}
	r.m.NIC.PPS = uint64(pps + 0.5)
}

// pcie reads "3.0 x8".
func (r *reader) pcie(f field) {
	s, ok := r.Text(f)
	if !ok {
		return
	}
	gen, lanes, found := strings.Cut(s, " x")
	g, err := strconv.Atoi(strings.TrimSuffix(gen, ".0"))
	n, err2 := strconv.Atoi(lanes)
	if !found || err != nil || err2 != nil || g < 1 || g >= len(laneMbps) || !slices.Contains([]int{1, 2, 4, 8, 16}, n) {
		r.Wrong(f, "%s is no slot: write generation 1 to 5 and lanes, as 3.0 x8", form.Quote(s))
		return
	}
	r.m.NIC.PCIe = PCIe{g, n}
}

func (r *reader) kernel(f field) {
	s, ok := r.Text(f)
	if !ok {
		return
	}
	major, minor, found := strings.Cut(s, ".")
	a, err := strconv.ParseUint(major, 10, 16)
	b, err2 := strconv.ParseUint(minor, 10, 16)
	if !found || err != nil || err2 != nil || a < 2 || a > maxKernelMajor || b > 999 {
		r.Wrong(f, "%s is no version of Linux: write it as 4.18, in quotes if it ends in 0", form.Quote(s))
		return
	}
	r.m.Kernel = Kernel{int(a), int(b)}
}
