package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/cost"
	"ringside/internal/golden"
)

// call runs the command in testdata and returns what a shell would see.
func call(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	return callWith(t, context.Background(), nil, args...)
}

func callWith(t *testing.T, ctx context.Context, stdin []byte, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(ctx, args, bytes.NewReader(stdin), &o, &e)
	return code, o.String(), e.String()
}

// inTestdata makes file names short, in goldens too, and the page as wide as it
// gets.
func inTestdata(t *testing.T) {
	t.Helper()
	t.Setenv("COLUMNS", "100")
	t.Chdir("../../testdata")
}

var captures = []string{"arp.pcap", "dhcp.pcap", "dns.pcap", "http.pcap", "http.pcapng", "ipv6-nd.pcap", "jumbo.pcap", "mix.pcap",
	"ping-ns.pcap", "ping.pcap", "tcp-bulk.pcap", "udp-flood.pcap", "udp-flood.pcap.gz", "vlan.pcap"}

func TestWrongUsageIsToldWhatIsRight(t *testing.T) {
	inTestdata(t)
	for _, c := range []struct {
		args string
		says string
	}{
		{"repaly mix.pcap", `there is no verb "repaly"; did you mean "replay"?`},
		{"mix.pcap", "to replay that file: ringside replay mix.pcap"},
		{"frobnicate", `there is no verb "frobnicate"; the verbs are bench?, book`},
		{"help tarce", `did you mean "trace"?`},
		{"replay", "name a capture to play, as in ringside replay testdata/mix.pcap"},
		{"replay mix.pcap --vsm 3", "there is no flag --vsm; did you mean --vms?"},
		{"replay mix.pcap --zzzzzzzz 3", "there is no flag --zzzzzzzz; ringside replay --help lists the flags"},
		{"replay mix.pcap -z", "there is no flag -z; ringside replay --help lists the flags"},
		{"replay mix.pcap --vms", "--vms needs a value: how many guests there are"},
		{"replay mix.pcap --vms 0", "--vms 0: give a whole number from 1 to 65534, as in --vms 4"},
		{"replay mix.pcap --vms 65535", "--vms 65535: give a whole number from 1 to 65534"},
		{"replay mix.pcap --vms four", "--vms four: give a whole number from 1 to 65534"},
		{"replay mix.pcap --vms -1", "--vms -1: give a whole number"},
		{"replay mix.pcap --vms 99999999999999999999999", "give a whole number from 1 to 65534"},
		{"replay mix.pcap --speed fast", "--speed fast: use original, top, xN, pps=N or mbps=N"},
		{"replay mix.pcap --speed x0", "--speed x0: give a number above zero"},
		{"replay mix.pcap --speed pps=-1", "--speed pps=-1"},
		{"replay mix.pcap --speed x1e9", "--speed x1e9"},
		{"replay ipv6-nd.pcap --speed x0.001 --loop 1000", "goes out after more than six days of virtual time"},
		{"replay mix.pcap --speed x0.000001", "--speed x0.000001"},
		{"replay mix.pcap --limit 0", "--limit 0: give a whole number from 1"},
		{"replay mix.pcap --loop 0", "--loop 0: give a whole number from 1"},
		{"replay mix.pcap --until 0s", "--until 0s: give a span of virtual time above zero"},
		{"replay mix.pcap --until 5", "as in --until 2.5s"},
		{"replay mix.pcap --truncated maybe", "--truncated maybe: give skip or pad"},
		{"replay mix.pcap --guest ehco", "--guest ehco: the programs are sink, echo, reflect and slow=SPAN"},
		{"replay mix.pcap --guest slow=quick", "quick is not a span like 20us"},
		{"replay mix.pcap --map 02:00:00:00:00:80", "as in --map 02:00:00:00:00:01=vm0"},
		{"replay mix.pcap --map zz=vm0", "zz is not a MAC address like 02:00:00:00:00:01"},
		{"replay mix.pcap --map 02:00:00:00:00:80=x", "x is not a guest like vm0"},
		{"replay mix.pcap --map ff:ff:ff:ff:ff:ff=vm0", "is not the address of one station"},
		{"replay mix.pcap --map 02:00:00:00:00:80=vm4", "there are vm0 to vm3; --vms 5 makes more"},
		{"replay mix.pcap --map 02:00:00:00:00:80=vm0 --map 02:00:00:00:00:80=vm1", "given to vm0 and to vm1; an address has one guest"},
		{"replay mix.pcap --map 02:00:00:00:00:fe=vm0", "that is the host's own address"},
		{"replay mix.pcap --addr 192.0.2.1=vm0", "--addr is what --guest echo answers for; these guests run sink"},
		{"replay mix.pcap --guest echo", "add one, as in --guest echo --addr 192.0.2.1=vm0"},
		{"replay mix.pcap --guest echo --addr 192.0.2.1=vm9", "there are vm0 to vm3; --vms 10 makes more"},
		{"replay mix.pcap --guest echo --addr 192.0.2.300=vm0", "is not an IP address like 192.0.2.7"},
		{"replay mix.pcap --batch 0", "--batch 0: give a whole number from 1 to 1024, as in --batch 32"},
		{"replay mix.pcap --link 5G", "--link 5G: the speeds are 1G, 10G, 25G, 40G and 100G"},
		{"replay mix.pcap --link los=1%", `--link los=1%: "los=1%": the words are delay, reorder, loss, duplicate, corrupt, rate and limit`},
		{"replay mix.pcap --link loss", `--link loss: behind "loss": give a share from 0% to 100%, as in loss 1%`},
		{"trace mix.pcap --frame 1 --link rate=5", `"rate=5": the words are`},
		{"replay mix.pcap --queues 17", "--queues 17: give a whole number from 1 to 16"},
		{"replay mix.pcap --ring 100", "--ring 100: give a multiple of 8 from 8 to 4096"},
		{"replay mix.pcap --ring 0", "--ring 0: give a multiple of 8 from 8 to 4096"},
		{"replay mix.pcap --itr 1.5us", "in whole microseconds"},
		{"replay mix.pcap --itr 9ms", "give a span of 1us to 8191us"},
		{"replay mix.pcap --itr 5", "interrupts a second from 123 to 1000000"},
		{"replay mix.pcap --drop-en=maybe", "--drop-en maybe: give true or false"},
		{"replay mix.pcap --cpus 2000", "--cpus 2000: give a whole number from 1 to 1024"},
		{"replay mix.pcap --tap-queue 0", "--tap-queue 0: give a whole number from 1 to 1048576"},
		{"replay mix.pcap --host-addr 192.0.2.1", "as in --host-addr 192.0.2.1/24"},
		{"replay mix.pcap --host-mac 1", "1 is not a MAC address"},
		{"replay mix.pcap --book linux-xeno", `did you mean "linux-xeon"?`},
		{"replay mix.pcap --book ./none.yaml", "none.yaml"},
		{"replay mix.pcap --seed -1", "give a whole number from 0 to 18446744073709551615"},
		{"replay mix.pcap --width 10", "--width 10: give a whole number from 60 to 1000"},
		{"replay mix.pcap --out mix.pcap", "that is the capture to be replayed; give another name"},
		{"replay mix.pcap --out no/such/folder/x.pcapng", "make it first"},
		{"replay mix.pcap --out -", "give a file's name"},
		{"replay - -", "can be read once; it was named 2 times"},
		{"trace", "name one capture"},
		{"trace ping.pcap", "which frame? Give its number in the file, as in --frame 3"},
		{"trace ping.pcap --frame 0", "--frame 0: give a whole number from 1"},
		{"trace ping.pcap --frame 75", "no such frame 75: the file has 74"},
		{"trace ping.pcap --frame 3 --limit 2", "--limit 2 ended the replay before it"},
		{"trace ping.pcap --frame 30 --until 1us", "before --until ended the run"},
		{"trace ping.pcap --frame 1099511627776", "no guest and no host sent a frame"},
		{"book linux-xeno", `did you mean "linux-xeon"?`},
		{"book unit linux-xeon", "shows one book at a time"},
		{"book --text", "name it, as in ringside book linux-xeon --text"},
		{"version now", "takes no arguments, and was given now"},
		{"bench extra", "ringside bench takes no arguments, and was given extra"},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, out, errs := call(t, strings.Fields(c.args)...)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, out, "nothing on standard output")
			assert.True(t, strings.HasPrefix(errs, "ringside: "), errs)
			assert.NotContains(t, errs, "Usage:", "no page of help for an error")
			assert.Contains(t, strings.ReplaceAll(errs, "bench, ", "bench?, "), strings.Replace(c.says, "bench?, ", benchIfThere(), 1))
		})
	}
}

