package deptest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "ringside"
	root   = "../.."
)

// A wall keeps the packages From away from the packages To. Names are folders of
// the module, "." is its root and "ours" any of them; other modules go by import
// path, and the standard library by one that begins with "std:". "x/..." is x and
// what lies below.
type wall struct {
	from, to string // separated by blanks
	but      string // of to, what is allowed nevertheless
	why      string
}

// walls are the import rules. The import graph is the protection ring.
var walls = []wall{
	{"cost mem sim", "ours", "", "the ground floor imports nothing of ours: whatever it knew, every room would know"},
	{"trace", "ours", "cost sim", "a trace watches and decides nothing, so it must not know the rooms it watches"},

	{"mmu", "ours", "mem sim", "addresses become addresses: who touches memory, and what a miss costs, is for others to say"},
	{"offload", "ours", "", "what is summed, cut and put together is bytes: guests, devices and the kernel use the same arithmetic, so it may know none of them"},

	{"nic", "ours", "cost mem mmu offload sim trace", "hardware knows memory, time and its own registers: it cannot name the software that drives it"},
	{"wire", "ours", "nic sim", "a link is a wire around a wire: it knows what a frame on one is, and time; no device, kernel or bridge can tell that it is there"},
	{"load", "ours", "nic sim", "a load is a wire: it knows what a frame on one is, and time; what a machine makes of it is for others to say"},
	{"bridge", "ours", "bridge/neigh bridge/snoop bridge/stp cost sim", "the bridge knows frames and port numbers, nothing else: no memory it could keep a frame in, no trace it could write, no device"},
	{"bridge/snoop", "ours", "sim", "who is in which group is a matter of messages and their times: it knows no other part of the bridge"},
	{"bridge/neigh", "ours", "", "who answers for whom is a matter of one frame and a table: it needs nothing of ours"},
	{"bridge/stp", "ours", "sim", "the spanning tree knows BPDUs, port numbers and time: the bridge calls it and it calls nobody"},
	{"bridge/reference", "ours", "bridge bridge/snoop bridge/stp cost sim", "an oracle shares the words of questions and answers with what it checks, and nothing else"},
	{"ours", "bridge/reference", "", "the reference is for tests"},
	{"vxlan", "ours", "cost sim", "a tunnel's end knows frames, addresses and times: it has no socket, and who sends what it says is the kernel's"},
	{"virtio", "ours", "mem offload sim", "a ring is guest memory and what two sides agree on: it knows neither what a device does with a chain nor what that costs"},
	{"syscall", "ours", "cost mem sim", "the border moves bytes between two memories: what lies behind a descriptor is the kernel's, and it calls it through an interface of its own"},

	{"xdp", "ours", "sim", "a program at the driver sees one frame and what its context lends it: it cannot name the driver that runs it, nor the bridge it asks about"},
	{"kernel", "ours", "bridge cost internal/histogram mem mmu netstack nic offload sim syscall trace vhostuser virtio vxlan xdp", "the kernel drives the device and the bridge"},
	{"kernel", "vm", "", "the kernel starts processes and knows no guest: what it knew of one would be a way round the border"},
	{"vhostuser", "ours", "mem virtio", "a protocol is messages, a table of memory and rings: neither who sends them nor what is done with a ring"},
	{"vswitch", "ours", "bridge cost mem offload sim trace vhostuser virtio xdp", "a switch in user space has packet buffers, a bridge, and rings that guests have shared with it: it cannot name a device, nor the kernel that it goes around"},
	{"dpdk", "ours", "cost mem nic sim trace vswitch", "a process that names the device: this is the hole in the wall that kernel bypass is, and it is this room's alone"},
	{"vm", "ours", "mem syscall", "a guest reaches the host through system calls alone; mem is there because its private memory is one"},
	{"vm", "kernel nic bridge cost sim trace", "", "a guest cannot name a ring, a bridge or a price, and so cannot touch one; a path that bypasses the kernel shows as a hole in this wall"},

	{"vm/guest", "ours", "cost netstack offload sim syscall vm/guest/dns", "a guest's kernel has a processor, devices and a stack of its own, which it is given: it cannot name the host below"},
	{"vm/guest/dns", "ours", "", "a message is bytes"},
	{"vmm", "ours", "cost mem sim syscall virtio", "a VMM's thread is a process of the host: it has its guest's rings in its memory, and reaches tap, doorbells and interrupts by system calls alone"},
	{"vm/raw", "ours", "cost sim virtio vm", "the smallest guest kernel has a processor, a device and a program that it is given: it cannot name the host below"},
	{"vm/igbvf", "ours", "cost mem netstack nic sim virtio vm/guest vm/raw", "the driver of a virtual function names the device, which no other guest can: passthrough is this hole in the wall"},
	{"vm/virtnet", "ours", "cost mem netstack offload sim virtio vm/guest vm/raw", "a guest's driver has rings in its memory and a device that it is given: what stands behind that it cannot name"},
	{"vm/app", "ours", "offload sim vm/guest vm/guest/dns", "a program reaches the network through the calls of its guest alone"},
	{"vm/guest vm/app", "std:os/... std:log/... std:io/fs std:path/filepath", "", "net's types are the face of a guest's sockets and programs may read HTTP, but nothing of the real machine's is opened"},
	{"peer", "ours", "cost netstack nic offload sim vm/guest", "what stands at a wire is a machine of its own: it knows the wire and no host"},

	{"machine", "ours", "cost internal/form internal/spell sim", "a machine is what prices depend on: it reads files and moves books, and knows no path that runs on it"},
	{".", "ours", "bridge bridge/neigh bridge/snoop bridge/stp cost dpdk vswitch internal/capture kernel load machine mem mmu netstack nic peer sim trace virtio vm vm/guest vm/igbvf vm/raw vm/virtnet vmm vxlan wire xdp", "the face puts the rooms together; it renders nothing and writes no file"},

	{"internal/validate", "ours", "internal/workload machine", "published numbers are compared with what workloads give: neither knows how the other came about"},
	{"internal/workload", "ours", ". bridge cost internal/spell load machine nic sim vm vswitch xdp", "a workload is a machine with its load: what a rate is compared with is not known here"},
	{"internal/capture internal/golden internal/leaktest internal/pcapng internal/wholefile internal/spell", "ours", "", "files, their formats and words know nothing of the machine"},
	{"internal/form", "ours", "bridge internal/spell sim", "how a file is taken apart knows values and their bounds, not what they are for"},
	{"internal/programs", "ours", "internal/form sim vm/app vm/guest", "names of programs become programs: what they run on is not known here"},
	{"internal/scenario", "ours", ". bridge cost internal/form internal/labfile internal/programs internal/spell machine sim trace wire", "a file becomes a lab, what came of it is judged, and nothing is printed"},
	{"internal/labfile", "ours", ". bridge bridge/neigh bridge/snoop bridge/stp internal/form internal/programs mmu netstack sim virtio vm vm/guest vxlan", "a file becomes a Config, and nothing else happens"},
	{"internal/iproute", "ours", "bridge bridge/snoop bridge/stp netstack sim vxlan", "what is printed of a bridge or a stack is what it says of itself"},
	{"internal/sweep", "ours", "", "whose knob it is and what a point does, a sweep does not know"},
	{"internal/compare", "ours", ". cost load", "it reads what machines made of the frames; who makes them it does not know"},
	{"internal/chart", "ours", "internal/sweep internal/compare", "a picture is drawn of what was found, and nothing else"},
	{"ours -internal/chart", "gonum.org/...", "", "only the chart draws: the machine and its reports do without fonts and pictures"},
	{"internal/histogram", "ours", "sim", "a histogram counts spans of virtual time"},

	{"internal/differential", "ours", "bridge bridge/neigh bridge/snoop bridge/stp cost sim", "what is compared with Linux is the bridge alone"},
	{"ours -internal/differential/...", "internal/differential/...", "", "comparing is for tests and its command"},
	{"ours -internal/differential", "github.com/mdlayher/...", "", "the machine is emulated: only the comparison asks a real kernel"},

	{"ours", "cmd/...", "", "a command is a door to the outside: nobody walks in through it"},
	{"ours -internal/gate/...", "internal/gate/...", "", "the gate is for tests"},
	{"ours -cmd/ringside", "internal/bench", "", "measuring is for tests and the command"},
	{"ours -kernel/kerneltest -syscall/syscalltest", "nic/nictest syscall/syscalltest kernel/kerneltest internal/golden internal/leaktest", "", "the other side of a protocol is for tests, and so are golden files and counts of goroutines"},

	{"ours -netstack", "gvisor.dev/...", "", "only one room speaks gVisor, which is pinned and whose API moves: its types stay behind our own"},
	{"ours -internal/gate -internal/journey", "github.com/google/gopacket/...", "", "gopacket panics on bad bytes in places and allocates in all: it is for tests and displays, never for the datapath"},
	{"ours", "github.com/stretchr/...", "", "testify is for tests"},
	{"ours", "std:syscall", "", "in this tree syscall is our own package; of the system's calls there is golang.org/x/sys"},
	{"ours", "std:unsafe std:C", "", "no cgo, and no pointer that is not Go's: descriptors and addresses are bytes and numbers, checked before use"},
	{"ours", "std:math/rand", "", "the old generator has a seed of its own; randomness is the engine's, by the name of its component"},
	{core, "std:crypto/rand std:math/rand", "", "chance in the core comes from the engine's seed"},
	{core + " -cost -vm/guest -vm/app", "std:os/... std:net std:net/http std:log/... std:io/fs std:path/filepath", "", "the core is a function of its inputs: it opens nothing and asks nobody (cost opens the books that users name)"},
	{core, "std:runtime/... std:sync/...", "", "the core has no goroutines, so it has nothing to guard and no processor to count"},
	{core, "std:testing/...", "", "what is for tests stands in tests"},
}

