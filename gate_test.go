package ringside_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/cost"
	"ringside/internal/gate"
	"ringside/nic"
	"ringside/sim"
	"ringside/trace"
	"ringside/vm"
)

// The determinism gate. docs/determinism.md says what it proves.

var update = flag.Bool("update", false, "rewrite testdata/golden/hashes.txt from this run")

// scenarios are those of internal/gate; with -short the small ones.
func scenarios(t *testing.T) []gate.Scenario {
	t.Helper()
	list, err := gate.Scenarios("testdata")
	require.NoError(t, err)
	if testing.Short() {
		list = slices.DeleteFunc(list, func(s gate.Scenario) bool { return !s.Small })
	}
	return list
}

var (
	firstRuns = map[string]*gate.Outcome{}
	firstLock sync.Mutex
)

// firstRun is the run of a scenario that all others are compared with: the first
// in this process, with somebody watching.
func firstRun(s gate.Scenario) *gate.Outcome {
	firstLock.Lock()
	defer firstLock.Unlock()
	if firstRuns[s.Name] == nil {
		firstRuns[s.Name] = gate.Run(s, "the first run", true)
	}
	return firstRuns[s.Name]
}

// same fails the test if o is not what the first run was.
func same(t *testing.T, s gate.Scenario, o *gate.Outcome) {
	t.Helper()
	if d := gate.Compare(firstRun(s), o); d != "" {
		t.Error(d)
	}
}

// The second run has nobody watching, which must make no difference.
func TestGateEveryScenarioTwice(t *testing.T) {
	records, sights := 0, uint64(0)
	for _, s := range scenarios(t) {
		o := firstRun(s)
		records += len(o.Records)
		sights += o.Sights
		if o.Err != s.Err {
			t.Errorf("%s: it ended with %q; %q was expected", s.Name, o.Err, s.Err)
		}
		for _, reason := range s.Drops {
			if o.Dropped[reason] == 0 {
				t.Errorf("%s: nothing was dropped for %s; it is there for that", s.Name, reason)
			}
		}
		if rest := s.Until == 0 && (s.Replay == nil || s.Replay.Until == 0); rest && o.InFlight > 0 {
			t.Errorf("%s: %d frames are in flight when all is at rest", s.Name, o.InFlight)
		}
		same(t, s, gate.Run(s, "the second run, unwatched", false))
	}
	t.Logf("%d records of traces and %d frames of captures compared", records, sights)
}

func TestGateEveryScenarioUnderLoad(t *testing.T) {
	list := scenarios(t)
	for _, s := range list {
		firstRun(s)
	}
	defer gate.Disturb()()
	for _, s := range list {
		same(t, s, gate.Run(s, "a run among spinning goroutines and constant collections", true))
	}
}

// childEnv has the folder in which a child of TestGateEveryScenarioInProcesses
// leaves what it found.
const childEnv = "RINGSIDE_GATE_CHILD"

func TestGateEveryScenarioInProcesses(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Skipf("no child processes here: %v", err)
	}
	for _, procs := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("GOMAXPROCS=%d", procs), func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			args := []string{"-test.run=^TestGateChild$", "-test.v"}
			if testing.Short() {
				args = append(args, "-test.short")
			}
			c := exec.Command(self, args...)
			c.Env = append(os.Environ(), childEnv+"="+folder, fmt.Sprintf("GOMAXPROCS=%d", procs))
			out, err := c.CombinedOutput()
			require.NoError(t, err, "%s", out)
			for _, s := range scenarios(t) {
				o, err := gate.Load(filepath.Join(folder, gate.FileName(s.Name)))
				require.NoError(t, err)
				same(t, s, o)
			}
		})
	}
}

// TestGateChild is what the children run.
func TestGateChild(t *testing.T) {
	folder := os.Getenv(childEnv)
	if folder == "" {
		t.Skip("runs in children of TestGateEveryScenarioInProcesses alone")
	}
	for _, s := range scenarios(t) {
		o := gate.Run(s, "a process with GOMAXPROCS="+os.Getenv("GOMAXPROCS"), true)
		require.NoError(t, o.Save(filepath.Join(folder, gate.FileName(s.Name))))
	}
}

// The same in WebAssembly, under Node: another instruction set, no threads,
// another operating system.
func TestGateWebAssembly(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not installed, which builds for WebAssembly")
	}
	if strconv.IntSize != 64 {
		t.Skip("hashes are those of 64-bit machines")
	}
	root, err := exec.Command(goTool, "env", "GOROOT").Output()
	require.NoError(t, err)
	runner := filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec_node.js")
	if _, err := os.Stat(runner); err != nil {
		t.Skipf("this Go has no runner for Node: %v", err)
	}
	folder := t.TempDir()
	binary := filepath.Join(folder, "hashes.wasm")
	build := exec.Command(goTool, "build", "-o", binary, "./internal/gate/hashes")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS="+withoutRace())
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	var names []string
	var small []gate.Scenario
	for _, s := range scenarios(t) {
		if s.Small {
			names, small = append(names, s.Name), append(small, s)
		}
	}
	args := append([]string{"--stack-size=8192", runner, binary, "-watched", "-save", folder, "-label", "WebAssembly"}, names...)
	c := exec.Command(node, args...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder} // the whole environment may not fit
	out, err = c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, s := range small {
		o, err := gate.Load(filepath.Join(folder, gate.FileName(s.Name)))
		require.NoError(t, err)
		same(t, s, o)
	}
}

