package differential

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A rtnl is a routing socket in the namespace of the thread that opened it.
type rtnl struct{ conn *netlink.Conn }

func dialRtnl() (*rtnl, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, fmt.Errorf("open a routing socket: %w", err)
	}
	// Without it the kernel takes a filter in a dump's request as padding.
	if err := c.SetOption(netlink.GetStrictCheck, true); err != nil {
		return nil, errors.Join(fmt.Errorf("strict checks: %w", err), c.Close())
	}
	return &rtnl{c}, nil
}

// do sends a request and waits for the kernel's word on it.
func (r *rtnl) do(typ uint16, flags netlink.HeaderFlags, header []byte, attrs func(*netlink.AttributeEncoder)) ([]netlink.Message, error) {
	ae := netlink.NewAttributeEncoder()
	if attrs != nil {
		attrs(ae)
	}
	body, err := ae.Encode()
	if err != nil {
		return nil, err
	}
	return r.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(typ), Flags: netlink.Request | flags},
		Data:   append(header, body...),
	})
}

// set is a request that is only acknowledged.
func (r *rtnl) set(typ uint16, flags netlink.HeaderFlags, header []byte, attrs func(*netlink.AttributeEncoder)) error {
	_, err := r.do(typ, netlink.Acknowledge|flags, header, attrs)
	return err
}

// dump asks for a whole table, and again if it changed under the dump.
func (r *rtnl) dump(typ uint16, header []byte, attrs func(*netlink.AttributeEncoder)) (list []netlink.Message, err error) {
	for range 10 {
		list, err = r.do(typ, netlink.Dump, header, attrs)
		interrupted := errors.Is(err, unix.EINTR)
		for _, m := range list {
			interrupted = interrupted || m.Header.Flags&netlink.DumpInterrupted != 0
		}
		if !interrupted {
			break
		}
	}
	return list, err
}

// The headers of the families' messages, linux/if_link.h and so on.

func ifinfo(family uint8, index int, flags, change uint32) []byte {
	b := make([]byte, 16)
	b[0] = family
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], change)
	return b
}

func ndmsg(family uint8, index int, state uint16, flags uint8) []byte {
	b := make([]byte, 12)
	b[0] = family
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint16(b[8:], state)
	b[10] = flags
	return b
}

// brmsg is the header of messages about a bridge's groups and VLANs alike.
func brmsg(index int) []byte {
	b := make([]byte, 8)
	b[0] = unix.AF_BRIDGE
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return b
}

// attributes calls f for each attribute of b.
func attributes(b []byte, f func(typ uint16, v []byte)) {
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return
	}
	for ad.Next() {
		f(ad.Type()&^uint16(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), ad.Bytes())
	}
}

// number reads an attribute of up to eight bytes.
func number(v []byte) uint64 {
	switch len(v) {
	case 1:
		return uint64(v[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(v))
	case 4:
		return uint64(binary.NativeEndian.Uint32(v))
	case 8:
		return binary.NativeEndian.Uint64(v)
	}
	return 0
}

// encode writes an option's value.
func (o option) encode(ae *netlink.AttributeEncoder, v uint64) {
	switch o.size {
	case 0:
		b := binary.NativeEndian.AppendUint32(nil, uint32(v)<<o.bit)
		ae.Bytes(o.attr, binary.NativeEndian.AppendUint32(b, 1<<o.bit))
	case 1:
		ae.Uint8(o.attr, uint8(v))
	case 2:
		ae.Uint16(o.attr, uint16(v))
	case -2:
		ae.Bytes(o.attr, binary.BigEndian.AppendUint16(nil, uint16(v)))
	case 4:
		ae.Uint32(o.attr, uint32(v))
	case 8:
		ae.Uint64(o.attr, v)
	}
}

// decode reads it back.
func (o option) decode(v []byte) uint64 {
	switch {
	case o.size == 0 && len(v) >= 4:
		return uint64(binary.NativeEndian.Uint32(v)) >> o.bit & 1
	case o.size == -2 && len(v) == 2:
		return uint64(binary.BigEndian.Uint16(v))
	}
	return number(v)
}

// link is what is known of an interface by a dump of links.
type link struct {
	index int
	name  string
	flags uint32
	data  map[uint16][]byte // of its kind, for a bridge
}

const (
	newLink = unix.RTM_NEWLINK
	setLink = unix.RTM_SETLINK
)

func (r *rtnl) link(name string) (link, error) {
	list, err := r.do(unix.RTM_GETLINK, 0, ifinfo(unix.AF_UNSPEC, 0, 0, 0), func(ae *netlink.AttributeEncoder) {
		ae.String(unix.IFLA_IFNAME, name)
	})
	if err != nil || len(list) == 0 {
		return link{}, fmt.Errorf("link %s: %w", name, err)
	}
	return parseLink(list[0].Data), nil
}

func parseLink(b []byte) link {
	l := link{data: map[uint16][]byte{}}
	if len(b) < 16 {
		return l
	}
	l.index = int(binary.NativeEndian.Uint32(b[4:]))
	l.flags = binary.NativeEndian.Uint32(b[8:])
	attributes(b[16:], func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.name = unix.ByteSliceToString(v)
		case unix.IFLA_LINKINFO:
			attributes(v, func(typ uint16, v []byte) {
				if typ == unix.IFLA_INFO_DATA {
					attributes(v, func(typ uint16, v []byte) { l.data[typ] = v })
				}
			})
		}
	})
	return l
}

