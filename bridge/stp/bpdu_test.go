package stp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

// unhex reads bytes with blanks between them.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

var example = BPDU{
	Type: TypeConfig, TopologyChange: true, TopologyChangeAck: true,
	Root: MakeBridgeID(0x1234, [6]byte{2, 3, 4, 5, 6, 7}), RootPathCost: 0x01020304,
	Bridge: MakeBridgeID(0x8000, [6]byte{0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}), Port: MakePortID(32, 5),
	MessageAge: sim.Second, MaxAge: 20 * sim.Second, HelloTime: 2 * sim.Second, ForwardDelay: 15 * sim.Second,
}

const exampleHex = `0000 00 00 81 1234020304050607 01020304 8000aabbccddeeff 8005 0100 1400 0200 0f00`

func TestEncoding(t *testing.T) {
	require.Equal(t, unhex(exampleHex), example.Append(nil))
	got, err := Decode(unhex(exampleHex + "00 00 00 00"))
	require.NoError(t, err, "padding may follow")
	require.Equal(t, example, got)

	tcn := BPDU{Type: TypeTCN}
	require.Equal(t, unhex("0000 00 80"), tcn.Append(nil))
	got, err = Decode(unhex("0000 00 80"))
	require.NoError(t, err)
	require.Equal(t, tcn, got)

	late := BPDU{MessageAge: Tick + Tick/2, MaxAge: 20 * sim.Second}
	got, err = Decode(late.Append(nil))
	require.NoError(t, err)
	require.Equal(t, Tick, got.MessageAge, "times are rounded down")
}

func TestIdentifiers(t *testing.T) {
	id := MakeBridgeID(0x8001, [6]byte{2, 3, 4, 5, 6, 7})
	require.Equal(t, "8001.020304050607", id.String())
	require.EqualValues(t, 0x8001, id.Priority())
	require.Equal(t, [6]byte{2, 3, 4, 5, 6, 7}, id.MAC())
	require.Less(t, MakeBridgeID(1, [6]byte{0xff}), MakeBridgeID(2, [6]byte{}), "the priority weighs more than the address")
	require.EqualValues(t, 0x8001, MakePortID(32, 1))
	require.EqualValues(t, 0xffff, MakePortID(63, 1023))
}

func TestPayload(t *testing.T) {
	frame := append(unhex("0180c2000000 020000000001 0007 4242 03 0000 00 80"), make([]byte, 39)...)
	got, err := Payload(frame)
	require.NoError(t, err)
	require.Equal(t, unhex("0000 00 80"), got, "cut to its length")
	for name, bad := range map[string]string{
		"no LLC header":      "0180c2000000 020000000001 0007 4242",
		"length of two":      "0180c2000000 020000000001 0002 4242 03 0000 00 80",
		"longer than itself": "0180c2000000 020000000001 0008 4242 03 0000 00 80",
		"an EtherType":       "0180c2000000 020000000001 0800 4242 03 0000 00 80",
		"another DSAP":       "0180c2000000 020000000001 0007 aa42 03 0000 00 80",
		"another SSAP":       "0180c2000000 020000000001 0007 42aa 03 0000 00 80",
		"not a UI command":   "0180c2000000 020000000001 0007 4242 13 0000 00 80",
	} {
		_, err := Payload(unhex(bad))
		require.ErrorIs(t, err, ErrFrame, name)
	}
}

// A bridge with ID 8000.02…01 and one port in listening, at 10 s.
func listening(t *testing.T) *node {
	net := newNetwork(t, 0x8000)
	n := net.nodes[0]
	require.NoError(t, n.AddPort(1, PortConfig{MAC: mac(0x11)}))
	require.NoError(t, n.Enable(1, 0))
	n.Tick(10 * sec)
	net.now = 10 * sec
	n.sent = nil
	return n
}

func edit(change func(b []byte)) []byte {
	b := example.Append(nil)
	change(b)
	return b
}

// Messages that say nothing to the tree leave it as it is.
func TestWrongBPDUs(t *testing.T) {
	for _, tt := range []struct {
		name string
		bpdu []byte
		err  error
	}{
		{"empty", nil, ErrShort},
		{"three bytes", []byte{0, 0, 0}, ErrShort},
		{"configuration of 4 bytes", []byte{0, 0, 0, 0}, ErrShort},
		{"configuration of 34 bytes", unhex(exampleHex)[:34], ErrShort},
		{"protocol identifier 1", edit(func(b []byte) { b[1] = 1 }), ErrProtocol},
		{"protocol identifier 256", edit(func(b []byte) { b[0] = 1 }), ErrProtocol},
		{"RST BPDU, version 2", edit(func(b []byte) { b[2], b[3] = 2, 2 }), ErrProtocol},
		{"MST BPDU, version 3", edit(func(b []byte) { b[2], b[3] = 3, 2 }), ErrProtocol},
		{"type 2 in version 0", edit(func(b []byte) { b[3] = 2 }), ErrType},
		{"message age beyond max age", edit(func(b []byte) { binary.BigEndian.PutUint16(b[27:], 0x1401) }), ErrStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := listening(t)
			before := n.Show(10 * sec)
			require.ErrorIs(t, n.Receive(1, tt.bpdu, 10*sec), tt.err)
			require.Equal(t, before, n.Show(10*sec))
			require.Empty(t, n.sent)
		})
	}
	n := listening(t)
	require.ErrorIs(t, n.Receive(9, example.Append(nil), 10*sec), ErrOff, "no such port")
	require.ErrorIs(t, n.ReceiveFrame(1, appendExample(mac(1)), 10*sec), ErrFrame, "not to the group")
	require.NoError(t, n.ReceiveFrame(1, appendExample(Group), 10*sec))
	require.False(t, n.IsRoot())
}

