package virtio

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/mem"
	"ringside/sim"
)

// The fuzz targets take a blob of guest memory and a list of calls, one byte a call
// and more for its arguments, and hold the ring against a slow model that has a memory
// of its own. After every call the memories must be equal, so that a side that writes
// where it may not is found, too.

// fuzzMemory is the length of the guest's memory, fuzzRing that of the part that the
// blob fills: rings, and indirect tables behind them.
const (
	fuzzMemory = mem.PageSize
	fuzzRing   = 1024
)

// calls reads arguments off a list; behind its end they are 0.
type calls []byte

func (c *calls) next() byte {
	if len(*c) == 0 {
		return 0
	}
	b := (*c)[0]
	*c = (*c)[1:]
	return b
}

func (c *calls) next16() uint16 { return uint16(c.next()) | uint16(c.next())<<8 }

// deviceModel is the device's side once more, slow and plain.
type deviceModel struct {
	mem                []byte
	l                  Layout
	f                  Features
	last, used, called uint16
	broken             bool
}

func (d *deviceModel) u16(at mem.Addr) uint16      { return binary.LittleEndian.Uint16(d.mem[at:]) }
func (d *deviceModel) put16(at mem.Addr, v uint16) { binary.LittleEndian.PutUint16(d.mem[at:], v) }
func (d *deviceModel) usedEvent() uint16           { return d.u16(d.l.Avail + 4 + 2*mem.Addr(d.l.Size)) }
func (d *deviceModel) putAvailEvent(v uint16)      { d.put16(d.l.Used+4+8*mem.Addr(d.l.Size), v) }
func (d *deviceModel) inside(at uint64, n int) bool {
	return at+uint64(n) >= at && at+uint64(n) <= uint64(len(d.mem))
}

// A modelDesc is a descriptor as the model reads it.
type modelDesc struct {
	at, n       uint64
	flags, next uint16
}

func (d *deviceModel) desc(table uint64, i uint16) modelDesc {
	b := d.mem[table+16*uint64(i):]
	return modelDesc{binary.LittleEndian.Uint64(b), uint64(binary.LittleEndian.Uint32(b[8:])), binary.LittleEndian.Uint16(b[12:]), binary.LittleEndian.Uint16(b[14:])}
}

// follow is the chain from head on as a list; ok is false if it breaks a rule.
func (d *deviceModel) follow(head uint16) (list []modelDesc, ok bool) {
	table, entries, indirect := uint64(d.l.Desc), uint64(d.l.Size), false
	i := head
	for {
		if uint64(i) >= entries {
			return nil, false
		}
		e := d.desc(table, i)
		if e.flags&4 != 0 {
			if indirect || d.f&FRingIndirect == 0 || e.flags&1 != 0 || e.n == 0 || e.n%16 != 0 || !d.inside(e.at, int(e.n)) {
				return nil, false
			}
			table, entries, indirect, i = e.at, e.n/16, true, 0
			if len(list) >= int(d.l.Size) {
				return nil, false
			}
			continue
		}
		list = append(list, e)
		if len(list) > int(d.l.Size) {
			return nil, false
		}
		if e.flags&1 == 0 {
			break
		}
		i = e.next
	}
	total, writable := uint64(0), false
	for _, e := range list {
		if !d.inside(e.at, int(e.n)) || writable && e.flags&2 == 0 {
			return nil, false
		}
		writable = writable || e.flags&2 != 0
		total += e.n
	}
	return list, total < 1<<32
}

// next is Device.Next: the chain, nil if there is none.
func (d *deviceModel) next() (head uint16, list []modelDesc) {
	ahead := d.u16(d.l.Avail+2) - d.last
	if d.broken || ahead == 0 {
		return 0, nil
	}
	head = d.u16(d.l.Avail + 4 + 2*mem.Addr(d.last%d.l.Size))
	list, ok := d.follow(head)
	if ahead > d.l.Size || !ok {
		d.broken = true
		return 0, nil
	}
	d.last++
	return head, list
}

