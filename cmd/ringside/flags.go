package main

import (
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ringside"
	"ringside/bridge"
	"ringside/sim"
)

// A value is a flag whose text is parsed by a function: it checks, and stores
// what it made of it. Its error says what is allowed, with an example.
type value struct {
	kind, text string
	set        func(string) error
	all        []string // that were set, one after another
}

func (v *value) Set(s string) error {
	if err := v.set(s); err != nil {
		return err
	}
	v.text = s
	v.all = append(v.all, s)
	return nil
}
func (v *value) String() string { return v.text }
func (v *value) Type() string   { return v.kind }

// flag adds a flag that set parses; def is only shown.
func flag(fs *pflag.FlagSet, name, kind, def, usage string, set func(string) error) {
	fs.Var(&value{kind: kind, text: def, set: set}, name, usage)
}

// whole adds a flag for a whole number from lo to hi. It is left at what it is
// unless the flag is given.
func whole[T int | uint64](fs *pflag.FlagSet, at *T, name, def, usage string, lo, hi T, example string) {
	flag(fs, name, "N", def, usage, func(s string) error {
		digits := strings.ReplaceAll(s, "_", "")
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || n < uint64(lo) || n > uint64(hi) {
			return fmt.Errorf("give a whole number from %d to %d, as in --%s %s", lo, hi, name, example)
		}
		*at = T(n)
		return nil
	})
}

// duration parses a span of virtual time, as in 20us or 1.5s.
func duration(s string) (sim.Time, bool) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, false
	}
	t := sim.FromDuration(d)
	return t, t != sim.Never
}

// parseITR is the gap between interrupts: a span, "off", or interrupts a second.
func parseITR(s string) (sim.Time, error) {
	wrong := errors.New("give a span of 1us to 8191us in whole microseconds, off, or interrupts a second from 123 to 1000000, as in --itr 50us or --itr 20000")
	if s == "off" || s == "0" {
		return ringside.NoITR, nil
	}
	if t, ok := duration(s); ok {
		if t%sim.Microsecond != 0 || t > 8191*sim.Microsecond {
			return 0, wrong
		}
		return t, nil
	}
	rate, err := strconv.ParseUint(strings.ReplaceAll(s, "_", ""), 10, 64)
	if err != nil || rate < 123 || rate > 1_000_000 {
		return 0, wrong
	}
	return sim.Time((1_000_000+rate/2)/rate) * sim.Microsecond, nil
}

// parseMAC reads the address of a station.
func parseMAC(s string) (m bridge.MAC, err error) {
	b, err := net.ParseMAC(s)
	if err != nil || len(b) != len(m) {
		return m, fmt.Errorf("%s is not a MAC address like 02:00:00:00:00:01", clip(s))
	}
	copy(m[:], b)
	if m.Group() || m == (bridge.MAC{}) {
		return m, fmt.Errorf("%s is not the address of one station", s)
	}
	return m, nil
}

// parseGuest is the number in vmK.
func parseGuest(s string) (int, error) {
	k, err := strconv.Atoi(strings.TrimPrefix(s, "vm"))
	if err != nil || k < 0 || strings.HasPrefix(s, "+") {
		return 0, fmt.Errorf("%s is not a guest like vm0", clip(s))
	}
	return k, nil
}

// parseMap reads MAC=vmK,MAC=vmK,….
func parseMap(s string) (list []ringside.Mapping, err error) {
	for _, part := range strings.Split(s, ",") {
		addr, guest, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("give addresses with their guests, as in --map 02:00:00:00:00:01=vm0,02:00:00:00:00:02=vm1")
		}
		m, err := parseMAC(strings.TrimSpace(addr))
		if err != nil {
			return nil, err
		}
		k, err := parseGuest(strings.TrimSpace(guest))
		if err != nil {
			return nil, err
		}
		list = append(list, ringside.Mapping{MAC: m, VM: k})
	}
	return list, nil
}

// parseAddrs reads ADDR=vmK,ADDR=vmK,….
func parseAddrs(s string, into map[int]netip.Addr) error {
	for _, part := range strings.Split(s, ",") {
		addr, guest, ok := strings.Cut(part, "=")
		if !ok {
			return errors.New("give IP addresses with their guests, as in --addr 192.0.2.7=vm0")
		}
		a, err := netip.ParseAddr(strings.TrimSpace(addr))
		if err != nil || a.Zone() != "" {
			return fmt.Errorf("%s is not an IP address like 192.0.2.7 or 2001:db8::7", clip(addr))
		}
		k, err := parseGuest(strings.TrimSpace(guest))
		if err != nil {
			return err
		}
		if old, ok := into[k]; ok && old != a {
			return fmt.Errorf("vm%d has the address %v already, and a guest has one", k, old)
		}
		into[k] = a
	}
	return nil
}

// parseHostAddr reads an address of the host with its prefix.
func parseHostAddr(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, errors.New("give an address with its prefix, as in --host-addr 192.0.2.1/24 or --host-addr 2001:db8::1/64")
	}
	return p, nil
}

// parseSeed takes decimal and 0x numbers.
func parseSeed(s string) (uint64, error) {
	n, ok := new(big.Int).SetString(s, 0)
	if !ok || n.Sign() < 0 || !n.IsUint64() {
		return 0, fmt.Errorf("give a whole number from 0 to %d, as in --seed 7 or --seed 0xbeef", uint64(1<<64-1))
	}
	return n.Uint64(), nil
}
