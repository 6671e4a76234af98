package kernel_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/bridge"
	"ringside/cost"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/offload"
	"ringside/sim"
	"ringside/virtio"
)

// virtual adds a guest on a vCPU behind vnet0, vnet1, …
func virtual(t testing.TB, r *kerneltest.Rig, i int, c kerneltest.VirtualConfig) *kerneltest.Virtual {
	t.Helper()
	v, err := r.AddVirtual(fmt.Sprint("vnet", i), int32(i), kerneltest.Station(100+i), c)
	require.NoError(t, err)
	return v
}

// All that the devices of these tests can have.
const allFeatures = virtio.Known &^ (virtio.FMQ | virtio.FCtrlVQ)

// One frame from the wire to a guest that sleeps: two interrupts, two polls, one copy.
func TestBillOfOneFrameThroughVhost(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 3})
	v := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 2, Worker: 1, Features: allFeatures})
	require.NoError(t, r.Run())
	before := map[cost.Step]uint64{}
	for s := range cost.NumSteps {
		before[s] = counts(r, s)
	}
	frame := kerneltest.Frame(kerneltest.Station(100), kerneltest.Remote(0), 100, 1)
	r.Play(r.Now(), frame)
	require.NoError(t, r.Run())
	require.Len(t, v.Got, 1)
	assert.Equal(t, frame, v.Got[0].Data)
	assert.EqualValues(t, 1, v.Got[0].Tag.ID)
	got := map[string]uint64{}
	for s := range cost.NumSteps {
		if n := counts(r, s) - before[s]; n > 0 && s.Stage() >= cost.Tap || n > 0 && s.Stage() == cost.Sched {
			got[s.String()] += n
		}
	}
	assert.Equal(t, map[string]uint64{
		"tun_net_xmit": 1, "sock_def_readable": 1, "consume_skb": 1,
		"schedule":     2, // the worker's thread, then the vCPU's
		"vhost_worker": 1, "vhost_net_buf_consume": 1, "tun_recvmsg": 1, "vhost_get_vq_desc": 1, "copy_to_iter": 1, "vhost_add_used": 1, "vhost_signal": 1,
		"irqfd_wakeup": 1, "kvm_vcpu_wake_up": 1, "vmx_vcpu_run": 1, "kvm_apic_set_eoi": 1, "kvm_vcpu_halt": 1,
		"vring_interrupt": 1, "receive_buf": 1,
	}, got)
	assert.EqualValues(t, 100+virtio.HdrLen, r.Bill().Steps[cost.VhostCopyOut].Bytes)
}

// A guest's frame to another guest costs an exit, two copies and an interrupt.
func TestGuestToGuest(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 4})
	frame := kerneltest.Frame(kerneltest.Station(100), kerneltest.Station(101), 1514, 7)
	to := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 0, Worker: 1, Features: allFeatures})
	virtual(t, r, 1, kerneltest.VirtualConfig{CPU: 2, Worker: 3, Features: allFeatures, Send: [][]byte{frame}})
	require.NoError(t, r.Run())
	require.Len(t, to.Got, 1)
	assert.Equal(t, frame, to.Got[0].Data)
	assert.EqualValues(t, 1, counts(r, cost.KvmNotify))
	assert.EqualValues(t, 1, counts(r, cost.VhostCopyIn))
	assert.EqualValues(t, 1, counts(r, cost.VhostCopyOut))
	assert.Zero(t, r.Balance().InFlight)
}

// tcp is a TCP segment over IPv4 with so much payload; its checksum is the pseudo-header's
// sum, and what is to be done with it.
func tcp(dst, src byte, payload int, gso uint16) ([]byte, offload.Meta) {
	f := kerneltest.UDP(kerneltest.Station(int(dst)), kerneltest.Station(int(src)), 1000, 54+payload, 0)
	f[23] = 6
	clear(f[34:54])
	f[46], f[47] = 5<<4, 0x10
	f[35], f[37] = 80, 81
	sum := offload.Sum(f[26:34], uint16(6+20+payload))
	binary.BigEndian.PutUint16(f[50:], sum)
	binary.BigEndian.PutUint16(f[24:], 0)
	binary.BigEndian.PutUint16(f[24:], ^offload.Sum(f[14:34], 0))
	m := offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 16}
	if gso > 0 {
		m.GSO, m.GSOSize, m.HdrLen = offload.GSOTCPv4, gso, 54
	}
	return f, m
}

