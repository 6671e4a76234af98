package app

import (
	"encoding/binary"
	"fmt"
	"time"

	"ringside/sim"
	"ringside/vm/guest"
)

// UDPBlastConfig describes the program UDPBlast. To is required.
type UDPBlastConfig struct {
	To       string // HOST:PORT
	Size     int    // bytes of a datagram, 16 at least; 0 means 1000
	Count    int64  // datagrams; 0 means 1000, unless there is a Duration
	Duration time.Duration
	BPS      uint64 // bits of payload a second; 0 means 100 Mbit/s
}

// UDPBlast sends datagrams at a rate, each with a number and its time in front. It
// records sent, failed (which the stack did not take), bytes, span and rate.
func UDPBlast(c UDPBlastConfig) guest.Program {
	if c.Size == 0 {
		c.Size = 1000
	}
	if c.Count == 0 && c.Duration == 0 {
		c.Count = 1000
	}
	if c.BPS == 0 {
		c.BPS = 100e6
	}
	c.Size = max(c.Size, blastHeader)
	return func(p *guest.Proc) error {
		conn, err := p.Dial("udp", c.To)
		if err != nil {
			return err
		}
		defer conn.Close()
		sent, failed, began := int64(0), int64(0), p.Time()
		each := sim.Time(uint64(c.Size) * 8 * uint64(sim.Second/1000) / c.BPS * 1000)
		b := make([]byte, c.Size)
		for due := began; c.Count == 0 || sent < c.Count; due += each {
			if c.Duration > 0 && due-began >= sim.FromDuration(c.Duration) {
				break
			}
			if due > p.Time() {
				p.SleepUntil(due)
			}
			binary.BigEndian.PutUint64(b, uint64(sent))
			binary.BigEndian.PutUint64(b[8:], uint64(p.Time()))
			if _, err := conn.Write(b); err != nil {
				failed++
			}
			sent++
		}
		p.Record("sent", sent, "")
		p.Record("failed", failed, "")
		recordBulk(p, sent*int64(c.Size), p.Time()-began)
		return nil
	}
}

// blastHeader is the number and the time.
const blastHeader = 16

// UDPSinkConfig describes the program UDPSink. The zero value takes datagrams on port
// 5001 for ever.
type UDPSinkConfig struct {
	Port uint16        // 0 means 5001
	Idle time.Duration // it ends when nothing came for so long, once something has; 0 is never
}

// UDPSink counts the datagrams of one UDPBlast. It records received, bytes, lost
// (numbers below the highest that did not come), duplicates, reordered (that came
// after a higher number), bad (too short, or a number out of reach), and delay-min,
// delay-avg and delay-max, one way.
func UDPSink(c UDPSinkConfig) guest.Program {
	if c.Port == 0 {
		c.Port = 5001
	}
	return func(p *guest.Proc) error {
		conn, err := p.ListenPacket("udp", fmt.Sprintf(":%d", c.Port))
		if err != nil {
			return err
		}
		defer conn.Close()
		s := &sink{}
		s.results(p)
		b := make([]byte, 1<<16)
		for {
			n, _, err := conn.(*guest.PacketConn).ReadFromAddrPort(b)
			if late(err) {
				return nil
			}
			if err != nil {
				return err
			}
			s.datagram(p.Time(), b[:n])
			if c.Idle > 0 {
				conn.SetReadDeadline(p.Now().Add(c.Idle))
			}
		}
	}
}

// A sink counts datagrams by their numbers.
type sink struct {
	received, bytes, duplicates, reordered, bad int64
	next                                        uint64 // above the highest number
	seen                                        []uint64
	least, most, sum                            sim.Time
}

// maxNumbers bounds the memory of a sink.
const maxNumbers = 1 << 28

// datagram counts one.
func (s *sink) datagram(now sim.Time, b []byte) {
	if len(b) < blastHeader || binary.BigEndian.Uint64(b) >= maxNumbers {
		s.bad++
		return
	}
	n := binary.BigEndian.Uint64(b)
	for n/64 >= uint64(len(s.seen)) {
		s.seen = append(s.seen, 0)
	}
	word, bit := &s.seen[n/64], uint64(1)<<(n%64)
	if *word&bit != 0 {
		s.duplicates++
		return
	}
	*word |= bit
	if n < s.next {
		s.reordered++
	}
	s.next = max(s.next, n+1)
	delay := now - sim.Time(binary.BigEndian.Uint64(b[8:]))
	if s.received == 0 || delay < s.least {
		s.least = delay
	}
	s.most = max(s.most, delay)
	s.sum += delay
	s.received++
	s.bytes += int64(len(b))
}

func (s *sink) results(p *guest.Proc) {
	p.RecordFunc("received", "", func() int64 { return s.received })
	p.RecordFunc("bytes", "B", func() int64 { return s.bytes })
	p.RecordFunc("lost", "", func() int64 { return int64(s.next) - s.received })
	p.RecordFunc("duplicates", "", func() int64 { return s.duplicates })
	p.RecordFunc("reordered", "", func() int64 { return s.reordered })
	p.RecordFunc("bad", "", func() int64 { return s.bad })
	p.RecordFunc("delay-min", "ns", func() int64 { return s.least.Nanoseconds() })
	p.RecordFunc("delay-avg", "ns", func() int64 { return (s.sum / sim.Time(max(s.received, 1))).Nanoseconds() })
	p.RecordFunc("delay-max", "ns", func() int64 { return s.most.Nanoseconds() })
}

var _ = register(&Spec{
	Name: "udp-blast",
	Does: "sends numbered datagrams at a rate",
	Args: []Arg{
		endArg("to", "where a udp-sink listens"),
		sizeArg("size", "1000", blastHeader, 65_507, "bytes of a datagram"),
		countArg("count", 0, 0, maxNumbers, "datagrams; 0: 1000, or as duration says"),
		spanArg("duration", "0", "to send for, instead of count"),
		rateArg("rate", "100mbit", "of payload"),
	},
	make: func(v values) guest.Program {
		return UDPBlast(UDPBlastConfig{
			To: get[string](v, "to"), Size: int(get[int64](v, "size")), Count: int64(get[int](v, "count")),
			Duration: get[time.Duration](v, "duration"), BPS: get[uint64](v, "rate"),
		})
	},
})

var _ = register(&Spec{
	Name: "udp-sink",
	Does: "counts the datagrams of a udp-blast",
	Args: []Arg{
		portArg("port", 5001, "to listen on"),
		spanArg("idle", "0", "to end after, once something has come; 0 is never"),
	},
	make: func(v values) guest.Program {
		return UDPSink(UDPSinkConfig{Port: get[uint16](v, "port"), Idle: get[time.Duration](v, "idle")})
	},
})
