package app

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// argOf makes an argument that parse reads.
func argOf[T any](name, kind, byDefault, does string, parse func(string) (T, error)) Arg {
	return Arg{Name: name, Kind: kind, Default: byDefault, Does: does, parse: func(text string) (any, error) { return parse(text) }}
}

// required makes an argument one that must be given.
func required(a Arg) Arg {
	a.Required, a.Default = true, ""
	return a
}

// get is the value of an argument, as its parser made it.
func get[T any](v values, name string) T { return v[name].(T) }

func portArg(name string, byDefault uint16, does string) Arg {
	return argOf(name, "a port, 1 to 65535", strconv.Itoa(int(byDefault)), does, func(s string) (uint16, error) {
		n, err := strconv.ParseUint(s, 10, 16)
		if err == nil && n == 0 {
			err = strconv.ErrRange
		}
		return uint16(n), err
	})
}

func countArg(name string, byDefault, lo, hi int, does string) Arg {
	kind := fmt.Sprintf("a number, %d to %d", lo, hi)
	return argOf(name, kind, strconv.Itoa(byDefault), does, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err == nil && (n < lo || n > hi) {
			err = strconv.ErrRange
		}
		return n, err
	})
}

// multiples are the letters behind sizes.
var multiples = []struct {
	suffix string
	shift  uint
}{{"k", 10}, {"m", 20}, {"g", 30}}

// parseSize reads bytes: 1500, 64k, 10m, 1g, in multiples of 1024.
func parseSize(s string) (int64, error) {
	low, shift := strings.ToLower(s), uint(0)
	for _, m := range multiples {
		if rest, ok := strings.CutSuffix(low, m.suffix); ok {
			low, shift = rest, m.shift
			break
		}
	}
	n, err := strconv.ParseUint(low, 10, 63)
	if err == nil && n > math.MaxInt64>>shift {
		err = strconv.ErrRange
	}
	return int64(n << shift), err
}

func sizeArg(name, byDefault string, lo, hi int64, does string) Arg {
	kind := fmt.Sprintf("a size in bytes, 1500, 64k, 10m or 1g, from %d to %d", lo, hi)
	return argOf(name, kind, byDefault, does, func(s string) (int64, error) {
		n, err := parseSize(s)
		if err == nil && (n < lo || n > hi) {
			err = strconv.ErrRange
		}
		return n, err
	})
}

func spanArg(name, byDefault string, does string) Arg {
	return argOf(name, "a span of time, 10ms, 1.5s or 0", byDefault, does, func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err == nil && d < 0 {
			err = strconv.ErrRange
		}
		return d, err
	})
}

// rates are the units of rates, "bit" behind those that end in it.
var rates = []struct {
	suffix string
	digits int // zeros of the unit
}{{"kbit", 3}, {"mbit", 6}, {"gbit", 9}, {"bit", 0}}

// parseRate reads bits a second: 100mbit, 2.5gbit.
func parseRate(s string) (uint64, error) {
	for _, u := range rates {
		text, ok := strings.CutSuffix(strings.ToLower(s), u.suffix)
		if !ok {
			continue
		}
		whole, part, _ := strings.Cut(text, ".")
		if len(part) > u.digits {
			return 0, strconv.ErrSyntax
		}
		n, err := strconv.ParseUint(whole+part+strings.Repeat("0", u.digits-len(part)), 10, 64)
		if err == nil && (n == 0 || n > maxRate || whole == "") {
			err = strconv.ErrRange
		}
		return n, err
	}
	return 0, strconv.ErrSyntax
}

// maxRate is a terabit a second.
const maxRate = 1e12

func rateArg(name, byDefault, does string) Arg {
	return argOf(name, "a rate in bit, kbit, mbit or gbit a second", byDefault, does, parseRate)
}

func flagArg(name string, byDefault bool, does string) Arg {
	on := map[bool]string{true: "on", false: "off"}
	return argOf(name, "on or off", on[byDefault], does, func(s string) (bool, error) {
		switch s {
		case "on", "true":
			return true, nil
		case "off", "false":
			return false, nil
		}
		return false, strconv.ErrSyntax
	})
}

// hostArg is a name or an address.
func hostArg(name, does string) Arg {
	return required(argOf(name, "a host's name or address", "", does, func(s string) (string, error) {
		if s == "" || strings.ContainsAny(s, " \t\n") {
			return "", strconv.ErrSyntax
		}
		return s, nil
	}))
}

// endArg is a host and a port.
func endArg(name, does string) Arg {
	return required(argOf(name, "HOST:PORT", "", does, func(s string) (string, error) {
		_, port, err := net.SplitHostPort(s)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		return s, err
	}))
}

func textArg(name, byDefault, does string) Arg {
	return argOf(name, "a text", byDefault, does, func(s string) (string, error) { return s, nil })
}

// addr4Arg is an IPv4 address; none is the zero Addr.
func addr4Arg(name, does string) Arg {
	return argOf(name, "an IPv4 address", "", does, func(s string) (netip.Addr, error) {
		if s == "" {
			return netip.Addr{}, nil
		}
		a, err := netip.ParseAddr(s)
		if err == nil && !a.Is4() {
			err = strconv.ErrRange
		}
		return a, err
	})
}