// sums says whether a TCP segment's checksum is right.
func sums(f []byte) bool {
	n := len(f) - 34
	return offload.Sum(f[34:], offload.Sum(f[26:34], uint16(6+n))) == 0xFFFF
}

// What a guest has not negotiated is done before it gets a frame: cut, summed, or both.
func TestGuestGetsWhatItHasNegotiated(t *testing.T) {
	const payload = 20_000
	for _, tc := range []struct {
		name   string
		f      virtio.Features
		buffer int
		frames int
		half   bool // with their checksums half done
		merged int  // buffers of the longest frame, at most
	}{
		{"everything: one frame of many buffers", virtio.FGuestCSUM | virtio.FGuestTSO4 | virtio.FMrgRxbuf, 2048, 1, true, 10},
		{"no TSO: segments, half done", virtio.FGuestCSUM | virtio.FMrgRxbuf, 2048, 14, true, 1},
		{"nothing: segments, done", 0, 2048, 14, false, 1},
		{"no checksums: segments, done", virtio.FMrgRxbuf, 512, 14, false, 3},
		{"TSO without mergeable buffers is not used", virtio.FGuestCSUM | virtio.FGuestTSO4, 2048, 14, true, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := kerneltest.New(t, kerneltest.Config{CPUs: 4})
			frame, m := tcp(100, 101, payload, 1448)
			to := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 0, Worker: 1, Features: tc.f, Buffer: tc.buffer, Ring: 64, MTU: 1500})
			virtual(t, r, 1, kerneltest.VirtualConfig{
				CPU: 2, Worker: 3, Features: allFeatures, Send: [][]byte{frame}, SendMeta: []offload.Meta{m}, MTU: 1500,
			})
			require.NoError(t, r.Run())
			require.Empty(t, to.Errors)
			require.Len(t, to.Got, tc.frames)
			var got []byte
			for _, g := range to.Got {
				assert.Equal(t, tc.half, g.Meta.NeedsCsum)
				assert.Equal(t, tc.frames == 1, g.Meta.GSO != offload.GSONone)
				if !tc.half {
					assert.True(t, sums(g.Data))
				}
				got = append(got, g.Data[54:]...)
			}
			assert.Equal(t, frame[54:], got)
			assert.LessOrEqual(t, counts(r, cost.VhostGetDesc), uint64(1+tc.frames*tc.merged))
			assert.EqualValues(t, tc.frames-1, r.Flow().Segmented)
		})
	}
}

// A frame that its chain has no room for is lost, the chain is not; one that has room in
// no number of buffers waits.
func TestFrameTooLongForItsBuffer(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 3})
	v := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 2, Worker: 1, Buffer: 512})
	long, short := kerneltest.Frame(kerneltest.Station(100), kerneltest.Remote(0), 1000, 1), kerneltest.Frame(kerneltest.Station(100), kerneltest.Remote(0), 500, 1)
	r.Play(0, long, short, long, short)
	require.NoError(t, r.Run())
	require.Len(t, v.Got, 2)
	assert.EqualValues(t, 2, r.Drops[cost.Vhost][cost.PktTooBig])
}