// withoutRace is GOFLAGS without -race, which WebAssembly does not have.
func withoutRace() string {
	flags := strings.Fields(os.Getenv("GOFLAGS"))
	return strings.Join(slices.DeleteFunc(flags, func(f string) bool { return strings.HasPrefix(f, "-race") }), " ")
}

const goldenFile = "testdata/golden/hashes.txt"

const goldenHead = `# The trace hash of every scenario of the determinism gate, as
#   go test . -run TestGateGolden -update
# wrote it. It is the same on every 64-bit platform. It belongs to this state of
# the model, of the cost books and of the captures, and to this version of
# gVisor: whoever changes one of them on purpose writes it anew, and says so in
# the commit. A change that was to be none, of speed alone for instance, leaves
# it as it is.
`

func TestGateGolden(t *testing.T) {
	if strconv.IntSize != 64 {
		t.Skip("the golden hashes are those of 64-bit machines: gVisor's window depends on the size of its structs")
	}
	if *update {
		if testing.Short() {
			t.Fatal("-short leaves scenarios out")
		}
		var b bytes.Buffer
		b.WriteString(goldenHead)
		for _, s := range scenarios(t) {
			fmt.Fprintln(&b, s.Name, firstRun(s).Hash)
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(goldenFile), 0o777))
		require.NoError(t, os.WriteFile(goldenFile, b.Bytes(), 0o666))
	}
	golden := map[string]string{}
	text, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if name, hash, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			golden[name] = hash
		}
	}
	const shown = 5
	changed, list := 0, scenarios(t)
	for _, s := range list {
		if golden[s.Name] != firstRun(s).Hash {
			if changed++; changed <= shown {
				t.Errorf("%s: the hash is %s, and was %s", s.Name, firstRun(s).Hash, golden[s.Name])
			}
		}
		delete(golden, s.Name)
	}
	if len(golden) > 0 && !testing.Short() {
		t.Errorf("%s has %d scenarios that are gone", goldenFile, len(golden))
		changed++
	}
	if changed > 0 {
		t.Errorf("%d of %d hashes have changed; if the model was meant to, write them anew: make golden", changed, len(list))
	}
}

// five is a machine for the tests below: a guest gets five frames, 100 us apart.
func five(program vm.Program) *gate.Scenario {
	return &gate.Scenario{Name: "five", Machine: func() ringside.Config {
		w := &gate.Wire{}
		for i := range 5 {
			data := bytes.Repeat([]byte{byte(i)}, 60)
			copy(data, []byte{2, 0, 0, 0, 1, 0, 2, 0xfa, 0, 0, 0, 1})
			w.Frames = append(w.Frames, nic.WireFrame{ID: uint64(i + 1), At: sim.Time(i) * 100 * sim.Microsecond, Data: data})
		}
		return ringside.Config{Seed: 1, Wire: w, VMs: []ringside.VM{{Program: program, Known: []bridge.MAC{{2, 0, 0, 0, 1, 0}}}}}
	}}
}

// A guest that remembers something across runs breaks the promise, and the gate
// has to find the place: after the third frame it sleeps past the fourth, a
// microsecond longer each time that it was started.
func TestGateFindsTheFirstDifference(t *testing.T) {
	runs := 0
	s := five(func(g *vm.Guest) error {
		runs++
		for n := 1; ; n++ {
			if _, err := g.Receive(); err != nil {
				return err
			}
			if n == 3 {
				g.Sleep(sim.Time(110+runs) * sim.Microsecond)
			}
		}
	})
	a, b := gate.Run(*s, "run 1", true), gate.Run(*s, "run 2", true)
	require.Equal(t, 2, runs)
	got := gate.Compare(a, b)
	t.Log(got)

	i := 0
	for a.Records[i] == b.Records[i] {
		i++
	}
	x, y := a.Records[i], b.Records[i]
	require.Equal(t, trace.Event, x.Kind)
	require.Equal(t, x.At+sim.Microsecond, y.At, "it slept longer")
	require.Equal(t, trace.Record{At: y.At, Kind: x.Kind, Who: x.Who, A: x.A, B: x.B}, y, "and that is all")
	delivered := 0
	for _, r := range a.Records[:i] {
		if r.Kind == trace.Delivered {
			delivered++
		}
	}
	require.Equal(t, 3, delivered, "up to the third frame all is equal")

	require.Contains(t, got, fmt.Sprintf("five: run 1 against run 2: trace hashes differ:\n  %s\n  %s", a.Hash, b.Hash))
	require.Contains(t, got, fmt.Sprintf("the first event that differs is record %d: %v against %v", i, x, y))
	require.Contains(t, got, fmt.Sprintf("here %d: %v (vm0)\n  and  %d: %v (vm0)", i, x, i, y))
	require.Contains(t, got, fmt.Sprintf("both %d: %v", i-1, a.Say(i-1)))
	require.Contains(t, got, "reports differ, line")
	require.Contains(t, got, "staged captures differ")

	// It is found as well when one of the runs was in another process.
	file := filepath.Join(t.TempDir(), gate.FileName("five"))
	require.NoError(t, b.Save(file))
	loaded, err := gate.Load(file)
	require.NoError(t, err)
	require.Equal(t, got, gate.Compare(a, loaded))
}

