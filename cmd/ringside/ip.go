package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ringside"
	"ringside/internal/iproute"
	"ringside/internal/spell"
)

func ipCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ip OBJECT [show] CAPTURE… [flags]",
		Short: "What the host's own stack knows: addresses, routes, neighbours",
		Long: `Ip plays captures on the machine, as replay does, and shows what the host's own
TCP/IP stack has when the run ends, in the words of ip(8): addresses, routes, and
the neighbours that ARP and ND have found.

--config gives the machine and the host its addresses; --host-addr does for the
first bridge.`,
		Example: `  ringside ip neigh show testdata/arp.pcap --host-addr 192.0.2.12/24
  ringside ip route show testdata/arp.pcap --host-addr 192.0.2.12/24
  ringside ip addr show testdata/arp.pcap --host-addr 192.0.2.12/24 --json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			var objects []string
			for _, o := range c.Commands() {
				objects = append(objects, o.Name())
			}
			if near := spell.Nearest(args[0], objects); near != "" {
				return usagef("ip has no object %s; did you mean %q?", clip(args[0]), near)
			}
			return usagef("ip has no object %s; the objects are %s", clip(args[0]), strings.Join(objects, ", "))
		},
	}
	c.AddCommand(
		hostObject("addr", "The addresses of the host's interfaces", func(l *look, w io.Writer, h *ringside.Host) error {
			return printRows(l, w, iproute.Addrs(hostLinks(h), l.show), iproute.WriteAddrs)
		}),
		hostObject("route", "The routes of the host", func(l *look, w io.Writer, h *ringside.Host) error {
			return printRows(l, w, iproute.Routes(h.Kernel.Routes(), hostLinks(h), l.show), iproute.WriteRoutes)
		}),
		hostObject("neigh", "The neighbours of the host", func(l *look, w io.Writer, h *ringside.Host) error {
			return printRows(l, w, iproute.Neighs(h.Kernel.Neighbours(), l.show), iproute.WriteNeighs)
		}),
	)
	return c
}

// hostObject makes the command that shows one of the tables of the host's stack.
func hostObject(name, short string, show func(*look, io.Writer, *ringside.Host) error) *cobra.Command {
	l := &look{}
	c := &cobra.Command{
		Use: name + " [show] CAPTURE… [flags]", Short: short,
		Example: fmt.Sprintf("  ringside ip %s show testdata/arp.pcap --host-addr 192.0.2.12/24", name),
		Long:    fmt.Sprintf("%s, as ip %s show prints them,\nwhen the capture has been played.", short, name),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 && (args[0] == "show" || args[0] == "list") {
				args = args[1:]
			}
			if err := l.begin("ip "+name+" show", args); err != nil {
				return err
			}
			return l.play(c, func(h *ringside.Host) error {
				if err := among("dev", "interface", l.show.Dev, hostNames(h)); err != nil {
					return err
				}
				return show(l, c.OutOrStdout(), h)
			})
		},
	}
	l.hostFlags(c.Flags())
	return c
}

func (l *look) hostFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&l.show.Dev, "dev", "", "only this interface")
	flag(fs, "family", "FAMILY", "", "only inet or inet6", func(s string) error {
		family, ok := map[string]int{"inet": 4, "inet6": 6}[s]
		if !ok {
			return fmt.Errorf("give inet or inet6, as in --family inet6")
		}
		l.show.Family = family
		return nil
	})
	fs.BoolVarP(&l.json, "json", "j", false, "print JSON with the names that ip -j has")
	l.machine(fs)
}

// printRows prints rows as JSON or as text.
func printRows[T any](l *look, w io.Writer, list []T, text func(io.Writer, []T) error) error {
	if l.json {
		return printJSON(w, list)
	}
	return text(w, list)
}

// hostLinks are the interfaces at which the host's stack stands, numbered behind lo.
func hostLinks(h *ringside.Host) (list []iproute.HostLink) {
	for n, i := range h.Kernel.HostInterfaces() {
		list = append(list, iproute.HostLink{Index: n + 2, Name: i.Name, MAC: i.MAC, MTU: i.MTU, Addresses: i.Addresses})
	}
	return list
}

func hostNames(h *ringside.Host) (names []string) {
	for _, l := range hostLinks(h) {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	return names
}
