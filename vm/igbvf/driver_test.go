package igbvf

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/mem"
	"ringside/nic"
	"ringside/sim"
	"ringside/virtio"
	"ringside/vm/raw"
)

// A fake is a VF whose registers are remembered, and whose PF answers when it is let.
type fake struct {
	regs    map[uint32]uint32
	mem     *mem.Memory
	tags    []nic.Tag
	asked   [][3]uint32
	refuse  uint32 // a type of message
	late    bool   // the PF does not answer by itself
	sent    [][]byte
	charged [cost.NumSteps]uint64
	now     sim.Time
}

func newFake() *fake { return &fake{regs: map[uint32]uint32{}, tags: make([]nic.Tag, 4096)} }

func (f *fake) Now() sim.Time                        { return f.now }
func (f *fake) Charge(s cost.Step, n uint64)         { f.charged[s] += n }
func (f *fake) Fail(err error)                       { panic(err) }
func (f *fake) Map(m *mem.Memory) error              { f.mem = m; return nil }
func (f *fake) CatchUp()                             {}
func (f *fake) RxTags(int) []nic.Tag                 { return f.tags }
func (f *fake) Received(nic.Tag, []byte)             {}
func (f *fake) Note(virtio.Tag, cost.Step)           {}
func (f *fake) Sending(_ int, _ uint32, data []byte) { f.sent = append(f.sent, bytes.Clone(data)) }

func (f *fake) Read(reg uint32) uint32 {
	v := f.regs[reg]
	if reg == nic.V2PMAILBOX {
		f.regs[reg] = 0
	}
	return v
}

func (f *fake) Write(reg, v uint32) {
	if reg != nic.V2PMAILBOX {
		f.regs[reg] = v
		return
	}
	if v&nic.V2PREQ != 0 {
		f.asked = append(f.asked, [3]uint32{f.regs[nic.VTMBMEM], f.regs[nic.VTMBMEM+4], f.regs[nic.VTMBMEM+8]})
		if !f.late {
			f.answer()
		}
	}
}

// answer is what the PF says to the last message.
func (f *fake) answer() {
	m := f.asked[len(f.asked)-1][0]
	f.regs[nic.VTMBMEM] = m | nic.MsgACK
	if m&nic.MsgTypeMask == f.refuse {
		f.regs[nic.VTMBMEM] = m | 1<<30
	}
	if m == nic.MsgReset {
		f.regs[nic.VTMBMEM+4], f.regs[nic.VTMBMEM+8] = 0x040302fa, 0x0605
	}
	f.regs[nic.V2PMAILBOX] = nic.V2PPFSTS
}

// come puts a frame into the driver's ring from descriptor i on, as the device does.
func (f *fake) come(d *Driver, i int, frame []byte, at sim.Time) {
	for len(frame) > 0 {
		n := min(len(frame), bufferSize)
		copy(f.mem.Bytes(d.rxAt+mem.Addr(i*bufferSize), n), frame)
		status := uint32(nic.RxDD)
		if frame = frame[n:]; len(frame) == 0 {
			status |= nic.RxEOP
		}
		desc := d.rx[i*nic.DescSize:]
		desc[8], desc[12], desc[13] = byte(status), byte(n), byte(n>>8)
		f.tags[i] = nic.Tag{ID: 7, Arrived: at, Done: at}
		i = (i + 1) % d.size
	}
}

func up(t *testing.T, f *fake, c Config) *Driver {
	t.Helper()
	c.CPU, c.Device = f, f
	d, err := New(c)
	require.NoError(t, err)
	return d
}

func TestTheVFIsLetGoByItsPF(t *testing.T) {
	f := newFake()
	d := up(t, f, Config{MTU: 1500, AllMulticast: true, ITR: 50 * sim.Microsecond})
	assert.Equal(t, [6]byte{0xfa, 0x02, 0x03, 0x04, 0x05, 0x06}, d.MAC())
	require.Len(t, f.asked, 3)
	assert.Equal(t, uint32(nic.MsgReset), f.asked[0][0])
	assert.Equal(t, [2]uint32{nic.MsgSetLPE, 1522}, [2]uint32(f.asked[1][:2]))
	assert.Equal(t, uint32(nic.MsgSetPromisc|nic.MsgAllMulti), f.asked[2][0])
	assert.Equal(t, uint32(255), f.regs[nic.RDT(0)])
	assert.Equal(t, uint32(50<<nic.EitrIntervalShift), f.regs[nic.EITR(0)])
	assert.Zero(t, d.Stat())

	f = newFake()
	f.refuse = nic.MsgReset
	_, err := New(Config{CPU: f, Device: f})
	assert.ErrorIs(t, err, ErrPF)
	f = newFake()
	f.regs[nic.V2PMAILBOX] = nic.V2PRSTI
	_, err = New(Config{CPU: f, Device: f})
	assert.ErrorIs(t, err, ErrPF)
	_, err = New(Config{CPU: f, Device: f, Ring: 12})
	assert.ErrorIs(t, err, ErrRing)
	_, err = New(Config{})
	assert.Error(t, err)
}

