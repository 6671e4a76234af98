package wire

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/nic"
	"ringside/sim"
)

// A plug is a device at a cable's end that keeps what comes.
type plug struct {
	end  *CableEnd
	got  []nic.WireFrame
	told int // times it was told of something
}

func (p *plug) Arrive() { p.told++ }

func (p *plug) take() {
	var f nic.WireFrame
	for p.end.Receive(&f) {
		p.got = append(p.got, clone(&f))
	}
}

func newCable(t testing.TB, c CableConfig) (*Cable, [2]*plug, *sim.Engine) {
	t.Helper()
	c.Engine = sim.NewEngine(1)
	cable, err := NewCable(c)
	require.NoError(t, err)
	var p [2]*plug
	for i := range p {
		p[i] = &plug{end: cable.End(i)}
		cable.End(i).Plug(p[i])
	}
	return cable, p, c.Engine
}

func frameOf(id uint64, out sim.Time, size int) *nic.WireFrame {
	data := make([]byte, size)
	data[0] = byte(id)
	return &nic.WireFrame{ID: id, At: out, Data: data}
}

// The last bit comes in one length of the cable after it went out, and the frame
// is not serialized a second time: the receiver adds that from the first bit on.
func TestCableIsAsLongAsItIs(t *testing.T) {
	for _, row := range []struct {
		bps    uint64
		size   int
		metres int
		delay  sim.Time
		span   sim.Time
	}{
		{10e9, 60, 0, 10 * sim.Nanosecond, 57600},
		{10e9, 20, 1, 5 * sim.Nanosecond, 57600}, // the sender pads it
		{10e9, 1514, 100, 500 * sim.Nanosecond, 1220800},
		{100e9, 1514, 80_000, 400 * sim.Microsecond, 122080},
		{1e9, 60, 2, 10 * sim.Nanosecond, 576000},
	} {
		_, p, _ := newCable(t, CableConfig{BPS: row.bps, Metres: row.metres})
		out := 10 * sim.Microsecond
		p[0].end.Transmit(frameOf(7, out, row.size))
		p[1].take()
		require.Len(t, p[1].got, 1)
		require.Equal(t, out+row.delay-row.span, p[1].got[0].At, "%+v", row)
		require.Empty(t, p[0].got)
	}
}

func TestCableTellsADeviceOnceThatSomethingComes(t *testing.T) {
	_, p, _ := newCable(t, CableConfig{BPS: 10e9})
	for i := range 5 {
		p[0].end.Transmit(frameOf(uint64(i), sim.Time(i+1)*sim.Microsecond, 60))
	}
	require.Equal(t, 1, p[1].told)
	p[1].take()
	p[0].end.Transmit(frameOf(5, 6*sim.Microsecond, 60))
	require.Equal(t, 2, p[1].told)
	p[1].take()
	require.Len(t, p[1].got, 6)
	for i, f := range p[1].got {
		require.Equal(t, byte(i), f.Data[0], "in order")
	}
}

// What is on a cable when it is pulled is lost; what has come in by its last bit is not,
// though the device has not looked yet.
func TestPulledCableLosesWhatIsOnIt(t *testing.T) {
	c, p, e := newCable(t, CableConfig{BPS: 10e9})
	p[0].end.Transmit(frameOf(1, 1*sim.Microsecond, 60))
	p[0].end.Transmit(frameOf(2, 5*sim.Microsecond, 60))
	p[0].end.Transmit(frameOf(3, 9*sim.Microsecond, 60))
	p[1].end.Transmit(frameOf(4, 9*sim.Microsecond, 60))
	require.NoError(t, e.RunUntil(5*sim.Microsecond)) // 2 is out, and not in by 10 ns
	c.SetUp(false)
	require.False(t, c.Up())
	p[0].end.Transmit(frameOf(5, 12*sim.Microsecond, 60))
	p[1].take()
	p[0].take()
	c.SetUp(true)
	p[0].end.Transmit(frameOf(6, 13*sim.Microsecond, 60))
	p[1].take()
	require.Empty(t, p[0].got)
	require.Equal(t, []uint64{1, 6}, []uint64{p[1].got[0].ID, p[1].got[1].ID})
	require.Equal(t, CableCounts{In: 5, Out: 2, Lost: 3}, p[1].end.Counts())
	require.Equal(t, CableCounts{In: 1, Lost: 1}, p[0].end.Counts())
}

// A device may keep a frame's bytes until it asks for the next one, and the sender's
// buffer is its own again at once.
func TestCableKeepsItsOwnBytes(t *testing.T) {
	_, p, _ := newCable(t, CableConfig{BPS: 10e9})
	buf := []byte{1, 2, 3}
	var f nic.WireFrame
	for i := range 200 {
		buf[0] = byte(i)
		p[0].end.Transmit(&nic.WireFrame{ID: uint64(i), At: sim.Time(i+1) * sim.Microsecond, Data: buf})
		buf[0] = 0xEE
		if i >= 3 { // three stay on the cable
			require.True(t, p[1].end.Receive(&f))
			require.Equal(t, []byte{byte(i - 3), 2, 3}, f.Data)
		}
	}
	require.Equal(t, CableCounts{In: 200, Out: 197, Held: 3}, p[1].end.Counts())
	allocs := testing.AllocsPerRun(1000, func() {
		p[0].end.Transmit(&nic.WireFrame{ID: 1, At: sim.Second, Data: buf})
		p[1].end.Receive(&f)
	})
	require.Zero(t, allocs)
}

func TestFrameInACircleEndsABoundedRun(t *testing.T) {
	c, p, e := newCable(t, CableConfig{BPS: 10e9, Name: "a-b"})
	c.BoundCircles(3)
	for range 3 {
		p[0].end.Transmit(frameOf(9, sim.Microsecond, 60))
	}
	require.NoError(t, e.Err())
	p[1].end.Transmit(frameOf(9, sim.Microsecond, 60))
	require.ErrorIs(t, e.Err(), ErrCircle)
	require.ErrorContains(t, e.Err(), "wire: a-b: a frame goes in a circle of cables: frame 9 went by it 4 times")
}

func TestCableConfigIsChecked(t *testing.T) {
	for _, row := range []struct {
		c    CableConfig
		says string
	}{
		{CableConfig{BPS: 10e9}, "Engine is required"},
		{CableConfig{Engine: sim.NewEngine(1)}, "BPS is 0"},
		{CableConfig{Engine: sim.NewEngine(1), BPS: 10e9, Metres: -1}, "Metres is -1"},
		{CableConfig{Engine: sim.NewEngine(1), BPS: 10e9, Metres: 1e6 + 1}, fmt.Sprint("up to ", MaxMetres)},
	} {
		_, err := NewCable(row.c)
		require.ErrorContains(t, err, row.says)
	}
}
