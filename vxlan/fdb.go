package vxlan

import (
	"fmt"
	"net/netip"
	"slices"

	"ringside/sim"
)

// A Kind says how an entry came into the table and what can become of it.
type Kind uint8

// The kinds, in bridge(8)'s words.
const (
	Dynamic   Kind = iota // learned from traffic, or set by hand to age and to move
	Static                // set by hand: does not age and does not move
	Permanent             // likewise, which is what bridge fdb add makes without a word
)

// String is the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind?"
}

var kindNames = [...]string{"dynamic", "static", "permanent"}

// A Remote is where frames are sent.
type Remote struct {
	Addr netip.Addr
	Port uint16 // 0 means the VTEP's
	VNI  uint32 // 0 means the VTEP's
}

// String is the remote as bridge(8) has it: dst 192.0.2.1 port 4790 vni 7.
func (r Remote) String() string {
	s := fmt.Sprint("dst ", r.Addr)
	if r.Port != 0 {
		s += fmt.Sprint(" port ", r.Port)
	}
	if r.VNI != 0 {
		s += fmt.Sprint(" vni ", r.VNI)
	}
	return s
}

// An Entry is one address of a VTEP's table.
type Entry struct {
	// MAC is a station, behind one remote, or Default or a group, behind any number.
	MAC     MAC
	Kind    Kind
	Remotes []Remote
	// ExternLearned entries were set by a control plane (extern_learn): they do not age,
	// and one that moves stays so.
	ExternLearned bool

	Updated sim.Time // the station's last frame, or when the entry was set
}

// An entry is an Entry in the table. Most have one remote, which is the first.
type entry struct {
	mac     MAC
	kind    Kind
	extern  bool
	used    bool // the slot is
	first   Remote
	more    []Remote // in the order in which they were added
	updated sim.Time
}

// ages says that time takes the entry out.
func (e *entry) ages() bool { return e.kind == Dynamic && !e.extern }

// An fdb is the entries, in slots that are used again, and where each stands. Only
// slots are ever walked over, so that order is that of events.
type fdb struct {
	slots []entry
	free  []int32
	index map[MAC]int32
}

// find is the entry of an address, nil if there is none. It is good until the next
// insert.
func (t *fdb) find(mac MAC) *entry {
	if i, ok := t.index[mac]; ok {
		return &t.slots[i]
	}
	return nil
}

func (t *fdb) insert(e entry) {
	i := int32(len(t.slots))
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.slots = append(t.slots, entry{})
	}
	e.used = true
	t.slots[i], t.index[e.mac] = e, i
}

func (t *fdb) remove(e *entry) {
	i := t.index[e.mac]
	delete(t.index, e.mac)
	*e = entry{}
	t.free = append(t.free, i)
}

// Add enters e as bridge fdb does at the time now: a station takes the place of its
// entry (replace), Default and groups get further remotes (append). Updated is not
// looked at.
func (v *VTEP) Add(e Entry, now sim.Time) error {
	if err := v.add(e, now); err != nil {
		return v.errorf("entry %v: %w", e.MAC, err)
	}
	return nil
}

func (v *VTEP) add(e Entry, now sim.Time) error {
	if err := v.canAdd(e); err != nil {
		return err
	}
	old := v.fdb.find(e.MAC)
	switch {
	case old == nil && v.Len() >= v.cfg.MaxAddresses:
		return fmt.Errorf("%w for more than %d addresses", ErrFull, v.cfg.MaxAddresses)
	case old == nil:
		more := slices.Clone(e.Remotes[1:])
		v.fdb.insert(entry{mac: e.MAC, kind: e.Kind, extern: e.ExternLearned, first: e.Remotes[0], more: more, updated: now})
	case e.MAC.Station():
		old.kind, old.extern, old.first, old.updated = e.Kind, e.ExternLearned, e.Remotes[0], now
	default:
		old.kind, old.extern, old.updated = e.Kind, e.ExternLearned, now
		old.more = append(old.more, e.Remotes...)
	}
	v.expect(v.fdb.find(e.MAC))
	return nil
}

func (v *VTEP) canAdd(e Entry) error {
	switch {
	case e.Kind > Permanent:
		return fmt.Errorf("%w: there is no such kind", ErrConfig)
	case len(e.Remotes) == 0:
		return fmt.Errorf("%w: it needs a remote", ErrConfig)
	case e.MAC.Station() && len(e.Remotes) > 1:
		return fmt.Errorf("%w: a station is behind one remote, not %d", ErrConfig, len(e.Remotes))
	}
	have := v.fdb.find(e.MAC)
	for i, r := range e.Remotes {
		switch {
		case !host(r.Addr):
			return fmt.Errorf("remote %v: %w", r.Addr, ErrAddress)
		case r.Addr.Is6() != v.ipv6:
			return fmt.Errorf("%w: remote %v: the underlay is all IPv4 or all IPv6", ErrConfig, r.Addr)
		case r.Addr == v.cfg.Local:
			return fmt.Errorf("%w: remote %v is the VTEP itself", ErrConfig, r.Addr)
		case r.VNI > MaxVNI:
			return fmt.Errorf("%w: VNI %d; up to %d are possible", ErrConfig, r.VNI, MaxVNI)
		case slices.Contains(e.Remotes[:i], r), have != nil && !e.MAC.Station() && have.has(r):
			return fmt.Errorf("remote %v: %w", r.Addr, ErrExists)
		}
	}
	return nil
}