// newBridge makes a bridge.
func (r *rtnl) newBridge(name string, mac []byte) error {
	return r.set(newLink, netlink.Create|netlink.Excl, ifinfo(unix.AF_UNSPEC, 0, 0, 0), func(ae *netlink.AttributeEncoder) {
		ae.String(unix.IFLA_IFNAME, name)
		ae.Bytes(unix.IFLA_ADDRESS, mac)
		ae.Nested(unix.IFLA_LINKINFO, func(ae *netlink.AttributeEncoder) error {
			ae.String(unix.IFLA_INFO_KIND, "bridge")
			return nil
		})
	})
}

// newVLANDevice makes the interface of one VLAN on top of another interface.
func (r *rtnl) newVLANDevice(name string, below int, vid uint16) error {
	return r.set(newLink, netlink.Create|netlink.Excl, ifinfo(unix.AF_UNSPEC, 0, unix.IFF_UP, unix.IFF_UP), func(ae *netlink.AttributeEncoder) {
		ae.String(unix.IFLA_IFNAME, name)
		ae.Uint32(unix.IFLA_LINK, uint32(below))
		ae.Nested(unix.IFLA_LINKINFO, func(ae *netlink.AttributeEncoder) error {
			ae.String(unix.IFLA_INFO_KIND, "vlan")
			ae.Nested(unix.IFLA_INFO_DATA, func(ae *netlink.AttributeEncoder) error {
				ae.Uint16(unix.IFLA_VLAN_ID, vid)
				return nil
			})
			return nil
		})
	})
}

func (r *rtnl) delLink(index int) error {
	return r.set(unix.RTM_DELLINK, 0, ifinfo(unix.AF_UNSPEC, index, 0, 0), nil)
}

// change sets and clears flags of an interface.
func (r *rtnl) change(index int, flags, mask uint32) error {
	return r.set(newLink, 0, ifinfo(unix.AF_UNSPEC, index, flags, mask), nil)
}

func (r *rtnl) setUint32(index int, attr uint16, v uint32) error {
	return r.set(newLink, 0, ifinfo(unix.AF_UNSPEC, index, 0, 0), func(ae *netlink.AttributeEncoder) { ae.Uint32(attr, v) })
}

func (r *rtnl) setAddress(index int, mac []byte) error {
	return r.set(newLink, 0, ifinfo(unix.AF_UNSPEC, index, 0, 0), func(ae *netlink.AttributeEncoder) { ae.Bytes(unix.IFLA_ADDRESS, mac) })
}

func (r *rtnl) setBridge(index int, o option, v uint64) error {
	return r.set(newLink, 0, ifinfo(unix.AF_UNSPEC, index, 0, 0), func(ae *netlink.AttributeEncoder) {
		ae.Nested(unix.IFLA_LINKINFO, func(ae *netlink.AttributeEncoder) error {
			ae.String(unix.IFLA_INFO_KIND, "bridge")
			ae.Nested(unix.IFLA_INFO_DATA, func(ae *netlink.AttributeEncoder) error { o.encode(ae, v); return nil })
			return nil
		})
	})
}

func (r *rtnl) setPort(index int, o option, v uint64) error {
	return r.set(setLink, 0, ifinfo(unix.AF_BRIDGE, index, 0, 0), func(ae *netlink.AttributeEncoder) {
		ae.Nested(unix.IFLA_PROTINFO, func(ae *netlink.AttributeEncoder) error { o.encode(ae, v); return nil })
	})
}

