package labfile

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/bridge"
	"ringside/sim"
	"ringside/vxlan"
)

const underlay = head + `
nics:
  eth0: {bridge: none, addr: 198.51.100.1/24, address: 02:00:00:00:00:51, mtu: 1600}
`

func TestEveryOptionOfAVTEPIsRead(t *testing.T) {
	c := load(t, underlay+`
bridges: {br0: {}, br1: {}}
vteps:
  vx:
    bridge: br1
    id: 42
    address: 02:00:00:00:00:42
    local: 198.51.100.1
    remote: [198.51.100.2, 198.51.100.3]
    dstport: 8472
    srcport: [49152, 65535]
    ttl: 32
    tos: 0x10
    df: set
    udpcsum: off
    udp6zerocsumtx: on
    udp6zerocsumrx: on
    learning: off
    ageing: 60s
    maxaddress: 1000
    mtu: 1400
    mirror_in: eth0
    port: {isolated: on}
    fdb:
      - {mac: 02:00:00:00:00:07, dst: 198.51.100.3}
      - {mac: 02:00:00:00:00:08, dst: 198.51.100.3, port: 4790, vni: 43, state: static}
      - {mac: 02:00:00:00:00:09, dst: 198.51.100.3, state: dynamic, extern_learn: on}
      - {mac: 01:00:5e:00:00:01, dst: 198.51.100.3}
      - {mac: 01:00:5e:00:00:01, dst: 198.51.100.2}
  plain: {id: 7, ttl: inherit, tos: inherit, df: inherit, ageing: 0s}
  auto: {id: 8, ttl: auto}
`).Config
	at := netip.MustParseAddr
	three := vxlan.Remote{Addr: at("198.51.100.3")}
	require.Len(t, c.VTEPs, 3)
	assert.Equal(t, ringside.VTEP{
		Config: vxlan.Config{
			Name: "vx", VNI: 42, MAC: vxlan.MAC{2, 0, 0, 0, 0, 0x42}, Local: at("198.51.100.1"),
			Remotes: []netip.Addr{at("198.51.100.2"), at("198.51.100.3")}, Port: 8472, SrcPortMin: 49152, SrcPortMax: 65535,
			TTL: 32, TOS: 0x10, DF: vxlan.DFSet, NoUDPChecksum: true, ZeroChecksumTx: true, ZeroChecksumRx: true,
			NoLearning: true, Ageing: 60 * sim.Second, MaxAddresses: 1000,
			FDB: []vxlan.Entry{
				{MAC: vxlan.MAC{2, 0, 0, 0, 0, 7}, Kind: vxlan.Permanent, Remotes: []vxlan.Remote{three}},
				{MAC: vxlan.MAC{2, 0, 0, 0, 0, 8}, Kind: vxlan.Static, Remotes: []vxlan.Remote{{Addr: three.Addr, Port: 4790, VNI: 43}}},
				{MAC: vxlan.MAC{2, 0, 0, 0, 0, 9}, ExternLearned: true, Remotes: []vxlan.Remote{three}},
				{MAC: vxlan.MAC{1, 0, 0x5e, 0, 0, 1}, Kind: vxlan.Permanent, Remotes: []vxlan.Remote{three}},
				{MAC: vxlan.MAC{1, 0, 0x5e, 0, 0, 1}, Kind: vxlan.Permanent, Remotes: []vxlan.Remote{{Addr: at("198.51.100.2")}}},
			},
		},
		Bridge: "br1", MTU: 1400, MirrorIn: "eth0", BridgePort: bridge.PortConfig{Isolated: true},
	}, c.VTEPs[0])
	assert.Equal(t, vxlan.Config{Name: "plain", VNI: 7, TTLInherit: true, TOSInherit: true, DF: vxlan.DFInherit, Ageing: sim.Never}, c.VTEPs[1].Config)
	assert.Equal(t, vxlan.Config{Name: "auto", VNI: 8}, c.VTEPs[2].Config)
	assert.Equal(t, bridge.MAC{2, 0, 0, 0, 0, 0x51}, c.NICs[0].Host.MAC)
	assert.Equal(t, "198.51.100.1/24", c.NICs[0].Host.Addresses[0].String())
	h, err := ringside.New(c)
	require.NoError(t, err)
	defer h.Close()
	assert.Equal(t, []int{1400, 1550, 1550}, []int{h.Kernel.MTU("vx"), h.Kernel.MTU("plain"), h.Kernel.MTU("auto")})
}

func TestWhatAVTEPCannotBeIsToldWithItsPlace(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"vteps: {vx: {id: 16777216}}", `lab.yaml:5:18: vteps.vx.id: "16777216": give a whole number from 0 to 16777215`},
		{"vteps: {vx: {local: 192.0.2.1}}", "vteps.vx.local: 192.0.2.1 is not an address of this host: there are 198.51.100.1"},
		{"vteps: {vx: {remote: 198.51.100.1}}", "198.51.100.1 is this very host: a patch joins two bridges of one host"},
		{"vteps: {vx: {remote: 239.1.1.1}}", "vteps.vx: entry 00:00:00:00:00:00: remote 239.1.1.1: not the address of a host"},
		{`vteps: {vx: {local: 198.51.100.1, remote: "2001:db8::1"}}`, "the underlay is all IPv4 or all IPv6"},
		{"vteps: {vx: {remote: [198.51.100.2, 198.51.100.2]}}", "there is one already"},
		{"vteps: {vx: {srcport: 7}}", "give the lowest source port and the one behind the highest"},
		{"vteps: {vx: {srcport: [9, 9]}}", "give a lower and a higher one"},
		{"vteps: {vx: {ttl: 0}}", `"0": give 1 to 255, or inherit`},
		{"vteps: {vx: {tos: 256}}", `"256": give 0 to 255, or inherit`},
		{"vteps: {vx: {df: never}}", `vteps.vx.df: "never"`},
		{"vteps: {vx: {vni: 7}}", "vni"},
		{"vteps: {vx: {bridge: br7}}", `there is no bridge "br7"`},
		{"vteps: {eth0: {id: 7}}", "is taken on line 4"},
		{"vteps: {vx: {fdb: [{mac: 02:00:00:00:00:07}]}}", "an entry needs its mac and its dst"},
		{"vteps: {vx: {fdb: [{mac: 02:00:00:00:00:07, dst: 198.51.100.2}, {mac: 02:00:00:00:00:07, dst: 198.51.100.3}]}}", "is there twice"},
		{"vteps: {vx: {fdb: [{mac: 02:00:00:00:00:07, dst: 255.255.255.255}]}}", "vteps.vx.fdb[0]: entry 02:00:00:00:00:07: remote 255.255.255.255: not the address of a host"},
	} {
		_, err := Load(strings.NewReader(underlay+row.text), "lab.yaml")
		assert.ErrorContains(t, err, row.want, row.text)
	}
	_, err := Load(strings.NewReader(head+"vteps: {vx: {id: 7}}"), "lab.yaml")
	assert.ErrorContains(t, err, "lab.yaml:2:9: vteps.vx: the host has no address to send from: give addr to a bridge, or to a NIC on no bridge")
}
