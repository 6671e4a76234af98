package vxlan

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

// A model is a VTEP once more, slow and plain: written from the standard's text and
// the observed kernel, with nothing of the VTEP's but its words.
type model struct {
	c       Config
	entries map[string][]known
}

type known struct {
	kind Kind
	to   Remote
	at   sim.Time
}

func newModel(c Config) *model {
	c, err := c.complete()
	if err != nil {
		panic(err)
	}
	m := &model{c: c, entries: map[string][]known{}}
	for _, r := range c.Remotes {
		m.add(MAC{}, known{Permanent, Remote{Addr: r}, 0})
	}
	for _, e := range c.FDB {
		for _, r := range e.Remotes {
			m.add(e.MAC, known{e.Kind, r, 0})
		}
	}
	return m
}

func (m *model) add(mac MAC, k known) { m.entries[mac.String()] = append(m.entries[mac.String()], k) }

func (m *model) age(now sim.Time) {
	maps.DeleteFunc(m.entries, func(_ string, list []known) bool {
		return list[0].kind == Dynamic && now-list[0].at >= m.c.Ageing
	})
}

func (m *model) happen(e event) []string {
	m.age(e.at)
	if e.out {
		return m.send(e.frame)
	}
	return m.take(e)
}

// untagged is a frame without its first two tags.
func untagged(f []byte) []byte {
	for n := 0; n < 2 && len(f) >= 18 && slices.Contains([]string{"8100", "88a8"}, fmt.Sprintf("%x", f[12:14])); n++ {
		f = f[4:]
	}
	return f
}

// fields reads an IP packet's traffic class, time to live and whether it may not be
// fragmented. Behind a tag the latter is not looked for.
func fields(frame []byte) (is bool, tos, ttl uint8, df bool) {
	f := untagged(frame)
	switch typ := fmt.Sprintf("%x", f[12:14]); {
	case typ == "0800" && len(f) >= 14+20:
		return true, f[15], f[22], f[20]&0x40 != 0 && len(f) == len(frame)
	case typ == "86dd" && len(f) >= 14+40:
		return true, f[14]%16*16 + f[15]/16, f[21], len(f) == len(frame)
	}
	return false, 0, 0, false
}

func (m *model) send(frame []byte) (list []string) {
	if len(frame) < 14 {
		return []string{"drop PKT_TOO_SMALL"}
	}
	to, ok := m.entries[MAC(frame[:6]).String()]
	if !ok {
		to, ok = m.entries[MAC{}.String()]
	}
	if !ok {
		return []string{"drop VXLAN_NO_REMOTE"}
	}
	_, tos, ttl, df := fields(frame)
	o := Out{TTL: m.c.TTL, TOS: m.c.TOS}
	if m.c.TTLInherit {
		o.TTL = ttl
	}
	if o.TTL == 0 {
		o.TTL = 64
	}
	if m.c.TOSInherit {
		o.TOS = tos
	}
	o.TOS = o.TOS / 4 * 4
	switch tos % 4 {
	case 1, 2:
		o.TOS += tos % 4
	case 3:
		o.TOS += 2
	}
	if m.c.Local.Is4() {
		o.DF = m.c.DF == DFSet || m.c.DF == DFInherit && df
		o.Checksum = !m.c.NoUDPChecksum
	} else {
		o.Checksum = !m.c.ZeroChecksumTx
	}
	for _, k := range append(slices.Clone(to[1:]), to[0]) {
		port, vni := k.to.Port, k.to.VNI
		if port == 0 {
			port = m.c.Port
		}
		if vni == 0 {
			vni = m.c.VNI
		}
		o.To = netip.AddrPortFrom(k.to.Addr, port)
		header := []byte{8, 0, 0, 0, byte(vni >> 16), byte(vni >> 8), byte(vni), 0}
		list = append(list, told(o, append(header, frame...)))
	}
	return list
}

