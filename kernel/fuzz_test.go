package kernel_test

import (
	"encoding/binary"
	"net/netip"
	"path/filepath"
	"testing"

	"ringside"
	"ringside/bridge"
	"ringside/cost"
	"ringside/internal/capture"
	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/nic"
	"ringside/offload"
	"ringside/sim"
	"ringside/vm"
)

// script is a wire that plays frames out of a fuzzer's bytes: two bytes of length
// and gap before each.
type script struct {
	data []byte
	at   sim.Time
	id   uint64
}

const maxScripted = 1<<14 - 1 // longer than any frame that the NIC takes

func (s *script) Receive(f *nic.WireFrame) bool {
	if len(s.data) < 2 {
		return false
	}
	word := binary.LittleEndian.Uint16(s.data)
	n := min(int(word&maxScripted), len(s.data)-2)
	s.at += sim.Time(word>>14) * 3 * sim.Microsecond
	s.id++
	*f = nic.WireFrame{ID: s.id, At: s.at, Data: s.data[2 : 2+n]}
	s.data = s.data[2+n:]
	return true
}

func (*script) Transmit(*nic.WireFrame) {}

// scripted writes frames as a script plays them.
func scripted(frames [][]byte, gap int) (data []byte) {
	for _, f := range frames {
		f = f[:min(len(f), maxScripted)]
		data = binary.LittleEndian.AppendUint16(data, uint16(len(f)|gap<<14))
		data = append(data, f...)
	}
	return data
}

// xeon is read once: reading it takes as long as a run.
var xeon = func() *cost.Book {
	b, err := cost.Open("linux-xeon")
	if err != nil {
		panic(err)
	}
	return b
}()

