package form

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"ringside/bridge"
	"ringside/sim"
)

// On reads on or off; Off reads the same into a switch that is the other way
// round. Both have the words that people and sysfs use.
func (r *Reader) On(b *bool) func(Field) {
	return func(f Field) { r.onoff(f, func(v bool) { *b = v }) }
}

// Off reads on or off into a switch that is the other way round.
func (r *Reader) Off(b *bool) func(Field) {
	return func(f Field) { r.onoff(f, func(v bool) { *b = !v }) }
}

func (r *Reader) onoff(f Field, set func(bool)) {
	s, ok := r.Text(f)
	if !ok {
		return
	}
	switch strings.ToLower(s) {
	case "on", "true", "yes", "1":
		set(true)
	case "off", "false", "no", "0":
		set(false)
	default:
		r.Wrong(f, "%s is neither on nor off", Quote(s))
	}
}

// Number is a whole number from lo to hi, decimal or 0x.
func (r *Reader) Number(f Field, lo, hi uint64) (uint64, bool) {
	s, ok := r.Text(f)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.ReplaceAll(s, "_", ""), 0, 64)
	if strings.HasPrefix(s, "0") && !strings.HasPrefix(strings.ToLower(s), "0x") {
		n, err = strconv.ParseUint(strings.ReplaceAll(s, "_", ""), 10, 64) // as people read it
	}
	if err != nil || n < lo || n > hi {
		r.Wrong(f, "%s: give a whole number from %d to %d", Quote(s), lo, hi)
		return 0, false
	}
	return n, true
}

// Whole reads a whole number into at.
func Whole[T ~int | ~uint8 | ~uint16 | ~uint32 | ~uint64](r *Reader, into *T, lo, hi uint64) func(Field) {
	return func(f Field) {
		if n, ok := r.Number(f, lo, hi); ok {
			*into = T(n)
		}
	}
}

// Span is a span of virtual time from lo to hi.
func (r *Reader) Span(f Field, lo, hi sim.Time) (sim.Time, bool) {
	s, ok := r.Text(f)
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		r.Wrong(f, "%s: a span cannot be negative", Quote(s))
		return 0, false
	}
	if err != nil {
		r.Wrong(f, "%s is not a span with its unit, as 300s, 2.5s and 50us are", Quote(s))
		return 0, false
	}
	t := sim.FromDuration(d)
	if t < lo || t > hi {
		r.Wrong(f, "%s: give a span from %s to %s", Quote(s), Short(lo), Short(hi))
		return 0, false
	}
	return t, true
}

// Short is a span without zeros at its end.
func Short(t sim.Time) string {
	s := t.String()
	i := strings.LastIndexAny(s, "0123456789") + 1
	num := s[:i]
	if strings.Contains(num, ".") {
		num = strings.TrimRight(strings.TrimRight(num, "0"), ".")
	}
	return num + s[i:]
}

// SpanInto reads a span; 0 is stored as zero.
func (r *Reader) SpanInto(into *sim.Time, zero, lo, hi sim.Time) func(Field) {
	return func(f Field) {
		t, ok := r.Span(f, lo, hi)
		if ok && t == 0 {
			t = zero
		}
		if ok {
			*into = t
		}
	}
}

// MAC reads a hardware address.
func (r *Reader) MAC(f Field) (m bridge.MAC, ok bool) {
	s, ok := r.Text(f)
	if !ok {
		return m, false
	}
	b, err := net.ParseMAC(s)
	if err != nil || len(b) != len(m) {
		r.Wrong(f, "%s is not a MAC address like 02:00:00:00:00:01", Quote(s))
		return m, false
	}
	return bridge.MAC(b), true
}

// Station reads the hardware address of one station.
func (r *Reader) Station(f Field) (bridge.MAC, bool) {
	m, ok := r.MAC(f)
	if ok && (m.Group() || m == (bridge.MAC{})) {
		r.Wrong(f, "%v is not the address of one station", m)
		return m, false
	}
	return m, ok
}

// StationInto reads a station's address.
func (r *Reader) StationInto(into *bridge.MAC) func(Field) {
	return func(f Field) {
		if m, ok := r.Station(f); ok {
			*into = m
		}
	}
}

// Addr reads an IP address.
func (r *Reader) Addr(f Field) (netip.Addr, bool) {
	s, ok := r.Text(f)
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		r.Wrong(f, "%s is not an IP address like 192.0.2.7 or 2001:db8::7", Quote(s))
		return a, false
	}
	return a, true
}

// Prefix reads an address with the length of its network's prefix.
func (r *Reader) Prefix(f Field) (netip.Prefix, bool) {
	s, ok := r.Text(f)
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		r.Wrong(f, "%s is not an address with its prefix like 192.0.2.1/24 or 2001:db8::1/64", Quote(s))
		return p, false
	}
	return p, true
}

// Word is one of the words, and its place among them.
func (r *Reader) Word(f Field, words ...string) (int, bool) {
	s, ok := r.Text(f)
	if !ok {
		return 0, false
	}
	for i, w := range words {
		if strings.EqualFold(s, w) {
			return i, true
		}
	}
	r.Wrong(f, "%s is not one: %s", Quote(s), r.Hint(s, "give ", words))
	return 0, false
}

// Ifname reads the name of an interface, as the kernel lets one be called.
func (r *Reader) Ifname(f Field) (string, bool) {
	s, ok := r.Text(f)
	return s, ok && r.IsIfname(f, s)
}

// MaxName is the longest name of an interface, IFNAMSIZ without its end.
const MaxName = 15

// IsIfname says that s can be an interface's name.
func (r *Reader) IsIfname(f Field, s string) bool {
	switch {
	case len(s) > MaxName:
		r.Fail(f.Key, "%s: %s is longer than the %d bytes that the name of an interface has", f.Path, Quote(s), MaxName)
	case s == "." || s == "..", strings.ContainsAny(s, "/: \t"), strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		r.Fail(f.Key, "%s: %s cannot be the name of an interface: use letters, digits, dots, dashes and underscores", f.Path, Quote(s))
	default:
		return true
	}
	return false
}