// A port as a dump of a bridge's links tells it.
type portInfo struct {
	index int
	attrs map[uint16][]byte
}

func (r *rtnl) ports() (all []portInfo, err error) {
	list, err := r.dump(unix.RTM_GETLINK, ifinfo(unix.AF_BRIDGE, 0, 0, 0), nil)
	if err != nil {
		return nil, fmt.Errorf("ports: %w", err)
	}
	for _, m := range list {
		p := portInfo{attrs: map[uint16][]byte{}}
		if len(m.Data) < 16 {
			continue
		}
		p.index = int(binary.NativeEndian.Uint32(m.Data[4:]))
		attributes(m.Data[16:], func(typ uint16, v []byte) {
			if typ == unix.IFLA_PROTINFO {
				attributes(v, func(typ uint16, v []byte) { p.attrs[typ] = v })
			}
		})
		if len(p.attrs) > 0 {
			all = append(all, p)
		}
	}
	return all, nil
}

// VLANs, linux/if_bridge.h.
const (
	vlanMaster   = 1 << 0 // BRIDGE_VLAN_INFO_MASTER and so on
	vlanPVID     = 1 << 1
	vlanUntagged = 1 << 2
	vlanBegin    = 1 << 3
	vlanEnd      = 1 << 4
	vlanBrentry  = 1 << 5
	bridgeSelf   = 2 // BRIDGE_FLAGS_SELF

	iflaBridgeFlags = 0
	iflaBridgeVLAN  = 2

	vlandbEntry   = 1 // BRIDGE_VLANDB_ENTRY
	vlandbGlobal  = 2 // BRIDGE_VLANDB_GLOBAL_OPTIONS
	vlandbInfo    = 1 // BRIDGE_VLANDB_ENTRY_INFO
	vlandbRange   = 2
	vlandbState   = 3
	vlandbStats   = 5
	vlanDumpFlags = 1 // BRIDGE_VLANDB_DUMP_FLAGS
)

func vlanInfo(flags, vid uint16) []byte {
	b := binary.NativeEndian.AppendUint16(nil, flags)
	return binary.NativeEndian.AppendUint16(b, vid)
}

// vlan adds or deletes VLANs on a port, or with self on the bridge.
func (r *rtnl) vlan(del bool, index int, self bool, first, last, flags uint16) error {
	typ := uint16(setLink)
	if del {
		typ = unix.RTM_DELLINK
	}
	return r.set(typ, 0, ifinfo(unix.AF_BRIDGE, index, 0, 0), func(ae *netlink.AttributeEncoder) {
		ae.Nested(unix.IFLA_AF_SPEC, func(ae *netlink.AttributeEncoder) error {
			if self {
				ae.Uint16(iflaBridgeFlags, bridgeSelf)
			}
			if last > first {
				ae.Bytes(iflaBridgeVLAN, vlanInfo(flags|vlanBegin, first))
				ae.Bytes(iflaBridgeVLAN, vlanInfo(flags|vlanEnd, last))
			} else {
				ae.Bytes(iflaBridgeVLAN, vlanInfo(flags, first))
			}
			return nil
		})
	})
}

// setVLAN sets an option of one VLAN of an interface.
func (r *rtnl) setVLAN(index int, vid uint16, o option, v uint64) error {
	return r.set(unix.RTM_NEWVLAN, 0, brmsg(index), func(ae *netlink.AttributeEncoder) {
		ae.Nested(vlandbEntry, func(ae *netlink.AttributeEncoder) error {
			ae.Bytes(vlandbInfo, vlanInfo(1<<6, vid)) // BRIDGE_VLAN_INFO_ONLY_OPTS
			o.encode(ae, v)
			return nil
		})
	})
}

// A vlanLine is VLANs of an interface as a dump tells them.
type vlanLine struct {
	index       int
	first, last uint16
	flags       uint16
	state       uint8
	stats       [4]uint64 // rx bytes, rx packets, tx bytes, tx packets
}

func (r *rtnl) vlans(stats bool) (all []vlanLine, err error) {
	list, err := r.dump(unix.RTM_GETVLAN, brmsg(0), func(ae *netlink.AttributeEncoder) {
		if stats {
			ae.Uint32(vlanDumpFlags, 1) // BRIDGE_VLANDB_DUMPF_STATS
		}
	})
	if err != nil {
		return nil, fmt.Errorf("vlans: %w", err)
	}
	for _, m := range list {
		if len(m.Data) < 8 {
			continue
		}
		index := int(binary.NativeEndian.Uint32(m.Data[4:]))
		attributes(m.Data[8:], func(typ uint16, v []byte) {
			if typ == vlandbEntry {
				all = append(all, parseVLAN(index, v))
			}
		})
	}
	return all, nil
}

