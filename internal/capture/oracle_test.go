package capture

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A packet is what gopacket's reader, the oracle, says of a packet.
type packet struct {
	gopacket.CaptureInfo
	data []byte
	link layers.LinkType
}

// oracle reads a capture with pcapgo as far as that gets. It must be given
// nothing hostile: see the package comment.
func oracle(b []byte) (pkts []packet, err error) {
	if bytes.HasPrefix(b, []byte("\n\r\r\n")) {
		r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{WantMixedLinkType: true})
		for err == nil {
			var p packet
			if p.data, p.CaptureInfo, err = r.ReadPacketData(); err == nil {
				p.link = p.AncillaryData[0].(layers.LinkType)
				pkts = append(pkts, p)
			}
		}
		return pkts, err
	}
	r, err := pcapgo.NewReader(bytes.NewReader(b))
	if err == nil {
		r.SetSnaplen(MaxFrame) // it refuses what is longer; the header is often wrong
	}
	for err == nil {
		p := packet{link: layers.LinkTypeEthernet}
		if p.data, p.CaptureInfo, err = r.ReadPacketData(); err == nil {
			pkts = append(pkts, p)
		}
	}
	return pkts, err
}

// requireSame requires a record to be what the oracle says.
func requireSame(t *testing.T, want packet, got Record) {
	t.Helper()
	said := got // what the oracle does not say is taken from the record
	said.OrigLen = want.Length
	said.Interface = want.InterfaceIndex
	said.Data = want.data
	if want.link != layers.LinkTypeEthernet {
		said.Data = nil
		require.NotEmpty(t, got.Skip, "record %d", got.Number)
	}
	if !got.Untimed {
		said.Time = want.Timestamp.UnixNano()
	}
	if !reflect.DeepEqual(said, got) {
		require.Equal(t, said, got, "record %d", got.Number)
	}
}

// noise is what made-up packets, comments and unknown blocks are cut from.
var noise = func() string {
	rnd := rand.NewChaCha8([32]byte{})
	b := make([]byte, 64<<10)
	rnd.Read(b)
	return string(b)
}()

// text returns up to n random bytes.
func text(rnd *rand.Rand, n int) string {
	at := rnd.IntN(len(noise) - n)
	return noise[at : at+rnd.IntN(n+1)]
}

// madeUp returns a capture in good order, of a kind that the seed chooses.
func madeUp(rnd *rand.Rand) []byte {
	p := []pen{le, be}[rnd.IntN(2)]
	longest := []int{4, 64, 1514, 9018}[rnd.IntN(4)]
	packets := rnd.IntN(300)
	if rnd.IntN(2) == 0 {
		magic, second := uint32(magicMicro), 1_000_000
		if rnd.IntN(2) == 0 {
			magic, second = magicNano, 1_000_000_000
		}
		b := p.pcap(magic, 1)
		for range packets {
			data := text(rnd, longest)
			b = append(b, p.record(rnd.Uint32(), uint32(rnd.IntN(second)), uint32(len(data)+rnd.IntN(9)), data)...)
		}
		return b
	}
	option := func(code uint16) []byte { return p.option(code, []byte(text(rnd, 40))...) }
	var b []byte
	for range 1 + rnd.IntN(3) {
		b = append(b, p.section(option(1), option(4), p.option(0))...)
		ifaces := 1 + rnd.IntN(4)
		for range ifaces {
			link := []uint16{1, 1, 1, 105}[rnd.IntN(4)]
			// The oracle takes if_tsresol 0 for 6, and is wrong with most powers of two.
			resol := byte(1 + rnd.IntN(18))
			b = append(b, p.iface(link, 0, option(2), p.option(9, resol), p.tsOffset(int64(rnd.IntN(2e9)-1e9)), option(1), p.option(0))...)
		}
		for range packets {
			id, data := rnd.IntN(ifaces), text(rnd, longest)
			units, wire := rnd.Uint64N(7e9), uint32(len(data)+rnd.IntN(9))
			switch rnd.IntN(8) {
			case 0:
				b = append(b, p.simple(uint32(len(data)), data)...)
			case 1:
				b = append(b, p.obsolete(uint16(id), units, wire, data, option(1), p.flags(1), p.option(0))...)
			case 2:
				b = append(b, p.block(0x0bad+rnd.Uint32N(9), []byte(text(rnd, 2000)))...)
			case 3:
				b = append(b, p.enhanced(uint32(id), units, wire, data, option(1), p.flags(1))...)
			default:
				b = append(b, p.enhanced(uint32(id), units, wire, data)...)
			}
		}
	}
	return b
}

