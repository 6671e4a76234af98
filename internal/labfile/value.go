package labfile

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"ringside/bridge"
	"ringside/sim"
)

// on reads on or off; off reads the same into a switch that is the other way
// round. Both have the words that people and sysfs use.
func (r *reader) on(b *bool) func(field) {
	return func(f field) { r.onoff(f, func(v bool) { *b = v }) }
}

func (r *reader) off(b *bool) func(field) {
	return func(f field) { r.onoff(f, func(v bool) { *b = !v }) }
}

func (r *reader) onoff(f field, set func(bool)) {
	s, ok := r.text(f)
	if !ok {
		return
	}
	switch strings.ToLower(s) {
	case "on", "true", "yes", "1":
		set(true)
	case "off", "false", "no", "0":
		set(false)
	default:
		r.wrong(f, "%s is neither on nor off", quote(s))
	}
}

// number is a whole number from lo to hi, decimal or 0x.
func (r *reader) number(f field, lo, hi uint64) (uint64, bool) {
	s, ok := r.text(f)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.ReplaceAll(s, "_", ""), 0, 64)
	if strings.HasPrefix(s, "0") && !strings.HasPrefix(strings.ToLower(s), "0x") {
		n, err = strconv.ParseUint(strings.ReplaceAll(s, "_", ""), 10, 64) // as people read it
	}
	if err != nil || n < lo || n > hi {
		r.wrong(f, "%s: give a whole number from %d to %d", quote(s), lo, hi)
		return 0, false
	}
	return n, true
}

// whole reads a whole number into at.
func whole[T ~int | ~uint8 | ~uint16 | ~uint32 | ~uint64](r *reader, into *T, lo, hi uint64) func(field) {
	return func(f field) {
		if n, ok := r.number(f, lo, hi); ok {
			*into = T(n)
		}
	}
}

// span is a span of virtual time from lo to hi.
func (r *reader) span(f field, lo, hi sim.Time) (sim.Time, bool) {
	s, ok := r.text(f)
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		r.wrong(f, "%s: a span cannot be negative", quote(s))
		return 0, false
	}
	if err != nil {
		r.wrong(f, "%s is not a span with its unit, as 300s, 2.5s and 50us are", quote(s))
		return 0, false
	}
	t := sim.FromDuration(d)
	if t < lo || t > hi {
		r.wrong(f, "%s: give a span from %s to %s", quote(s), short(lo), short(hi))
		return 0, false
	}
	return t, true
}

// short is a span without zeros at its end.
func short(t sim.Time) string {
	s := t.String()
	i := strings.LastIndexAny(s, "0123456789") + 1
	num := s[:i]
	if strings.Contains(num, ".") {
		num = strings.TrimRight(strings.TrimRight(num, "0"), ".")
	}
	return num + s[i:]
}

// spanInto reads a span; 0 is stored as zero.
func (r *reader) spanInto(into *sim.Time, zero, lo, hi sim.Time) func(field) {
	return func(f field) {
		t, ok := r.span(f, lo, hi)
		if ok && t == 0 {
			t = zero
		}
		if ok {
			*into = t
		}
	}
}

// mac reads a hardware address.
func (r *reader) mac(f field) (m bridge.MAC, ok bool) {
	s, ok := r.text(f)
	if !ok {
		return m, false
	}
	b, err := net.ParseMAC(s)
	if err != nil || len(b) != len(m) {
		r.wrong(f, "%s is not a MAC address like 02:00:00:00:00:01", quote(s))
		return m, false
	}
	return bridge.MAC(b), true
}

// station reads the hardware address of one station.
func (r *reader) station(f field) (bridge.MAC, bool) {
	m, ok := r.mac(f)
	if ok && (m.Group() || m == (bridge.MAC{})) {
		r.wrong(f, "%v is not the address of one station", m)
		return m, false
	}
	return m, ok
}

func (r *reader) stationInto(into *bridge.MAC) func(field) {
	return func(f field) {
		if m, ok := r.station(f); ok {
			*into = m
		}
	}
}

// addr reads an IP address.
func (r *reader) addr(f field) (netip.Addr, bool) {
	s, ok := r.text(f)
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		r.wrong(f, "%s is not an IP address like 192.0.2.7 or 2001:db8::7", quote(s))
		return a, false
	}
	return a, true
}

// prefix reads an address with the length of its network's prefix.
func (r *reader) prefix(f field) (netip.Prefix, bool) {
	s, ok := r.text(f)
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		r.wrong(f, "%s is not an address with its prefix like 192.0.2.1/24 or 2001:db8::1/64", quote(s))
		return p, false
	}
	return p, true
}

// word is one of the words, and its place among them.
func (r *reader) word(f field, words ...string) (int, bool) {
	s, ok := r.text(f)
	if !ok {
		return 0, false
	}
	for i, w := range words {
		if strings.EqualFold(s, w) {
			return i, true
		}
	}
	r.wrong(f, "%s is not one: %s", quote(s), r.hint(s, "give ", words))
	return 0, false
}

// ifname reads the name of an interface, as the kernel lets one be called.
func (r *reader) ifname(f field) (string, bool) {
	s, ok := r.text(f)
	return s, ok && r.isIfname(f, s)
}

// maxName is the longest name of an interface, IFNAMSIZ without its end.
const maxName = 15

func (r *reader) isIfname(f field, s string) bool {
	switch {
	case len(s) > maxName:
		r.fail(f.key, "%s: %s is longer than the %d bytes that the name of an interface has", f.path, quote(s), maxName)
	case s == "." || s == "..", strings.ContainsAny(s, "/: \t"), strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		r.fail(f.key, "%s: %s cannot be the name of an interface: use letters, digits, dots, dashes and underscores", f.path, quote(s))
	default:
		return true
	}
	return false
}
