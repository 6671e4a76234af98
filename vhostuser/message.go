package vhostuser

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A Request says what a message is.
type Request uint32

// The requests of a front end that are known here.
const (
	GetFeatures         Request = 1
	SetFeatures         Request = 2
	SetOwner            Request = 3
	ResetOwner          Request = 4
	SetMemTable         Request = 5
	SetVringNum         Request = 8
	SetVringAddr        Request = 9
	SetVringBase        Request = 10
	GetVringBase        Request = 11
	SetVringKick        Request = 12
	SetVringCall        Request = 13
	SetVringErr         Request = 14
	GetProtocolFeatures Request = 15
	SetProtocolFeatures Request = 16
	GetQueueNum         Request = 17
	SetVringEnable      Request = 18
	NetSetMTU           Request = 20
)

var requestNames = map[Request]string{
	GetFeatures: "GET_FEATURES", SetFeatures: "SET_FEATURES", SetOwner: "SET_OWNER", ResetOwner: "RESET_OWNER",
	SetMemTable: "SET_MEM_TABLE", SetVringNum: "SET_VRING_NUM", SetVringAddr: "SET_VRING_ADDR", SetVringBase: "SET_VRING_BASE",
	GetVringBase: "GET_VRING_BASE", SetVringKick: "SET_VRING_KICK", SetVringCall: "SET_VRING_CALL", SetVringErr: "SET_VRING_ERR",
	GetProtocolFeatures: "GET_PROTOCOL_FEATURES", SetProtocolFeatures: "SET_PROTOCOL_FEATURES", GetQueueNum: "GET_QUEUE_NUM",
	SetVringEnable: "SET_VRING_ENABLE", NetSetMTU: "NET_SET_MTU",
}

// String is the request's name in the protocol's document.
func (r Request) String() string {
	if name, ok := requestNames[r]; ok {
		return name
	}
	return fmt.Sprintf("request %d", uint32(r))
}

// The flags of a header.
const (
	version     = 1 << 0
	versionMask = 3
	flagReply   = 1 << 2 // it answers
	flagNeed    = 1 << 3 // an answer is wanted (REPLY_ACK)
)

// A header is what each message begins with: request, flags, size of the payload.
const headerLen = 12

// Feature bits beside virtio's.
const (
	// FProtocolFeatures says that there are protocol features (VHOST_USER_F_PROTOCOL_FEATURES).
	FProtocolFeatures = 1 << 30
	// PMQ, PReplyAck and PMTU are protocol features: several pairs of queues, answers to
	// messages that have none, NET_SET_MTU.
	PMQ       = 1 << 0
	PReplyAck = 1 << 3
	PMTU      = 1 << 4
)

// The bits of the payload of SET_VRING_KICK, CALL and ERR.
const (
	vringIndex = 0xff
	vringNoFD  = 1 << 8
)

// maxRegions bounds a memory table.
const maxRegions = 8

// A Region is one of a memory table: Size bytes at the address Guest in the guest, at
// User in the VMM, and at Offset in the file that comes with it.
type Region struct{ Guest, Size, User, Offset uint64 }

const regionLen = 32

// A VringAddr is where the parts of a ring are, by addresses of the VMM.
type VringAddr struct {
	Index, Flags           uint32
	Desc, Used, Avail, Log uint64
}

const vringAddrLen = 40

// ErrMessage says that a message breaks the protocol.
var ErrMessage = errors.New("vhostuser: bad message")

// encode makes a message of its payload.
func encode(r Request, flags uint32, payload []byte) []byte {
	b := make([]byte, headerLen, headerLen+len(payload))
	binary.LittleEndian.PutUint32(b, uint32(r))
	binary.LittleEndian.PutUint32(b[4:], version|flags)
	binary.LittleEndian.PutUint32(b[8:], uint32(len(payload)))
	return append(b, payload...)
}

// decode takes a message apart.
func decode(b []byte) (r Request, flags uint32, payload []byte, err error) {
	if len(b) < headerLen {
		return 0, 0, nil, fmt.Errorf("%w: %d bytes are no header", ErrMessage, len(b))
	}
	r = Request(binary.LittleEndian.Uint32(b))
	flags, size := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
	switch payload = b[headerLen:]; {
	case flags&versionMask != version:
		return r, flags, nil, fmt.Errorf("%w: %v of version %d", ErrMessage, r, flags&versionMask)
	case uint64(size) != uint64(len(payload)):
		return r, flags, nil, fmt.Errorf("%w: %v says %d bytes and has %d", ErrMessage, r, size, len(payload))
	}
	return r, flags, payload, nil
}

// u64 is the payload that is a number.
func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// vringState is the payload of SET_VRING_NUM, BASE, ENABLE and of GET_VRING_BASE.
func vringState(index, num uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, index), num)
}

// memTable is the payload of SET_MEM_TABLE.
func memTable(regions []Region) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(regions)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, r := range regions {
		for _, v := range [...]uint64{r.Guest, r.Size, r.User, r.Offset} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	return b
}

// parseMemTable is the regions of a table, which is as long as it says.
func parseMemTable(b []byte) ([]Region, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("%w: a memory table of %d bytes", ErrMessage, len(b))
	}
	n := binary.LittleEndian.Uint32(b)
	if b = b[8:]; n == 0 || n > maxRegions || len(b) != int(n)*regionLen {
		return nil, fmt.Errorf("%w: a memory table of %d regions in %d bytes; 1 to %d are possible", ErrMessage, n, len(b), maxRegions)
	}
	regions := make([]Region, n)
	for i := range regions {
		p := b[i*regionLen:]
		regions[i] = Region{
			binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:]),
			binary.LittleEndian.Uint64(p[16:]), binary.LittleEndian.Uint64(p[24:]),
		}
	}
	return regions, nil
}

// vringAddr is the payload of SET_VRING_ADDR.
func vringAddr(a VringAddr) []byte {
	b := vringState(a.Index, a.Flags)
	for _, v := range [...]uint64{a.Desc, a.Used, a.Avail, a.Log} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func parseVringAddr(b []byte) VringAddr {
	return VringAddr{
		binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint64(b[8:]),
		binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:]), binary.LittleEndian.Uint64(b[32:]),
	}
}
