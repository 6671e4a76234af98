package pcapng

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The tests of this file ask the programs that people open captures with.

// tool runs a program and returns its output, which must come without a word of
// complaint; it skips the test where the program is not installed.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: nothing to compare with", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	for line := range strings.Lines(complaints.String()) {
		if !strings.HasPrefix(line, "Running as user") && !strings.HasPrefix(line, "reading from file") {
			t.Errorf("%s %s complains: %s", name, strings.Join(args, " "), line)
		}
	}
	require.NoError(t, err, "%s %s", name, strings.Join(args, " "))
	return out.String()
}

// story is a capture in which every option stands with its least and its
// greatest value. The frames have an experimental Ethertype, so that Wireshark
// has nothing to say about their contents.
func story(t *testing.T) (file string, packets []Packet, section Section) {
	section = Section{
		Hardware: "no hardware", OS: "virtual time", Application: "ringside test", Comment: "one section",
		Base: time.Unix(1_700_000_000, 123_456_789), SnapLen: 1000,
	}
	frame := func(n int) []byte {
		f := make([]byte, n)
		copy(f, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x88\xb5")
		for i := 14; i < n; i++ {
			f[i] = byte(i)
		}
		return f
	}
	packets = []Packet{
		{Data: frame(60)},
		{TimePS: 999, Data: frame(61), Direction: Inbound, ID: Of(0), Queue: Of(0), DropCount: Of(0), Verdict: "forward"},
		{TimePS: 67_200, Data: frame(62), Interface: 1, Direction: Outbound, ID: Of(1<<64 - 1), Queue: Of(1<<32 - 1), DropCount: Of(1<<64 - 1),
			Verdict: "drop", Reason: "FULL_RING", Comments: []string{"a second one, with a comma", "über"}},
		{TimePS: 876_543_211_000, Data: frame(1514), Interface: 1, ID: Of(17), Verdict: "deliver"},
		{TimePS: 1_000_000_000_000, Data: frame(64), OrigLen: 9000, Interface: 2, EPBVerdicts: []EPBVerdict{
			{Type: VerdictHardware, Bytes: []byte("FULL")}, {Type: VerdictTC, Code: 2}, {Type: VerdictXDP, Code: 1}, {Type: VerdictXDP, Code: 2}}},
		{TimePS: 1<<63 - 1, Data: frame(63), Comments: []string{"the end of virtual time"}},
	}
	var out bytes.Buffer
	w := NewWriter(&out, section)
	w.AddInterface(Interface{Name: "wire0", Description: "10 Gbit/s", SpeedBPS: 10_000_000_000, Comment: "the wire"})
	w.AddInterface(Interface{Name: "tap0", Description: "to vm0"})
	w.AddInterface(Interface{Name: "tür"})
	for i := range packets {
		w.WritePacket(&packets[i])
	}
	w.WriteStats(&Stats{EndPS: 1<<63 - 1, Received: Of(3), Dropped: Of(0), Accepted: Of(3), DroppedByOS: Of(0), DeliveredToUser: Of(1<<64 - 1), Comment: "counted"})
	w.WriteStats(&Stats{Interface: 1})
	require.NoError(t, w.Flush())
	file = filepath.Join(t.TempDir(), "story.pcapng")
	require.NoError(t, os.WriteFile(file, out.Bytes(), 0o666))
	return file, packets, section
}

func TestTsharkShowsEveryField(t *testing.T) {
	if !strings.Contains(tool(t, "tshark", "-G", "fields"), "\tframe.packet_id\t") {
		t.Skip("this tshark does not know frame.packet_id: install 4.0 or later to compare with it")
	}
	file, packets, section := story(t)
	names := []string{"wire0", "tap0", "tür"}
	descriptions := []string{"10 Gbit/s", "to vm0", ""}
	columns := []struct {
		field string
		want  func(p Packet) string
	}{
		{"frame.section_number", func(Packet) string { return "1" }},
		{"frame.interface_id", func(p Packet) string { return strconv.Itoa(p.Interface) }},
		{"frame.interface_name", func(p Packet) string { return names[p.Interface] }},
		{"frame.interface_description", func(p Packet) string { return descriptions[p.Interface] }},
		{"frame.encap_type", func(Packet) string { return "1" }},
		{"frame.time_epoch", func(p Packet) string {
			at := section.Base.Add(time.Duration(p.TimePS / 1000))
			return fmt.Sprintf("%d.%09d", at.Unix(), at.Nanosecond())
		}},
		{"frame.len", func(p Packet) string { return strconv.Itoa(max(p.OrigLen, len(p.Data))) }},
		{"frame.cap_len", func(p Packet) string { return strconv.Itoa(min(section.SnapLen, len(p.Data))) }},
		{"frame.packet_flags", func(p Packet) string { return []string{"", "0x00000001", "0x00000002"}[p.Direction] }},
		{"frame.packet_flags_direction", func(p Packet) string { return []string{"", "0x00000001", "0x00000002"}[p.Direction] }},
		{"frame.packet_id", func(p Packet) string { return decimal(p.ID) }},
		{"frame.interface_queue", func(p Packet) string { return decimal(p.Queue) }},
		{"frame.drop_count", func(p Packet) string { return decimal(p.DropCount) }},
		{"frame.verdict.hw", func(p Packet) string { return verdictsOf(p, VerdictHardware) }},
		{"frame.verdict.ebpf_tc", func(p Packet) string { return verdictsOf(p, VerdictTC) }},
		{"frame.verdict.ebpf_xdp", func(p Packet) string { return verdictsOf(p, VerdictXDP) }},
		{"frame.comment", func(p Packet) string { return strings.Join(commentsOf(p), "|") }},
		{"data.data", func(p Packet) string { return hex.EncodeToString(p.Data[14:min(section.SnapLen, len(p.Data))]) }},
		{"_ws.expert.message", func(p Packet) string { return strings.Join(commentsOf(p), "|") }}, // and no other
	}
	args := []string{"-r", file, "-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"}
	for _, c := range columns {
		args = append(args, "-e", c.field)
	}
	lines := strings.Split(strings.TrimSuffix(tool(t, "tshark", args...), "\n"), "\n")
	require.Len(t, lines, len(packets))
	for i, line := range lines {
		got := strings.Split(line, "\t")
		require.Len(t, got, len(columns))
		for j, c := range columns {
			// Some versions put spaces or colons between the bytes of frame.verdict.hw.
			if strings.HasPrefix(c.field, "frame.verdict.hw") {
				got[j] = strings.NewReplacer(" ", "", ":", "").Replace(got[j])
			}
			require.Equal(t, c.want(packets[i]), got[j], "packet %d, %s", i+1, c.field)
		}
	}
}

func decimal(n Number) string {
	if !n.known {
		return ""
	}
	return strconv.FormatUint(n.n, 10)
}

func verdictsOf(p Packet, kind VerdictType) string {
	var all []string
	for _, v := range p.EPBVerdicts {
		switch {
		case v.Type == kind && kind == VerdictHardware:
			all = append(all, hex.EncodeToString(v.Bytes))
		case v.Type == kind:
			all = append(all, strconv.FormatUint(v.Code, 10))
		}
	}
	return strings.Join(all, "|")
}

func commentsOf(p Packet) []string {
	var all []string
	for _, o := range wantPacket(Section{}, p).options {
		if o.code == 1 {
			all = append(all, o.value)
		}
	}
	return all
}

func TestWiresharkFiltersByVerdictAndID(t *testing.T) {
	file, _, _ := story(t)
	for filter, want := range map[string]string{
		`frame.comment contains "reason=FULL_RING"`:                                     "3\n",
		`frame.comment contains "verdict=" && !(frame.comment contains "verdict=drop")`: "2\n4\n",
		`frame.interface_name == "tap0" && frame.packet_id == 17`:                       "4\n",
		`frame.verdict.ebpf_xdp == 1`:                                                   "5\n",
		`frame.packet_flags_direction == 2`:                                             "3\n",
	} {
		require.Equal(t, want, tool(t, "tshark", "-r", file, "-Y", filter, "-T", "fields", "-e", "frame.number"), filter)
	}
}

func TestCapinfosShowsSectionInterfacesAndStatistics(t *testing.T) {
	file, _, _ := story(t)
	var got []string
	for line := range strings.Lines(tool(t, "capinfos", "-M", file)) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	require.Subset(t, got, []string{
		"File timestamp precision: nanoseconds (9)",
		"Number of packets: 6",
		"Capture hardware: no hardware",
		"Capture oper-sys: virtual time",
		"Capture application: ringside test",
		"Capture comment: one section",
		"Number of interfaces in file: 3",
	})
	all := strings.Join(got, "\n")
	require.Contains(t, all, strings.Join([]string{
		"Interface #0 info:", "Name = wire0", "Description = 10 Gbit/s", "Encapsulation = Ethernet (1 - ether)", "Speed = 10000000000",
		"Capture length = 1000", "Time precision = nanoseconds (9)", "Time ticks per second = 1000000000", "Time resolution = 0x09",
		"Comment = the wire", "Number of stat entries = 1", "Number of packets = 3",
		"Interface #1 info:", "Name = tap0",
	}, "\n"))
	require.Equal(t, 2, strings.Count(all, "Number of stat entries = 1"))
}

// A copy that Wireshark saves is whole as long as no epb_verdict is in it.
func TestTsharkCanSaveACopy(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.pcapng"), filepath.Join(dir, "two.pcapng")
	p := Packet{Data: make([]byte, 60), Direction: Inbound, ID: Of(5), Queue: Of(6), DropCount: Of(7),
		Verdict: "drop", Reason: "FULL_RING", Comments: []string{"x"}}
	require.NoError(t, os.WriteFile(one, written(t, Section{}, func(w *Writer) { w.WritePacket(&p) }), 0o666))
	tool(t, "tshark", "-r", one, "-w", two)
	saved, err := os.ReadFile(two)
	require.NoError(t, err)
	got, err := parse(saved)
	require.NoError(t, err)
	want := wantPacket(Section{}, p)
	require.Len(t, got.packets, 1)
	require.ElementsMatch(t, want.options, got.packets[0].options)
	want.options, got.packets[0].options = nil, nil
	require.Equal(t, want, got.packets[0])
}

func TestTcpdumpReadsEveryPacket(t *testing.T) {
	file, packets, section := story(t)
	lines := strings.Split(strings.TrimSuffix(tool(t, "tcpdump", "-r", file, "-tt", "--nano", "-q", "-e"), "\n"), "\n")
	var stamps, want []string
	for _, line := range lines {
		if !strings.HasPrefix(line, "\t") {
			stamp, _, _ := strings.Cut(line, " ")
			stamps = append(stamps, stamp)
		}
	}
	for _, p := range packets {
		at := section.Base.Add(time.Duration(p.TimePS / 1000))
		want = append(want, fmt.Sprintf("%d.%09d", at.Unix(), at.Nanosecond()))
	}
	require.Equal(t, want, stamps)
}