func parseVLAN(index int, b []byte) vlanLine {
	l := vlanLine{index: index}
	attributes(b, func(typ uint16, v []byte) {
		switch {
		case typ == vlandbInfo && len(v) >= 4:
			l.flags = binary.NativeEndian.Uint16(v)
			l.first = binary.NativeEndian.Uint16(v[2:])
			l.last = max(l.last, l.first)
		case typ == vlandbRange:
			l.last = uint16(number(v))
		case typ == vlandbState:
			l.state = uint8(number(v))
		case typ == vlandbStats:
			attributes(v, func(typ uint16, v []byte) {
				if typ >= 1 && typ <= 4 {
					l.stats[typ-1] = number(v)
				}
			})
		}
	})
	return l
}

// The forwarding database.

const (
	nudDynamic   = unix.NUD_REACHABLE
	nudStatic    = unix.NUD_NOARP
	nudPermanent = unix.NUD_PERMANENT
	ntfSticky    = 0x40
	ntfMaster    = unix.NTF_MASTER
	ntfSelf      = unix.NTF_SELF
	ndaFlagsExt  = 15
	extLocked    = 2 // NTF_EXT_LOCKED
)

func (r *rtnl) addFDB(index int, mac []byte, vid uint16, state uint16, flags uint8, replace bool) error {
	how := netlink.Create | netlink.Excl
	if replace {
		how = netlink.Create | netlink.Replace
	}
	return r.set(unix.RTM_NEWNEIGH, how, ndmsg(unix.AF_BRIDGE, index, state, flags), func(ae *netlink.AttributeEncoder) {
		ae.Bytes(unix.NDA_LLADDR, mac)
		if vid != 0 {
			ae.Uint16(unix.NDA_VLAN, vid)
		}
	})
}

func (r *rtnl) delFDB(index int, mac []byte, vid uint16, flags uint8) error {
	return r.set(unix.RTM_DELNEIGH, 0, ndmsg(unix.AF_BRIDGE, index, 0, flags), func(ae *netlink.AttributeEncoder) {
		ae.Bytes(unix.NDA_LLADDR, mac)
		if vid != 0 {
			ae.Uint16(unix.NDA_VLAN, vid)
		}
	})
}

// A fdbLine is one entry as a dump tells it.
type fdbLine struct {
	index    int
	mac      [6]byte
	vid      uint16
	state    uint16
	flags    uint8
	flagsExt uint32
}

// fdb is what the bridge itself holds; a port's own list of addresses is not.
func (r *rtnl) fdb(br int) (all []fdbLine, err error) {
	list, err := r.dump(unix.RTM_GETNEIGH, ndmsg(unix.AF_BRIDGE, 0, 0, 0), func(ae *netlink.AttributeEncoder) {
		ae.Uint32(unix.NDA_MASTER, uint32(br))
	})
	if err != nil {
		return nil, fmt.Errorf("fdb: %w", err)
	}
	for _, m := range list {
		if l, ok := parseFDB(m.Data); ok {
			all = append(all, l)
		}
	}
	return all, nil
}

func parseFDB(b []byte) (l fdbLine, ofBridge bool) {
	if len(b) < 12 {
		return l, false
	}
	l.index = int(binary.NativeEndian.Uint32(b[4:]))
	l.state = binary.NativeEndian.Uint16(b[8:])
	l.flags = b[10]
	attributes(b[12:], func(typ uint16, v []byte) {
		switch typ {
		case unix.NDA_LLADDR:
			copy(l.mac[:], v)
		case unix.NDA_VLAN:
			l.vid = uint16(number(v))
		case unix.NDA_MASTER:
			ofBridge = true
		case ndaFlagsExt:
			l.flagsExt = uint32(number(v))
		}
	})
	return l, ofBridge
}

// flushFDB takes out what was learned on a port, or everywhere.
func (r *rtnl) flushFDB(br, port int) error {
	if port == 0 {
		return r.setBridge(br, option{attr: unix.IFLA_BR_FDB_FLUSH, size: 1}, 1)
	}
	return r.setPort(port, option{attr: unix.IFLA_BRPORT_FLUSH, size: 1}, 1)
}

// Multicast groups.

const (
	mdbaMDB        = 1
	mdbaRouter     = 2
	mdbaSetEntry   = 1
	mdbaSetAttrs   = 2
	mdbeAttrSource = 1
	mdbeAttrMode   = 3
)

