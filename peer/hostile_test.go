package peer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/nic"
	"ringside/offload"
	"ringside/peer"
	"ringside/sim"
	"ringside/vm/guest"
)

// A frame that says of itself what it is not is lost, and does not stand in the way of
// those behind it.
func TestAFrameThatCannotBeCutIsLost(t *testing.T) {
	r := newRig(t, peer.Config{TSO: true, Processes: []guest.Process{{Name: "p", Main: func(p *guest.Proc) error {
		c, err := p.Packets("eth0", guest.RawOptions{})
		if err != nil {
			return err
		}
		lies := offload.Meta{NeedsCsum: true, GSO: offload.GSOTCPv4, GSOSize: 1000, HdrLen: 54, CsumStart: 34, CsumOffset: 16}
		if err := c.WriteFrame(make([]byte, 3000), lies); err != nil {
			return err
		}
		return c.WriteFrame(make([]byte, 60), offload.Meta{})
	}}}}, peer.Config{})
	require.NoError(t, r.e.RunToIdle())
	require.Equal(t, 1, r.count)
	require.EqualValues(t, 1, r.a.Counts().TxErrors)
}

// What a program sends faster than the wire takes waits in the device and in its queue,
// both of which have an end; then the program is told. When there is room it goes on.
func TestWhatWaitsForTheWireIsBounded(t *testing.T) {
	sent, refused := 0, 0
	e := sim.NewEngine(1)
	p, err := peer.New(peer.Config{Engine: e, Name: "p", MAC: [6]byte{2}, Processes: []guest.Process{{Name: "blaster", Main: func(p *guest.Proc) error {
		c, err := p.Packets("eth0", guest.RawOptions{})
		if err != nil {
			return err
		}
		for range 20_000 {
			if c.WriteFrame(make([]byte, 60), offload.Meta{}) == nil {
				sent++
			} else {
				refused++
			}
		}
		return nil
	}}}})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	require.NoError(t, e.RunToIdle())
	require.EqualValues(t, 8192, p.Counts().Queued)
	require.Equal(t, 8192+1000, sent)
	require.Equal(t, 20_000-sent, refused)

	took := 0
	for {
		var f nic.WireFrame
		if p.Receive(&f) {
			took++
		} else if !e.Step() {
			break
		}
	}
	require.Equal(t, sent, took, "all of those that it was not told of")
}

// A machine that does not look loses what comes in, and counts it.
func TestWhatWaitsForTheKernelIsBounded(t *testing.T) {
	e := sim.NewEngine(1)
	p, err := peer.New(peer.Config{Engine: e, Name: "p", MAC: [6]byte{2}})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	for range 10_000 {
		p.Transmit(&nic.WireFrame{Data: make([]byte, 60)})
	}
	c := p.Counts()
	require.EqualValues(t, 10_000, c.In)
	require.EqualValues(t, 10_000-8192, c.Missed)
	require.NoError(t, e.RunToIdle())
}