func (d *deviceModel) push(head uint16, n uint32) {
	at := d.l.Used + 4 + 8*mem.Addr(d.used%d.l.Size)
	binary.LittleEndian.PutUint32(d.mem[at:], uint32(head))
	binary.LittleEndian.PutUint32(d.mem[at+4:], n)
	d.used++
	d.put16(d.l.Used+2, d.used)
}

// callNeeded looks whether one of the entries since it last looked is the one that the
// driver named.
func (d *deviceModel) callNeeded() (yes bool) {
	if d.used == d.called {
		return false
	}
	if d.f&FRingEventIdx == 0 {
		yes = d.u16(d.l.Avail)&1 == 0
	} else {
		for i := d.called; i != d.used; i++ {
			yes = yes || i == d.usedEvent()
		}
	}
	d.called = d.used
	return yes
}

// A hostile guest's memory and the calls of the device: the device finds what the
// model finds, breaks where it does, and writes nothing else.
func FuzzDevice(f *testing.F) {
	seed := func(size byte, fill func(r *Ring, at mem.Addr), ops ...byte) {
		m := mem.New(fuzzMemory)
		l, end := Place(0, 1<<size)
		r, _ := NewRing(m, l, 0)
		fill(r, end)
		f.Add(m.Bytes(0, fuzzRing), size, byte(3), ops)
	}
	seed(2, func(r *Ring, at mem.Addr) {
		r.Driver.Add(0, []Buffer{{at, 4}, {at + 4, 100}}, []Buffer{{2000, 50}})
		r.Driver.Add(0, nil, []Buffer{{3000, 50}})
	}, 0, 0, 0, 1, 7, 3, 1, 9, 3, 4)
	seed(1, func(r *Ring, at mem.Addr) { // a loop
		putDesc(r.desc, 0, desc{at, 1, descNext, 0})
		r.setAvailIdx(1)
	}, 0, 0)
	seed(3, func(r *Ring, at mem.Addr) { // an indirect table with a jump out of it
		putDesc(r.mem.Bytes(at, 32), 0, desc{100, 1, descNext, 1})
		putDesc(r.mem.Bytes(at, 32), 1, desc{100, 1, descNext, 2})
		putDesc(r.desc, 0, desc{at, 32, descIndirect, 0})
		r.setAvailIdx(1)
	}, 0, 0)
	seed(0, func(r *Ring, at mem.Addr) { r.setAvailIdx(7) }, 5, 2, 0, 7, 0, 0)
	f.Fuzz(func(t *testing.T, blob []byte, size, features byte, ops []byte) {
		m := mem.New(fuzzMemory)
		l, _ := Place(0, 1<<(size%6))
		ram := m.Bytes(0, fuzzMemory)
		copy(ram[:fuzzRing], blob)
		var feat Features
		if features&1 != 0 {
			feat |= FRingEventIdx
		}
		if features&2 != 0 {
			feat |= FRingIndirect
		}
		r, err := NewRing(m, l, feat)
		require.NoError(t, err)
		d := &r.Device
		model := &deviceModel{mem: bytes.Clone(ram), l: l, f: feat}
		var c Chain
		var heads []uint16
		for args := calls(ops); len(args) > 0; {
			switch args.next() % 8 {
			case 0, 1:
				c.Reset()
				ok, err := d.Next(sim.Never, &c)
				head, list := model.next()
				require.Equal(t, list != nil, ok)
				require.Equal(t, model.broken, err != nil)
				if !ok {
					break
				}
				require.Equal(t, head, c.Head)
				requireChain(t, m, list, &c)
				heads = append(heads, head)
			case 2:
				n := uint32(args.next16())
				if len(heads) > 0 { // the device gives back only what it has
					d.Push(0, heads[0], n)
					model.push(heads[0], n)
					heads = heads[1:]
				}
			case 3:
				require.Equal(t, model.callNeeded(), d.CallNeeded())
			case 4:
				more, at := d.EnableKicks(sim.Never, 0)
				require.Equal(t, sim.Never, at)
				require.Equal(t, !model.broken && model.u16(l.Avail+2) != model.last, more)
				if feat&FRingEventIdx != 0 {
					model.putAvailEvent(model.last)
				} else {
					model.put16(l.Used, 0)
				}
			case 5:
				d.DisableKicks()
				if feat&FRingEventIdx == 0 {
					model.put16(l.Used, 1)
				}
			case 6: // the guest writes anywhere
				at, v := args.next16()%(fuzzMemory-1), args.next16()
				binary.LittleEndian.PutUint16(ram[at:], v)
				model.put16(mem.Addr(at), v)
			case 7:
				if !model.broken && len(heads) > 0 {
					d.Undo(1)
					model.last--
					heads = heads[:len(heads)-1]
				}
			}
			require.True(t, bytes.Equal(model.mem, ram), "the memories differ")
		}
	})
}

