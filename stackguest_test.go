package ringside_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/cost"
	"ringside/sim"
	"ringside/virtio"
	"ringside/vm/guest"
)

// addr is an address of the test's network.
func addr(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 24)
}

// bulkServer takes one connection and records what came.
func bulkServer(p *guest.Proc) error {
	l, err := p.Listen("tcp", ":5001")
	if err != nil {
		return err
	}
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	h := sha256.New()
	began := p.Time()
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{c}, make([]byte, 64<<10))
	p.Record("bytes", n, "B")
	p.Record("time", int64(p.Time()-began)/1000, "ns")
	p.RecordText("sha256", fmt.Sprintf("%x", h.Sum(nil)))
	return err
}

// bulkClient sends n bytes of chance to an address.
func bulkClient(to string, n int) guest.Program {
	return func(p *guest.Proc) error {
		c, err := p.Dial("tcp", to+":5001")
		if err != nil {
			return err
		}
		h, r, buf := sha256.New(), rand.NewChaCha8([32]byte{1}), make([]byte, 64<<10)
		for left := n; left > 0; left -= len(buf) {
			buf = buf[:min(len(buf), left)]
			r.Read(buf)
			h.Write(buf)
			if _, err := c.Write(buf); err != nil {
				return err
			}
		}
		p.RecordText("sha256", fmt.Sprintf("%x", h.Sum(nil)))
		return c.Close()
	}
}

func process(name string, main guest.Program) []guest.Process {
	return []guest.Process{{Name: name, Main: main}}
}

// What a guest sends another gets, byte for byte: on one host, and from a peer at the
// wire.
func TestBulkIsTheSameAtBothEnds(t *testing.T) {
	const size = 4<<20 + 12345
	serve := ringside.VM{Name: "server", Addresses: []netip.Prefix{addr(2)}, Processes: process("serve", bulkServer)}
	for _, row := range []struct {
		name string
		cfg  ringside.LabConfig
	}{
		{"guest to guest", ringside.LabConfig{Hosts: []ringside.LabHost{{Config: ringside.Config{VMs: []ringside.VM{
			serve, {Name: "client", Addresses: []netip.Prefix{addr(1)}, Processes: process("send", bulkClient("192.0.2.2", size))},
		}}}}}},
		{"peer to guest", ringside.LabConfig{
			Hosts: []ringside.LabHost{{Config: ringside.Config{VMs: []ringside.VM{serve}}}},
			Peers: []ringside.Peer{{Addresses: []netip.Prefix{addr(1)}, Processes: process("send", bulkClient("192.0.2.2", size))}},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := newLab(t, row.cfg)
			require.NoError(t, l.Run())
			r := l.Report()
			got := r.Hosts[0].Report.VMs[0].Results
			require.Len(t, got, 3)
			assert.EqualValues(t, size, got[0].Value)
			var sent string
			if len(r.Peers) > 0 {
				sent = r.Peers[0].Results[0].Text
			} else {
				sent = r.Hosts[0].Report.VMs[1].Results[0].Text
			}
			assert.Equal(t, sent, got[2].Text)
			t.Logf("%.2f Gbit/s, %d frames", float64(got[0].Value)*8/float64(got[1].Value), r.Hosts[0].Report.VMs[0].Frames)
		})
	}
}

// endless is a client that sends to an address without end, and a server that counts
// what came.
func endless(to string) (client, server guest.Program, got *int64) {
	got = new(int64)
	client = func(p *guest.Proc) error {
		c, err := p.Dial("tcp", to+":5001")
		if err != nil {
			return err
		}
		buf := make([]byte, 1448*40) // whole segments
		for {
			if _, err := c.Write(buf); err != nil {
				return err
			}
		}
	}
	server = func(p *guest.Proc) error {
		l, err := p.Listen("tcp", ":5001")
		if err != nil {
			return err
		}
		c, err := l.Accept()
		if err != nil {
			return err
		}
		buf := make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return err
			}
			*got += int64(n)
		}
	}
	return client, server, got
}

// A steady is what went on between two moments of a run.
type steady struct {
	span    sim.Time
	payload int64
	frames  uint64   // to the server's guest
	cycles  []uint64 // of each CPU of the first host
}

// over runs a lab from one moment to another.
func over(t *testing.T, l *ringside.Lab, got *int64, from, to sim.Time) (s steady) {
	t.Helper()
	require.NoError(t, l.RunUntil(from))
	a, n := l.Report().Hosts[0].Report, *got
	require.NoError(t, l.RunUntil(to))
	b := l.Report().Hosts[0].Report
	s = steady{span: to - from, payload: *got - n, frames: b.VMs[0].Frames - a.VMs[0].Frames}
	for i := range b.CPUs {
		s.cycles = append(s.cycles, b.CPUs[i].Cycles-a.CPUs[i].Cycles)
	}
	return s
}