func TestMessagesWaitForTheAnswerToTheLast(t *testing.T) {
	f := newFake()
	d := up(t, f, Config{})
	f.asked, f.late, f.now, f.refuse = nil, true, 1, nic.MsgSetVLAN
	d.SetMulticast([][6]byte{{0x33, 0x33, 0, 0, 0x12, 0x34}, {1, 0, 0x5e, 0, 0, 1}, {1, 0, 0x5e, 0, 0, 2}})
	d.SetVLAN(5, true)
	d.SetMAC([6]byte{2, 0, 0, 0, 0, 9})
	require.Len(t, f.asked, 1)
	assert.Equal(t, [3]uint32{3<<16 | nic.MsgMulticast, 0x341 | 0x10<<16, 0x20}, f.asked[0])
	for n := 2; n <= 3; n++ {
		f.answer()
		assert.False(t, d.Interrupt(1), "nothing to poll for")
		require.Len(t, f.asked, n)
	}
	assert.Equal(t, [2]uint32{1<<16 | nic.MsgSetVLAN, 5}, [2]uint32(f.asked[1][:2]))
	assert.Equal(t, uint32(nic.MsgSetMAC), f.asked[2][0])
	f.answer()
	d.Interrupt(1)
	assert.Equal(t, uint64(1), d.Stat().Refused)
	assert.EqualValues(t, 3, f.charged[cost.IgbvfMailbox])
}

func TestAFrameOverTheRingsEndIsInOnePiece(t *testing.T) {
	f := newFake()
	d := up(t, f, Config{Ring: 8})
	n := d.Raw()
	for i := range 6 { // up to descriptor 6
		f.come(d, i, make([]byte, 60), 0)
	}
	require.Len(t, n.Receive(64, nil), 6)
	require.True(t, n.Complete())
	frame := make([]byte, 9000)
	for i := range frame {
		frame[i] = byte(i * 7 >> 3)
	}
	f.come(d, 6, frame, 5)
	assert.Empty(t, n.Receive(64, nil), "it comes later")
	f.now = 5
	got := n.Receive(64, nil)
	require.Len(t, got, 1)
	assert.True(t, bytes.Equal(frame, got[0].Data))
	assert.Equal(t, virtio.Tag{ID: 7, Arrived: 5}, got[0].Tag)
	assert.EqualValues(t, 6+5, f.charged[cost.IgbvfCleanRxIrq])
	require.True(t, n.Complete())
	assert.EqualValues(t, (6+5+7)%8, f.regs[nic.RDT(0)])
}

func TestAPollThatTookAllItMayIsNotOver(t *testing.T) {
	f := newFake()
	d := up(t, f, Config{})
	n := d.Raw()
	for i := range 3 {
		f.come(d, i, make([]byte, 60), 0)
	}
	f.regs[nic.EIMS] = 0
	assert.Len(t, n.Receive(2, nil), 2)
	assert.False(t, n.Complete())
	assert.Zero(t, f.regs[nic.EIMS])
	assert.Len(t, n.Receive(2, []raw.Frame{}), 1)
	assert.True(t, n.Complete())
	assert.Equal(t, uint32(1), f.regs[nic.EIMS])
}

func TestAFullRingAsksForAnInterrupt(t *testing.T) {
	f := newFake()
	d := up(t, f, Config{Ring: 8})
	n := d.Raw()
	for i := range 7 {
		require.True(t, n.Transmit(bytes.Repeat([]byte{byte(i)}, 60)))
	}
	assert.Zero(t, f.regs[nic.TDT(0)], "the doorbell comes with Flush")
	n.Flush()
	assert.Equal(t, uint32(7), f.regs[nic.TDT(0)])
	f.regs[nic.EIMS] = 0
	require.False(t, n.Transmit(make([]byte, 60)))
	n.Flush()
	assert.Equal(t, uint32(1), f.regs[nic.EIMS], "even in the middle of a poll")
	d.tx[12] |= nic.TxDD
	require.True(t, n.Transmit(make([]byte, 60)))
	assert.EqualValues(t, 1, f.charged[cost.IgbvfCleanTxIrq])
	assert.True(t, n.Transmit(make([]byte, nic.MaxFrame)), "too long: thrown away")
	assert.Equal(t, uint64(1), d.Stat().TxErrors)
	assert.Len(t, f.sent, 8)

	n.Stop()
	assert.Equal(t, uint32(nic.CtrlRST), f.regs[nic.VTCTRL])
	assert.True(t, n.Transmit(make([]byte, 60)))
	assert.Empty(t, n.Receive(1, nil))
	assert.False(t, n.Interrupt(0))
}