// A mdbLine is one port of one group.
type mdbLine struct {
	index  int
	state  uint8 // 1 permanent
	flags  uint8
	vid    uint16
	addr   []byte // 4, 16 or 6 bytes
	source []byte
	mode   string // of its filter; "" if sources are not looked at
	srcs   [][]byte
}

// mdbEntry is a struct br_mdb_entry.
func mdbEntry(index int, state uint8, vid uint16, addr []byte, proto uint16) []byte {
	b := make([]byte, 28)
	binary.NativeEndian.PutUint32(b, uint32(index))
	b[4] = state
	binary.NativeEndian.PutUint16(b[6:], vid)
	copy(b[8:24], addr)
	binary.BigEndian.PutUint16(b[24:], proto)
	return b
}

func (r *rtnl) mdb(del bool, br int, entry []byte, source []byte) error {
	typ, flags := uint16(unix.RTM_NEWMDB), netlink.Create|netlink.Excl
	if del {
		typ, flags = unix.RTM_DELMDB, 0
	}
	return r.set(typ, flags, brmsg(br), func(ae *netlink.AttributeEncoder) {
		ae.Bytes(mdbaSetEntry, entry)
		if source != nil {
			ae.Nested(mdbaSetAttrs, func(ae *netlink.AttributeEncoder) error {
				ae.Bytes(mdbeAttrSource, source)
				return nil
			})
		}
	})
}

// groups is the groups and the ports with routers behind them.
func (r *rtnl) groups(br int) (all []mdbLine, routers []int, err error) {
	list, err := r.dump(unix.RTM_GETMDB, brmsg(0), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("mdb: %w", err)
	}
	for _, m := range list {
		if len(m.Data) < 8 || int(binary.NativeEndian.Uint32(m.Data[4:])) != br {
			continue
		}
		attributes(m.Data[8:], func(typ uint16, v []byte) {
			switch typ {
			case mdbaMDB:
				attributes(v, func(_ uint16, v []byte) { // MDBA_MDB_ENTRY
					attributes(v, func(_ uint16, v []byte) { // MDBA_MDB_ENTRY_INFO
						if l, ok := parseMDB(v); ok {
							all = append(all, l)
						}
					})
				})
			case mdbaRouter:
				attributes(v, func(_ uint16, v []byte) { // MDBA_ROUTER_PORT
					if len(v) >= 4 {
						routers = append(routers, int(binary.NativeEndian.Uint32(v)))
					}
				})
			}
		})
	}
	return all, routers, nil
}

func parseMDB(b []byte) (mdbLine, bool) {
	if len(b) < 28 {
		return mdbLine{}, false
	}
	l := mdbLine{
		index: int(binary.NativeEndian.Uint32(b)),
		state: b[4],
		flags: b[5],
		vid:   binary.NativeEndian.Uint16(b[6:]),
	}
	switch binary.BigEndian.Uint16(b[24:]) {
	case 0x0800:
		l.addr = b[8:12]
	case 0x86dd:
		l.addr = b[8:24]
	default:
		l.addr = b[8:14]
	}
	attributes(b[28:], func(typ uint16, v []byte) {
		switch typ {
		case 2: // MDBA_MDB_EATTR_SRC_LIST
			attributes(v, func(_ uint16, v []byte) {
				attributes(v, func(typ uint16, v []byte) {
					if typ == 1 { // MDBA_MDB_SRCATTR_ADDRESS
						l.srcs = append(l.srcs, v)
					}
				})
			})
		case 3:
			l.mode = "exclude"
			if number(v) == 1 {
				l.mode = "include"
			}
		case 4:
			l.source = v
		}
	})
	return l, true
}

// neigh adds or deletes an entry of the host's neighbour table.
func (r *rtnl) neigh(del bool, index int, ip, mac []byte) error {
	family := uint8(unix.AF_INET)
	if len(ip) == 16 {
		family = unix.AF_INET6
	}
	typ, flags := uint16(unix.RTM_NEWNEIGH), netlink.Create|netlink.Replace
	if del {
		typ, flags = unix.RTM_DELNEIGH, 0
	}
	return r.set(typ, flags, ndmsg(family, index, nudPermanent, 0), func(ae *netlink.AttributeEncoder) {
		ae.Bytes(unix.NDA_DST, ip)
		if !del {
			ae.Bytes(unix.NDA_LLADDR, mac)
		}
	})
}
