package virtnet_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/sim"
	"ringside/virtio"
	"ringside/vm/guest"
)

// bulk is a receiver and a sender of n bytes over TCP, and the sums of both.
type bulk struct {
	n        int
	port     int
	quick    bool // the content is zero and not summed
	in, out  hash.Hash
	began    sim.Time
	finished sim.Time
}

func newBulk(n, port int) *bulk {
	return &bulk{n: n, port: port, in: sha256.New(), out: sha256.New()}
}

func (b *bulk) receiver() guest.Process {
	return guest.Process{Name: fmt.Sprint("receiver", b.port), Main: func(p *guest.Proc) error {
		l, err := p.Listen("tcp", fmt.Sprint(":", b.port))
		if err != nil {
			return err
		}
		defer l.Close()
		c, err := l.Accept()
		if err != nil {
			return err
		}
		defer c.Close()
		to := io.Writer(b.in)
		if b.quick {
			to = io.Discard
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{c}, make([]byte, 128<<10))
		b.finished = p.Time()
		return err
	}}
}

func (b *bulk) sender(to int) guest.Process {
	return guest.Process{Name: fmt.Sprint("sender", b.port), Main: func(p *guest.Proc) error {
		p.Sleep(10 * time.Millisecond)
		c, err := p.Dial("tcp", fmt.Sprintf("%v:%d", address(to), b.port))
		if err != nil {
			return err
		}
		defer c.Close()
		b.began = p.Time()
		r := rand.New(rand.NewPCG(1, uint64(b.port)))
		buf := make([]byte, 128<<10)
		for left := b.n; left > 0; {
			chunk := buf[:min(left, len(buf))]
			if !b.quick {
				fill(r, chunk)
				b.out.Write(chunk)
			}
			if _, err := c.Write(chunk); err != nil {
				return err
			}
			left -= len(chunk)
		}
		return nil
	}}
}

// fill makes b random.
func fill(r *rand.Rand, b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, r.Uint64())
	}
}

// What one machine sends another gets, byte for byte, whatever was negotiated.
func TestTCPBetweenTwoMachines(t *testing.T) {
	const tso = virtio.FGuestTSO4 | virtio.FGuestTSO6 | virtio.FHostTSO4 | virtio.FHostTSO6
	for _, tc := range []struct {
		name string
		cfg  rigConfig
	}{
		{"everything", rigConfig{}},
		{"no TSO", rigConfig{off: tso}},
		{"sender cuts nothing, receiver takes 64 KiB", rigConfig{off: virtio.FHostTSO4 | virtio.FHostTSO6}},
		{"receiver takes nothing long", rigConfig{off: virtio.FGuestTSO4 | virtio.FGuestTSO6}},
		{"no checksums", rigConfig{off: tso | virtio.FCSUM | virtio.FGuestCSUM}},
		{"receiver sums", rigConfig{off: virtio.FGuestTSO4 | virtio.FGuestTSO6 | virtio.FGuestCSUM}},
		{"flags instead of event indices", rigConfig{off: virtio.FRingEventIdx}},
		{"one buffer a frame", rigConfig{off: tso | virtio.FMrgRxbuf}},
		{"bare", rigConfig{off: virtio.Known &^ virtio.FVersion1}},
		{"one CPU for all", rigConfig{cpus: 1}},
		{"two CPUs, each with a guest and the other's worker", rigConfig{cpus: 2}},
		{"small rings", rigConfig{ring: 4}},
		{"a tap of two frames", rigConfig{tap: 2}},
		{"jumbo frames", rigConfig{mtu: 9000, off: tso}},
		{"four pairs", rigConfig{queues: 4}},
		{"counting book", rigConfig{book: cost.Unit()}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, tc.cfg)
			b := newBulk(3<<20, 5001)
			r.add(b.receiver())
			r.add(b.sender(0))
			r.run(30 * sim.Second)
			assert.Equal(t, b.out.Sum(nil), b.in.Sum(nil))
			t.Logf("%v, %d frames, %d drops", b.finished-b.began, r.Flow().ToVMs, r.drops.Total())
		})
	}
}

// Several connections at once, over several pairs of queues, both ways.
func TestManyConnections(t *testing.T) {
	r := newRig(t, rigConfig{queues: 4, cpus: 8})
	var list []*bulk
	var at0, at1 []guest.Process
	for i := range 6 {
		b := newBulk(300_000, 6000+i)
		list = append(list, b)
		if i%2 == 0 {
			at0, at1 = append(at0, b.receiver()), append(at1, b.sender(0))
		} else {
			at1, at0 = append(at1, b.receiver()), append(at0, b.sender(1))
		}
	}
	r.add(at0...)
	r.add(at1...)
	r.run(30 * sim.Second)
	for _, b := range list {
		assert.Equal(t, b.out.Sum(nil), b.in.Sum(nil))
	}
}

// A request and its answer take two wake-ups of each machine, and the time of
// everything on the way.
func TestPing(t *testing.T) {
	r := newRig(t, rigConfig{})
	var rtt sim.Time
	r.add()
	r.add(guest.Process{Name: "ping", Main: func(p *guest.Proc) error {
		c, err := p.Dial("icmp", address(0).String())
		if err != nil {
			return err
		}
		defer c.Close()
		for range 3 {
			began := p.Time()
			if _, err := c.Write(echo()); err != nil {
				return err
			}
			buf := make([]byte, 100)
			c.SetReadDeadline(p.Now().Add(time.Second))
			if _, err := c.Read(buf); err != nil {
				return err
			}
			rtt = p.Time() - began
		}
		return nil
	}})
	r.run(10 * sim.Second)
	assert.Greater(t, rtt, 10*sim.Microsecond)
	assert.Less(t, rtt, 200*sim.Microsecond)
	t.Log(rtt)
}

// echo is an ICMP echo request without its checksum, which the stack writes.
func echo() []byte { return append([]byte{8, 0, 0, 0, 0, 0, 0, 1}, "payload"...) }

// The same seed gives the same run.
func TestSameSeedSameHash(t *testing.T) {
	run := func() string {
		r := newRig(t, rigConfig{queues: 2, tap: 20})
		b := newBulk(1<<20, 5001)
		r.add(b.receiver())
		r.add(b.sender(0))
		r.run(30 * sim.Second)
		return r.hash.String()
	}
	require.Equal(t, run(), run())
}