// benchIfThere is empty in a build without the verb bench.
func benchIfThere() string {
	for _, c := range newRoot().Commands() {
		if c.Name() == "bench" {
			return "bench?, "
		}
	}
	return ""
}

// pcap is a file with frames of the given link type.
func pcap(link uint32, frames ...[]byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, 65535)
	b = le.AppendUint32(b, link)
	for i, f := range frames {
		b = le.AppendUint32(b, 1000)
		b = le.AppendUint32(b, uint32(i))
		b = le.AppendUint32(b, uint32(len(f)))
		b = le.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b
}

func frame(n int) []byte {
	f := make([]byte, n)
	copy(f, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0})
	return f
}

func TestUnreadableInputIsRefusedInWords(t *testing.T) {
	dir := t.TempDir()
	inTestdata(t)
	good, err := os.ReadFile("ping.pcap")
	require.NoError(t, err)
	corrupt := append(bytes.Clone(good[:2000]), bytes.Repeat([]byte{0xff}, 4000)...)
	for _, c := range []struct {
		name  string
		bytes []byte // nil: no such file
		says  string
	}{
		{"missing.pcap", nil, "no such file"},
		{"empty.pcap", []byte{}, "it is empty"},
		{"text.pcap", []byte("hello, this is no capture"), "is not a pcap or pcapng file"},
		{"wifi.pcap", pcap(105, frame(60)), "IEEE 802.11"},
		{"header.pcap", good[:10], "cut short"},
		{"none.pcap", pcap(1), "no frames to replay: the capture is empty"},
		{"first.pcap", good[:30], "no frames to replay: all are left out: 1 FILE_CUT_SHORT"},
		{"short.pcap", pcap(1, frame(13)), "1 TOO_SHORT"},
		{"corrupt.pcap", corrupt, "corrupt file"},
		{"gzip.pcap.gz", []byte{0x1f, 0x8b, 8, 0, 1}, "gzip header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := filepath.Join(dir, c.name)
			if c.bytes != nil {
				require.NoError(t, os.WriteFile(name, c.bytes, 0o666))
			}
			for _, args := range [][]string{{"replay", name}, {"trace", name, "--frame", "1"}, {"replay", name, "--out", filepath.Join(dir, "out.pcapng")}} {
				code, out, errs := call(t, args...)
				if args[0] == "trace" && code == exitOK {
					continue // a frame that can be found and does not go on the wire
				}
				assert.Equal(t, exitUsage, code, args)
				assert.Empty(t, out)
				if args[0] == "replay" {
					assert.Contains(t, errs, c.says)
				}
				assert.Contains(t, errs, c.name, "which file")
				assert.Equal(t, 1, strings.Count(errs, "\n"), "one line: %s", errs)
			}
			if c.bytes != nil {
				code, _, errs := callWith(t, context.Background(), c.bytes, "replay", "-")
				assert.Equal(t, exitUsage, code)
				assert.Contains(t, errs, c.says)
			}
		})
	}
	code, _, errs := call(t, "replay", dir)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "is a directory; name a capture file in it")
	left, err := filepath.Glob(filepath.Join(dir, "*out*"))
	require.NoError(t, err)
	assert.Empty(t, left, "no half output")
}