func TestAsPcapgoReadsMadeUpCaptures(t *testing.T) {
	packets := 0
	for seed := range uint64(200) {
		b := madeUp(rand.New(rand.NewPCG(seed, 0)))
		want, err := oracle(b)
		require.ErrorIs(t, err, io.EOF, "seed %d: the oracle reads to the end", seed)
		got, err := readAll(bytes.NewReader(b))
		require.True(t, err == io.EOF || errors.Is(err, ErrLinkType), "seed %d: %v", seed, err)
		require.Equal(t, len(want), len(got), "seed %d", seed)
		for i := range want {
			requireSame(t, want[i], got[i])
		}
		if seed%10 == 0 {
			zipped, _ := readAll(bytes.NewReader(zip(b)))
			require.True(t, reflect.DeepEqual(got, zipped), "seed %d, gzip'd", seed)
		}
		packets += len(got)
	}
	t.Logf("%d packets", packets)
}

func TestWhatPcapgoWrites(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC)
	data := []byte("a frame, or something like it")
	ci := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: 1514}
	var micro, nano, ng bytes.Buffer

	w := pcapgo.NewWriter(&micro)
	require.NoError(t, w.WriteFileHeader(65535, layers.LinkTypeEthernet))
	require.NoError(t, w.WritePacket(ci, data))
	w = pcapgo.NewWriterNanos(&nano)
	require.NoError(t, w.WriteFileHeader(65535, layers.LinkTypeEthernet))
	require.NoError(t, w.WritePacket(ci, data))
	n, err := pcapgo.NewNgWriter(&ng, layers.LinkTypeEthernet)
	require.NoError(t, err)
	require.NoError(t, n.WritePacket(ci, data))
	require.NoError(t, n.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{PacketsReceived: 1}))
	require.NoError(t, n.Flush())

	for name, f := range map[string]struct {
		b    []byte
		time time.Time
	}{
		"pcap µs": {micro.Bytes(), at.Truncate(time.Microsecond)},
		"pcap ns": {nano.Bytes(), at},
		"pcapng":  {ng.Bytes(), at},
	} {
		recs := mustRead(t, f.b)
		require.Len(t, recs, 1, name)
		assert.Equal(t, f.time.UnixNano(), recs[0].Time, name)
		assert.Equal(t, data, recs[0].Data, name)
		assert.Equal(t, 1514, recs[0].OrigLen, name)
	}
}

// The public captures of the tcpdump project: each is read to its end, or
// refused for a reason that it has; and pcapgo says the same of each record.
func TestPublicCaptures(t *testing.T) {
	const dir = "../../../shared/captures/tcpdump"
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Skipf("these captures are not beside the project: %v", err)
	}
	tally := map[string]int{}
	records, skipped := 0, 0
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		got, end := readAll(bytes.NewReader(b))
		require.True(t, isClear(end), "%s: %v", f.Name(), end)
		if end != io.EOF {
			require.ErrorContains(t, end, "some.cap", f.Name())
		}
		reason := end.Error()
		for _, kind := range []error{ErrFormat, ErrLinkType, ErrTruncatedFile, ErrCorrupt} {
			if errors.Is(end, kind) {
				reason = kind.Error()
				if kind == ErrCorrupt {
					t.Logf("%s: %v", f.Name(), end)
				}
			}
		}
		tally[reason]++

		r, err := Open(path)
		if err == nil {
			for range got {
				_, err := r.Next()
				require.NoError(t, err, f.Name())
			}
			require.NoError(t, r.Close())
		}

		records += len(got)
		want, _ := oracle(b)
		for i, rec := range got {
			if rec.Skip != "" {
				skipped++
			}
			// The oracle's uint32 overflows on more microseconds than 4 seconds'.
			if f.Name() == "rx_serviceid_oobr.pcap" {
				continue
			}
			require.Less(t, i, len(want), f.Name())
			requireSame(t, want[i], rec)
		}
		if end == io.EOF {
			require.Equal(t, len(want), len(got), f.Name())
		}
	}
	t.Logf("%d files: %v; %d records, %d of them skipped", len(files), tally, records, skipped)
	require.NotZero(t, tally["EOF"])
}