// requireChain fails unless c is made of the descriptors of list.
func requireChain(t *testing.T, m *mem.Memory, list []modelDesc, c *Chain) {
	t.Helper()
	out, in := c.Out, c.In
	var outLen, inLen uint64
	for _, e := range list {
		from, sum := &out, &outLen
		if e.flags&2 != 0 {
			from, sum = &in, &inLen
		}
		*sum += e.n
		require.NotEmpty(t, *from)
		b := (*from)[0]
		*from = (*from)[1:]
		require.Len(t, b, int(e.n))
		if len(b) > 0 {
			at, ok := m.AddrOf(b)
			require.True(t, ok)
			require.Equal(t, mem.Addr(e.at), at)
		}
	}
	require.Empty(t, out)
	require.Empty(t, in)
	require.Equal(t, outLen, c.OutLen)
	require.Equal(t, inLen, c.InLen)
}

// driverModel is the driver's side once more: which descriptors are free, in their
// order, and which chains are in flight.
type driverModel struct {
	mem       []byte
	l         Layout
	events    bool
	free      []uint16
	flight    map[uint16][]uint16 // by head: its descriptors
	posted    map[uint16]uint32
	idx, seen uint16
	kicked    uint16
	calls     bool
	broken    bool
}

func (d *driverModel) put16(at mem.Addr, v uint16) { binary.LittleEndian.PutUint16(d.mem[at:], v) }
func (d *driverModel) u16(at mem.Addr) uint16      { return binary.LittleEndian.Uint16(d.mem[at:]) }
func (d *driverModel) usedEvent() mem.Addr         { return d.l.Avail + 4 + 2*mem.Addr(d.l.Size) }

func (d *driverModel) add(list []modelDesc) bool {
	if len(list) == 0 || len(list) > len(d.free) || d.broken {
		return false
	}
	chain := d.free[:len(list):len(list)]
	d.free = d.free[len(list):]
	head, posted := chain[0], uint32(0)
	for k, e := range list {
		// The next of a chain's last descriptor is written, and nobody's business: it is the
		// next free one, the first again behind the last.
		b := d.mem[d.l.Desc+16*mem.Addr(chain[k]):]
		if k < len(chain)-1 {
			e.flags |= 1
			binary.LittleEndian.PutUint16(b[14:], chain[k+1])
		}
		binary.LittleEndian.PutUint64(b, e.at)
		binary.LittleEndian.PutUint32(b[8:], uint32(e.n))
		binary.LittleEndian.PutUint16(b[12:], e.flags)
		if e.flags&2 != 0 {
			posted += uint32(e.n)
		}
	}
	d.flight[head], d.posted[head] = chain, posted
	d.put16(d.l.Avail+4+2*mem.Addr(d.idx%d.l.Size), head)
	d.idx++
	d.put16(d.l.Avail+2, d.idx)
	return true
}

