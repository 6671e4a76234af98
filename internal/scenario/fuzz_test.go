package scenario

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ringside"
)

// plainly is a file written again from what it means, without its comments and in
// one style.
func plainly(t *testing.T, text string) string {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("accepted, and not YAML: %v", err)
	}
	var strip func(*yaml.Node)
	strip = func(n *yaml.Node) {
		n.Style, n.HeadComment, n.LineComment, n.FootComment = 0, "", "", ""
		for _, c := range n.Content {
			strip(c)
		}
	}
	strip(&doc)
	var out strings.Builder
	enc := yaml.NewEncoder(&out)
	if err := enc.Encode(&doc); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// comparable is what a Scenario holds that can be compared: no functions, no places.
func comparable(s *Scenario) any {
	lab := s.Lab
	lab.Peers = append([]ringside.Peer{}, lab.Peers...)
	for i := range lab.Peers {
		lab.Peers[i].Processes = append(lab.Peers[i].Processes[:0:0], lab.Peers[i].Processes...)
		for k := range lab.Peers[i].Processes {
			lab.Peers[i].Processes[k].Main = nil
		}
	}
	lab.Hosts = append([]ringside.LabHost{}, lab.Hosts...)
	for i := range lab.Hosts {
		h := &lab.Hosts[i]
		h.VMs = append([]ringside.VM{}, h.VMs...)
		for v := range h.VMs {
			h.VMs[v].Program = nil
			h.VMs[v].Processes = append(h.VMs[v].Processes[:0:0], h.VMs[v].Processes...)
			for k := range h.VMs[v].Processes {
				h.VMs[v].Processes[k].Main = nil
			}
		}
	}
	type fault struct {
		at   int64
		says string
	}
	var faults []fault
	for _, f := range s.Faults {
		faults = append(faults, fault{int64(f.At), f.Says})
	}
	var expect []string
	for _, e := range s.Expect {
		expect = append(expect, e.Text+" "+e.Why)
	}
	return []any{s.About, s.Seed, s.Duration, lab, faults, expect}
}

// stories are the files of testdata.
func stories(t testing.TB) []string {
	t.Helper()
	list, err := filepath.Glob("../../testdata/scenarios/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// FuzzScenario: a file is refused with a place in every line, or it is built, and
// means the same when it is written again.
func FuzzScenario(f *testing.F) {
	for _, name := range stories(f) {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(two + "faults: [{at: 1us, pull: trunk}, {at: 2us, migrate: {vm: a/web, to: b/web}}, {at: 3us, flush: a/br0}]\nexpect: [a.drops == 0, \"1 < a.frames.in / 2\"]\n")
	f.Add(head + "hosts: {a: {vms: {w: {addresses: 10.0.0.2/24, run: [], virtio: {queues: 2, off: [csum]}, interfaces: [{addresses: 10.1.0.1/24}]}}}}\npeers: {p: {at: a/eth0, link: loss 1%, tso: on}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Load(strings.NewReader(text), "s.yaml")
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !place.MatchString(line) {
					t.Fatalf("no place: %q", line)
				}
			}
			return
		}
		again, err := Load(strings.NewReader(plainly(t, text)), "s.yaml")
		if err != nil {
			t.Fatalf("written again it is refused: %v\n%s", err, plainly(t, text))
		}
		if a, b := comparable(s), comparable(again); !reflect.DeepEqual(a, b) {
			t.Fatalf("written again it is another:\n%+v\n%+v", a, b)
		}
	})
}