// The guests of tcp/16 get what was sent to them, byte for byte, though the cable loses
// some of it; equal runs could all be wrong.
func TestGateGuestsGetWhatWasSent(t *testing.T) {
	list, err := gate.Scenarios("testdata")
	require.NoError(t, err)
	s := list[slices.IndexFunc(list, func(s gate.Scenario) bool { return s.Name == "tcp/16" })]
	l := newLab(t, s.Lab())
	require.NoError(t, l.Run())
	r := l.Report()
	require.NotZero(t, r.Conservation.Lost)
	text := func(vm *ringside.VMReport, process string) string {
		for _, x := range vm.Results {
			if x.Process == process && x.Name == "sum" {
				return x.Text
			}
		}
		return "none"
	}
	again := uint64(0)
	for h := range 2 {
		for i := range 8 {
			from, to := &r.Hosts[h].Report.VMs[i], &r.Hosts[1-h].Report.VMs[i]
			require.Equal(t, text(from, "give"), text(to, "take"), "%s of host %d", from.Name, h)
			again += from.Stack.TCPRetransmits
		}
	}
	require.NotZero(t, again, "nothing was sent again: was nothing lost?")
	t.Logf("%d of %d frames were lost and %d segments sent again in %v", r.Conservation.Lost, r.Conservation.Sent, again, l.Engine.Now())
}

// Equal hashes would prove nothing if they were equal whatever happens.
func TestGateNoticesEveryChange(t *testing.T) {
	list, err := gate.Scenarios("testdata")
	require.NoError(t, err)
	var talk gate.Scenario
	for _, s := range list {
		if s.Name == "talk" {
			talk = s
		}
	}
	machine := func(change func(*ringside.Config)) gate.Scenario {
		s := talk
		s.Machine = func() ringside.Config {
			c := talk.Machine()
			change(&c)
			return c
		}
		return s
	}
	frames := func(change func([]nic.WireFrame) []nic.WireFrame) gate.Scenario {
		return machine(func(c *ringside.Config) {
			w := c.Wire.(*gate.Wire)
			w.Frames = change(w.Frames)
		})
	}
	book, err := cost.Open("linux-xeon-mitigations")
	require.NoError(t, err)
	one := func(i int, change func(*nic.WireFrame)) gate.Scenario {
		return frames(func(f []nic.WireFrame) []nic.WireFrame {
			change(&f[i])
			return f
		})
	}
	seen := map[string]string{}
	for _, c := range []struct {
		what string
		s    gate.Scenario
	}{
		{"nothing changed", talk},
		{"another seed", machine(func(c *ringside.Config) { c.Seed = 2 })},
		{"another book", machine(func(c *ringside.Config) { c.Book = book })},
		{"another gap between interrupts", machine(func(c *ringside.Config) { c.ITR = 51 * sim.Microsecond })},
		{"a faster link", machine(func(c *ringside.Config) { c.LinkBPS = 25e9 })},
		{"one more CPU", machine(func(c *ringside.Config) { c.CPUs = 6 })},
		{"another program", machine(func(c *ringside.Config) { c.VMs[2].Program = vm.Sink })},
		{"another address of a guest", machine(func(c *ringside.Config) { c.VMs[0].Addr = c.VMs[3].Addr })},
		{"another address of the host", machine(func(c *ringside.Config) { c.Host.Addresses = c.Host.Addresses[:1] })},
		{"one bit of a frame", one(40, func(f *nic.WireFrame) { f.Data[len(f.Data)-1] ^= 1 })},
		{"another bit of it", one(40, func(f *nic.WireFrame) { f.Data[len(f.Data)-1] ^= 2 })},
		{"the same bit of the next", one(41, func(f *nic.WireFrame) { f.Data[len(f.Data)-1] ^= 1 })},
		{"a frame a picosecond later", one(0, func(f *nic.WireFrame) { f.At++ })},
		{"a frame a byte longer", one(40, func(f *nic.WireFrame) { f.Data = append(f.Data, 0) })},
		{"a frame less", frames(func(f []nic.WireFrame) []nic.WireFrame { return f[:len(f)-1] })},
		{"a frame twice", frames(func(f []nic.WireFrame) []nic.WireFrame { return append(f, f[len(f)-1]) })},
	} {
		o := gate.Run(c.s, c.what, false)
		require.Empty(t, o.Err, c.what)
		if other, ok := seen[o.Hash]; ok {
			t.Errorf("%s: the hash is that of: %s", c.what, other)
		}
		seen[o.Hash] = c.what
	}
}
