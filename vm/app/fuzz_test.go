package app

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"ringside/offload"
)

var dhcpMessages = map[string]dhcpMessage{
	"discover": {Type: dhcpDiscover, XID: 7, Broadcast: true, MAC: [6]byte{2, 1}, Host: "vm", MaskBits: -1},
	"request":  {Type: dhcpRequest, XID: 7, MAC: [6]byte{2, 1}, Requested: netip.MustParseAddr("10.0.0.9"), Server: netip.MustParseAddr("10.0.0.1"), MaskBits: -1},
	"renew":    {Type: dhcpRequest, XID: 8, MAC: [6]byte{2, 1}, Client: netip.MustParseAddr("10.0.0.9"), MaskBits: -1, Secs: 3},
	"ack": {
		Reply: true, Type: dhcpAck, XID: 7, MAC: [6]byte{2, 1}, Your: netip.MustParseAddr("10.0.0.9"), Server: netip.MustParseAddr("10.0.0.1"),
		Lease: 600, MaskBits: 24, Router: netip.MustParseAddr("10.0.0.1"), DNS: netip.MustParseAddr("10.0.0.2"),
	},
	"mask of all":  {Reply: true, Type: dhcpOffer, MaskBits: 32, Your: netip.MustParseAddr("10.0.0.9")},
	"mask of none": {Reply: true, Type: dhcpOffer, MaskBits: 0, Your: netip.MustParseAddr("10.0.0.9")},
}

func TestDHCPMessagesComeBack(t *testing.T) {
	for name, m := range dhcpMessages {
		b := m.bytes()
		require.GreaterOrEqual(t, len(b), dhcpMin)
		got, err := parseDHCP(b)
		require.NoError(t, err, name)
		require.Equal(t, m, got, name)
	}
}

func TestDHCPMessagesThatAreNone(t *testing.T) {
	discover := dhcpMessages["discover"]
	good := discover.bytes()
	change := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "no cookie": good[:dhcpFixed], "another cookie": change(dhcpFixed, 1), "neither request nor reply": change(0, 3),
		"not Ethernet": change(1, 6), "long addresses": change(2, 16), "no type": change(dhcpFixed+4, optPad), "unknown type": change(dhcpFixed+6, 77),
		"an option cut short": append(bytes.Clone(good[:dhcpFixed+7]), optHost, 9, 'x'), "an option without a length": append(bytes.Clone(good[:dhcpFixed+7]), optHost),
	} {
		_, err := parseDHCP(b)
		require.ErrorIs(t, err, errDHCP, name)
	}
}

// What is parsed comes back from its bytes, and gopacket sees the same in the fields
// that both have.
func FuzzDHCP(f *testing.F) {
	for _, m := range dhcpMessages {
		f.Add(m.bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseDHCP(b)
		if err != nil {
			return
		}
		if len(m.Host) <= 255 {
			back, err := parseDHCP(m.bytes())
			if !m.Reply {
				back.MaskBits = m.MaskBits // which clients do not send
			}
			if err != nil || !reflect.DeepEqual(m, back) {
				t.Fatalf("%+v came back as %+v, %v", m, back, err)
			}
		}
		p := gopacket.NewPacket(b, layers.LayerTypeDHCPv4, gopacket.Default)
		theirs, ok := p.Layer(layers.LayerTypeDHCPv4).(*layers.DHCPv4)
		if !ok || p.ErrorLayer() != nil {
			return
		}
		if theirs.Xid != m.XID || (theirs.Operation == layers.DHCPOpReply) != m.Reply || !bytes.Equal(theirs.ClientHWAddr, m.MAC[:]) || !same(theirs.YourClientIP, m.Your) {
			t.Fatalf("%+v, and %+v", m, theirs)
		}
	})
}

// same says that both are the same address; none is 0.0.0.0.
func same(ip []byte, a netip.Addr) bool {
	if !a.IsValid() {
		a = netip.IPv4Unspecified()
	}
	b, _ := netip.AddrFromSlice(ip)
	return a == b.Unmap()
}

