package snoop

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
)

// describe decodes a query with gopacket and says what it is. A query that is not
// well formed fails the test.
func describe(t *testing.T, frame []byte) string {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	require.Nil(t, p.ErrorLayer(), "%x", frame)
	eth := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	require.Equal(t, mac(0xb0), MAC(eth.SrcMAC))
	m := message{ip: frame[14:]}
	if l := p.Layer(layers.LayerTypeIPv4); l != nil {
		h := l.(*layers.IPv4)
		require.EqualValues(t, 1, h.TTL)
		head, end, ok := bounds4(m.ip)
		require.True(t, ok)
		require.Len(t, m.ip, end)
		require.EqualValues(t, 0xffff, sum(0, m.ip[head:]))
		dst := netip.AddrFrom4([4]byte(m.ip[16:20]))
		require.Equal(t, ethernet(mac(0), dst, nil)[:6], frame[:6])
		return fmt.Sprintf("%v>%v %s", h.SrcIP, h.DstIP, describe4(t, p))
	}
	h := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	require.EqualValues(t, 1, h.HopLimit)
	end, ok := bounds6(m.ip)
	require.True(t, ok)
	require.Len(t, m.ip, end)
	at, next, ok := payload6(m.ip)
	require.True(t, ok && next == protoICMPv6)
	require.True(t, m.goodSum6(at, end))
	dst := netip.AddrFrom16([16]byte(m.ip[24:40]))
	require.Equal(t, ethernet(mac(0), dst, nil)[:6], frame[:6])
	return fmt.Sprintf("%v>%v %s", h.SrcIP, h.DstIP, describe6(m.ip[at:end]))
}

func describe4(t *testing.T, p gopacket.Packet) string {
	l := p.Layer(layers.LayerTypeIGMP)
	require.NotNil(t, l)
	if v1or2, ok := l.(*layers.IGMPv1or2); ok {
		return fmt.Sprintf("v2 %v %v", v1or2.GroupAddress, v1or2.MaxResponseTime)
	}
	q := l.(*layers.IGMP)
	qqic := p.Data()[14+queryHead4+9] // gopacket reads it in tenths
	s := fmt.Sprintf("v3 %v %v qrv %d qqic %d", q.GroupAddress, q.MaxResponseTime, q.RobustnessValue, qqic)
	if q.SupressRouterProcessing {
		s += " suppress"
	}
	for _, a := range q.SourceAddresses {
		s += " " + a.String()
	}
	return s
}

func describe6(body []byte) string {
	g := netip.AddrFrom16([16]byte(body[8:24]))
	s := fmt.Sprintf("%v %dms", g, int(body[4])<<8|int(body[5]))
	if len(body) == 24 {
		return "v1 " + s
	}
	s = fmt.Sprintf("v2 %s qrv %d qqic %d", s, body[24]&7, body[25])
	if body[24]&8 != 0 {
		s += " suppress"
	}
	for b := body[28:]; len(b) >= 16; b = b[16:] {
		s += " " + netip.AddrFrom16([16]byte(b[:16])).String()
	}
	return s
}
