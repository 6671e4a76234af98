//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// A kernel without CONFIG_VLAN_8021Q has no VLAN devices and no VLAN-aware
// bridge, but its packet scheduler can still tag: a BPF program on the egress
// of an interface may call bpf_skb_vlan_push, one on its ingress
// bpf_skb_vlan_pop. Hosts that have the pair speak through a tagged port, and
// the frames on the cable are what the kernel's own VLAN code made of them.

// vlanTag is a tag as it stands in a frame.
type vlanTag struct {
	proto uint16 // 0x8100 or 0x88a8
	tci   uint16 // priority in bits 15 to 13, VLAN in bits 11 to 0
}

func parseTag(s string) (vlanTag, error) {
	part := strings.Split(s, ":")
	if len(part) != 3 {
		return vlanTag{}, fmt.Errorf("tag %q: want PROTOCOL:PCP:VID", s)
	}
	proto, err := strconv.ParseUint(part[0], 0, 16)
	if err != nil {
		return vlanTag{}, fmt.Errorf("tag %q: protocol: %w", s, err)
	}
	pcp, err := strconv.ParseUint(part[1], 10, 3)
	if err != nil {
		return vlanTag{}, fmt.Errorf("tag %q: priority: %w", s, err)
	}
	vid, err := strconv.ParseUint(part[2], 10, 12)
	if err != nil {
		return vlanTag{}, fmt.Errorf("tag %q: VLAN: %w", s, err)
	}
	return vlanTag{proto: uint16(proto), tci: uint16(pcp<<13 | vid)}, nil
}

// insn is struct bpf_insn of linux/bpf.h; regs holds dst in its low half and
// src in its high half, as on every little-endian machine.
type insn struct {
	code uint8
	regs uint8
	off  int16
	imm  int32
}

// What is needed of linux/bpf.h and linux/pkt_cls.h.
const (
	bpfProgLoad  = 5
	bpfObjPin    = 6
	progSchedCLS = 3

	helperVLANPush = 18
	helperVLANPop  = 19

	actOK   = 0
	actShot = 2

	offVLANPresent = 20 // of struct __sk_buff
	offVLANTCI     = 24
)

func movImm(dst uint8, imm int32) insn  { return insn{0xb7, dst, 0, imm} }
func movReg(dst, src uint8) insn        { return insn{0xbf, src<<4 | dst, 0, 0} }
func load32(dst, src uint8, o int) insn { return insn{0x61, src<<4 | dst, int16(o), 0} }
func andImm(dst uint8, imm int32) insn  { return insn{0x57, dst, 0, imm} }
func call(helper int32) insn            { return insn{0x85, 0, 0, helper} }
func exit() insn                        { return insn{0x95, 0, 0, 0} }

// skipIfEqual goes over the next n instructions if dst is imm.
func skipIfEqual(dst uint8, imm int32, n int16) insn { return insn{0x15, dst, n, imm} }

// pushProgram adds the tags, the inner one first.
func pushProgram(tags []vlanTag) []insn {
	prog := []insn{movReg(6, 1)}
	for _, t := range tags {
		var wire [2]byte
		binary.BigEndian.PutUint16(wire[:], t.proto)
		prog = append(prog,
			movReg(1, 6),
			movImm(2, int32(binary.NativeEndian.Uint16(wire[:]))),
			movImm(3, int32(t.tci)),
			call(helperVLANPush))
	}
	return append(prog, movImm(0, actOK), exit())
}

// popProgram takes the tags off, the outer one first. A frame of another VLAN
// is not for this host: it is shot, as a VLAN device would never see it.
func popProgram(tags []vlanTag) []insn {
	shoot := []insn{movImm(0, actShot), exit()}
	prog := []insn{movReg(6, 1)}
	for i := len(tags) - 1; i >= 0; i-- {
		prog = append(prog, load32(0, 6, offVLANPresent), skipIfEqual(0, 1, 2))
		prog = append(prog, shoot...)
		prog = append(prog, load32(0, 6, offVLANTCI), andImm(0, 0xfff), skipIfEqual(0, int32(tags[i].tci&0xfff), 2))
		prog = append(prog, shoot...)
		prog = append(prog, movReg(1, 6), call(helperVLANPop))
	}
	return append(prog, movImm(0, actOK), exit())
}

func pinTags(dir string, args []string) error {
	var tags []vlanTag
	for _, arg := range args {
		t, err := parseTag(arg)
		if err != nil {
			return err
		}
		tags = append(tags, t)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := pin(pushProgram(tags), filepath.Join(dir, "push")); err != nil {
		return err
	}
	return pin(popProgram(tags), filepath.Join(dir, "pop"))
}

// pin loads a traffic-control program and gives it a name in the BPF file
// system, from which tc can attach it.
func pin(prog []insn, path string) error {
	license := []byte("Apache-2.0\x00")
	log := make([]byte, 1<<16)
	load := struct {
		progType, insnCount uint32
		insns, license      unsafe.Pointer
		logLevel, logSize   uint32
		log                 unsafe.Pointer
		kernel, flags       uint32
	}{
		progType: progSchedCLS, insnCount: uint32(len(prog)),
		insns: unsafe.Pointer(&prog[0]), license: unsafe.Pointer(&license[0]),
		logLevel: 1, logSize: uint32(len(log)), log: unsafe.Pointer(&log[0]),
	}
	fd, err := bpf(bpfProgLoad, unsafe.Pointer(&load), unsafe.Sizeof(load))
	if err != nil {
		return fmt.Errorf("load %s: %w\n%s", path, err, strings.TrimRight(string(log), "\x00"))
	}
	defer syscall.Close(fd)

	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	obj := struct {
		path  unsafe.Pointer
		fd    uint32
		flags uint32
	}{path: unsafe.Pointer(name), fd: uint32(fd)}
	if _, err := bpf(bpfObjPin, unsafe.Pointer(&obj), unsafe.Sizeof(obj)); err != nil {
		return fmt.Errorf("pin %s: %w", path, err)
	}
	return nil
}

// sysBPF is the number of the system call, which package syscall, being frozen,
// does not know.
var sysBPF = map[string]uintptr{"amd64": 321, "arm64": 280, "riscv64": 280}[runtime.GOARCH]

func bpf(command uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	if sysBPF == 0 {
		return 0, fmt.Errorf("bpf on %s: %w", runtime.GOARCH, errors.ErrUnsupported)
	}
	fd, _, errno := syscall.Syscall(sysBPF, command, uintptr(attr), size)
	if errno != 0 {
		return 0, errno
	}
	return int(fd), nil
}