// core are the packages in which a run happens.
const core = "sim cost mem mmu offload virtio trace nic wire load bridge bridge/neigh bridge/snoop bridge/stp vxlan syscall netstack xdp kernel vhostuser vswitch dpdk vm vm/guest vm/guest/dns vm/raw vm/igbvf vm/virtnet vm/app peer vmm"

// exceptions are single files that may do what a wall forbids, and why. The
// table may not hold one that is not needed.
var exceptions = map[[2]string]string{
	{"netstack/stack.go", "runtime"}: "gVisor starts a TCP processor for each processor that Go uses, and there may be one only",
	{"netstack/stack.go", "sync"}:    "two stacks that are made at once would put back each other's number of processors",
	{"vm/guest/call.go", "os"}:       "os.ErrDeadlineExceeded is what calls of package net return",
	{"vm/guest/sched.go", "runtime"}: "Goexit ends a program that recovers from everything else",
	{"vm/raw/program.go", "runtime"}: "likewise",
	{"bridge/mac.go", "net"}:         "net.ParseMAC reads an address as people write it",
	{"cost/load.go", "sync"}:         "the counting book is read once per process",
}

func TestWalls(t *testing.T) {
	used := map[[2]string]bool{}
	for _, f := range sources(t) {
		for _, spec := range f.ast.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range walls {
				if !w.forbids(f.dir, imported) {
					continue
				}
				if key := [2]string{f.name, imported}; exceptions[key] != "" {
					used[key] = true
					continue
				}
				t.Errorf("%s: %s imports %s: %s", f.at(spec), f.dir, imported, w.why)
			}
		}
	}
	for key := range exceptions {
		if !used[key] {
			t.Errorf("%s does not import %s: the exception for it can go", key[0], key[1])
		}
	}
}