func appendExample(to [6]byte) []byte {
	return example.Append(appendHeader(nil, to, mac(9), ConfigLen))
}

// A message that has its last moment is recorded and gone in that moment.
func TestMessageAgeEqualToMaxAge(t *testing.T) {
	n := listening(t)
	require.NoError(t, n.Receive(1, edit(func(b []byte) { binary.BigEndian.PutUint16(b[27:], 0x1400) }), 10*sec))
	require.False(t, n.IsRoot())
	require.Equal(t, 10*sec, n.Due())
	n.Tick(10 * sec)
	require.True(t, n.IsRoot())
}

// Our own message that comes back changes nothing; the answer waits for the hold
// timer as every message does.
func TestOwnBPDULoopedBack(t *testing.T) {
	n := listening(t)
	own := BPDU{Root: n.id, Bridge: n.id, Port: 0x8001, MaxAge: 20 * sec, HelloTime: 2 * sec, ForwardDelay: 15 * sec}
	require.NoError(t, n.Receive(1, own.Append(nil), 10*sec))
	require.True(t, n.IsRoot())
	require.Equal(t, Listening, n.Tree.State(1))
	require.Empty(t, n.sent)
}

// A claim to our own identifier that is not ours, from a lower port: the port
// blocks, for as long as it is heard.
func TestOwnIdentifierFromALowerPort(t *testing.T) {
	n := listening(t)
	twin := BPDU{Root: n.id, Bridge: n.id, Port: 0x8000, MaxAge: 20 * sec, HelloTime: 2 * sec, ForwardDelay: 15 * sec}
	require.NoError(t, n.Receive(1, twin.Append(nil), 10*sec))
	require.True(t, n.IsRoot())
	require.Equal(t, Blocking, n.Tree.State(1))
	n.Tick(30 * sec)
	require.Equal(t, Listening, n.Tree.State(1))
}

func TestMessageAgeGrows(t *testing.T) {
	n := listening(t)
	require.NoError(t, n.AddPort(2, PortConfig{}))
	require.NoError(t, n.Enable(2, 10*sec))
	require.NoError(t, n.Receive(1, example.Append(nil), 10*sec))
	require.Len(t, n.sent, 1)
	got := n.sent[0]
	require.EqualValues(t, 2, got.port)
	require.Equal(t, example.MessageAge+Tick, got.MessageAge, "one tick for passing it on at once")
	require.Equal(t, example.RootPathCost+100, got.RootPathCost)
	require.Equal(t, example.Root, got.Root)

	require.NoError(t, n.Receive(1, example.Append(nil), 10*sec+sim.Second/2))
	n.Tick(11 * sec) // the hold timer
	require.Len(t, n.sent, 2)
	require.Equal(t, example.MessageAge+sim.Second/2+Tick, n.sent[1].MessageAge, "and the time it was held")
}

// tshark reads what is sent.
func TestTsharkReadsBPDUs(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed: nothing to compare with")
	}
	file := filepath.Join(t.TempDir(), "bpdu.pcap")
	tcn := BPDU{Type: TypeTCN}
	require.NoError(t, os.WriteFile(file, pcap(appendExample(Group), tcn.Append(appendHeader(nil, Group, mac(9), TCNLen))), 0o666))
	args := []string{"-r", file, "-T", "fields", "-E", "separator=,"}
	for _, f := range []string{"eth.dst", "eth.len", "llc.dsap", "stp.protocol", "stp.version", "stp.type", "stp.flags.tc", "stp.flags.tcack",
		"stp.root.prio", "stp.root.hw", "stp.root.cost", "stp.bridge.hw", "stp.port", "stp.msg_age", "stp.max_age", "stp.hello", "stp.forward", "_ws.malformed"} {
		args = append(args, "-e", f)
	}
	cmd := exec.Command(tshark, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	require.NoError(t, err)
	text := strings.NewReplacer("True", "1", "False", "0").Replace(string(out)) // by the release
	require.Equal(t, []string{
		"01:80:c2:00:00:00,38,0x42,0x0000,0,0x00,1,1,4096,02:03:04:05:06:07,16909060,aa:bb:cc:dd:ee:ff,0x8005,1,20,2,15,",
		"01:80:c2:00:00:00,7,0x42,0x0000,0,0x80,,,,,,,,,,,,",
	}, strings.Split(strings.TrimSpace(text), "\n"))
}

// pcap is a capture of Ethernet frames, each padded as a device pads it.
func pcap(frames ...[]byte) []byte {
	var b bytes.Buffer
	for _, v := range []uint32{0xa1b2c3d4, 4<<16 | 2, 0, 0, 65535, 1} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	for _, f := range frames {
		f = append(f, make([]byte, max(0, 60-len(f)))...)
		for _, v := range []uint32{0, 0, uint32(len(f)), uint32(len(f))} {
			binary.Write(&b, binary.LittleEndian, v)
		}
		b.Write(f)
	}
	return b.Bytes()
}