func TestCutFileIsPlayedAsFarAsItGoes(t *testing.T) {
	good, err := os.ReadFile("../../testdata/ping.pcap")
	require.NoError(t, err)
	t.Setenv("COLUMNS", "100")
	code, out, _ := callWith(t, context.Background(), good[:5000], "replay", "-")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "1 file ends inside a record; the frames before it were played (FILE_CUT_SHORT)")
}

func TestOutputIsWholeOrAbsent(t *testing.T) {
	dir := t.TempDir()
	inTestdata(t)
	out := filepath.Join(dir, "stages.pcapng")
	require.NoError(t, os.WriteFile(out, []byte("what was there before"), 0o666))
	good, err := os.ReadFile("mix.pcap")
	require.NoError(t, err)
	bad := filepath.Join(dir, "bad.pcap")
	require.NoError(t, os.WriteFile(bad, append(good[:200000], bytes.Repeat([]byte{0xff}, 200000)...), 0o666))

	code, _, _ := call(t, "replay", bad, "--out", out)
	assert.Equal(t, exitUsage, code, "the input is corrupt")
	code, _, errs := call(t, "replay", "mix.pcap", "--guest", "reflect", "--out", out, "--limit", "30", "--map", "02:00:00:00:00:13=vm0,02:00:00:00:00:90=vm1")
	assert.Equal(t, exitFailed, code, "guests answer each other for ever")
	assert.Contains(t, errs, "--until 3s")

	ctx, stop := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, stop)
	code, printed, errs := callWith(t, ctx, nil, "replay", "udp-flood.pcap", "--speed", "top", "--loop", "1000000", "--out", out)
	assert.Equal(t, exitInterrupted, code)
	assert.Empty(t, printed)
	assert.Equal(t, "ringside: interrupted; no output file was written\n", errs)

	text, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Equal(t, "what was there before", string(text))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2, "no temporary files")

	code, printed, _ = call(t, "replay", "mix.pcap", "--out", out)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, printed, "wrote "+out)
}