// A guest that gives no buffers back: its ring is used up, the tap fills, and what
// comes then finds it full. Nothing spins and nobody is woken for it.
func TestDeafGuest(t *testing.T) {
	for _, f := range []virtio.Features{0, allFeatures} {
		r := kerneltest.New(t, kerneltest.Config{CPUs: 3, TapQueue: 20})
		v := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 2, Worker: 1, Deaf: true, Features: f})
		for i := range 100 {
			r.Play(sim.Time(i)*50*sim.Microsecond, kerneltest.Frame(kerneltest.Station(100), kerneltest.Remote(0), 1000, byte(i)))
		}
		require.NoError(t, r.Run())
		assert.Len(t, v.Got, 16)
		assert.EqualValues(t, 20, r.Balance().InFlight)
		assert.EqualValues(t, 64, r.Drops[cost.Tap][cost.FullRing])
		assert.LessOrEqual(t, counts(r, cost.VhostWorker), uint64(20))
	}
}

// A guest with a hostile ring: one frame is counted for it, the device stops, what comes
// later is told that it has. The others go on.
func TestHostileRings(t *testing.T) {
	for _, tc := range []struct {
		name string
		tx   bool
		do   func(v *kerneltest.Virtual)
	}{
		{"avail index of rx jumps", false, func(v *kerneltest.Virtual) { poke(v, 16*16+2, 5000) }},
		{"address of a receive buffer is outside", false, func(v *kerneltest.Virtual) { poke(v, 16*0+4, 1) }},
		{"receive buffer may only be read", false, func(v *kerneltest.Virtual) { poke(v, 16*0+12, 0) }},
		{"receive chain is a loop", false, func(v *kerneltest.Virtual) { poke(v, 16*0+12, 3); poke(v, 16*0+14, 0) }},
		{"avail index of tx jumps", true, func(v *kerneltest.Virtual) { poke(v, txRing+16*16+2, 5000) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := kerneltest.New(t, kerneltest.Config{CPUs: 3})
			v := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 2, Worker: 1, Features: virtio.FMrgRxbuf})
			other := virtual(t, r, 1, kerneltest.VirtualConfig{CPU: 2, Worker: 1})
			require.NoError(t, r.Run())
			tc.do(v)
			for i := range 5 {
				r.Play(sim.Time(i+1)*sim.Millisecond, kerneltest.Frame(kerneltest.Station(100), kerneltest.Remote(0), 100, 1), kerneltest.Frame(kerneltest.Station(101), kerneltest.Remote(0), 100, 1))
			}
			if tc.tx {
				r.Engine.Arm(r.Engine.NewTimer("doorbell", sim.HandlerFunc(func(sim.Time) { v.Dev.Kick(0, true) })), r.Now()+sim.Microsecond)
			}
			require.NoError(t, r.Run())
			assert.Empty(t, v.Got)
			assert.Error(t, v.Dev.Err())
			assert.Len(t, other.Got, 5)
			assert.EqualValues(t, 1, r.Drops[cost.Vhost][cost.RSVringBad])
			assert.Positive(t, r.Drops[cost.Tap][cost.DevReady])
			assert.Zero(t, r.Balance().InFlight)

			require.NoError(t, v.Reset())
			assert.NoError(t, v.Dev.Err())
			r.Play(r.Now(), kerneltest.Frame(kerneltest.Station(100), kerneltest.Remote(0), 100, 1))
			require.NoError(t, r.Run())
			assert.Len(t, v.Got, 1, "a device that was reset works again")
		})
	}
}

// txRing is where the second ring of 16 entries is in a virtual guest's memory.
var txRing = func() uint64 { _, at := virtio.Place(0, 16); return uint64(at) }()

func poke(v *kerneltest.Virtual, at uint64, x uint16) {
	binary.LittleEndian.PutUint16(v.Memory.Bytes(0, v.Memory.Size())[at:], x)
}

