package labfile

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
)

func doc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/config.md")
	require.NoError(t, err)
	return string(text)
}

// The example of the documentation is a lab, and it can be built.
func TestTheExampleInTheDocumentationIsALab(t *testing.T) {
	_, rest, ok := strings.Cut(doc(t), "```yaml\n")
	require.True(t, ok)
	example, _, _ := strings.Cut(rest, "```\n")
	l, err := Load(strings.NewReader(example), "docs/config.md")
	require.NoError(t, err)
	h, err := ringside.New(l.Config)
	require.NoError(t, err)
	defer h.Close()
	assert.Len(t, h.Bridges, 2)
	assert.NoError(t, h.Check())
}

var keyInSource = regexp.MustCompile(`\{Name: "([a-z_]+)", Read: `)

// Every key that the reader knows is in the documentation.
func TestEveryKeyIsDocumented(t *testing.T) {
	text, keys := doc(t), 0
	for _, file := range []string{"lab.go", "bridge.go", "port.go", "entry.go", "guest.go", "vtep.go", "batching.go", "sched.go", "paging.go"} {
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range keyInSource.FindAllStringSubmatch(string(src), -1) {
			keys++
			assert.True(t, strings.Contains(text, "`"+m[1]+"`"), "%s in %s", m[1], file)
		}
	}
	assert.Greater(t, keys, 80)
}

func TestTheLabsOfTestdataCanBeBuilt(t *testing.T) {
	files, err := filepath.Glob("../../testdata/labs/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		l, err := Open(f)
		require.NoError(t, err)
		h, err := ringside.New(l.Config)
		require.NoError(t, err, f)
		assert.NoError(t, h.Check(), f)
		h.Close()
	}
	_, err = Open("../../testdata/labs/none.yaml")
	assert.ErrorContains(t, err, "none.yaml")
}
