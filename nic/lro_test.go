package nic_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/offload"
	"ringside/sim"
)

// A stream makes segments of one flow of TCP to the host.
type stream struct {
	v6    bool
	port  byte
	seq   uint32
	id    uint16
	stamp bool // a timestamp, always the same
}

// next is the next n bytes, sums right, as edit has it but for them.
func (s *stream) next(n int, edit func(ip, tcp []byte)) []byte {
	b := segmentTo(s.v6, false, n)
	copy(b, hostMAC)
	copy(b[6:], otherMAC)
	l4 := 34
	if s.v6 {
		l4 = 54
	}
	if s.stamp {
		b = append(b[:l4+20:l4+20], append([]byte{1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6}, b[l4+20:]...)...)
		b[l4+12] = 0x80
	}
	ip, tcp := b[14:l4], b[l4:]
	if !s.v6 {
		binary.BigEndian.PutUint16(ip[4:], s.id)
		binary.BigEndian.PutUint16(ip[2:], uint16(len(b)-14))
	} else {
		binary.BigEndian.PutUint16(ip[4:], uint16(len(b)-54))
	}
	tcp[1], tcp[13] = s.port, 0x10
	binary.BigEndian.PutUint32(tcp[4:], s.seq)
	if edit != nil {
		edit(ip, tcp)
	}
	if !s.v6 {
		ip[10], ip[11] = 0, 0
		binary.BigEndian.PutUint16(ip[10:], ^offload.Sum(ip, 0))
	}
	m := half(b, l4, false)
	offload.Complete([][]byte{b}, &m)
	s.seq, s.id = s.seq+uint32(n), s.id+1
	return b
}

// lroRig is a polled NIC that merges, whose messages would be 50 us apart.
func lroRig(t testing.TB, c nic.Config, o nictest.Options, bits nic.Rscctl) *nictest.Driver {
	d := up(t, c, o)
	for q := range max(c.Queues, 1) {
		d.Write(nic.RSCCTL(q), uint32(nic.RscctlRSCEN|bits))
		d.Write(nic.EITR(q), 50<<nic.EitrIntervalShift)
	}
	d.Write(nic.RXCSUM, uint32(nic.RxcsumIPOFLD|nic.RxcsumTUOFLD))
	return d
}

// arrive plays frames one behind the other.
func arrive(d *nictest.Driver, list ...[]byte) {
	for i, b := range list {
		d.Wire.Play(nic.WireFrame{ID: uint64(i + 1), At: d.Now, Data: b})
	}
}

// segments are how many descriptors each frame has that the driver finds later.
func segments(d *nictest.Driver, later sim.Time) (list []int) {
	d.Now += later
	for _, f := range d.Harvest(0) {
		list = append(list, f.Descs)
	}
	return list
}

// Who may join the segment before it, and what ends a merged frame: a row is three
// segments of 1,000 bytes, of which the second is changed.
func TestWhoJoins(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(ip, tcp []byte)
		size int
		want []int
	}{
		"the next bytes":                 {nil, 1000, []int{3}},
		"PSH joins and ends":             {func(_, tcp []byte) { tcp[13] |= 8 }, 1000, []int{2, 1}},
		"a shorter one joins and ends":   {nil, 999, []int{2, 1}},
		"a longer one begins anew":       {nil, 1001, []int{1, 2}},
		"FIN stands alone":               {func(_, tcp []byte) { tcp[13] |= 1 }, 1000, []int{1, 1, 1}},
		"SYN":                            {func(_, tcp []byte) { tcp[13] |= 2 }, 1000, []int{1, 1, 1}},
		"RST":                            {func(_, tcp []byte) { tcp[13] |= 4 }, 1000, []int{1, 1, 1}},
		"URG":                            {func(_, tcp []byte) { tcp[13] |= 0x20 }, 1000, []int{1, 1, 1}},
		"ECE":                            {func(_, tcp []byte) { tcp[13] |= 0x40 }, 1000, []int{1, 1, 1}},
		"CWR":                            {func(_, tcp []byte) { tcp[13] |= 0x80 }, 1000, []int{1, 1, 1}},
		"no ACK":                         {func(_, tcp []byte) { tcp[13] = 0 }, 1000, []int{1, 1, 1}},
		"a hole before it":               {func(_, tcp []byte) { tcp[7]++ }, 1000, []int{1, 1, 1}},
		"another window":                 {func(_, tcp []byte) { tcp[15]++ }, 1000, []int{1, 1, 1}},
		"another acknowledgement":        {func(_, tcp []byte) { tcp[11]++ }, 1000, []int{1, 1, 1}},
		"another flow":                   {func(_, tcp []byte) { tcp[1]++ }, 1000, []int{1, 1, 1}},
		"another hop limit":              {func(ip, _ []byte) { ip[8]++ }, 1000, []int{1, 1, 1}},
		"another class":                  {func(ip, _ []byte) { ip[1] = 4 }, 1000, []int{1, 1, 1}},
		"a fragment":                     {func(ip, _ []byte) { ip[6] = 0x20 }, 1000, []int{1, 1, 1}},
		"no payload":                     {nil, 0, []int{1, 1, 1}},
		"an identification out of order": {func(ip, _ []byte) { ip[5] += 9 }, 1000, []int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, nic.RscctlMaxDesc16)
			s := &stream{port: 1}
			arrive(d, s.next(1000, nil), s.next(tt.size, tt.edit), s.next(1000, nil))
			assert.Equal(t, tt.want, segments(d, 60*us))
			assert.EqualValues(t, 3-len(tt.want), d.NIC.Counts().Merged)
			checkConserved(t, d, 3)
			clean(t, d)
		})
	}
}