// What a guest says of its frames is checked before anybody believes it. Each is one
// counted drop, the ring goes on.
func TestHostileHeaders(t *testing.T) {
	frame := kerneltest.Frame(kerneltest.Station(100), kerneltest.Station(101), 100, 7)
	for _, tc := range []struct {
		name  string
		frame []byte
		m     offload.Meta
		off   virtio.Features
		want  cost.DropReason
	}{
		{"runt", frame[:13], offload.Meta{}, 0, cost.PktTooSmall},
		{"nothing but a header", nil, offload.Meta{}, 0, cost.PktTooSmall},
		{"longer than IP can be", make([]byte, 65535+23), offload.Meta{}, 0, cost.PktTooBig},
		{"sum outside of the frame", frame, offload.Meta{NeedsCsum: true, CsumStart: 99}, 0, cost.DevHdr},
		{"sum that was not negotiated", frame, offload.Meta{NeedsCsum: true, CsumStart: 34}, virtio.FCSUM | virtio.FHostTSO4 | virtio.FHostTSO6 | virtio.FHostUSO, cost.DevHdr},
		{"segments that were not negotiated", frame, offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 16, GSO: offload.GSOTCPv6, GSOSize: 10}, virtio.FHostTSO6, cost.DevHdr},
		{"segments of no bytes", frame, offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 16, GSO: offload.GSOTCPv4}, 0, cost.DevHdr},
		{"headers beyond the frame", frame, offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 16, GSO: offload.GSOTCPv4, GSOSize: 1, HdrLen: 101}, 0, cost.DevHdr},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := kerneltest.New(t, kerneltest.Config{CPUs: 4})
			to := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 0, Worker: 1})
			v := virtual(t, r, 1, kerneltest.VirtualConfig{
				CPU: 2, Worker: 3, Features: allFeatures &^ tc.off, Ring: 64,
				Send: [][]byte{tc.frame, frame}, SendMeta: []offload.Meta{tc.m, {}},
			})
			require.NoError(t, r.Run())
			assert.Equal(t, 2, v.Sent)
			assert.Len(t, to.Got, 1)
			assert.EqualValues(t, 1, r.Drops[cost.Vhost][tc.want])
			assert.EqualValues(t, 1, r.Drops.Total())
		})
	}
}

// Neither side of a pair starves the other: while a guest sends as fast as it can, frames
// come in.
func TestWorkerSharesItselfBetweenItsQueues(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 3})
	var out [][]byte
	for i := range 2000 {
		out = append(out, kerneltest.Frame(kerneltest.Remote(0), kerneltest.Station(100), 60, byte(i)))
	}
	v := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 2, Worker: 1, Features: allFeatures, Ring: 256, Send: out})
	for i := range 500 {
		r.Play(0, kerneltest.Frame(kerneltest.Station(100), kerneltest.Remote(0), 60, byte(i)))
	}
	require.NoError(t, r.Run())
	assert.Equal(t, 2000, v.Sent)
	assert.Len(t, v.Got, 500)
	assert.Less(t, v.Got[250].At, r.Now())
}

// What waits on the tap is copied before the guest is called for it, up to a batch: it
// takes one interrupt where it would take one for every piece.
func TestGuestIsCalledOnceForABatch(t *testing.T) {
	for _, frames := range []int{1, 8, 40, 64, 130} {
		r := kerneltest.New(t, kerneltest.Config{CPUs: 2, NIC: kernel.NICConfig{ITR: 200 * sim.Microsecond}})
		v := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 1, Features: allFeatures, Ring: 256})
		for i := range frames + 1 { // the first has an interrupt to itself
			at := min(sim.Time(i), 1) * 20 * sim.Microsecond
			r.Play(at, kerneltest.Frame(kerneltest.Station(100), kerneltest.Remote(0), 60, byte(i)))
		}
		for r.Engine.Step() {
			require.NoError(t, r.Check())
		}
		require.Len(t, v.Got, frames+1)
		for i, g := range v.Got {
			assert.Equal(t, byte(i), g.Data[14])
		}
		var calls uint64
		for _, a := range r.Kernel.Accounts() {
			calls += a.Count(cost.VhostSignal)
		}
		assert.LessOrEqual(t, calls, uint64(1+(frames+63)/64), "%d frames", frames)
	}
}