func (e *entry) has(r Remote) bool { return e.first == r || slices.Contains(e.more, r) }

// Delete takes the entry of an address out and says whether there was one.
func (v *VTEP) Delete(mac MAC) bool {
	e := v.fdb.find(mac)
	if e == nil {
		return false
	}
	v.fdb.remove(e)
	return true
}

// DeleteRemote takes one remote out of an entry, and with its last one the entry. It
// says whether it was there.
func (v *VTEP) DeleteRemote(mac MAC, r Remote) bool {
	e := v.fdb.find(mac)
	if e == nil || !e.has(r) {
		return false
	}
	switch i := slices.Index(e.more, r); {
	case e.first != r:
		e.more = slices.Delete(e.more, i, i+1)
	case len(e.more) == 0:
		v.fdb.remove(e)
	default:
		e.first = e.more[0]
		e.more = slices.Delete(e.more, 0, 1)
	}
	return true
}

// Flush takes all entries out but Default, learned ones alone if so said, and returns
// how many they were.
func (v *VTEP) Flush(learned bool) (n int) {
	for i := range v.fdb.slots {
		if e := &v.fdb.slots[i]; e.used && e.mac != Default && (e.ages() || !learned) {
			v.fdb.remove(e)
			n++
		}
	}
	return n
}

// Len is the number of entries.
func (v *VTEP) Len() int { return len(v.fdb.index) }

// Lookup is the entry of an address.
func (v *VTEP) Lookup(mac MAC) (Entry, bool) {
	e := v.fdb.find(mac)
	if e == nil {
		return Entry{}, false
	}
	return e.entry(), true
}

// Entries is all entries, sorted by address.
func (v *VTEP) Entries() []Entry {
	all := make([]Entry, 0, v.Len())
	for i := range v.fdb.slots {
		if e := &v.fdb.slots[i]; e.used {
			all = append(all, e.entry())
		}
	}
	slices.SortFunc(all, func(x, y Entry) int { return slices.Compare(x.MAC[:], y.MAC[:]) })
	return all
}

func (e *entry) entry() Entry {
	return Entry{
		MAC: e.mac, Kind: e.kind, ExternLearned: e.extern, Updated: e.updated,
		Remotes: append([]Remote{e.first}, e.more...),
	}
}

// expect sees to it that Due is not later than e's end.
func (v *VTEP) expect(e *entry) {
	if e.ages() && v.cfg.Ageing < sim.Never-e.updated {
		v.due = min(v.due, e.updated+v.cfg.Ageing)
	}
}

// Due is when Tick is to be called at the latest; sim.Never if nothing ages. Linux
// looks every ten seconds and when it knows that an entry's time has come, which is
// the same unless ageing is shorter.
func (v *VTEP) Due() sim.Time { return v.due }

// Tick takes out the entries that have aged by now and returns how many were looked
// at. It may be called at any time.
func (v *VTEP) Tick(now sim.Time) (walked int) {
	if now < v.due {
		return 0
	}
	walked, v.due = v.Len(), sim.Never
	for i := range v.fdb.slots {
		e := &v.fdb.slots[i]
		switch {
		case !e.used || !e.ages():
		case now-e.updated >= v.cfg.Ageing:
			v.fdb.remove(e)
			v.stats.Aged++
		default:
			v.expect(e)
		}
	}
	return walked
}

// Check finds a table that is not sound.
func (v *VTEP) Check() error {
	n := 0
	for i := range v.fdb.slots {
		e := &v.fdb.slots[i]
		if !e.used {
			continue
		}
		n++
		if at, ok := v.fdb.index[e.mac]; !ok || int(at) != i {
			return v.errorf("entry %v is in the table and cannot be found", e.mac)
		}
		if e.ages() && v.cfg.Ageing < sim.Never-e.updated && e.updated+v.cfg.Ageing < v.due {
			return v.errorf("entry %v ends at %v, and nobody looks before %v", e.mac, e.updated+v.cfg.Ageing, v.due)
		}
	}
	if n != len(v.fdb.index) || n > v.cfg.MaxAddresses {
		return v.errorf("%d entries, %d found by address, %d allowed", n, len(v.fdb.index), v.cfg.MaxAddresses)
	}
	return nil
}
