package labfile

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/bridge/stp"
)

// question asks by ARP, in a VLAN, for 192.0.2.7.
func question(vid byte) []byte {
	return append([]byte{
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 9, 1, 0x81, 0, 0, vid, 8, 6,
		0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 9, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 7,
	}, make([]byte, 18)...)
}

const askedLab = head + `
bridges:
  br0:
    vlan_filtering: on
    neigh: [{addr: 192.0.2.7, lladdr: 02:00:00:00:09:07, vlan: 10}, {addr: 192.0.2.7, lladdr: 02:00:00:00:09:07, vlan: 20}]
    fdb: [{mac: 02:00:00:00:09:07, dev: a, vlan: 10, state: static}, {mac: 02:00:00:00:09:07, dev: a, vlan: 20, state: static}]
nics: {eth0: {port: {vlan: ["10-20"]}}}
vms:
  a: {tap: a, port: {%s}}
  b: {tap: b, port: {vlan: ["10-20"]}}
`

// A question goes to both guests, but to those that are spared it in its VLAN.
func TestNeighSuppressOfOneVLAN(t *testing.T) {
	for _, c := range []struct {
		port    string
		answers [2]int // in VLAN 10 and 20
	}{
		{"vlan: [10, 20], neigh_suppress: on", [2]int{1, 1}},
		{"vlan: [10, 20], neigh_suppress: on, neigh_vlan_suppress: on", [2]int{0, 0}},
		{"vlan: [{vid: 10, neigh_suppress: on}, 20], neigh_vlan_suppress: on", [2]int{1, 0}},
		{"vlan: [10, {vid: 20, neigh_suppress: on}], neigh_vlan_suppress: on", [2]int{0, 1}},
		{"vlan: {vid: 10-20, neigh_suppress: on}, neigh_vlan_suppress: on", [2]int{1, 1}},
		{"vlan: [{vid: 10, neigh_suppress: on}, 20]", [2]int{0, 0}},
	} {
		t.Run(c.port, func(t *testing.T) {
			h, err := ringside.New(load(t, fmt.Sprintf(askedLab, c.port)).Config)
			require.NoError(t, err)
			defer h.Close()
			for i, vid := range []byte{10, 20} {
				b := h.Bridges[0]
				v := b.Handle(1, question(vid), h.Engine.Now())
				to := map[bridge.Port]bool{}
				for _, out := range v.Out {
					to[out.Port] = true
				}
				assert.Len(t, b.Sent(), c.answers[i], "VLAN %d", vid)
				assert.Equal(t, c.answers[i] == 0, to[2], "VLAN %d", vid)
				assert.True(t, to[3], "VLAN %d", vid)
			}
		})
	}
}

func TestAVLANOfAPortHasAStateOfItsOwn(t *testing.T) {
	h, err := ringside.New(load(t, head+`
bridges: {br0: {vlan_filtering: on}}
nics: {eth0: {port: {vlan: [{vid: 10, state: blocking}, {vid: 11-12, state: learning}, 13]}}}
`).Config)
	require.NoError(t, err)
	defer h.Close()
	want := map[uint16]stp.State{1: stp.Forwarding, 10: stp.Blocking, 11: stp.Learning, 12: stp.Learning, 13: stp.Forwarding}
	for _, v := range h.Bridges[0].VLANs(1) {
		assert.Equal(t, want[v.VID], v.State, "VLAN %d", v.VID)
		delete(want, v.VID)
	}
	assert.Empty(t, want)
	blocked := h.Bridges[0].Handle(1, question(10), 0)
	assert.Empty(t, blocked.Out)
}
