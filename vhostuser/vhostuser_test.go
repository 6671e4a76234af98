package vhostuser_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/mem"
	"ringside/vhostuser"
	"ringside/virtio"
)

type eventfd struct{ n int }

func (e *eventfd) Signal() { e.n++ }

func u32(v ...uint32) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func u64(v ...uint64) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

// raw is a message as it is on the socket.
func raw(r vhostuser.Request, flags uint32, payload []byte) []byte {
	return append(u32(uint32(r), 1|flags, uint32(len(payload))), payload...)
}

func newBackend(t *testing.T, c vhostuser.Config) *vhostuser.Backend {
	t.Helper()
	b, err := vhostuser.NewBackend(c)
	require.NoError(t, err)
	return b
}

func pairOf(size uint16) (p virtio.Pair) {
	var end mem.Addr
	p.Rx, end = virtio.Place(0, size)
	p.Tx, _ = virtio.Place(end, size)
	return p
}

const features = virtio.FVersion1 | virtio.FMrgRxbuf

// A VMM hands the rings of two pairs over, and takes one back and gives it again where
// it stood.
func TestRingsAreHandedOver(t *testing.T) {
	changes := 0
	b := newBackend(t, vhostuser.Config{Pairs: 2, Changed: func() { changes++ }})
	f, err := vhostuser.Connect(b.Message)
	require.NoError(t, err)
	assert.Equal(t, vhostuser.OfferedFeatures, f.Offered())
	assert.Equal(t, 2, f.Pairs())
	m, fd := mem.New(16*mem.PageSize), &eventfd{}
	one := pairOf(16)
	two := one
	for _, a := range []*mem.Addr{&two.Rx.Desc, &two.Rx.Avail, &two.Rx.Used, &two.Tx.Desc, &two.Tx.Avail, &two.Tx.Used} {
		*a += 8 * mem.PageSize
	}
	require.NoError(t, f.Start(m, features, []virtio.Pair{one, two}, func(ring int) vhostuser.Event {
		if ring == 2 {
			return nil
		}
		return fd
	}))
	assert.Equal(t, features, b.Features())
	assert.Positive(t, changes)
	for i := range 4 {
		require.NotNil(t, b.Ring(i), i)
		assert.Equal(t, i == 2, b.Call(i) == nil)
		assert.True(t, b.Ring(i).Device.Silent(), "who polls asks not to be kicked")
	}
	assert.Nil(t, b.Ring(4))
	assert.Nil(t, b.Ring(-1))

	ring := b.Ring(1)
	_, ok := ring.Driver.Add(0, []virtio.Buffer{{Addr: 4096, Len: 60}}, nil)
	require.True(t, ok)
	var c virtio.Chain
	ok, err = ring.Device.Next(0, &c)
	require.True(t, ok)
	require.NoError(t, err)
	at, err := f.Stop(1)
	require.NoError(t, err)
	assert.EqualValues(t, 1, at)
	assert.Nil(t, b.Ring(1))
	for _, m := range [][]byte{raw(vhostuser.SetVringBase, 0, u32(1, 1)), raw(vhostuser.SetVringKick, 0, u64(1|1<<8))} {
		_, err = b.Message(m)
		require.NoError(t, err)
	}
	assert.Same(t, ring, b.Ring(1), "it goes on")
}