// Bulk TCP over a link that is the bottleneck carries what the link can:
//
//	rate = link * payload / bytes on the wire = 10 Gbit/s * 1448 / 1538
//
// with 1448 of the MTU's 1500 left by IP, TCP and its timestamps, and 38 more for
// Ethernet's header, FCS, preamble and gap.
func TestTCPOverALinkIsAsFastAsArithmeticSays(t *testing.T) {
	for _, bps := range []uint64{1e9, 10e9} {
		client, server, got := endless("192.0.2.2")
		l := newLab(t, ringside.LabConfig{
			Hosts: []ringside.LabHost{{Config: ringside.Config{LinkBPS: bps, VMs: []ringside.VM{{Addresses: []netip.Prefix{addr(2)}, Processes: process("serve", server)}}}}},
			Peers: []ringside.Peer{{Addresses: []netip.Prefix{addr(1)}, Processes: process("send", client)}},
		})
		s := over(t, l, got, 20*sim.Millisecond, 60*sim.Millisecond)
		rate := float64(s.payload) * 8 / (float64(s.span) / float64(sim.Second))
		model := float64(bps) * 1448 / 1538
		t.Logf("%d bit/s: %.4g bit/s of payload; the model says %.4g", bps, rate, model)
		assert.InEpsilon(t, model, rate, 0.005)
	}
}

// Bulk TCP between two guests has no link; the busiest CPU is the bottleneck:
//
//	rate = payload of a frame / (cycles of a frame on that CPU / its clock)
//
// which is what it carries when that CPU never rests. A frame's cycles are those of the
// bill, and half the clock is half the rate.
func TestTCPBetweenGuestsIsAsFastAsArithmeticSays(t *testing.T) {
	rates := map[uint64]float64{}
	for _, hz := range []uint64{0, 2} {
		book, err := cost.Open("linux-xeon")
		require.NoError(t, err)
		if hz > 0 {
			slow := *book
			slow.Hz /= hz
			book = &slow
		}
		client, server, got := endless("192.0.2.2")
		off := ringside.VirtioConfig{Off: virtio.FCSUM | virtio.FHostTSO4 | virtio.FHostTSO6 | virtio.FGuestTSO4 | virtio.FGuestTSO6}
		l := newLab(t, ringside.LabConfig{Book: book, Hosts: []ringside.LabHost{{Config: ringside.Config{VMs: []ringside.VM{
			{Addresses: []netip.Prefix{addr(2)}, Processes: process("serve", server), Virtio: off},
			{Addresses: []netip.Prefix{addr(1)}, Processes: process("send", client), Virtio: off},
		}}}}})
		s := over(t, l, got, 20*sim.Millisecond, 60*sim.Millisecond)
		busiest := slices.Max(s.cycles)
		perFrame := float64(busiest) / float64(s.frames)
		model := 8 * float64(s.payload) / float64(s.frames) / (perFrame / float64(book.Hz))
		rate := float64(s.payload) * 8 / (float64(s.span) / float64(sim.Second))
		t.Logf("%d Hz: %d frames of %.0f bytes, %.0f cycles each on the busiest CPU: %.4g bit/s; the model says %.4g; cycles %v",
			book.Hz, s.frames, float64(s.payload)/float64(s.frames), perFrame, rate, model, s.cycles)
		assert.InEpsilon(t, model, rate, 0.02)
		rates[hz] = rate
	}
	assert.InEpsilon(t, 2, rates[0]/rates[2], 0.02)
}

// Guests on one CPU that need nobody else do not run past the end of a run by more than
// a slice.
func TestARunEndsInTheMiddleOfGuestsOnOneCPU(t *testing.T) {
	client, server, got := endless("192.0.2.2")
	l := newLab(t, ringside.LabConfig{Hosts: []ringside.LabHost{{Config: ringside.Config{CPUs: 2, VMs: []ringside.VM{
		{Addresses: []netip.Prefix{addr(2)}, Processes: process("serve", server)},
		{Addresses: []netip.Prefix{addr(1)}, Processes: process("send", client)},
	}}}}})
	require.NoError(t, l.RunUntil(20*sim.Millisecond))
	require.NotZero(t, *got)
	require.Less(t, l.Hosts[0].Kernel.Now(), 24*sim.Millisecond)
	n := *got
	require.NoError(t, l.RunUntil(40*sim.Millisecond))
	require.Greater(t, *got, n)
}