func TestDatagramsComeBack(t *testing.T) {
	for _, n := range []int{0, 1, 2, 299, 300, 1472} {
		d := datagram{
			srcMAC: [6]byte{2, 1}, dstMAC: broadcastMAC, payload: bytes.Repeat([]byte{0xa5}, n),
			src: netip.MustParseAddrPort("0.0.0.0:68"), dst: netip.MustParseAddrPort("255.255.255.255:67"),
		}
		b, m := d.frame()
		got, ok := readDatagram(b, m)
		require.True(t, ok)
		require.True(t, reflect.DeepEqual(d, got) || n == 0)
		require.True(t, offload.Complete([][]byte{b}, &m))
		require.Equal(t, offload.Sums{IP: offload.Good, L4: offload.Good, Proto: 17}, offload.Verify([][]byte{b}))
		got, ok = readDatagram(b, m)
		require.True(t, ok)
		require.Equal(t, d.src, got.src)
		require.True(t, toPort(67)(b))
		require.False(t, toPort(68)(b))
		b[len(b)-1] ^= 1
		_, ok = readDatagram(b, offload.Meta{})
		require.False(t, ok, "a bit is wrong")
		_, ok = readDatagram(b, offload.Meta{Valid: true})
		require.True(t, ok, "unless somebody says that it is not")
	}
}

// readDatagram takes a frame only if offload's arithmetic finds its sums right, too.
func FuzzDatagram(f *testing.F) {
	d := datagram{src: netip.MustParseAddrPort("10.0.0.1:67"), dst: netip.MustParseAddrPort("10.0.0.2:68"), payload: []byte("hello")}
	b, m := d.frame()
	offload.Complete([][]byte{b}, &m)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, ok := readDatagram(b, offload.Meta{})
		if !ok {
			return
		}
		v := offload.Verify([][]byte{b})
		if v.IP != offload.Good || v.L4 == offload.Bad {
			t.Fatalf("%+v of %x", v, b)
		}
		if !toPort(d.dst.Port())(b) {
			t.Fatal("its filter does not know it")
		}
	})
}

// A firewall sees what gopacket sees.
func FuzzDissect(f *testing.F) {
	seed := func(l ...gopacket.SerializableLayer) {
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, l...); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	eth := func(kind layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: kind}
	}
	four := &layers.IPv4{Version: 4, IHL: 5, Protocol: layers.IPProtocolTCP, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}}
	six := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolUDP, SrcIP: make([]byte, 16), DstIP: make([]byte, 16)}
	seed(eth(layers.EthernetTypeIPv4), four, &layers.TCP{SrcPort: 1, DstPort: 80, DataOffset: 5})
	seed(eth(layers.EthernetTypeIPv6), six, &layers.UDP{SrcPort: 1, DstPort: 53})
	seed(eth(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeIPv4}, four, &layers.TCP{SrcPort: 1, DstPort: 80, DataOffset: 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		p := dissect(b)
		theirs := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
		compareDissection(t, b, p, theirs)
	})
}

func compareDissection(t *testing.T, b []byte, p packet, theirs gopacket.Packet) {
	tags := 0
	for _, l := range theirs.Layers() {
		if l.LayerType() == layers.LayerTypeDot1Q {
			tags++
		}
	}
	if tags > 1 || theirs.ErrorLayer() != nil {
		return
	}
	switch ip := theirs.NetworkLayer().(type) {
	case *layers.IPv4:
		if ip.Version != 4 {
			return // gopacket does not mind
		}
		if !p.ip || !same(ip.SrcIP, p.src) || !same(ip.DstIP, p.dst) || uint8(ip.Protocol) != p.proto {
			t.Fatalf("%+v, and %+v", p, ip)
		}
	case *layers.IPv6:
		if ip.Version != 6 {
			return
		}
		if !p.ip || p.src != netip.AddrFrom16([16]byte(ip.SrcIP)) || p.dst != netip.AddrFrom16([16]byte(ip.DstIP)) {
			t.Fatalf("%+v, and %+v", p, ip)
		}
	}
	switch l4 := theirs.TransportLayer().(type) {
	case *layers.TCP:
		if p.proto == 6 && (!p.ports || p.srcPort != uint16(l4.SrcPort) || p.dstPort != uint16(l4.DstPort)) {
			t.Fatalf("%+v, and %+v", p, l4)
		}
	case *layers.UDP:
		if p.proto == 17 && (!p.ports || p.srcPort != uint16(l4.SrcPort) || p.dstPort != uint16(l4.DstPort)) {
			t.Fatalf("%+v, and %+v", p, l4)
		}
	}
}
