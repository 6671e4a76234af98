package scenario

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func doc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/scenarios.md")
	require.NoError(t, err)
	return string(text)
}

// The example of the documentation is a scenario, and it comes true.
func TestTheExampleInTheDocumentationComesTrue(t *testing.T) {
	_, rest, ok := strings.Cut(doc(t), "```yaml\n")
	require.True(t, ok)
	example, _, _ := strings.Cut(rest, "```\n")
	s, err := Load(strings.NewReader(example), "docs/scenarios.md")
	require.NoError(t, err)
	r, err := s.Run(Options{})
	require.NoError(t, err)
	for _, e := range r.Expectations {
		assert.True(t, e.Met, "%s: found %s", e.Expect, e.Found)
	}
}

var keyInSource = regexp.MustCompile(`\{Name: "([a-z_]+)", Read: `)

// Every key that the reader knows is in the documentation, and so is every unit.
func TestEveryKeyIsDocumented(t *testing.T) {
	text, keys := doc(t), 0
	for _, file := range []string{"read.go", "fault.go"} {
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range keyInSource.FindAllStringSubmatch(string(src), -1) {
			keys++
			assert.True(t, strings.Contains(text, "`"+m[1]+"`") || strings.Contains(text, m[1]+":"), "%s in %s", m[1], file)
		}
	}
	assert.Greater(t, keys, 30)
	for _, k := range faultKinds {
		assert.Contains(t, text, "`"+k.name+"`")
	}
	for _, u := range units {
		assert.Contains(t, text, strings.ReplaceAll(strings.ReplaceAll(u.name, "µs", "us"), "bytes", "B"))
	}
}