// Several pairs: every flow stays on its pair, and in order.
func TestFlowsHaveTheirPair(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 4})
	v := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 0, Worker: 1, Features: allFeatures, Queues: 4, Ring: 64})
	const flows = 32
	for i := range 320 {
		r.Play(0, kerneltest.UDP(kerneltest.Station(100), kerneltest.Remote(0), uint16(i%flows), 100, byte(i/flows)))
	}
	require.NoError(t, r.Run())
	require.Len(t, v.Got, 320)
	pair, last, pairs := map[uint16]int{}, map[uint16]byte{}, map[int]bool{}
	for _, g := range v.Got {
		flow := binary.BigEndian.Uint16(g.Data[34:])
		if p, ok := pair[flow]; ok {
			assert.Equal(t, p, g.Pair)
			assert.Equal(t, last[flow]+1, g.Data[42])
		}
		pair[flow], last[flow], pairs[g.Pair] = g.Pair, g.Data[42], true
	}
	assert.Len(t, pairs, 4)
	assert.EqualValues(t, 320, r.TapStats()[0].RxFrames)
	assert.Len(t, r.TapStats(), 1, "the queues are one tap")
}

// A flooded frame whose tag was taken off has a head of its own, and is of the flow that
// it was of.
func TestFramesWithAHeadOfTheirOwnHaveTheirPair(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 4, Taps: 1, VLANs: true})
	start(t, r, 3, sink, "tap0")
	v := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 0, Worker: 1, Features: allFeatures, Queues: 4, Ring: 64})
	access := bridge.VLAN{VID: 5, PVID: true, Untagged: true}
	_, tap, _ := r.Kernel.Port("tap0")
	require.NoError(t, r.Bridge.AddVLAN(r.Port, bridge.VLAN{VID: 5}))
	require.NoError(t, r.Bridge.AddVLAN(v.Port, access))
	require.NoError(t, r.Bridge.AddVLAN(tap, access))
	all := bridge.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for i := range 32 {
		f := kerneltest.UDP(all, kerneltest.Remote(0), uint16(i), 100, 0)
		r.Play(0, append(append(f[:12:12], 0x81, 0, 0, 5), f[12:]...))
	}
	require.NoError(t, r.Run())
	require.Len(t, v.Got, 32)
	for _, g := range v.Got {
		assert.Equal(t, int(uint64(virtio.FlowHash(g.Data))*4>>32), g.Pair)
	}
}

// A device that is reset in the midst of traffic, again and again: what was on its tap
// is counted, and what comes later arrives.
func TestResetUnderTraffic(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 3})
	v := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 2, Worker: 1, Features: allFeatures, Work: 3 * sim.Microsecond})
	for i := range 400 {
		r.Play(sim.Time(i)*sim.Microsecond, kerneltest.Frame(kerneltest.Station(100), kerneltest.Remote(0), 100, byte(i)))
	}
	for i := range 20 {
		require.NoError(t, r.Engine.RunUntil(sim.Time(i)*17*sim.Microsecond))
		require.NoError(t, v.Reset())
		require.NoError(t, r.Check())
	}
	require.NoError(t, r.Run())
	assert.Positive(t, r.Drops[cost.Tap][cost.RSClosed])
	assert.Equal(t, byte(399&0xff), v.Got[len(v.Got)-1].Data[14])
	assert.Empty(t, v.Errors)
}

func TestVirtioConfigIsChecked(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{})
	v, err := r.AddVCPU(kernel.VCPUConfig{Name: "vm"})
	require.NoError(t, err)
	for _, tc := range []struct {
		c    kernel.VirtioConfig
		v    *kernel.VCPU
		want string
	}{
		{kernel.VirtioConfig{}, nil, "has no vCPU"},
		{kernel.VirtioConfig{Queues: 17}, v, "17 pairs of queues; 1 to 16 are possible"},
		{kernel.VirtioConfig{RingSize: 100}, v, "rings of 100 entries; a power of two up to 32768 is possible"},
		{kernel.VirtioConfig{CPU: 1}, v, "its worker wants CPU 1, and there are 1"},
		{kernel.VirtioConfig{Features: 1 << 60}, v, "cannot offer bit 60"},
	} {
		tc.c.At.Port.Name = "vnet0"
		_, err := r.AddVirtio(tc.v, tc.c)
		assert.ErrorContains(t, err, tc.want)
	}
	_, err = r.AddVCPU(kernel.VCPUConfig{Name: "vm", CPU: 1})
	assert.EqualError(t, err, "kernel: vm wants CPU 1, and there are 1")
}