// A message that is wrong closes the connection for good, with every ring.
func TestWhatIsWrongCloses(t *testing.T) {
	m, other, fd := mem.New(16*mem.PageSize), mem.New(mem.PageSize), &eventfd{}
	table := func(regions ...[4]uint64) []byte {
		b := u32(uint32(len(regions)), 0)
		for _, r := range regions {
			b = append(b, u64(r[:]...)...)
		}
		return raw(vhostuser.SetMemTable, 0, b)
	}
	addr := func(i uint32, desc, used, avail uint64) []byte {
		return raw(vhostuser.SetVringAddr, 0, append(u32(i, 0), u64(desc, used, avail, 0)...))
	}
	const user, page = 0x7f0000000000, mem.PageSize
	for _, tc := range []struct {
		name string
		msg  []byte
		fds  []vhostuser.FD
		says string // "" is that it is fine
	}{
		{"no header", u32(1, 1), nil, "no header"},
		{"another version", u32(1, 2, 0), nil, "version 2"},
		{"shorter than it says", u32(2, 1, 8, 0), nil, "says 8 bytes and has 4"},
		{"longer than it says", u32(1, 1, 0, 0), nil, "says 0 bytes and has 4"},
		{"an unknown request", raw(99, 0, nil), nil, "request 99 is not known"},
		{"an answer", raw(vhostuser.GetFeatures, 4, nil), nil, "nothing was asked"},
		{"a payload of the wrong size", raw(vhostuser.SetFeatures, 0, u32(1)), nil, "has 4 bytes, not 8"},
		{"a descriptor where none belongs", raw(vhostuser.GetFeatures, 0, nil), []vhostuser.FD{m}, "1 descriptors"},
		{"a second owner", raw(vhostuser.SetOwner, 0, nil), nil, "it has one"},
		{"features while rings run", raw(vhostuser.SetFeatures, 0, u64(uint64(features))), nil, "rings run"},
		{"protocol features that were not offered", raw(vhostuser.SetProtocolFeatures, 0, u64(1<<40)), nil, "not offered"},
		{"memory while rings run", table([4]uint64{0, page, user, 0}), []vhostuser.FD{m}, "rings run"},
		{"a ring that runs placed anew", addr(1, user, user, user), nil, "the ring runs"},
		{"the size of a ring that runs", raw(vhostuser.SetVringNum, 0, u32(1, 8)), nil, "the ring runs"},
		{"a ring that is not there", raw(vhostuser.SetVringNum, 0, u32(2, 8)), nil, "ring 2 of 2"},
		{"ring 2^32-1", raw(vhostuser.GetVringBase, 0, u32(1<<32-1, 0)), nil, "ring 4294967295 of 2"},
		{"enable 2", raw(vhostuser.SetVringEnable, 0, u32(1, 2)), nil, "enable 2"},
		{"an eventfd that is missing", raw(vhostuser.SetVringCall, 0, u64(1)), nil, "0 descriptors"},
		{"one that should not be there", raw(vhostuser.SetVringCall, 0, u64(1|1<<8)), []vhostuser.FD{fd}, "1 descriptors"},
		{"memory for an eventfd", raw(vhostuser.SetVringCall, 0, u64(1)), []vhostuser.FD{m}, "no eventfd"},
		{"no descriptor in its place", raw(vhostuser.SetVringCall, 0, u64(1)), []vhostuser.FD{nil}, "no eventfd"},
		{"bits that nobody knows", raw(vhostuser.SetVringErr, 0, u64(1<<9)), nil, "ring 0x200"},
		{"a small MTU", raw(vhostuser.NetSetMTU, 0, u64(67)), nil, "MTU of 67"},
		{"another call eventfd", raw(vhostuser.SetVringCall, 0, u64(1)), []vhostuser.FD{fd}, ""},
		{"a kick eventfd", raw(vhostuser.SetVringKick, 0, u64(1)), []vhostuser.FD{fd}, ""},
		{"a ring taken back", raw(vhostuser.GetVringBase, 0, u32(1, 0)), nil, ""},
		{"the owner leaves", raw(vhostuser.ResetOwner, 0, nil), nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBackend(t, vhostuser.Config{})
			f, err := vhostuser.Connect(b.Message)
			require.NoError(t, err)
			require.NoError(t, f.Start(m, features, []virtio.Pair{pairOf(8)}, func(int) vhostuser.Event { return fd }))
			_, err = b.Message(tc.msg, tc.fds...)
			if tc.says == "" {
				assert.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, vhostuser.ErrClosed)
			assert.ErrorContains(t, err, tc.says)
			assert.Nil(t, b.Ring(0))
			assert.Nil(t, b.Call(0))
			_, again := b.Message(raw(vhostuser.GetFeatures, 0, nil))
			assert.Equal(t, err, again, "for good")
		})
	}
	for _, tc := range []struct {
		name string
		msg  []byte
		fds  []vhostuser.FD
		says string
	}{
		{"one region", table([4]uint64{0, 16 * page, user, 0}), []vhostuser.FD{m}, ""},
		{"a part of the file", table([4]uint64{0, 4 * page, user, 8 * page}), []vhostuser.FD{m}, ""},
		{"two that follow each other", table([4]uint64{0, page, user, 0}, [4]uint64{page, page, 7 * user, page}), []vhostuser.FD{m, m}, ""},
		{"none", table(), nil, "0 regions"},
		{"nine", table(make([][4]uint64, 9)...), nil, "9 regions"},
		{"no file", table([4]uint64{0, page, user, 0}), nil, "1 regions and 0 descriptors"},
		{"an eventfd for a file", table([4]uint64{0, page, user, 0}), []vhostuser.FD{fd}, "no memory"},
		{"more than the file has", table([4]uint64{0, 17 * page, user, 0}), []vhostuser.FD{m}, "does not follow"},
		{"beyond the file", table([4]uint64{0, page, user, 16 * page}), []vhostuser.FD{m}, "outside memory"},
		{"an offset that wraps", table([4]uint64{0, page, user, 1<<64 - page}), []vhostuser.FD{m}, "outside memory"},
		{"an address that wraps", table([4]uint64{0, page, 1<<64 - 1, 0}), []vhostuser.FD{m}, "wraps round"},
		{"no bytes", table([4]uint64{0, 0, user, 0}), []vhostuser.FD{m}, "does not follow"},
		{"not from address 0 on", table([4]uint64{page, page, user, 0}), []vhostuser.FD{m}, "does not follow"},
		{"a gap", table([4]uint64{0, page, user, 0}, [4]uint64{2 * page, page, user, page}), []vhostuser.FD{m, m}, "does not follow"},
		{"two files", table([4]uint64{0, page, user, 0}, [4]uint64{page, page, user, page}), []vhostuser.FD{m, other}, "file of its own"},
	} {
		t.Run("table/"+tc.name, func(t *testing.T) {
			b := newBackend(t, vhostuser.Config{})
			_, err := vhostuser.Connect(b.Message)
			require.NoError(t, err)
			_, err = b.Message(tc.msg, tc.fds...)
			if tc.says == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tc.says)
		})
	}
}

