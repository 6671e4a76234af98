package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math"
	"math/bits"
	"time"

	"ringside/sim"
	"ringside/vm/guest"
)

// BulkSendConfig describes the program BulkSend. To is required.
type BulkSendConfig struct {
	To       string        // HOST:PORT
	Bytes    int64         // each stream sends; 0 means 1 MiB, unless there is a Duration
	Duration time.Duration // instead of Bytes: for so long
	Streams  int           // 0 means 1
	Chunk    int           // bytes of one system call; 0 means 64 KiB
	Plain    bool          // no hash, and the content is zeros: for measuring real speed
}

// BulkSend sends a stream whose content a number determines as fast as TCP takes it,
// and ends when the other side has closed its end, too. It records bytes, span (from
// the first connection's beginning to the last one's end), rate, retransmits (of the
// machine, meanwhile), and sha256 (of several streams the hashes of all, by exclusive
// or).
func BulkSend(c BulkSendConfig) guest.Program {
	c.Streams = max(c.Streams, 1)
	if c.Bytes == 0 && c.Duration == 0 {
		c.Bytes = 1 << 20
	}
	if c.Chunk == 0 {
		c.Chunk = 64 << 10
	}
	return func(p *guest.Proc) error {
		b := &bulkSender{c: c, main: p, began: p.Time(), left: c.Streams, retransmits: p.Stats().TCPRetransmits}
		for i := range c.Streams {
			p.Go(fmt.Sprintf("%s/%d", p.Name(), i), func(p *guest.Proc) error { return b.stream(p, uint64(i)) })
		}
		return nil
	}
}

type bulkSender struct {
	c           BulkSendConfig
	main        *guest.Proc
	began       sim.Time
	left        int // streams that have not ended
	bytes       int64
	sum         digest
	retransmits uint64
}

// stream sends one stream.
func (b *bulkSender) stream(p *guest.Proc, i uint64) error {
	conn, err := p.Dial("tcp", b.c.To)
	if err != nil {
		return err
	}
	defer conn.Close()
	buf, src, h := make([]byte, b.c.Chunk), content(i), sha256.New()
	end := p.Time() + sim.FromDuration(b.c.Duration)
	for sent := int64(0); ; {
		n := int64(len(buf))
		if b.c.Duration == 0 {
			n = min(n, b.c.Bytes-sent)
		}
		if n == 0 || b.c.Duration > 0 && p.Time() >= end {
			break
		}
		if !b.c.Plain {
			io.ReadFull(src, buf[:n])
			h.Write(buf[:n])
		}
		m, err := conn.Write(buf[:n])
		sent += int64(m)
		b.bytes += int64(m)
		if err != nil {
			return err
		}
	}
	if err := conn.(*guest.Conn).CloseWrite(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, conn); err != nil { // until the other side has it all
		return err
	}
	b.sum.add(h)
	if b.left--; b.left == 0 {
		b.record(p)
	}
	return nil
}

func (b *bulkSender) record(p *guest.Proc) {
	b.main.Record("retransmits", int64(p.Stats().TCPRetransmits-b.retransmits), "")
	recordBulk(b.main, b.bytes, p.Time()-b.began)
	if !b.c.Plain {
		b.main.RecordText("sha256", hex.EncodeToString(b.sum[:]))
	}
}

// recordBulk records what both ends do.
func recordBulk(p *guest.Proc, bytes int64, span sim.Time) {
	p.Record("bytes", bytes, "B")
	p.Record("span", span.Nanoseconds(), "ns")
	p.Record("rate", rateOf(bytes, span), "bit/s")
}

// rateOf is bits a second.
func rateOf(bytes int64, span sim.Time) int64 {
	hi, lo := bits.Mul64(uint64(bytes), 8*uint64(sim.Second))
	if span <= 0 || hi >= uint64(span) {
		return 0
	}
	rate, _ := bits.Div64(hi, lo, uint64(span))
	return int64(min(rate, math.MaxInt64))
}

// BulkRecvConfig describes the program BulkRecv. The zero value takes streams on port
// 5001 for ever.
type BulkRecvConfig struct {
	Port    uint16 // 0 means 5001, iperf's
	Streams int    // it ends after so many; 0 is never
	Plain   bool   // no hash
}

// BulkRecv takes streams and throws them away. It records connections, bytes, span
// (from the first byte to the end of the last stream), rate, and sha256 as BulkSend
// does.
func BulkRecv(c BulkRecvConfig) guest.Program {
	if c.Port == 0 {
		c.Port = 5001
	}
	return func(p *guest.Proc) error {
		b := &bulkReceiver{c: c, main: p}
		l, err := p.Listen("tcp", fmt.Sprintf(":%d", c.Port))
		if err != nil {
			return err
		}
		defer l.Close()
		for i := 0; c.Streams == 0 || i < c.Streams; i++ {
			conn, err := l.Accept()
			if err != nil {
				return err
			}
			p.Record("connections", int64(i+1), "")
			p.Go(fmt.Sprintf("%s/%d", p.Name(), i), func(p *guest.Proc) error {
				defer conn.Close()
				return ended(p, b.stream(p, conn))
			})
		}
		return nil
	}
}

type bulkReceiver struct {
	c     BulkRecvConfig
	main  *guest.Proc
	began sim.Time // of the first byte
	bytes int64
	sum   digest
}

// stream takes one stream.
func (b *bulkReceiver) stream(p *guest.Proc, conn io.Reader) error {
	buf, h := make([]byte, 64<<10), sha256.New()
	for {
		n, err := conn.Read(buf)
		if n > 0 && b.bytes == 0 {
			b.began = p.Time()
		}
		b.bytes += int64(n)
		if !b.c.Plain {
			h.Write(buf[:n])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	b.ended(p, h)
	return nil
}

func (b *bulkReceiver) ended(p *guest.Proc, h hash.Hash) {
	b.sum.add(h)
	recordBulk(b.main, b.bytes, p.Time()-b.began)
	if !b.c.Plain {
		b.main.RecordText("sha256", hex.EncodeToString(b.sum[:]))
	}
}

var _ = register(&Spec{
	Name: "bulk-send",
	Does: "sends a stream over TCP as fast as it can",
	Args: []Arg{
		endArg("to", "where a bulk-recv listens"),
		sizeArg("bytes", "0", 0, 1<<50, "to send, each stream; 0: 1m, or as duration says"),
		spanArg("duration", "0", "to send for, instead of bytes"),
		countArg("streams", 1, 1, 10_000, "connections at a time"),
		sizeArg("chunk", "64k", 1, 16<<20, "bytes of one system call"),
		flagArg("plain", false, "no hash, all zeros: to measure real speed"),
	},
	make: func(v values) guest.Program {
		return BulkSend(BulkSendConfig{
			To: get[string](v, "to"), Bytes: get[int64](v, "bytes"), Duration: get[time.Duration](v, "duration"),
			Streams: get[int](v, "streams"), Chunk: int(get[int64](v, "chunk")), Plain: get[bool](v, "plain"),
		})
	},
})

var _ = register(&Spec{
	Name: "bulk-recv",
	Does: "takes streams over TCP and throws them away",
	Args: []Arg{
		portArg("port", 5001, "to listen on"),
		countArg("streams", 0, 0, 1_000_000, "to end after; 0 is never"),
		flagArg("plain", false, "no hash"),
	},
	make: func(v values) guest.Program {
		return BulkRecv(BulkRecvConfig{Port: get[uint16](v, "port"), Streams: get[int](v, "streams"), Plain: get[bool](v, "plain")})
	},
})
