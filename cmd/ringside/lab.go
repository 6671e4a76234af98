package main

import (
	"fmt"
	"slices"
	"strings"

	"ringside"
	"ringside/internal/labfile"
	"ringside/internal/spell"
	"ringside/sim"
	"ringside/vm"
)

// readLab reads --config, if it was given, and takes from it what flags do not
// say. A lab's guests are its own: they are as many as it has or more, run what it
// says, and no address is theirs but for those it gives them and --map.
func (o *options) readLab() error {
	if o.config == "" {
		return o.checkNIC([]string{"eth0"})
	}
	lab, err := labfile.Open(o.config)
	if err != nil {
		return &usageError{err}
	}
	o.lab = lab
	c, r := &o.cfg, &o.replay
	c.Bridges, c.NICs, c.Patches, c.VMs = lab.Config.Bridges, lab.Config.NICs, lab.Config.Patches, lab.Config.VMs
	c.Forward, c.Routes, c.NAT, c.VTEPs = lab.Config.Forward, lab.Config.Routes, lab.Config.NAT, lab.Config.VTEPs
	if c.CPUs == 0 {
		c.CPUs = lab.Config.CPUs
	}
	if !o.flags.Changed("path") {
		c.Path = lab.Config.Path
	}
	if c.TapQueue == 0 {
		c.TapQueue = lab.Config.TapQueue
	}
	c.Batching = c.Batching.Or(lab.Config.Batching)
	if r.Map == nil {
		r.Map = []ringside.Mapping{}
	}
	if err := o.labGuests(); err != nil {
		return err
	}
	names := []string{"eth0"}
	if len(c.NICs) > 0 {
		names = nil
	}
	for _, n := range c.NICs {
		names = append(names, n.Name)
	}
	return o.checkNIC(names)
}

// hasGuests says that the lab names its guests.
func (o *options) hasGuests() bool { return o.lab != nil && len(o.lab.Config.VMs) > 0 }

// labGuests makes the lab's guests those of the replay.
func (o *options) labGuests() error {
	if !o.hasGuests() {
		return o.extraTaps(0)
	}
	n := len(o.lab.Config.VMs)
	if err := o.extraTaps(n); err != nil {
		return err
	}
	switch {
	case o.flags.Changed("guest"):
		return usagef("--guest %s: %s says what its guests run", o.guest, o.config)
	case !o.flags.Changed("vms"):
		o.replay.VMs = n
	case o.replay.VMs < n:
		return usagef("--vms %d: %s has %d guests", o.replay.VMs, o.config, n)
	}
	o.replay.Program, o.replay.Guest = vm.Sink, o.lab.Guest
	if strings.Contains(o.lab.Guest, "reflect") {
		o.replay.Grace = 50 * sim.Millisecond
	}
	return nil
}

// extraTaps looks whether the lab has given away the name of a tap that a guest
// beyond its own n gets.
func (o *options) extraTaps(n int) error {
	for k := n; k < o.replay.VMs && (n == 0 || o.flags.Changed("vms")); k++ {
		tap := fmt.Sprintf("tap%d", k)
		if at := o.lab.Where(tap); at != "" {
			return usagef("%s: the name %q is that of the tap of guest %d, which there is by --vms %d: choose another", at, tap, k+1, o.replay.VMs)
		}
	}
	return nil
}

func (o *options) checkNIC(names []string) error {
	if o.replay.NIC == "" || slices.Contains(names, o.replay.NIC) {
		return nil
	}
	if near := spell.Nearest(o.replay.NIC, names); near != "" {
		return usagef("--nic %s: there is no such NIC; did you mean %s?", clip(o.replay.NIC), near)
	}
	return usagef("--nic %s: there is no such NIC; there are %s", clip(o.replay.NIC), strings.Join(names, ", "))
}
