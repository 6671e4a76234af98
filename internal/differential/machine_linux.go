package differential

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Machine is a stock kernel that QEMU runs in software, with a program as its
// init.
type Machine struct {
	Qemu    string // the command
	Kernel  string // vmlinuz
	Modules string // lib/modules/VERSION
}

// Package is the Debian package that has a kernel with all of the bridge.
const Package = "linux-image-cloud-amd64"

const qemu = "qemu-system-x86_64"

// FindMachine looks for QEMU, and for a kernel in the directory cache, where it
// is put if it is not there. The error says what is missing.
func FindMachine(cache string) (m Machine, err error) {
	if m.Qemu, err = exec.LookPath(qemu); err != nil {
		return m, fmt.Errorf("%s is not installed (Debian: qemu-system-x86)", qemu)
	}
	if m.find(cache) {
		return m, nil
	}
	if err := download(cache); err != nil {
		return m, fmt.Errorf("%s: %w", Package, err)
	}
	if !m.find(cache) {
		return m, fmt.Errorf("no kernel in %s", cache)
	}
	return m, nil
}

func (m *Machine) find(cache string) bool {
	kernels, _ := filepath.Glob(filepath.Join(cache, "boot", "vmlinuz-*"))
	if len(kernels) == 0 {
		return false
	}
	m.Kernel = kernels[len(kernels)-1]
	version := strings.TrimPrefix(filepath.Base(m.Kernel), "vmlinuz-")
	for _, lib := range []string{"lib", "usr/lib"} {
		m.Modules = filepath.Join(cache, lib, "modules", version)
		if _, err := os.Stat(m.Modules); err == nil {
			return true
		}
	}
	return false
}

// download fetches the kernel's package and unpacks it; nothing is installed.
func download(cache string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	out, err := exec.Command("apt-cache", "depends", Package).Output()
	if err != nil {
		return fmt.Errorf("apt-cache depends: %w", err)
	}
	_, name, ok := strings.Cut(string(out), "Depends: ")
	if !ok {
		return errors.New("apt knows no such package; apt-get update may help")
	}
	name, _, _ = strings.Cut(name, "\n")
	get := exec.Command("apt-get", "download", "-qq", name)
	get.Dir = cache
	if out, err := get.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download %s: %w: %s", name, err, out)
	}
	debs, _ := filepath.Glob(filepath.Join(cache, "*.deb"))
	if len(debs) == 0 {
		return fmt.Errorf("apt-get download %s left no package", name)
	}
	if out, err := exec.Command("dpkg-deb", "-x", debs[0], cache).CombinedOutput(); err != nil {
		return fmt.Errorf("dpkg-deb: %w: %s", err, out)
	}
	return os.Remove(debs[0])
}

// wanted are the modules a comparison needs.
var wanted = []string{"bridge", "8021q", "tun", "veth"}

// modules are the wanted ones and what they depend on, in the order in which
// they can be loaded. What is not there is built in.
func (m *Machine) modules() (list []file, err error) {
	paths := map[string]string{}
	err = filepath.WalkDir(m.Modules, func(path string, d os.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			paths[name] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var add func(name string) error
	add = func(name string) error {
		if paths[name] == "" || slices.ContainsFunc(list, func(f file) bool { return f.name == name }) {
			return nil
		}
		data, err := os.ReadFile(paths[name])
		if err != nil {
			return err
		}
		depends, err := depends(data)
		if err != nil {
			return fmt.Errorf("%s: %w", paths[name], err)
		}
		for _, d := range depends {
			if err := add(d); err != nil {
				return err
			}
		}
		list = append(list, file{name: name, mode: modeFile, data: data})
		return nil
	}
	for _, name := range wanted {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// depends is the modules that a module says it needs.
func depends(module []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, errors.New("no .modinfo")
	}
	info, err := s.Data()
	if err != nil {
		return nil, err
	}
	for line := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(line, "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}

// Run boots the machine with the running program as its init, its arguments
// args, and copies what it says to w. It returns when the machine is switched
// off, or with an error when the time is over.
func (m *Machine) Run(w io.Writer, limit time.Duration, args ...string) error {
	initrd, err := m.initramfs()
	if err != nil {
		return fmt.Errorf("initramfs: %w", err)
	}
	defer os.Remove(initrd)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.Qemu, "-nodefaults", "-nographic", "-no-reboot", "-accel", "tcg", "-m", "512",
		"-serial", "stdio", "-kernel", m.Kernel, "-initrd", initrd,
		"-append", "console=ttyS0 quiet panic=-1 -- "+strings.Join(args, " "))
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("the machine was not done in %v", limit)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", m.Qemu, err)
	}
	return nil
}

// initramfs writes the machine's first root to a file, and returns its name.
func (m *Machine) initramfs() (string, error) {
	modules, err := m.modules()
	if err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return "", err
	}
	files := []file{{name: "init", mode: modeFile, data: program}, {name: "modules", mode: modeDir}}
	for _, d := range []string{"dev", "proc", "sys", "tmp"} {
		files = append(files, file{name: d, mode: modeDir})
	}
	for i, f := range modules {
		f.name = fmt.Sprintf("modules/%02d-%s.ko", i, f.name)
		files = append(files, f)
	}
	out, err := os.CreateTemp("", "initramfs-")
	if err != nil {
		return "", err
	}
	return out.Name(), errors.Join(writeNewc(out, files), out.Close())
}
