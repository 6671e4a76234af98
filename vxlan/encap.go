package vxlan

import (
	"fmt"
	"net/netip"

	"ringside/cost"
)

// An Encap is what becomes of a frame that the interface sends.
type Encap struct {
	// Out is every packet that it becomes, in the order in which they are sent: those
	// before the last are made of clones. It is the VTEP's own memory, good until the
	// next Encap. It is empty when the frame is dropped.
	Out []Out
	// Reason is why it is dropped.
	Reason cost.DropReason
	// Lookups is how often the table was asked: once more for Default.
	Lookups int
}

// An Out is a packet of the underlay: Header and the frame behind it are its payload.
type Out struct {
	From, To netip.AddrPort // From's address is not valid if the host's stack chooses
	TOS, TTL uint8          // TTL 0 is the host stack's default
	DF       bool
	Checksum bool // of UDP
	Header   [HeaderLen]byte
}

// String is where it goes: 192.0.2.2:4789 vni 42, from port 33000.
func (o *Out) String() string {
	h, _ := ParseHeader(o.Header[:])
	return fmt.Sprintf("%v vni %d, from port %d", o.To, h.VNI, o.From.Port())
}

// Encap decides about a frame that the interface sends: where to, and in what. Frame
// is the frame, or as much of it as its headers take.
func (v *VTEP) Encap(frame []byte, length int) Encap {
	if len(frame) < ethLen {
		v.stats.TxDropped++
		return Encap{Reason: cost.PktTooSmall}
	}
	dst := MAC(frame)
	e, lookups := v.fdb.find(dst), 1
	if e == nil {
		if e, lookups = v.fdb.find(Default), 2; !dst.Group() {
			v.stats.L2Miss++
		}
	}
	if e == nil {
		v.stats.TxDropped++
		return Encap{Reason: cost.VXLANNoRemote, Lookups: lookups}
	}
	o := v.outer(frame)
	v.out = v.out[:0]
	for _, r := range e.more {
		v.out = append(v.out, v.to(o, r))
	}
	v.out = append(v.out, v.to(o, e.first))
	v.stats.TxFrames += uint64(len(v.out))
	v.stats.TxBytes += uint64(len(v.out) * length)
	return Encap{Out: v.out, Lookups: lookups}
}

// outer is the outer header as it is for every remote.
func (v *VTEP) outer(frame []byte) Out {
	c := &v.cfg
	in := readInner(frame)
	o := Out{From: netip.AddrPortFrom(c.Local, v.sourcePort(frame)), TTL: c.TTL, TOS: c.TOS, Header: v.header}
	if c.TTLInherit {
		o.TTL = in.ttl
	}
	if c.TOSInherit {
		o.TOS = in.tos
	}
	o.TOS = encapECN(o.TOS, in.tos)
	o.Checksum = !c.NoUDPChecksum
	if v.ipv6 {
		o.Checksum = !c.ZeroChecksumTx
	} else {
		o.DF = c.DF == DFSet || c.DF == DFInherit && in.df
	}
	return o
}

// to is the packet o for one remote.
func (v *VTEP) to(o Out, r Remote) Out {
	port := r.Port
	if port == 0 {
		port = v.cfg.Port
	}
	if r.VNI != 0 {
		o.Header = NewHeader(r.VNI)
	}
	o.To = netip.AddrPortFrom(r.Addr, port)
	return o
}