// What the device has not verified does not join, nor what it has found wrong.
func TestOnlyVerifiedSegmentsJoin(t *testing.T) {
	d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, nic.RscctlMaxDesc16)
	s := &stream{}
	list := [][]byte{s.next(1000, nil), s.next(1000, nil), s.next(1000, nil)}
	list[1][500]++
	arrive(d, list...)
	assert.Equal(t, []int{1, 1, 1}, segments(d, 60*us))
	d.Write(nic.RXCSUM, 0)
	arrive(d, s.next(1000, nil), s.next(1000, nil))
	assert.Equal(t, []int{1, 1}, segments(d, 60*us))
	clean(t, d)
}

// A padded frame says in its header that it is shorter: merged, the padding would be
// data.
func TestPaddedSegmentsAreNotMerged(t *testing.T) {
	d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, nic.RscctlMaxDesc16)
	s := &stream{}
	arrive(d, s.next(1000, nil), append(s.next(3, nil), 0, 0, 0), s.next(1000, nil), s.next(1000, nil))
	assert.Equal(t, []int{1, 1, 2}, segments(d, 60*us))
}

func TestTimestampsJoinIfTheyAreAlike(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, nic.RscctlMaxDesc16)
		s := &stream{v6: v6, stamp: true}
		arrive(d, s.next(1000, nil), s.next(1000, nil), s.next(1000, func(_, tcp []byte) { tcp[27]++ }),
			s.next(1000, func(_, tcp []byte) { tcp[20] = 4 }), s.next(1000, nil))
		assert.Equal(t, []int{2, 1, 1, 1}, segments(d, 60*us), "tick on, then another option")
		clean(t, d)
	}
}

// The merged frame is what it would be if it had come in one piece, but for the sum
// of TCP, which is half done; and cut again it is the segments.
func TestAMergedFrameIsOnePacket(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, nic.RscctlMaxDesc16)
		s := &stream{v6: v6, id: 0xFFFE}
		list := [][]byte{s.next(1000, nil), s.next(1000, nil), s.next(1000, nil), s.next(10, func(_, tcp []byte) { tcp[13] |= 8 })}
		arrive(d, list...)
		d.Now += 20 * us
		got := d.Harvest(0)
		require.Len(t, got, 1)
		f := got[0]
		assert.EqualValues(t, 1, f.Tag.ID, "the first's number")
		assert.NotZero(t, f.Status&nic.RxTCPCS)
		for i := range uint32(4) {
			assert.True(t, d.Rx[0].Rx(i).Merged())
		}
		m, ok := offload.Merged(f.Data, len(f.Data), d.Rx[0].Rx(0).Len(), f.Descs)
		require.True(t, ok)
		var cut [][]byte
		require.NoError(t, offload.Segment([][]byte{f.Data}, m, func(hdr []byte, payload [][]byte, _ offload.Meta) {
			cut = append(cut, bytes.Join(append([][]byte{hdr}, payload...), nil))
		}))
		assert.Equal(t, list, cut)
		clean(t, d)
	}
}

// What cannot be restored: the descriptor does not say whether all segments had the
// same identification. Those with DF, to which it means nothing, count after cutting.
func TestFixedIdentificationsAreNotRestored(t *testing.T) {
	d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, nic.RscctlMaxDesc16)
	s := &stream{}
	fixed := func(ip, _ []byte) { ip[4], ip[5] = 0, 7 }
	list := [][]byte{s.next(1000, fixed), s.next(1000, fixed)}
	arrive(d, list...)
	d.Now += 60 * us
	f := d.Harvest(0)[0]
	require.Equal(t, 2, f.Descs)
	m, _ := offload.Merged(f.Data, len(f.Data), 1054, 2)
	m.NeedsCsum = true
	cut := cutUp(t, f.Data, m.GSO, 1000)
	assert.Equal(t, list[0], cut[0])
	assert.NotEqual(t, list[1], cut[1])
	assert.EqualValues(t, 8, cut[1][19])
	assert.Equal(t, list[1][34:], cut[1][34:], "all of TCP is")
}