func TestCtrlCWhileStandardInputWaits(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer w.Close()
	ctx, stop := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, stop)
	var o, e bytes.Buffer
	assert.Equal(t, exitInterrupted, run(ctx, []string{"replay", "-"}, r, &o, &e))
	assert.Empty(t, o.String())
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, fmt.Errorf("no space left on device") }

func TestReportThatCannotBePrintedIsAFailure(t *testing.T) {
	inTestdata(t)
	for _, args := range [][]string{{"replay", "arp.pcap"}, {"replay", "arp.pcap", "--json"}, {"book"}, {"version"}, {"trace", "arp.pcap", "--frame", "1"}} {
		var e bytes.Buffer
		assert.Equal(t, exitFailed, run(context.Background(), args, nil, full{}, &e), args)
		assert.Contains(t, e.String(), "no space left on device")
	}
}

func TestJSONIsOneObjectThatComesBack(t *testing.T) {
	inTestdata(t)
	for _, file := range captures {
		code, out, errs := call(t, "replay", file, "--json")
		require.Equal(t, exitOK, code, errs)
		require.Empty(t, errs)
		dec := json.NewDecoder(strings.NewReader(out))
		dec.DisallowUnknownFields()
		var rep ringside.Report
		require.NoError(t, dec.Decode(&rep))
		require.False(t, dec.More(), "one object")
		var again bytes.Buffer
		require.NoError(t, printJSON(&again, rep))
		assert.Equal(t, out, again.String())
		assert.Equal(t, ringside.ReportSchema, rep.Schema)
		assert.True(t, rep.Conservation.Balanced)
	}
	for _, args := range []string{"trace ping.pcap --frame 3 --json", "book --json", "book unit --json", "version --json"} {
		code, out, errs := call(t, strings.Fields(args)...)
		require.Equal(t, exitOK, code, errs)
		dec := json.NewDecoder(strings.NewReader(out))
		var v map[string]any
		require.NoError(t, dec.Decode(&v))
		assert.False(t, dec.More(), "one object")
		assert.Contains(t, v["schema"], "ringside.")
	}
}

