package ringside_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/cost"
	"ringside/sim"
	"ringside/vm"
	"ringside/vxlan"
)

// under is the address of a host in the underlay.
func under(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}) }

// overlayHost is a host number i, from 1, whose NIC is a port of no bridge and has the
// host's address, with a bridge for guests that a VTEP is a port of. Edit may change it.
func overlayHost(i int, vms []ringside.VM, edit func(*ringside.Config), remotes ...int) ringside.LabHost {
	v := ringside.VTEP{Config: vxlan.Config{VNI: 42, Local: under(i)}}
	for _, r := range remotes {
		v.Remotes = append(v.Remotes, under(r))
	}
	c := ringside.Config{
		NICs: []ringside.NIC{{Bridge: ringside.NoBridge, Host: ringside.HostStack{Addresses: []netip.Prefix{netip.PrefixFrom(under(i), 24)}}}},
		VMs:  vms, VTEPs: []ringside.VTEP{v},
	}
	if edit != nil {
		edit(&c)
	}
	return ringside.LabHost{Name: fmt.Sprint("h", i), Config: c}
}

// overlay is two such hosts with a cable between them.
func overlay(a, b ringside.LabHost) ringside.LabConfig {
	return ringside.LabConfig{
		Hosts:  []ringside.LabHost{a, b},
		Cables: []ringside.Cable{{A: ringside.End{Host: "h1"}, B: ringside.End{Host: "h2"}}},
	}
}

// bare is a guest with a program and no stack.
func bare(p vm.Program) []ringside.VM { return []ringside.VM{{Program: p}} }

func TestAFrameGoesFromGuestToGuestThroughATunnel(t *testing.T) {
	var a, b [][]byte
	l := newLab(t, overlay(
		overlayHost(1, bare(once(&a, frame(7, 1))), nil, 2),
		overlayHost(2, bare(once(&b)), nil, 1),
	))
	require.NoError(t, l.Run())
	assert.Equal(t, [][]byte{frame(7, 1)}, b)
	assert.Empty(t, a)
	v := l.Host("h2").VTEPs[0]
	e, ok := v.Lookup(vxlan.MAC{2, 0, 0, 0, 9, 1})
	require.True(t, ok, "the sender was learned to be behind host 1")
	assert.Equal(t, under(1), e.Remotes[0].Addr)
	r := l.Report()
	for _, h := range r.Hosts {
		assert.True(t, h.Report.Conservation.Balanced)
		t.Log(h.Report.Conservation)
	}
	assert.EqualValues(t, 1, r.Hosts[0].Report.VTEPs[0].TxFrames)
	assert.EqualValues(t, 1, r.Hosts[1].Report.VTEPs[0].RxFrames)
	assert.EqualValues(t, 1450, r.Hosts[1].Report.VTEPs[0].MTU)
	_ = cost.VxlanRcv
	_ = sim.Never
}