// drawVirtual makes random guests on vCPUs and what the wire brings them.
func drawVirtual(t testing.TB, seed uint64, sink *kerneltest.Fates) (*kerneltest.Rig, []*kerneltest.Virtual, [][]byte) {
	rnd := rand.New(rand.NewPCG(seed, 9))
	c := kerneltest.Config{Seed: seed, CPUs: 1 + rnd.IntN(4), TapQueue: 1 + rnd.IntN(16), RAM: 16 << 20}
	if sink != nil {
		c.Sink = sink
	}
	if rnd.IntN(2) == 0 {
		c.Book, _ = cost.Open("linux-xeon")
	}
	r := kerneltest.New(t, c)
	var guests []*kerneltest.Virtual
	n := 1 + rnd.IntN(4)
	for i := range n {
		v := kerneltest.VirtualConfig{
			CPU: rnd.IntN(c.CPUs), Worker: rnd.IntN(c.CPUs), Queues: pick(rnd, 1, 1, 2), Ring: pick[uint16](rnd, 4, 8, 32), Buffer: pick(rnd, 600, 1530, 2048),
			Work: sim.Time(rnd.IntN(5)) * sim.Microsecond, Chance: rand.New(rand.NewPCG(seed, uint64(i))), SendBytes: 1024,
			Every: sim.Time(1+rnd.IntN(20)) * sim.Microsecond,
		}
		for _, f := range []virtio.Features{virtio.FRingEventIdx, virtio.FMrgRxbuf, virtio.FCSUM, virtio.FGuestCSUM} {
			if rnd.IntN(2) == 0 {
				v.Features |= f
			}
		}
		if rnd.IntN(2) == 0 {
			v.Features |= virtio.Known &^ (virtio.FMQ | virtio.FCtrlVQ)
		}
		v.Echo = i == 0 && rnd.IntN(2) == 0
		v.Deaf = rnd.IntN(8) == 0
		for k := range rnd.IntN(40) {
			if v.Features.Has(virtio.FCSUM) && rnd.IntN(3) == 0 {
				f, m := tcp(byte(100+rnd.IntN(n)), byte(100+i), 1+rnd.IntN(1400), 0)
				if v.Features.Has(virtio.FHostTSO4) && rnd.IntN(2) == 0 {
					m.GSO, m.GSOSize, m.HdrLen = offload.GSOTCPv4, uint16(1+rnd.IntN(600)), 54
				}
				v.Send, v.SendMeta = append(v.Send, f), append(v.SendMeta, m)
				continue
			}
			f := kerneltest.UDP(kerneltest.Station(100+rnd.IntN(n)), kerneltest.Station(100+i), uint16(rnd.IntN(4)), 60+rnd.IntN(900), byte(k))
			if rnd.IntN(10) == 0 {
				copy(f, everybody[:])
			}
			v.Send, v.SendMeta = append(v.Send, f), append(v.SendMeta, offload.Meta{})
		}
		guests = append(guests, virtual(t, r, i, v))
	}
	var frames [][]byte
	at := sim.Time(0)
	for i := range rnd.IntN(200) {
		if rnd.IntN(3) == 0 {
			at += sim.Time(rnd.IntN(30000)) * sim.Nanosecond
		}
		f := kerneltest.UDP(kerneltest.Station(100+rnd.IntN(n)), kerneltest.Remote(rnd.IntN(3)), uint16(rnd.IntN(6)), 60+rnd.IntN(1400), byte(i))
		frames = append(frames, f)
		r.Play(at, f)
	}
	return r, guests, frames
}

