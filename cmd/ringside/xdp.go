package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"ringside"
)

// xdpFlags are programs at the driver and the ways of AF_XDP sockets.
func xdpFlags(fs *pflag.FlagSet, cfg *ringside.Config) {
	flag(fs, "xdp", "NAME", "none", "a program at the NIC's driver: "+strings.Join(ringside.XDPPrograms(), ", ")+", with =INTERFACE behind redirect, and generic: in front of one that is to run on sk_buffs", func(s string) (err error) {
		name, dev, given := strings.Cut(s, "=")
		if given != strings.HasSuffix(name, "redirect") {
			return fmt.Errorf("redirect, and it alone, is given an interface, as in --xdp redirect=tap0")
		}
		if s == "none" {
			cfg.XDP = ringside.XDPConfig{}
			return nil
		}
		name, generic := strings.CutPrefix(name, "generic:")
		cfg.XDP, err = ringside.OpenXDP(name, dev)
		cfg.XDP.Generic = generic
		return err
	})
	flag(fs, "xsk", "copy|zero-copy", "zero-copy", "how the AF_XDP sockets of the path afxdp get frames", func(s string) error {
		switch s {
		case "copy", "zero-copy":
			cfg.XSKCopy = s == "copy"
			return nil
		}
		return fmt.Errorf("give copy or zero-copy, as in --xsk copy")
	})
}
