package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"ringside"
	"ringside/vxlan"
)

func TestTunnelsAreATable(t *testing.T) {
	p := &page{w: 80}
	p.vteps(nil)
	assert.Empty(t, p.lines)
	p.vteps([]ringside.VTEPReport{{
		Name: "vxlan0", VNI: 42, MTU: 1450, Remotes: []string{"192.0.2.2", "192.0.2.3"}, Entries: 7,
		Stats: vxlan.Stats{TxFrames: 1234, RxFrames: 5, TxDropped: 1, RxDropped: 2, RxErrors: 3, Moved: 4},
	}})
	assert.Equal(t, []string{
		"TUNNELS",
		"  VTEP    VNI  remotes  entries     tx  rx  drops  moves   MTU",
		"  vxlan0   42        2        7  1,234   5      6      4  1450",
	}, p.lines[len(p.lines)-3:])
	p = &page{w: 80}
	p.vteps(make([]ringside.VTEPReport, 100))
	assert.Equal(t, fmt.Sprintf("  … and %d more", 100-fewRows), strings.TrimRight(p.lines[len(p.lines)-1], " "))
}