func TestPagesFitTheTerminal(t *testing.T) {
	inTestdata(t)
	for _, columns := range []int{60, 72, 80, 100, 200} {
		t.Setenv("COLUMNS", fmt.Sprint(columns))
		for _, file := range captures {
			for _, args := range [][]string{
				{"replay", file},
				{"replay", file, "--vms", "30", "--speed", "top", "--book", "unit", "--queues", "3"},
				{"trace", file, "--frame", "7"},
			} {
				if file == "tcp-bulk.pcap" && columns != 80 && columns != 100 {
					continue // the largest; its widths are like the others'
				}
				code, out, errs := call(t, args...)
				require.Equal(t, exitOK, code, errs)
				fits(t, out, min(columns, 100))
			}
		}
		for _, args := range []string{"book", "book linux-xeon --notes", "book unit"} {
			_, out, _ := call(t, strings.Fields(args)...)
			fits(t, out, min(columns, 100))
		}
	}
	for _, verb := range []string{"", "replay", "trace", "book", "version", "help"} {
		_, out, _ := call(t, strings.Fields(verb+" --help")...)
		fits(t, out, 88)
		assert.Contains(t, out, "ringside ")
	}
}

func fits(t *testing.T, out string, columns int) {
	t.Helper()
	for _, l := range strings.Split(out, "\n") {
		if n := utf8.RuneCountInString(l); n > columns {
			t.Errorf("%d columns, and the page has %d: %s", n, columns, l)
		}
	}
}

func TestGoldenPages(t *testing.T) {
	inTestdata(t)
	for _, c := range []struct{ name, args string }{
		{"mix.txt", "replay mix.pcap"},
		{"mix.80.txt", "replay mix.pcap --width 80"},
		{"mix.json", "replay mix.pcap --json"},
		{"mix.unit.txt", "replay mix.pcap --book unit --vms 2 --map 02:00:00:00:00:80=vm0,02:00:00:00:00:81=vm1"},
		{"ping.txt", "replay ping.pcap --vms 2 --guest echo --addr 192.0.2.1=vm0 --host-addr 192.0.2.9/24"},
		{"ping.json", "replay ping.pcap --json"},
		{"ping.frame3.txt", "trace ping.pcap --frame 3"},
		{"ping.frame3.80.txt", "trace ping.pcap --frame 3 --width 80"},
		{"ping.frame3.json", "trace ping.pcap --frame 3 --json"},
		{"vlan.txt", "replay vlan.pcap --speed x10 --loop 2"},
		{"vlan.json", "replay vlan.pcap --json"},
		{"jumbo.txt", "replay jumbo.pcap"},
		{"jumbo.json", "replay jumbo.pcap --json"},
		{"flood.txt", "replay udp-flood.pcap.gz --speed top --guest slow=2us --batch 16 --tap-queue 100"},
		{"flood.json", "replay udp-flood.pcap.gz --json"},
		{"flood.frame1500.txt", "trace udp-flood.pcap.gz --frame 1500 --speed top --guest slow=2us --tap-queue 100"},
		{"mix.frame1.txt", "trace mix.pcap --frame 1 --vms 12"},
		{"books.txt", "book"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := call(t, strings.Fields(c.args)...)
			require.Equal(t, exitOK, code, errs)
			golden.Check(t, c.name, []byte(out))
		})
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	dir := t.TempDir()
	inTestdata(t)
	var outs, files []string
	for _, name := range []string{"a.pcapng", "b.pcapng"} {
		code, out, errs := call(t, "replay", "mix.pcap", "--json", "--out", filepath.Join(dir, name))
		require.Equal(t, exitOK, code, errs)
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		outs, files = append(outs, out), append(files, string(b))
	}
	assert.Equal(t, outs[0], outs[1])
	assert.True(t, files[0] == files[1], "the same capture, byte for byte")
	_, bare, _ := call(t, "replay", "mix.pcap", "--json")
	assert.Equal(t, outs[0], bare, "watching changes nothing")
	_, traced, _ := call(t, "trace", "mix.pcap", "--frame", "9", "--json")
	var a, b struct {
		Hash string `json:"trace_hash"`
	}
	require.NoError(t, json.Unmarshal([]byte(bare), &a))
	require.NoError(t, json.Unmarshal([]byte(traced), &b))
	assert.Equal(t, a.Hash, b.Hash, "the journey is of the same run")
	gz, err := os.ReadFile("ping.pcap")
	require.NoError(t, err)
	_, piped, _ := callWith(t, context.Background(), gz, "replay", "-", "--json")
	_, named, _ := call(t, "replay", "ping.pcap", "--json")
	assert.Equal(t, strings.ReplaceAll(named, `"ping.pcap"`, `"-"`), piped)
}