// playFrames is a whole host, with a guest that takes, one that answers, and a
// stack of its own, on whatever comes in. Every oracle of a run is on.
func playFrames(t *testing.T, shape uint16, data []byte) *ringside.Host {
	cpu := int(shape >> 12 & 1)
	h, err := ringside.New(ringside.Config{
		Book: xeon, Wire: &script{data: data}, LinkBPS: []uint64{10e9, 100e9}[shape&1],
		Queues: 1 + int(shape>>1&3), Ring: 8 << (shape >> 3 & 3), DropEn: shape>>5&1 != 0, FIFO: 16 << 10,
		ITR: []sim.Time{ringside.NoITR, 20 * sim.Microsecond}[shape>>6&1], TapQueue: 1 + int(shape>>7&31), CPUs: 2, RAM: 3 << 20,
		VMs: []ringside.VM{
			{Program: vm.Sink, MAC: kerneltest.Station(0), Batch: 4, CPU: &cpu},
			{Program: vm.Echo, MAC: kerneltest.Station(1), Addr: []netip.Addr{netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("2001:db8::15")}[shape>>13&1],
				Known: []bridge.MAC{kerneltest.Station(1)}},
		},
		Host:     ringside.HostStack{Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.80/24"), netip.MustParsePrefix("2001:db8::80/64")}},
		Offloads: []ringside.Offloads{{}, kernel.AllOffloads(), {GRO: true}, {RxCsum: true, VLANStrip: true}}[shape>>14],
	})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Run(); err != nil {
		t.Fatal(err)
	}
	return h
}

// captured is the first frames of every capture in testdata, a list each, with
// the addresses of the talkers changed into those of the guests and the host.
func captured(t testing.TB, frames int) (list [][][]byte) {
	t.Helper()
	files, err := filepath.Glob("../testdata/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, name := range files {
		r, err := capture.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var fs [][]byte
		for len(fs) < frames {
			rec, err := r.Next()
			if err != nil {
				break
			}
			f := append([]byte(nil), rec.Data...)
			if len(f) > 6 && f[0]&1 == 0 {
				dst := [][6]byte{kerneltest.HostMAC, kerneltest.Station(0), kerneltest.Station(1)}[len(fs)%3]
				copy(f, dst[:])
			}
			fs = append(fs, f)
		}
		r.Close()
		list = append(list, fs)
	}
	return list
}

// Frames from anywhere, on hosts of many shapes: nothing panics, nothing is lost,
// no driver is at fault, and the run comes to its rest.
func FuzzFrames(f *testing.F) {
	for i, frames := range captured(f, 12) {
		f.Add(uint16(i*2311), scripted(frames, i%4))
	}
	talk := conversation(f)
	f.Add(uint16(0), scripted(talk, 1))
	f.Add(uint16(1<<13), scripted(talk, 0))
	var stream [][]byte
	for s := flowTo(kerneltest.Station(0)); len(stream) < 12; {
		stream = append(stream, s.next(700))
	}
	f.Add(uint16(1<<14), scripted(stream, 0))
	f.Add(uint16(1<<15), scripted(stream, 0))
	f.Fuzz(func(t *testing.T, shape uint16, data []byte) {
		if len(data) > 1<<16 {
			data = data[:1<<16]
		}
		playFrames(t, shape, data)
	})
}

// Every capture, on a few shapes each.
func TestCapturesComeToRestOnSmallHosts(t *testing.T) {
	for _, frames := range captured(t, 200) {
		for shape := uint16(0); shape < 1<<16-2411; shape += 2411 {
			playFrames(t, shape, scripted(frames, int(shape)%4))
		}
	}
}

// portOf is where a segment comes from, as flow writes it.
func portOf(b []byte) int {
	at := 12
	if len(b) > 18 && b[12] == 0x81 {
		at += 4
	}
	l4 := at + 22
	if len(b) > at && b[at] == 0x86 {
		l4 = at + 42
	}
	if len(b) < l4+2 {
		return -1
	}
	return int(b[l4])<<8 | int(b[l4+1])
}

// Whatever a guest says of a frame beside its bytes, and wherever it goes: nothing
// panics, nothing is lost, no block leaks and no device is misused; and what was a
// right frame is one when it leaves.
func FuzzOffloads(f *testing.F) {
	for i := range byte(64) {
		f.Add(i*5, uint16(1), uint16(34), uint16(16), uint16(1448), uint16(5000), []byte{})
	}
	f.Add(byte(3), uint16(2), uint16(65535), uint16(16), uint16(1), uint16(100), []byte{0, 46, 0xF0})
	f.Add(byte(2), uint16(0), uint16(34), uint16(6), uint16(0), uint16(100), []byte{0, 20, 0xFF, 0, 12, 1})
	f.Fuzz(func(t *testing.T, shape byte, kind, start, offset, size, n uint16, edits []byte) {
		if int(n) > 20_000 || n > 400*max(size, 1) { // so many segments take long
			return
		}
		o := []kernel.Offloads{{}, {TxCsum: true}, {TxCsum: true, TSO: true}, kernel.AllOffloads()}[shape&3]
		if shape&0x10 != 0 {
			o.LRO, o.RxCsum = true, true
		}
		s := &kerneltest.Fates{}
		r := offloadRig(t, o, s)
		flow := flowTo([]bridge.MAC{kerneltest.Station(1), kerneltest.Remote(0), kerneltest.HostMAC, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}}[shape>>2&3])
		frame, right, want := flow.long(int(n)+1, max(int(size), 1))
		m := offload.Meta{NeedsCsum: kind&8 == 0, GSO: offload.GSO(kind & 7), GSOSize: size, CsumStart: start, CsumOffset: offset, HdrLen: kind >> 4}
		for i := 0; i+2 < len(edits); i += 3 {
			if at := int(edits[i])<<8 | int(edits[i+1]); at < len(frame) {
				frame[at] ^= edits[i+2]
			}
		}
		var came [][]byte // by the wire, for the other guest meanwhile
		in := flowTo(kerneltest.Station(1))
		in.port, in.tag, in.v6 = 5000, uint16(shape>>6&1), shape>>7 != 0
		if shape&0x20 != 0 { // the first fills the place in the ring that was empty
			came = append(came, in.next(100))
			r.Play(0, came...)
			if err := r.Run(); err != nil {
				t.Fatal(err)
			}
		}
		used := r.Memory.InUse()
		if shape&0x20 != 0 {
			for i := range 20 {
				came = append(came, in.next(1+int(n)%1400*(1+i%7/6)/2))
			}
			r.Play(0, came[1:]...)
		}
		r.Arrive("tap0", frame, m)
		if err := r.Run(); err != nil {
			t.Fatal(err)
		}
		if r.Memory.InUse() != used {
			t.Fatalf("%d pages leaked", r.Memory.InUse()-used)
		}
		if came != nil {
			var list [][]byte
			for _, b := range got(s, 1) {
				if port := portOf(b); port == 5000 {
					list = append(list, b)
				}
			}
			alike(t, came, list, "by the wire")
			if o.LRO && n%1400 > 100 && r.NIC.Counts().Merged == 0 {
				t.Fatal("the device has merged nothing")
			}
			return
		}
		right.HdrLen = m.HdrLen
		if m == right && len(edits) < 3 && shape>>2&3 == 0 {
			alike(t, want, got(s, 1), "guest")
		}
	})
}
