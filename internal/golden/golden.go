// Package golden compares what a test printed with a file under testdata/golden.
//
//	go test ./cmd/ringside -update
//
// writes the files anew; read the difference before committing it. A golden file
// holds nothing of the machine it was made on: no time of day, no path, no
// terminal.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Dir is the folder of the golden files, for a test that runs in its package's
// folder or below.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "testdata", "golden")
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("golden: no go.mod above the test's folder")
		}
		dir = up
	}
}

// Check fails the test if got is not what the file name holds.
func Check(t testing.TB, name string, got []byte) {
	t.Helper()
	file := filepath.Join(Dir(t), name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; -update writes it", err)
	}
	if string(want) == string(got) {
		return
	}
	a, b := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			t.Fatalf("%s, line %d:\nwant %s\ngot  %s\nIf that is meant, -update writes the file anew.", name, i+1, line(a, i), line(b, i))
		}
	}
}

func line(l []string, i int) string {
	if i >= len(l) {
		return "(the end)"
	}
	return l[i]
}
