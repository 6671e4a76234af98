// Package dns is messages of the domain name system as bytes [RFC 1035, 4]: what a
// resolver and a responder for addresses need, and nothing else. It asks nobody.
package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// A Type is the type of a question or a record.
type Type uint16

// The types that are known here. Others are carried as they are.
const (
	A     Type = 1
	CNAME Type = 5
	AAAA  Type = 28 // RFC 3596
)

// An RCode is a response code.
type RCode uint8

// The codes that are used here.
const (
	NoError  RCode = 0
	FormErr  RCode = 1
	NXDomain RCode = 3
	NotImp   RCode = 4
)

// classIN is the Internet's.
const classIN = 1

// A Question asks for the records of a type under a name.
type Question struct {
	Name  string // labels with dots between, without one at the end
	Type  Type
	Class uint16
}

// A Record is a resource record.
type Record struct {
	Name  string
	Type  Type
	Class uint16
	TTL   uint32
	Data  []byte // as it is in the message; a name in it may be compressed
	Alias string // of a CNAME
}

// Addr is the address of an A or AAAA record.
func (r Record) Addr() (netip.Addr, bool) {
	switch {
	case r.Type == A && len(r.Data) == 4, r.Type == AAAA && len(r.Data) == 16:
		return netip.AddrFromSlice(r.Data)
	}
	return netip.Addr{}, false
}

// A Message is a query or a response. Authority and additional records are read
// over and not kept.
type Message struct {
	ID                 uint16
	Response           bool
	OpCode             uint8
	Authoritative      bool
	Truncated          bool
	RecursionDesired   bool
	RecursionAvailable bool
	RCode              RCode
	Questions          []Question
	Answers            []Record
}

// MaxUDP is the longest message in a datagram [RFC 1035, 4.2.1].
const MaxUDP = 512

const (
	headerLen = 12
	maxName   = 255 // bytes of a name in a message, its lengths and end included
	maxLabel  = 63
)

// ErrMessage is what every error of Parse wraps.
var ErrMessage = errors.New("dns: bad message")

// Parse reads a message. Whatever the bytes are, it ends, and what it returns is
// bounded by their number.
func Parse(b []byte) (Message, error) {
	if len(b) < headerLen {
		return Message{}, fmt.Errorf("%w: %d bytes", ErrMessage, len(b))
	}
	flags := binary.BigEndian.Uint16(b[2:])
	m := Message{
		ID:                 binary.BigEndian.Uint16(b),
		Response:           flags&(1<<15) != 0,
		OpCode:             uint8(flags >> 11 & 15),
		Authoritative:      flags&(1<<10) != 0,
		Truncated:          flags&(1<<9) != 0,
		RecursionDesired:   flags&(1<<8) != 0,
		RecursionAvailable: flags&(1<<7) != 0,
		RCode:              RCode(flags & 15),
	}
	p := parser{b: b, at: headerLen}
	for range binary.BigEndian.Uint16(b[4:]) {
		q := p.question()
		if p.err != nil {
			return Message{}, p.err
		}
		m.Questions = append(m.Questions, q)
	}
	for range binary.BigEndian.Uint16(b[6:]) {
		r := p.record()
		if p.err != nil {
			return Message{}, p.err
		}
		m.Answers = append(m.Answers, r)
	}
	return m, nil
}

// A parser reads on from at. After the first error it gives zeros.
type parser struct {
	b   []byte
	at  int
	err error
}

func (p *parser) fail(what string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s at byte %d", ErrMessage, what, p.at)
	}
}

func (p *parser) bytes(n int) []byte {
	if p.err != nil || n > len(p.b)-p.at {
		p.fail("cut short")
		return nil
	}
	p.at += n
	return p.b[p.at-n : p.at]
}