func (d *driverModel) get() (head uint16, n uint32, ok bool) {
	ahead := d.u16(d.l.Used+2) - d.seen
	if d.broken || ahead == 0 {
		return 0, 0, false
	}
	at := d.l.Used + 4 + 8*mem.Addr(d.seen%d.l.Size)
	id, n := binary.LittleEndian.Uint32(d.mem[at:]), binary.LittleEndian.Uint32(d.mem[at+4:])
	chain, there := d.flight[uint16(id)]
	if int(ahead) > len(d.flight) || id > 65535 || !there || n > d.posted[uint16(id)] {
		d.broken = true
		return 0, 0, false
	}
	delete(d.flight, uint16(id))
	d.free = append(append([]uint16{}, chain...), d.free...)
	d.seen++
	if d.calls && d.events {
		d.put16(d.usedEvent(), d.seen)
	}
	return uint16(id), n, true
}

// A hostile device's memory and the calls of the driver: it takes what the model takes
// and is fooled by nothing that the device writes.
func FuzzDriver(f *testing.F) {
	f.Add(byte(2), true, []byte{0, 9, 1, 5, 0, 0, 8, 0, 1, 2, 0})
	f.Add(byte(1), false, []byte{0, 3, 0, 0, 0, 7, 0, 0, 8, 0, 5, 1, 4, 1})
	f.Fuzz(func(t *testing.T, size byte, events bool, ops []byte) {
		m := mem.New(fuzzMemory)
		l, _ := Place(0, 1<<(size%6))
		var feat Features
		if events {
			feat = FRingEventIdx
		}
		r, err := NewRing(m, l, feat)
		require.NoError(t, err)
		ram := m.Bytes(0, fuzzMemory)
		d := &r.Driver
		model := &driverModel{mem: bytes.Clone(ram), l: l, events: events, flight: map[uint16][]uint16{}, posted: map[uint16]uint32{}, calls: true}
		for i := range l.Size {
			model.free = append(model.free, i)
		}
		for args := calls(ops); len(args) > 0; {
			switch args.next() % 7 {
			case 0:
				var out, in []Buffer
				var list []modelDesc
				shape := args.next()
				for k := range shape % 4 {
					b := Buffer{mem.Addr(shape) * 16, uint32(shape)}
					e := modelDesc{at: uint64(b.Addr), n: uint64(b.Len)}
					if shape>>2&3 <= k {
						e.flags = 2
						in = append(in, b)
					} else {
						out = append(out, b)
					}
					list = append(list, e)
				}
				_, ok := d.Add(0, out, in)
				require.Equal(t, model.add(list), ok)
				for i := range l.Size { // see driverModel.add
					at := l.Desc + 16*mem.Addr(i)
					if binary.LittleEndian.Uint16(ram[at+12:])&1 == 0 {
						copy(model.mem[at+14:at+16], ram[at+14:])
					}
				}
			case 1:
				head, n, ok := d.Get(0)
				wantHead, wantN, want := model.get()
				require.Equal(t, want, ok)
				require.Equal(t, model.broken, d.Err() != nil)
				require.Equal(t, wantHead, head)
				require.Equal(t, wantN, n)
			case 2:
				old, want := model.kicked, false
				for i := old; i != model.idx && !model.broken; i++ {
					want = want || !events || i == model.u16(l.Used+4+8*mem.Addr(l.Size))
				}
				if !events && model.u16(l.Used)&1 != 0 {
					want = false
				}
				model.kicked = model.idx
				require.Equal(t, want, d.KickNeeded())
			case 3:
				d.DisableCalls()
				model.calls = false
				if events {
					model.put16(model.usedEvent(), model.seen-1)
				} else {
					model.put16(l.Avail, 1)
				}
			case 4:
				more, _ := d.EnableCalls(0)
				model.calls = true
				if events {
					model.put16(model.usedEvent(), model.seen)
				} else {
					model.put16(l.Avail, 0)
				}
				require.Equal(t, !model.broken && model.u16(l.Used+2) != model.seen, more)
			case 5: // the device writes in its ring
				at, v := l.Used+mem.Addr(args.next16()%(4+8*l.Size+1)), args.next16()
				binary.LittleEndian.PutUint16(ram[at:], v)
				model.put16(at, v)
			case 6: // the device behaves: it gives a chain back
				if i := args.next(); len(model.flight) > 0 && !model.broken {
					for h := uint16(i); ; h++ {
						if _, ok := model.flight[h%l.Size]; ok {
							v := model.u16(l.Used + 2)
							for _, b := range [][]byte{ram, model.mem} {
								at := l.Used + 4 + 8*mem.Addr(v%l.Size)
								binary.LittleEndian.PutUint32(b[at:], uint32(h%l.Size))
								binary.LittleEndian.PutUint32(b[at+4:], min(uint32(i), model.posted[h%l.Size]))
								binary.LittleEndian.PutUint16(b[l.Used+2:], v+1)
							}
							break
						}
					}
				}
			}
			require.Equal(t, len(model.free), d.Free())
			require.True(t, bytes.Equal(model.mem, ram), "the memories differ")
		}
	})
}