func TestFramesThatStayHome(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("COLUMNS", "100")
	cut := pcap(1, frame(60), frame(60))
	binary.LittleEndian.PutUint32(cut[24+12:], 900) // the first frame had 900 bytes
	name := filepath.Join(dir, "cut.pcap")
	require.NoError(t, os.WriteFile(name, cut, 0o666))
	code, out, _ := call(t, "trace", name, "--frame", "1")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "It does not go on the wire: TRUNCATED (60 of its 900 bytes; --truncated pad fills it up).")
	code, out, _ = call(t, "trace", name, "--frame", "1", "--truncated", "pad")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "delivered to vm0")
	assert.Contains(t, out, "900 on the wire (FILLED)")
	_, out, _ = call(t, "trace", name, "--frame", "1", "--json")
	assert.Contains(t, out, `"skipped": "TRUNCATED"`)
	_, out, _ = call(t, "trace", name, "--frame", "2", "--loop", "3", "--json")
	assert.Contains(t, out, `"id": 6`)
	_, out, _ = call(t, "replay", name)
	assert.Contains(t, out, "1 frame that the capture cut short")

	require.NoError(t, os.WriteFile(name, cut[:24+16+60], 0o666)) // that frame alone
	code, _, errs := call(t, "replay", name)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "all are left out: 1 TRUNCATED; capture with a larger snap length, or fill up what was cut (--truncated pad)")
}

func TestBooks(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("COLUMNS", "100")
	_, text, _ := call(t, "book", "linux-xeon", "--text")
	own := filepath.Join(dir, "own.yaml")
	require.NoError(t, os.WriteFile(own, []byte(strings.Replace(text, "name: linux-xeon", "name: my-lab", 1)), 0o666))
	code, out, errs := call(t, "book", own, "--notes")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "my-lab: ")
	assert.Contains(t, out, "context_switch")

	require.NoError(t, os.WriteFile(own, []byte(strings.Replace(text, "value: 350,", "value: 0,", 1)), 0o666))
	code, out, errs = call(t, "book", own)
	assert.Equal(t, exitUsage, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, "own.yaml:")
	assert.Contains(t, errs, "hard_irq: value 0: nothing is free")
	code, _, errs = call(t, "replay", "../../testdata/arp.pcap", "--book", own)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "nothing is free")
	for _, name := range cost.Books() {
		code, out, _ := call(t, "book", name)
		assert.Equal(t, exitOK, code)
		for o := cost.Op(0); o < cost.NumOps; o++ {
			assert.Contains(t, out, o.String())
		}
	}
}

// Every capture of the shared folder, real and malformed, ends in a replay or in
// a refusal that says why.
func TestEveryCaptureEndsInAReplayOrARefusal(t *testing.T) {
	const folder = "../../../shared/captures"
	files, err := filepath.Glob(filepath.Join(folder, "*/*"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no folder of captures beside the project")
	}
	var replayed, refused int
	for i, f := range files {
		if testing.Short() && i%10 != 0 {
			continue
		}
		ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
		code, out, errs := callWith(t, ctx, nil, "replay", f, "--vms", "4")
		stop()
		switch code {
		case exitOK:
			replayed++
			assert.Empty(t, errs, f)
			fits(t, out, 100)
		case exitUsage:
			refused++
			assert.Contains(t, errs, filepath.Base(f), "which file")
			assert.Empty(t, out, f)
		default:
			t.Errorf("%s: exit %d: %s", f, code, errs)
		}
	}
	t.Logf("%d replayed, %d refused", replayed, refused)
}
