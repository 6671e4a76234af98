package spell

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNearestIsWhatWasMeant(t *testing.T) {
	verbs := []string{"replay", "trace", "book", "bench", "version"}
	flags := []string{"learning", "flood", "mcast_flood", "bcast_flood", "mcast_router", "isolated"}
	for _, c := range []struct {
		s    string
		from []string
		want string
	}{
		{"repaly", verbs, "replay"},
		{"TRACE", verbs, "trace"},
		{"vers", verbs, "version"},
		{"lerning", flags, "learning"},
		{"mcastflood", flags, "mcast_flood"},
		{"mcast_foold", flags, "mcast_flood"},
		{"iso", flags, "isolated"},
		{"frobnicate", verbs, ""},
		{"", verbs, ""},
		{"x", nil, ""},
		{strings.Repeat("replay", 20), verbs, ""},
	} {
		assert.Equal(t, c.want, Nearest(c.s, c.from), c.s)
	}
}

func TestDistanceCountsEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0},
	} {
		assert.Equal(t, c.want, distance(c.a, c.b), c.a+" "+c.b)
		assert.Equal(t, c.want, distance(c.b, c.a), "both ways")
	}
}