// Two sides with clocks of their own, each asleep when it finds nothing: whatever the
// order in which they come to run, neither sleeps while there is work for it.
func TestNobodyWaitsForEver(t *testing.T) {
	for seed := range uint64(3000) {
		play(t, seed)
	}
}

// play lets a driver send so many buffers to a device that gives them back.
func play(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	feat := Features(0)
	if rnd.IntN(2) == 0 {
		feat = FRingEventIdx
	}
	m := mem.New(fuzzMemory)
	l, end := Place(0, 1<<rnd.IntN(4))
	r, err := NewRing(m, l, feat)
	require.NoError(t, err)
	r.startAt(uint16(65530 + rnd.IntN(10)))
	const total = 60
	var sent, back int
	var c Chain
	driver, device := &actor{at: sim.Never}, &actor{at: sim.Never}
	driver.piece = func(now sim.Time) sim.Time { // sends while there is room, and waits for a call when there is none
		for range 1 + rnd.IntN(4) {
			for {
				_, _, ok := r.Driver.Get(now)
				if !ok {
					break
				}
				back++
			}
			if sent < total {
				if _, ok := r.Driver.Add(now, []Buffer{{end, 1}}, nil); ok {
					sent++
					if r.Driver.KickNeeded() {
						device.wake(now)
					}
					now += sim.Time(rnd.IntN(20))
					continue
				}
			}
			if back == total {
				return sim.Never
			}
			enable := r.Driver.EnableCalls
			if sent < total && rnd.IntN(2) == 0 {
				enable = r.Driver.EnableCallsDelayed
			}
			if more, at := enable(now); !more {
				return at
			}
			r.Driver.DisableCalls()
		}
		return now + sim.Time(rnd.IntN(20))
	}
	device.piece = func(now sim.Time) sim.Time {
		r.Device.DisableKicks()
		for range 1 + rnd.IntN(4) {
			c.Reset()
			ok, err := r.Device.Next(now, &c)
			require.NoError(t, err)
			if !ok {
				more, at := r.Device.EnableKicks(now, 0)
				if !more {
					return at
				}
				r.Device.DisableKicks()
				continue
			}
			now += sim.Time(rnd.IntN(20))
			r.Device.Push(now, c.Head, 0)
			if r.Device.CallNeeded() {
				driver.wake(now)
			}
		}
		return now + sim.Time(rnd.IntN(20))
	}
	driver.wake(0)
	for range 100000 {
		a := driver
		if device.at < driver.at {
			a = device
		}
		if a.at == sim.Never {
			break
		}
		a.run()
	}
	require.Equal(t, total, back, "seed %d: %d sent; driver overdue %v", seed, sent, r.Driver.Overdue())
	require.NoError(t, r.Driver.Err())
}

// An actor runs at a time, for ever later ones.
type actor struct {
	at, now sim.Time
	piece   func(now sim.Time) sim.Time
}

func (a *actor) wake(at sim.Time) { a.at = min(a.at, at) }

func (a *actor) run() {
	a.now = max(a.now, a.at)
	a.at = sim.Never
	a.at = min(a.at, a.piece(a.now))
}