// Whatever guests negotiate, however slow they are, whatever they put off and on whatever
// CPUs: no frame is lost, none comes twice or before its time, what came is what was sent,
// flows are in order, and nobody sleeps while there is work for it. A run that is watched
// is the run that is not.
func TestVirtualGuestsGetWhatIsSent(t *testing.T) {
	n := uint64(200)
	if testing.Short() {
		n = 40
	}
	for seed := range n {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			fates := &kerneltest.Fates{All: true}
			r, guests, frames := drawVirtual(t, seed, fates)
			require.NoError(t, r.Run())
			require.Empty(t, fates.Early)
			got := uint64(0)
			for i, v := range guests {
				require.Empty(t, v.Errors)
				got += uint64(len(v.Got))
				last := map[[2]uint64]uint64{}
				for _, g := range v.Got {
					require.LessOrEqual(t, g.Tag.Arrived, g.At)
					if g.Tag.ID > uint64(len(frames)) {
						continue // a guest's
					}
					sent := frames[g.Tag.ID-1]
					require.Equal(t, sent, g.Data, "vm%d", i)
					flow := [2]uint64{uint64(binary.BigEndian.Uint16(g.Data[34:])), uint64(g.Data[11])}
					require.Less(t, last[flow], g.Tag.ID)
					last[flow] = g.Tag.ID
				}
			}
			require.Equal(t, r.Flow().ToVMs, got)
			ends := uint64(0)
			for _, f := range fates.Frames {
				ends += uint64(f.Ends())
			}
			b := r.Balance()
			require.Equal(t, b.ToVMs+b.ToHost+b.Sent+b.Dropped, ends, "sights and counters agree")

			alone, _, _ := drawVirtual(t, seed, nil)
			require.NoError(t, alone.Run())
			require.Equal(t, alone.Hash.String(), r.Hash.String(), "the trace with a sink and without")
			require.Equal(t, alone.Bill(), r.Bill())
		}) {
			return
		}
	}
}

// And between any two events the books are balanced.
func TestVirtualGuestsBalanceAtEveryEvent(t *testing.T) {
	for seed := range uint64(20) {
		r, _, _ := drawVirtual(t, 5000+seed, nil)
		checkEveryEvent(t, r)
	}
}

// The oracle of rings at rest finds a call and a kick that were lost.
func TestLostNotificationsAreStalls(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(v *kerneltest.Virtual)
		want string
	}{
		{"a used entry without its call", func(v *kerneltest.Virtual) {
			d := &v.Dev.Ring(0, false).Device
			var c virtio.Chain
			_, err := d.Next(sim.Never-1, &c)
			require.NoError(t, err)
			d.Push(0, c.Head, 12)
		}, "stall: vhost-vnet0: the guest waits for what was used (tx false) and nobody calls"},
		{"a frame without its kick", func(v *kerneltest.Virtual) {
			v.Dev.Ring(0, true).Driver.Add(0, []virtio.Buffer{{Addr: 0, Len: 100}}, nil)
		}, "stall: vhost-vnet0: the guest's frames wait and nobody kicks"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			both(t, func(t *testing.T, f virtio.Features) {
				r := kerneltest.New(t, kerneltest.Config{CPUs: 3})
				v := virtual(t, r, 0, kerneltest.VirtualConfig{CPU: 2, Worker: 1, Features: f})
				r.Play(0, kerneltest.Frame(kerneltest.Station(100), kerneltest.Remote(0), 60, 1))
				require.NoError(t, r.Run())
				tc.do(v)
				assert.EqualError(t, r.CheckRest(), tc.want)
			})
		})
	}
}

// both runs a test with event indices and with flags.
func both(t *testing.T, f func(*testing.T, virtio.Features)) {
	t.Run("event index", func(t *testing.T) { f(t, virtio.FRingEventIdx) })
	t.Run("flags", func(t *testing.T) { f(t, 0) })
}