// Before a ring can start, everything about it must have been said, in any order that
// the protocol allows; and it lies in one region.
func TestRingsStartWhenAllWasSaid(t *testing.T) {
	m := mem.New(16 * mem.PageSize)
	const user = 0x1000
	owner := raw(vhostuser.SetOwner, 0, nil)
	feat := raw(vhostuser.SetFeatures, 0, u64(uint64(features)))
	num := raw(vhostuser.SetVringNum, 0, u32(0, 8))
	addr := func(desc uint64) []byte {
		return raw(vhostuser.SetVringAddr, 0, append(u32(0, 0), u64(user+desc, user+1024, user+512, 0)...))
	}
	kick := raw(vhostuser.SetVringKick, 0, u64(0|1<<8))
	table := raw(vhostuser.SetMemTable, 0, append(u32(1, 0), u64(0, 4*mem.PageSize, user, 0)...))
	for _, tc := range []struct {
		name string
		msgs [][]byte
		ok   bool
	}{
		{"all of it", [][]byte{owner, feat, table, num, addr(0), kick}, true},
		{"features last", [][]byte{owner, table, num, addr(0), feat, kick}, true},
		{"no features", [][]byte{owner, table, num, addr(0), kick}, false},
		{"no owner", [][]byte{feat, table}, false},
		{"no size", [][]byte{owner, feat, table, addr(0)}, false},
		{"no memory", [][]byte{owner, feat, num, addr(0)}, false},
		{"no address", [][]byte{owner, feat, table, num, kick}, false},
		{"another size behind the address", [][]byte{owner, feat, table, num, addr(0), raw(vhostuser.SetVringNum, 0, u32(0, 16)), kick}, false},
		{"memory behind the address", [][]byte{owner, feat, table, num, addr(0), table, kick}, false},
		{"over the table's end", [][]byte{owner, feat, table, num, addr(4*mem.PageSize - 64), kick}, false},
		{"below the table", [][]byte{owner, feat, table, num, addr(1<<64 - 16)}, false},
		{"not aligned", [][]byte{owner, feat, table, num, addr(8), kick}, false},
		{"a size that is no power of two", [][]byte{owner, feat, table, raw(vhostuser.SetVringNum, 0, u32(0, 12))}, false},
		{"from the middle on", [][]byte{owner, feat, table, num, addr(0), raw(vhostuser.SetVringBase, 0, u32(0, 3))}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBackend(t, vhostuser.Config{})
			var err error
			for _, msg := range tc.msgs {
				var fds []vhostuser.FD
				if vhostuser.Request(binary.LittleEndian.Uint32(msg)) == vhostuser.SetMemTable {
					fds = []vhostuser.FD{m}
				}
				if _, err = b.Message(msg, fds...); err != nil {
					break
				}
			}
			assert.Equal(t, tc.ok, err == nil, "%v", err)
			assert.Equal(t, tc.ok, b.Ring(0) != nil)
		})
	}
}
