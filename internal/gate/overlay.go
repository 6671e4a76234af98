package gate

import (
	"fmt"
	"net/netip"

	"ringside"
	"ringside/vxlan"
)

// overlay is six guests on three machines whose bridges are one segment by VXLAN, over
// links that lose, delay and reorder the underlay's packets; a fourth machine is the
// switch between them. The guests know nothing of the tunnel, so ICMP errors, fragments
// and replication have their part in it.
func overlay() Scenario {
	return Scenario{Name: "tcp/overlay", Lab: func() ringside.LabConfig {
		c := ringside.LabConfig{Seed: 1}
		under := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}) }
		for i := range 3 {
			v := ringside.VTEP{Config: vxlan.Config{VNI: 42, Local: under(i)}, MTU: 1500}
			for j := range 3 {
				if j != i {
					v.Remotes = append(v.Remotes, under(j))
				}
			}
			c.Hosts = append(c.Hosts, ringside.LabHost{Name: fmt.Sprint("h", i), Config: ringside.Config{
				NICs:  []ringside.NIC{{Bridge: ringside.NoBridge, Host: ringside.HostStack{Addresses: []netip.Prefix{netip.PrefixFrom(under(i), 24)}}}},
				VTEPs: []ringside.VTEP{v},
				VMs:   []ringside.VM{talker(2*i, (2*i+2)%6, 40_000), talker(2*i+1, (2*i+5)%6, 60_000)},
			}})
			c.Cables = append(c.Cables, ringside.Cable{
				A: ringside.End{Host: fmt.Sprint("h", i)}, B: ringside.End{Host: "switch", NIC: fmt.Sprint("eth", i)},
				Link: mustParse("loss 0.5% delay 20us 10us overtake"),
			})
		}
		c.Hosts = append(c.Hosts, ringside.LabHost{Name: "switch", Config: ringside.Config{NICs: make([]ringside.NIC, 3)}})
		return c
	}}
}
