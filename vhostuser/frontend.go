package vhostuser

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ringside/mem"
	"ringside/virtio"
)

// A Socket takes a message with what comes beside it and returns the answer, nil if
// there is none. Backend.Message is one.
type Socket func(msg []byte, fds ...FD) ([]byte, error)

// A Frontend is the VMM's end of a connection. See Connect.
type Frontend struct {
	send     Socket
	offered  virtio.Features
	protocol uint64
	pairs    int
}

// Connect begins the talk: what the back end offers, and who its owner is.
func Connect(s Socket) (*Frontend, error) {
	if s == nil {
		return nil, errors.New("vhostuser: no socket")
	}
	f := &Frontend{send: s, pairs: 1}
	v, err := f.get(GetFeatures)
	if err != nil {
		return nil, err
	}
	f.offered = virtio.Features(v &^ FProtocolFeatures)
	if v&FProtocolFeatures != 0 {
		if f.protocol, err = f.get(GetProtocolFeatures); err != nil {
			return nil, err
		}
		f.protocol &= PMQ | PReplyAck
		if err := f.set(SetProtocolFeatures, u64(f.protocol)); err != nil {
			return nil, err
		}
	}
	if f.protocol&PMQ != 0 {
		n, err := f.get(GetQueueNum)
		if err != nil {
			return nil, err
		}
		f.pairs = int(min(n, MaxPairs))
	}
	return f, f.set(SetOwner, nil)
}

// Offered is the features of virtio that the back end offers, Pairs its pairs of queues.
func (f *Frontend) Offered() virtio.Features { return f.offered }

// Pairs is how many pairs of queues the back end has.
func (f *Frontend) Pairs() int { return f.pairs }

// get asks for a number.
func (f *Frontend) get(r Request) (uint64, error) {
	p, err := f.ask(r, nil)
	if err != nil {
		return 0, err
	}
	if len(p) != 8 {
		return 0, fmt.Errorf("%w: %v is answered by %d bytes", ErrMessage, r, len(p))
	}
	return binary.LittleEndian.Uint64(p), nil
}

// ask sends a message that is answered, and returns the answer's payload.
func (f *Frontend) ask(r Request, payload []byte) ([]byte, error) {
	b, err := f.send(encode(r, 0, payload))
	if err != nil {
		return nil, err
	}
	got, flags, p, err := decode(b)
	switch {
	case err != nil:
		return nil, err
	case got != r || flags&flagReply == 0:
		return nil, fmt.Errorf("%w: %v is answered by %v", ErrMessage, r, got)
	}
	return p, nil
}

// set sends a message that has no answer but for REPLY_ACK, which says whether it was
// taken.
func (f *Frontend) set(r Request, payload []byte, fds ...FD) error {
	flags := uint32(0)
	if f.protocol&PReplyAck != 0 && r != SetProtocolFeatures {
		flags = flagNeed
	}
	b, err := f.send(encode(r, flags, payload), fds...)
	if err != nil || flags == 0 {
		return err
	}
	got, reply, p, err := decode(b)
	switch {
	case err != nil:
		return err
	case got != r || reply&flagReply == 0 || len(p) != 8:
		return fmt.Errorf("%w: %v is answered by %v", ErrMessage, r, got)
	case binary.LittleEndian.Uint64(p) != 0:
		return fmt.Errorf("%w: %v was refused", ErrMessage, r)
	}
	return nil
}

// user is where a VMM has mapped its guest's memory: some address.
const user = 0x7f0000000000

// Start hands the rings of a guest over: the features that its driver has chosen, the
// guest's memory, and for each ring where it is and how the guest is called. Rings 2i
// and 2i+1 are those of pairs[i]; call may return nil.
func (f *Frontend) Start(m *mem.Memory, features virtio.Features, pairs []virtio.Pair, call func(ring int) Event) error {
	if len(pairs) == 0 || len(pairs) > f.pairs {
		return fmt.Errorf("vhostuser: %d pairs of queues; the back end has %d", len(pairs), f.pairs)
	}
	v := uint64(features & f.offered)
	if f.protocol != 0 {
		v |= FProtocolFeatures
	}
	if err := f.set(SetFeatures, u64(v)); err != nil {
		return err
	}
	table := memTable([]Region{{Size: uint64(m.Size()), User: user}})
	if err := f.set(SetMemTable, table, m); err != nil {
		return err
	}
	for i, p := range pairs {
		for j, l := range [...]virtio.Layout{p.Rx, p.Tx} {
			if err := f.startRing(uint32(2*i+j), l, call(2*i+j)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Frontend) startRing(i uint32, l virtio.Layout, call Event) error {
	var calls []FD
	callIndex := uint64(i) | vringNoFD
	if call != nil {
		calls, callIndex = []FD{call}, uint64(i)
	}
	for _, m := range []struct {
		r   Request
		p   []byte
		fds []FD
	}{
		{SetVringNum, vringState(i, uint32(l.Size)), nil},
		{SetVringBase, vringState(i, 0), nil},
		{SetVringAddr, vringAddr(VringAddr{Index: i, Desc: user + uint64(l.Desc), Used: user + uint64(l.Used), Avail: user + uint64(l.Avail)}), nil},
		{SetVringCall, u64(callIndex), calls},
		{SetVringKick, u64(uint64(i) | vringNoFD), nil},
	} {
		if err := f.set(m.r, m.p, m.fds...); err != nil {
			return err
		}
	}
	if f.protocol == 0 {
		return nil
	}
	return f.set(SetVringEnable, vringState(i, 1))
}

// Stop takes a ring back and says where it stood.
func (f *Frontend) Stop(ring int) (base uint16, err error) {
	p, err := f.ask(GetVringBase, vringState(uint32(ring), 0))
	if err != nil {
		return 0, err
	}
	if len(p) != 8 {
		return 0, fmt.Errorf("%w: GET_VRING_BASE is answered by %d bytes", ErrMessage, len(p))
	}
	return uint16(binary.LittleEndian.Uint32(p[4:])), nil
}