// forbids says whether a package in dir may not import that path because of w.
func (w *wall) forbids(dir, imported string) bool {
	name := short(imported)
	return matches(w.from, dir) && matches(w.to, name) && !matches(w.but, name)
}

// short is an import path as walls name it.
func short(imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case imported == module:
		return "."
	case first == module:
		return strings.TrimPrefix(imported, module+"/")
	case strings.Contains(first, "."):
		return imported
	}
	return "std:" + imported
}

// matches says whether a name is on a list. One with a minus is off it.
func matches(list, name string) bool {
	on := false
	for _, entry := range strings.Fields(list) {
		entry, off := strings.CutPrefix(entry, "-")
		hit := entry == name
		if under, ok := strings.CutSuffix(entry, "/..."); ok {
			hit = name == under || strings.HasPrefix(name, under+"/")
		}
		if entry == "ours" {
			first, _, _ := strings.Cut(name, "/")
			hit = name == "." || !strings.Contains(first, ".") && !strings.HasPrefix(name, "std:")
		}
		if hit && off {
			return false
		}
		on = on || hit
	}
	return on
}

// The rules themselves, on graphs that are not there.
func TestWallsForbidWhatTheySay(t *testing.T) {
	for _, tt := range []struct {
		dir, imported string
		forbidden     bool
	}{
		{"nic", "ringside/kernel", true},
		{"nic", "ringside", true},
		{"nic", "ringside/mem", false},
		{"nic", "fmt", false},
		{"nic/nictest", "ringside/nic", false},
		{"bridge", "ringside/mem", true},
		{"bridge", "ringside/trace", true},
		{"bridge", "ringside/cost", false},
		{"syscall", "ringside/kernel", true},
		{"kernel", "ringside/vm", true},
		{"kernel", "ringside/syscall", false},
		{"kernel", "syscall", true},
		{"vm", "syscall", true},
		{"vm", "ringside/syscall", false},
		{"vm", "ringside/kernel", true},
		{"vm", "ringside/sim", true},
		{"sim", "ringside/cost", true},
		{"sim", "os", true},
		{"cost", "os", false},
		{"sim", "sync/atomic", true},
		{"netstack", "gvisor.dev/gvisor/pkg/tcpip", false},
		{"kernel", "gvisor.dev/gvisor/pkg/tcpip", true},
		{"vm", "gvisor.dev/gvisor/pkg/tcpip", true},
		{".", "gvisor.dev/gvisor", true},
		{".", "ringside/cmd/ringside", true},
		{"cmd/ringside", "ringside/internal/gate", true},
		{"internal/gate/hashes", "ringside/internal/gate", false},
		{"internal/gate", "ringside/nic/nictest", true},
		{"mem", "unsafe", true},
		{"internal/bench", "C", true},
		{"cmd/ringside", "math/rand", true},
		{"cmd/ringside", "math/rand/v2", false},
		{".", "github.com/stretchr/testify/require", true},
	} {
		got := ""
		for _, w := range walls {
			if w.forbids(tt.dir, tt.imported) {
				got = w.why
			}
		}
		if (got != "") != tt.forbidden {
			t.Errorf("%s imports %s: forbidden %v (%s), want %v", tt.dir, tt.imported, got != "", got, tt.forbidden)
		}
	}
}

