package ringside

import (
	"errors"
	"fmt"
	"strings"

	"ringside/kernel"
)

// A Path is the way that frames take between the NIC and the guests: a wiring of
// the same parts. The zero value is Native.
type Path uint8

// The paths.
const (
	Native Path = iota // driver, bridge and tap of the kernel, and a guest that reads its tap
	Virtio             // the VMM's thread reads the tap into the guest's virtio ring
	Vhost              // a kernel thread copies between the tap and the guest's virtio ring
	DPDK               // a poll-mode driver and a switch in user space, and vhost-user rings
	SRIOV              // virtual functions of the NIC, whose rings are the guest's
	AFXDP              // that switch behind AF_XDP sockets
	XDP                // a program at the driver that redirects frames to the guests
	numPaths
)

var pathNames = [numPaths]string{"native", "virtio", "vhost", "dpdk", "sriov", "afxdp", "xdp"}

// String is the path's name, as ParsePath reads it.
func (p Path) String() string {
	if p < numPaths {
		return pathNames[p]
	}
	return fmt.Sprintf("Path(%d)", uint8(p))
}

// ParsePath reads a path's name; "" is native.
func ParsePath(name string) (Path, error) {
	for p, s := range pathNames {
		if s == name {
			return Path(p), nil
		}
	}
	if name == "" {
		return Native, nil
	}
	return 0, fmt.Errorf("there is no path %q: the paths are %s", name, strings.Join(pathNames[:], ", "))
}

// Paths lists the paths in the order in which they are compared.
func Paths() (list []Path) {
	for p := range numPaths {
		list = append(list, p)
	}
	return list
}

// GivesUp is what guests on the path must do without that those on Native have, in
// a few words each.
func (p Path) GivesUp() []string {
	if p >= numPaths {
		return nil
	}
	return wirings[p].givesUp
}

// ErrNoPath says that a machine cannot be wired as its Config.Path says.
var ErrNoPath = errors.New("the path cannot carry it")

// A wiring is how a machine on a path is put together: what differs from the native
// one. Functions that are nil are the native machine's.
type wiring struct {
	givesUp []string
	check   func(*Config) error // finds what the path cannot do, when all defaults are filled in
	nic     func(h *Host, n *NIC, cpu int) error
	vm      func(h *Host, i int) error // makes VM i, which has a Program
	finish  func(*Host) error          // when NICs, VMs, patches and tunnels are there
}

// wirings has a row for each path, whose functions are in a file of its own.
var wirings = [numPaths]wiring{
	Native: {vm: (*Host).addProcess},
	Virtio: virtioWiring,
	Vhost:  vhostWiring,
	DPDK:   dpdkWiring,
	SRIOV:  sriovWiring,
	AFXDP:  afxdpWiring,
	XDP:    xdpWiring,
}

// wiring is that of the machine.
func (c *Config) wiring() *wiring { return &wirings[c.Path] }

// addNIC makes a NIC as the path has it.
func (w *wiring) addNIC(h *Host, n *NIC, cpu int) error {
	if w.nic == nil {
		return h.addNIC(n, cpu)
	}
	return w.nic(h, n, cpu)
}

// checkPath finds what the path cannot do.
func (c *Config) checkPath() error {
	if c.Path >= numPaths {
		return fmt.Errorf("Config.Path is %v; the paths are %s", c.Path, strings.Join(pathNames[:], ", "))
	}
	if check := c.wiring().check; check != nil {
		return check(c)
	}
	return nil
}

// hasVCPU says whether a VM runs on a virtual CPU, behind a device, and is no process
// of the host.
func (c *Config) hasVCPU(v *VM) bool { return v.stacked() || c.Path != Native && c.Path != XDP }

// backend is who serves the rings of guests with Processes.
func (h *Host) backend() kernel.Backend {
	switch h.cfg.Path {
	case Virtio:
		return kernel.VMM
	case DPDK, AFXDP:
		return kernel.VhostUser
	}
	return kernel.VhostNet
}

// cannot is the error of a machine that asks for what its path has not got.
func (c *Config) cannot(format string, args ...any) error {
	return fmt.Errorf("path %v: %w: %s", c.Path, ErrNoPath, fmt.Sprintf(format, args...))
}
