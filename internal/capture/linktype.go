package capture

import "fmt"

// linkEthernet is LINKTYPE_ETHERNET, the only link type that can be replayed.
const linkEthernet = 1

// linkType returns a link type for messages, as in "link type 105 (IEEE 802.11)".
func linkType(n uint16) string {
	name, ok := linkNames[n]
	switch {
	case ok:
	case n >= 147 && n <= 162:
		name = "private use"
	default:
		return fmt.Sprintf("link type %d", n)
	}
	return fmt.Sprintf("link type %d (%s)", n, name)
}

// linkNames has the link types that people meet, of some 200 in the registry
// [pcaplinktype].
var linkNames = map[uint16]string{
	0:   "BSD loopback",
	1:   "Ethernet",
	6:   "Token Ring",
	8:   "SLIP",
	9:   "PPP",
	10:  "FDDI",
	50:  "PPP in HDLC framing",
	51:  "PPPoE",
	100: "ATM RFC 1483",
	101: "raw IP",
	104: "Cisco HDLC",
	105: "IEEE 802.11",
	106: "Linux ATM CLIP",
	107: "Frame Relay",
	108: "OpenBSD loopback",
	109: "OpenBSD enc",
	113: "Linux cooked, SLL",
	114: "LocalTalk",
	117: "PF log",
	119: "IEEE 802.11 with Prism header",
	122: "IP over Fibre Channel",
	123: "SunATM",
	127: "IEEE 802.11 with radiotap header",
	129: "Linux ARCNET",
	132: "Juniper ES",
	137: "Juniper ATM1",
	143: "DOCSIS",
	163: "IEEE 802.11 with AVS header",
	164: "Juniper monitor",
	178: "Juniper Ethernet",
	182: "FRF.16 multi-link Frame Relay",
	187: "Bluetooth HCI H4",
	189: "Linux USB",
	192: "PPI",
	195: "IEEE 802.15.4 with FCS",
	197: "ERF",
	201: "Bluetooth HCI H4 with direction",
	204: "PPP with direction",
	220: "Linux USB, padded",
	224: "Fibre Channel FC-2",
	226: "Solaris ipnet",
	227: "SocketCAN",
	228: "raw IPv4",
	229: "raw IPv6",
	230: "IEEE 802.15.4 without FCS",
	231: "D-Bus",
	239: "Linux netfilter log",
	240: "netANALYZER",
	242: "IP over InfiniBand",
	247: "InfiniBand",
	249: "USBPcap",
	251: "Bluetooth Low Energy",
	252: "Wireshark upper PDU",
	253: "Linux netlink",
	254: "Bluetooth Linux monitor",
	256: "Bluetooth Low Energy with radio header",
	258: "Apple PKTAP",
	271: "Linux vsock",
	274: "IEEE 802.3br mPackets",
	276: "Linux cooked, SLL2",
	280: "VPP dispatch trace",
	281: "Broadcom switch tag",
	282: "Broadcom switch tag, prepended",
	283: "IEEE 802.15.4 TAP",
	284: "Marvell DSA",
	285: "Marvell EDSA",
}
