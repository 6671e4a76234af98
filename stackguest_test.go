package ringside_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
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