func (p *parser) uint16() uint16 {
	if b := p.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (p *parser) uint32() uint32 {
	if b := p.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (p *parser) question() Question {
	return Question{Name: p.name(), Type: Type(p.uint16()), Class: p.uint16()}
}

func (p *parser) record() Record {
	r := Record{Name: p.name(), Type: Type(p.uint16()), Class: p.uint16(), TTL: p.uint32()}
	n := int(p.uint16())
	start := p.at
	r.Data = p.bytes(n)
	if r.Type == CNAME && p.err == nil {
		q := parser{b: p.b[:p.at], at: start}
		if r.Alias = q.name(); q.err != nil || q.at != p.at {
			p.fail("bad alias")
		}
	}
	return r
}

// name reads a name. A pointer must lead back, before the name's own beginning and
// that of every pointer before it, so that a name ends whatever they say
// [RFC 1035, 4.1.4].
func (p *parser) name() string {
	var text []byte
	room, at, limit, jumped := maxName-1, p.at, p.at, false
	for p.err == nil {
		if at >= len(p.b) {
			p.fail("name cut short")
			break
		}
		n := int(p.b[at])
		switch {
		case n == 0:
			if !jumped {
				p.at = at + 1
			}
			return string(text)
		case n <= maxLabel:
			if room -= n + 1; room < 0 || at+1+n > len(p.b) {
				p.fail("bad label")
				break
			}
			if text = appendLabel(text, p.b[at+1:at+1+n]); text == nil {
				p.fail("label with a dot")
			}
			at += 1 + n
		case n < 0xc0 || at+2 > len(p.b):
			p.fail("bad label")
		default:
			to := int(binary.BigEndian.Uint16(p.b[at:]) & 0x3fff)
			if !jumped {
				p.at, jumped = at+2, true
			}
			if to >= limit {
				p.fail("name points forward")
				break
			}
			at, limit = to, to
		}
	}
	return ""
}

// appendLabel adds a label to a name, nil if it has a dot in it, which text could
// not tell from the dots between labels.
func appendLabel(text, label []byte) []byte {
	if len(text) > 0 {
		text = append(text, '.')
	}
	for _, c := range label {
		if c == '.' {
			return nil
		}
	}
	return append(text, label...)
}

// Append writes a message behind b, without compression. Names must be valid.
func (m Message) Append(b []byte) ([]byte, error) {
	flags := bit(15, m.Response) | uint16(m.OpCode&15)<<11 | bit(10, m.Authoritative) | bit(9, m.Truncated) |
		bit(8, m.RecursionDesired) | bit(7, m.RecursionAvailable) | uint16(m.RCode&15)
	b = binary.BigEndian.AppendUint16(b, m.ID)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Questions)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Answers)))
	b = append(b, 0, 0, 0, 0)
	var err error
	for _, q := range m.Questions {
		if b, err = appendName(b, q.Name); err != nil {
			return nil, err
		}
		b = binary.BigEndian.AppendUint16(b, uint16(q.Type))
		b = binary.BigEndian.AppendUint16(b, q.Class)
	}
	for _, r := range m.Answers {
		if b, err = appendName(b, r.Name); err != nil {
			return nil, err
		}
		b = binary.BigEndian.AppendUint16(b, uint16(r.Type))
		b = binary.BigEndian.AppendUint16(b, r.Class)
		b = binary.BigEndian.AppendUint32(b, r.TTL)
		b = binary.BigEndian.AppendUint16(b, uint16(len(r.Data)))
		b = append(b, r.Data...)
	}
	return b, nil
}

func bit(n int, on bool) uint16 {
	if on {
		return 1 << n
	}
	return 0
}

// appendName writes a name as labels.
func appendName(b []byte, name string) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	for name != "" {
		label, rest := cut(name)
		b = append(append(b, byte(len(label))), label...)
		name = rest
	}
	return append(b, 0), nil
}

// CheckName says what is wrong with a name, nil if it can stand in a message. The
// empty name is the root's.
func CheckName(name string) error {
	if len(name) > maxName-2 {
		return fmt.Errorf("dns: name %q: %d bytes, at most %d are possible", name, len(name), maxName-2)
	}
	for rest := name; rest != ""; {
		label, after := cut(rest)
		if len(label) == 0 || len(label) > maxLabel || after == "" && rest[len(rest)-1] == '.' {
			return fmt.Errorf("dns: name %q: a label has 1 to %d bytes", name, maxLabel)
		}
		rest = after
	}
	return nil
}

// cut takes the first label off a name.
func cut(name string) (label, rest string) {
	for i := range len(name) {
		if name[i] == '.' {
			return name[:i], name[i+1:]
		}
	}
	return name, ""
}

// Equal says that two names are the same: upper and lower case are [RFC 1035, 2.3.3].
func Equal(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// Query is the question for the addresses of that type under a name.
func Query(id uint16, name string, t Type) Message {
	return Message{ID: id, RecursionDesired: true, Questions: []Question{{name, t, classIN}}}
}

// Address is a record that gives a name an address.
func Address(name string, a netip.Addr, ttl uint32) Record {
	t := A
	if a.Is6() {
		t = AAAA
	}
	return Record{Name: name, Type: t, Class: classIN, TTL: ttl, Data: a.AsSlice()}
}
