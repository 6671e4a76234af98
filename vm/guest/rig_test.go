package guest_test

import (
	"net/netip"
	"strings"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func prefixes(s string) (out []netip.Prefix) {
	for _, f := range strings.Fields(s) {
		out = append(out, prefix(f))
	}
	return out
}