// Every room has rules of its own, so that a new one is thought about.
func TestEveryRoomHasAWall(t *testing.T) {
	rooms := map[string]bool{}
	for _, f := range sources(t) {
		rooms[f.dir] = true
	}
	free := map[string]bool{ // what stands outside the house and looks in
		"cmd/ringside": true, "internal/bench": true, "internal/deptest": true, "internal/differential/bridgediff": true, "internal/gate": true,
		"internal/journey": true, "internal/report": true, "internal/staged": true,
	}
	for _, room := range slices.Sorted(maps.Keys(rooms)) {
		named := free[room] || strings.HasPrefix(room, "internal/gate/") || strings.HasSuffix(room, "test")
		for _, w := range walls {
			named = named || slices.Contains(strings.Fields(w.from), room)
		}
		if !named {
			t.Errorf("%s stands in no wall of this test: say what it may import, and why", room)
		}
	}
}

// A source is one file that is not a test, of any platform.
type source struct {
	name string // from the module's root, with slashes
	dir  string // its folder, "." for the root
	fset *token.FileSet
	ast  *ast.File
}

func (f *source) at(n ast.Node) string {
	p := f.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", f.name, p.Line)
}

// sources parses the module's files.
func sources(t *testing.T) []*source {
	t.Helper()
	var list []*source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != root && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "tools") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f := &source{name: filepath.ToSlash(rel), fset: token.NewFileSet()}
		f.dir = path.Dir(f.name)
		f.ast, err = parser.ParseFile(f.fset, name, nil, parser.ParseComments)
		list = append(list, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 30 {
		t.Fatalf("only %d files in %s", len(list), root)
	}
	return list
}
