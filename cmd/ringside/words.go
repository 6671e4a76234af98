package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"ringside/bridge"
)

// frameWords are a frame in a few words: what a bridge looks at, and zeros behind
// it.
type frameWords struct {
	src, dst bridge.MAC
	hasDst   bool
	vlan     []uint16 // TCIs, the outermost first
	etype    uint16
	any      bool
}

// anyone is the source of a frame that is given none: a station that no capture of
// testdata has.
var anyone = bridge.MAC{0x02, 0, 0, 0, 0xee, 0x01}

// etypes are EtherTypes by name.
var etypes = map[string]uint16{"ip": 0x0800, "ipv4": 0x0800, "arp": 0x0806, "ipv6": 0x86dd, "lldp": 0x88cc, "test": 0x88b5}

func (f *frameWords) flags(fs *pflag.FlagSet) {
	mac := func(name, usage string, set func(bridge.MAC)) {
		flag(fs, name, "MAC", "", usage, func(s string) error {
			m, err := bridge.ParseMAC(s)
			if err != nil {
				return fmt.Errorf("give a MAC address, as in --%s 02:00:00:00:00:01", name)
			}
			f.any = true
			set(m)
			return nil
		})
	}
	mac("src", "the frame's source; otherwise "+anyone.String(), func(m bridge.MAC) { f.src = m })
	mac("dst", "its destination", func(m bridge.MAC) { f.dst, f.hasDst = m, true })
	flag(fs, "vlan", "VID[/PCP]", "", "a tag of that VLAN and priority; may be repeated, the outermost first", func(s string) error {
		tci, err := parseTag(s)
		f.vlan, f.any = append(f.vlan, tci), true
		return err
	})
	flag(fs, "type", "TYPE", "test", "its EtherType: ip, arp, ipv6, lldp, test or a number from 0x600", func(s string) error {
		f.any = true
		if t, ok := etypes[strings.ToLower(s)]; ok {
			f.etype = t
			return nil
		}
		n, err := strconv.ParseUint(s, 0, 16)
		if err != nil || n < 0x600 {
			return errors.New("give ip, arp, ipv6, lldp, test or a number from 0x600 to 0xffff, as in --type 0x0800")
		}
		f.etype = uint16(n)
		return nil
	})
}

// parseTag reads a tag's VLAN and priority. VLAN 0 is a tag of a priority alone.
func parseTag(s string) (uint16, error) {
	wrong := errors.New("give a VLAN from 0 to 4095 and, if not 0, a priority up to 7, as in --vlan 10 or --vlan 10/5")
	v, p, hasP := strings.Cut(s, "/")
	vid, err := strconv.ParseUint(v, 10, 12)
	if err != nil {
		return 0, wrong
	}
	var pcp uint64
	if hasP {
		if pcp, err = strconv.ParseUint(p, 10, 3); err != nil {
			return 0, wrong
		}
	}
	return uint16(pcp<<13 | vid), nil
}

func (f *frameWords) given() bool { return f.any }

// frame is the frame, of 60 bytes and 4 for each tag.
func (f *frameWords) frame() ([]byte, error) {
	if !f.hasDst {
		return nil, usagef("explain: where does the frame go? Give --dst, as in --dst ff:ff:ff:ff:ff:ff")
	}
	src, etype := f.src, f.etype
	if src == (bridge.MAC{}) {
		src = anyone
	}
	if etype == 0 {
		etype = etypes["test"]
	}
	b := append(append(make([]byte, 0, 64), f.dst[:]...), src[:]...)
	for _, tci := range f.vlan {
		b = binary.BigEndian.AppendUint32(b, bridge.Dot1Q<<16|uint32(tci))
	}
	b = binary.BigEndian.AppendUint16(b, etype)
	return append(b, make([]byte, 46)...), nil
}