func (m *model) take(e event) []string {
	p := e.frame
	switch {
	case len(p) < 8:
		return []string{"drop PKT_TOO_SMALL"}
	case p[0]&8 == 0:
		return []string{"drop VXLAN_INVALID_HDR"}
	case int(p[4])<<16+int(p[5])<<8+int(p[6]) != int(m.c.VNI):
		return []string{"drop VXLAN_VNI_NOT_FOUND"}
	case p[0] != 8 || p[1] != 0 || p[2] != 0 || p[3] != 0 || p[7] != 0:
		return []string{"drop VXLAN_INVALID_HDR"}
	case len(p) < 8+14:
		return []string{"drop PKT_TOO_SMALL"}
	}
	f := slices.Clone(p[8:])
	src := MAC(f[6:12])
	if src == m.c.MAC {
		return []string{"drop LOCAL_MAC"}
	}
	if !m.c.NoLearning {
		if src[0]%2 == 1 || src == (MAC{}) {
			return []string{"drop MAC_INVALID_SOURCE"}
		}
		if !m.learn(src.String(), e.from, e.at) {
			return []string{"drop VXLAN_ENTRY_EXISTS"}
		}
	}
	if typ := fmt.Sprintf("%x", f[12:14]); typ == "0800" && len(f) < 14+20 || typ == "86dd" && len(f) < 14+40 {
		return []string{"drop PKT_TOO_SMALL"}
	}
	ip := untagged(f)
	is, tos, _, _ := fields(f)
	if !is {
		return []string{fmt.Sprintf("frame %x", f)}
	}
	// The table of RFC 6040, section 4.2: rows are the inner packet's, columns the outer's.
	got := [4][4]int{{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}}[tos%4][e.tos%4]
	switch {
	case got < 0:
		return []string{"drop IP_TUNNEL_ECN"}
	case got == int(tos%4):
	case ip[12] == 8:
		// A header whose checksum was wrong stays as wrong: the change alone is added,
		// in arithmetic modulo 65535.
		was := int(ip[24])<<8 + int(ip[25])
		sum := (was + int(ip[15]) - got - int(ip[15])/4*4 + 65535) % 65535
		ip[15] = ip[15]/4*4 + byte(got)
		if right := int(checksum(append(slices.Clone(ip[14:24]), ip[26:34]...))); right%65535 == sum {
			sum = right
		}
		ip[24], ip[25] = byte(sum>>8), byte(sum)
	default:
		ip[15] = ip[15]&^0x30 + byte(got)*16
	}
	return []string{fmt.Sprintf("frame %x", f)}
}

func (m *model) learn(mac string, from netip.Addr, now sim.Time) bool {
	list := m.entries[mac]
	switch {
	case len(list) == 0 && len(m.entries) < m.c.MaxAddresses:
		m.entries[mac] = []known{{Dynamic, Remote{Addr: from}, now}}
	case len(list) == 0:
	case list[0].to.Addr != from && list[0].kind != Dynamic:
		return false
	default:
		list[0].to.Addr, list[0].at = from, now
	}
	return true
}

func (m *model) table() (list []string) {
	for mac, ks := range m.entries {
		for _, k := range ks {
			list = append(list, fmt.Sprint(mac, " ", k.to, " ", k.kind))
		}
	}
	slices.Sort(list)
	return list
}

// compare has the same events happen to two subjects.
func compare(t *testing.T, got, want subject, events []event) {
	t.Helper()
	for i, e := range events {
		g, w := got.happen(e), want.happen(e)
		require.Empty(t, diff(g, w), "event %d: %+v", i, e)
		require.Empty(t, diff(got.table(), want.table()), "the table after event %d: %+v", i, e)
	}
}

func TestVTEPDoesWhatTheModelDoes(t *testing.T) {
	for _, ipv6 := range []bool{false, true} {
		for name, c := range configs(ipv6) {
			t.Run(fmt.Sprint(name, map[bool]string{true: "6"}[ipv6]), func(t *testing.T) {
				for seed := range uint64(20) {
					g := generator{r: rand.New(rand.NewPCG(seed, 1)), ipv6: ipv6}
					events := make([]event, 400)
					for i := range events {
						events[i] = g.next()
					}
					o := newOurs(c)
					compare(t, o, newModel(c), events)
					require.NoError(t, o.v.Check())
				}
			})
		}
	}
}
