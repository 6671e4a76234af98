package differential

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ringside/bridge"
)

// The lines of the tables, as both sides write them.

func vlanText(port int, vid uint16, pvid, untagged bool, state uint8) string {
	on := fmt.Sprint("port ", port)
	if port == Host {
		on = "bridge"
	}
	s := fmt.Sprintf("%s vlan %d", on, vid)
	if pvid {
		s += " pvid"
	}
	if untagged {
		s += " untagged"
	}
	return s + " " + stateText(state)
}

func stateText(state uint8) string {
	names := []string{"disabled", "listening", "learning", "forwarding", "blocking"}
	if int(state) < len(names) {
		return names[state]
	}
	return fmt.Sprint("state ", state)
}

func mdbText(group, source string, port int, vid uint16, permanent bool, mode string, blocked bool, sources []string) string {
	on := fmt.Sprint("port ", port)
	if port == Host {
		on = "bridge"
	}
	s := group + " on " + on
	if source != "" {
		s += " src " + source
	}
	if vid != 0 {
		s += fmt.Sprint(" vlan ", vid)
	}
	if permanent {
		s += " permanent"
	}
	if mode != "" {
		s += " " + mode
	}
	if blocked {
		s += " blocked"
	}
	if len(sources) > 0 {
		slices.Sort(sources)
		s += " sources " + strings.Join(sources, ",")
	}
	return s
}

// addrText writes an IP or Ethernet address, "" for none.
func addrText(b []byte) string {
	if len(b) == 6 {
		return bridge.MAC(b).String()
	}
	if a, ok := netip.AddrFromSlice(b); ok {
		return a.String()
	}
	return ""
}