func TestTheBoundIsMAXDESC(t *testing.T) {
	for bits, most := range map[nic.Rscctl]int{0: 1, nic.RscctlMaxDesc4: 4, nic.RscctlMaxDesc8: 8, nic.RscctlMaxDesc16: 16} {
		d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, bits)
		assert.EqualValues(t, nic.RscctlRSCEN|bits, d.Read(nic.RSCCTL(0)))
		s := &stream{}
		for range 35 {
			arrive(d, s.next(1000, nil))
		}
		for _, n := range segments(d, 200*us) {
			assert.LessOrEqual(t, n, most)
		}
		want := 35 - (35+most-1)/most
		assert.EqualValues(t, want, d.NIC.Counts().Merged)
		clean(t, d)
	}
}

// Another flow's segments end a merged frame: a queue has one at a time.
func TestAQueueMergesOneFlowAtATime(t *testing.T) {
	d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, nic.RscctlMaxDesc16)
	a, b := &stream{port: 1}, &stream{port: 2}
	arrive(d, a.next(1000, nil), a.next(1000, nil), b.next(1000, nil), a.next(1000, nil), b.next(1000, nil), b.next(1000, nil))
	assert.Equal(t, []int{2, 1, 1, 2}, segments(d, 80*us))
}

// Nothing waits without descriptors behind it: the driver gets what there is.
func TestTheEndOfTheRingEndsAMergedFrame(t *testing.T) {
	d := lroRig(t, nic.Config{}, nictest.Options{Polling: true, Descs: 16, Given: 3}, nic.RscctlMaxDesc16)
	s := &stream{}
	for range 5 {
		arrive(d, s.next(1000, nil))
	}
	assert.Equal(t, []int{3}, segments(d, 10*us))
	d.Post(0, 9)
	assert.Equal(t, []int{2}, segments(d, 60*us), "and over the ring's end it goes on")
	clean(t, d)
}

// With its vector masked a segment waits for as long as messages are apart; it is
// there to the nanosecond.
func TestASegmentWaitsNoLongerThanAnInterrupt(t *testing.T) {
	d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, nic.RscctlMaxDesc16)
	s := &stream{}
	arrive(d, s.next(1000, nil))
	first := sim.Time(1066*800)*sim.Picosecond + (5+5)*ns
	d.Now = first + 50*us - 1
	assert.Empty(t, d.Harvest(0))
	assert.EqualValues(t, 1, d.NIC.InFlight())
	d.Now++
	got := d.Harvest(0)
	require.Len(t, got, 1)
	assert.Equal(t, first+50*us, got[0].Tag.Done)
	assert.Zero(t, d.NIC.InFlight())
	clean(t, d)
}

// A message ends what it tells of. The first, which nothing holds back, finds one
// segment; the next, an interval later, all that came since.
func TestAMessageEndsWhatItTellsOf(t *testing.T) {
	d := lroRig(t, nic.Config{}, nictest.Options{}, nic.RscctlMaxDesc16)
	var found []int
	d.IRQ.Then = func(_ int, at sim.Time) {
		d.Now = at
		found = append(found, segments(d, 0)...)
		d.Write(nic.EIMS, 1)
	}
	s := &stream{}
	for range 8 {
		arrive(d, s.next(1000, nil))
	}
	require.NoError(t, d.Engine.RunUntil(200*us))
	assert.Equal(t, []int{1, 7}, found)
	require.Len(t, d.IRQ.Log, 2)
	assert.Equal(t, 50*us, d.IRQ.Log[1].At-d.IRQ.Log[0].At, "no later than it would have been")
	clean(t, d)
}

// Without a throttle every segment is announced at once, and nothing is merged.
func TestWithoutAThrottleNothingIsHeld(t *testing.T) {
	d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, nic.RscctlMaxDesc16)
	d.Write(nic.EITR(0), 0)
	s := &stream{}
	arrive(d, s.next(1000, nil), s.next(1000, nil))
	assert.Equal(t, []int{1, 1}, segments(d, 10*us))
}

