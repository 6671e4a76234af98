package xdp

import (
	"fmt"
	"slices"
	"strings"
)

// DropAll drops every frame and reads none: what it costs to be rid of frames.
func DropAll(*Context) Action { return Drop }

// DropTouch drops every frame after it has read it.
func DropTouch(x *Context) Action {
	if x.Data()[0]&1 == 1 { // a program must do something with what it reads
		return Drop
	}
	return Drop
}

// PassAll passes every frame.
func PassAll(*Context) Action { return Pass }

// SwapTx sends every frame back where it came from, its addresses swapped.
func SwapTx(x *Context) Action {
	f := x.Data()
	var dst [6]byte
	copy(dst[:], f)
	copy(f[:6], f[6:12])
	copy(f[6:12], dst[:])
	return Tx
}

// RedirectByMap sends every frame to the interface in entry 0 of the map of devices,
// and drops it if there is none.
func RedirectByMap(x *Context) Action { return x.RedirectMap(0, Drop) }

// ToSocket sends every frame to the AF_XDP socket of its queue, and passes it if there
// is none.
func ToSocket(x *Context) Action { return x.RedirectSocket(Pass) }

// FDB forwards what the bridge has nothing to do with but to forward it: frames between
// stations that it knows, straight to the destination's interface. Everything else is
// passed, so that learning, flooding, groups and control frames stay the bridge's.
func FDB(x *Context) Action {
	to, ok := x.Forward()
	if !ok {
		return Pass
	}
	return x.Redirect(to)
}

var programs = []struct {
	name string
	run  Program
	does string
}{
	{"drop", DropAll, "drops every frame"},
	{"drop-touch", DropTouch, "reads every frame and drops it"},
	{"pass", PassAll, "passes every frame"},
	{"tx", SwapTx, "sends every frame back, its addresses swapped"},
	{"redirect", RedirectByMap, "sends every frame to the first interface of its map"},
	{"fdb", FDB, "forwards between stations that the bridge knows, passes the rest"},
	{"xsk", ToSocket, "gives every frame to the AF_XDP socket of its queue"},
}

// Open is the program of a name.
func Open(name string) (Program, error) {
	for _, p := range programs {
		if p.name == name {
			return p.run, nil
		}
	}
	return nil, fmt.Errorf("xdp: there is no program %q: %s are", name, strings.Join(Names(), ", "))
}

// Names are the programs that Open knows.
func Names() (names []string) {
	for _, p := range programs {
		names = append(names, p.name)
	}
	return slices.Clip(names)
}

// Does says in a few words what the program of a name does, "" if there is none.
func Does(name string) string {
	for _, p := range programs {
		if p.name == name {
			return p.does
		}
	}
	return ""
}