// Tags that the device takes off belong to a flow like ports.
func TestSegmentsOfTwoVLANsDoNotJoin(t *testing.T) {
	d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, nic.RscctlMaxDesc16)
	d.Write(nic.CTRL, uint32(nic.CtrlFD|nic.CtrlSLU|nic.CtrlVME))
	s := &stream{}
	tagged := func(tag byte) []byte {
		b := s.next(1000, nil)
		return append(b[:12:12], append([]byte{0x81, 0, 0, tag}, b[12:]...)...)
	}
	arrive(d, tagged(5), tagged(5), tagged(6), tagged(6), s.next(1000, nil))
	d.Now += 60 * us
	var got [][2]int
	for _, f := range d.Harvest(0) {
		got = append(got, [2]int{int(f.VLAN), f.Descs})
	}
	assert.Equal(t, [][2]int{{5, 2}, {6, 2}, {0, 1}}, got)
}

// Whoever switches something off gets what is held first, and no frame is lost.
func TestWhatIsHeldOutlivesItsSwitches(t *testing.T) {
	for name, off := range map[string]func(d *nictest.Driver){
		"LRO":   func(d *nictest.Driver) { d.Write(nic.RSCCTL(0), 0) },
		"queue": func(d *nictest.Driver) { d.Write(nic.RXDCTL(0), 0) },
		"reset": func(d *nictest.Driver) { d.Write(nic.CTRL, uint32(nic.CtrlRST)) },
	} {
		d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, nic.RscctlMaxDesc16)
		s := &stream{}
		arrive(d, s.next(1000, nil), s.next(1000, nil))
		d.Now += 10 * us
		require.Empty(t, d.Harvest(0), name)
		off(d)
		assert.True(t, d.Rx[0].Rx(1).Done(), name)
		assert.EqualValues(t, 1, d.NIC.Counts().Written, name)
		checkConserved(t, d, 2)
		clean(t, d)
	}
}

// The device's work for segments that it merges is that for as many frames.
func TestMergingCostsTheDeviceNothingMore(t *testing.T) {
	var bills []cost.Line
	for _, bits := range []uint32{0, uint32(nic.RscctlRSCEN | nic.RscctlMaxDesc16)} {
		d := lroRig(t, nic.Config{}, nictest.Options{Polling: true}, 0)
		d.Write(nic.RSCCTL(0), bits)
		s := &stream{}
		for range 20 {
			arrive(d, s.next(1448, nil))
		}
		segments(d, 100*us)
		bills = append(bills, cost.Line{Count: d.Account.Line(cost.DevRxWriteback).Count, Bytes: d.Account.Line(cost.DevRxDMA).Bytes})
		assert.EqualValues(t, 20, d.Read(nic.GPRC))
	}
	assert.Equal(t, bills[0], bills[1])
}

// However flows are mixed, lost and cut, and wherever the driver looks: each flow's
// bytes come out in their order, once.
func TestMergingKeepsEveryFlowsBytes(t *testing.T) {
	merged := uint64(0)
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		d := lroRig(t, nic.Config{FIFO: 1 << 20}, nictest.Options{Polling: seed%2 == 0, Descs: 64}, nic.Rscctl(r.IntN(4))<<2)
		flows := []*stream{{port: 1}, {port: 2, v6: true}, {port: 3, stamp: true}}
		want, got := map[byte][]byte{}, map[byte][]byte{}
		played := uint64(0)
		take := func() {
			for _, f := range d.Harvest(0) {
				l4, v6 := 34, f.Data[12] == 0x86
				if v6 {
					l4 = 54
				}
				payload := f.Data[l4+int(f.Data[l4+12]>>4)*4:]
				port := f.Data[l4+1]
				got[port] = append(got[port], payload...)
				d.Post(0, f.Descs)
			}
		}
		d.IRQ.Then = func(_ int, at sim.Time) {
			d.Now = at
			take()
			d.Write(nic.EIMS, 1)
		}
		for range 300 {
			f := flows[r.IntN(8)*r.IntN(8)/22]
			b := f.next(1+r.IntN(3)*500, func(_, tcp []byte) { tcp[13] |= byte(r.IntN(12)/11) << 3 })
			l4 := 34
			if f.v6 {
				l4 = 54
			}
			want[f.port] = append(want[f.port], b[l4+int(b[l4+12]>>4)*4:]...)
			played++
			d.Wire.Play(nic.WireFrame{ID: played, At: d.Engine.Now(), Data: b})
			if r.IntN(4) == 0 {
				d.Now = max(d.Now, d.Engine.Now()) + sim.Time(r.IntN(40))*us/4
				require.NoError(t, d.Engine.RunUntil(d.Now))
				take()
			}
			require.NoError(t, d.NIC.Check())
		}
		d.Now = max(d.Now, d.Engine.Now()) + 600*us
		require.NoError(t, d.Engine.RunUntil(d.Now))
		for range 20 {
			d.Now += 100 * us
			take()
		}
		require.Equal(t, want, got, "seed %d", seed)
		checkConserved(t, d, played)
		merged += d.NIC.Counts().Merged
	}
	assert.Greater(t, merged, uint64(1000))
}
