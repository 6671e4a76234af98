package capture

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket/layers"
)

func FuzzPcap(f *testing.F) {
	for name, b := range samples() {
		if strings.Contains(name, "pcap ") && !strings.HasPrefix(name, "gzip'd") {
			f.Add(b)
		}
	}
	addPublic(f, "*.pcap")
	f.Fuzz(func(t *testing.T, b []byte) {
		recs := claims(t, b)
		// As far as both can read, pcapgo reads the same.
		if bytes.HasPrefix(b, []byte("\n\r\r\n")) || bytes.HasPrefix(b, []byte("\x1f\x8b")) || len(recs) == 0 {
			return
		}
		network := order(b[0] == 0xa1).u32(b[20:])
		want, _ := oracle(b)
		for i := range min(len(want), len(recs)) {
			w, g := want[i], recs[i]
			if network&pcapFCSKnown == 0 && (w.Length != g.OrigLen || !bytes.Equal(w.data, g.Data) || w.link != layers.LinkTypeEthernet) {
				t.Fatalf("record %d is %+v, and pcapgo has %+v", i+1, g, w)
			}
		}
		if len(recs) > len(want) {
			t.Fatalf("%d records, and pcapgo has %d", len(recs), len(want))
		}
	})
}

func FuzzPcapng(f *testing.F) {
	for name, b := range samples() {
		if strings.Contains(name, "pcapng") && !strings.HasPrefix(name, "gzip'd") {
			f.Add(b)
		}
	}
	addPublic(f, "*.pcapng")
	f.Fuzz(func(t *testing.T, b []byte) { claims(t, b) })
}

func FuzzGzip(f *testing.F) {
	for name, b := range samples() {
		if strings.HasPrefix(name, "gzip'd") {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { claims(t, b) })
}

// addPublic adds the public captures as seeds, if they are there.
func addPublic(f *testing.F, pattern string) {
	names, _ := filepath.Glob("../../../shared/captures/tcpdump/" + pattern)
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && len(b) < 4096 {
			f.Add(b)
		}
	}
}

// claims checks what holds of any input, and returns its records.
func claims(t *testing.T, b []byte) []Record {
	recs, err := readAll(bytes.NewReader(b))
	if !isClear(err) {
		t.Fatalf("ends with %v", err)
	}
	if err != io.EOF && !strings.HasPrefix(err.Error(), "capture: some.cap") {
		t.Fatalf("an error that does not say where: %v", err)
	}
	plain := !bytes.HasPrefix(b, []byte("\x1f\x8b"))
	total, past := 0, int64(0)
	for i, rec := range recs {
		if rec.Number != int64(i+1) {
			t.Fatalf("record %d has number %d", i+1, rec.Number)
		}
		if rec.Offset < past {
			t.Fatalf("record %d begins at %d, and the one before ends at %d", i+1, rec.Offset, past)
		}
		if len(rec.Data) > MaxFrame || len(rec.Data) > rec.OrigLen {
			t.Fatalf("record %d has %d bytes of %d", i+1, len(rec.Data), rec.OrigLen)
		}
		if rec.Skip != "" && rec.Data != nil {
			t.Fatalf("record %d is skipped and has data", i+1)
		}
		head := int64(pcapRecordHeader)
		if bytes.Equal(b[:min(4, len(b))], []byte("\n\r\r\n")) {
			head = packetHead
			if rec.Untimed {
				head = simpleHead
			}
		}
		past = rec.Offset + head + int64(len(rec.Data))
		total += len(rec.Data)
		if plain && (past > int64(len(b)) || !bytes.Equal(rec.Data, b[rec.Offset+head:past])) {
			t.Fatalf("record %d is not what stands at %d", i+1, rec.Offset)
		}
		if !plain {
			past = rec.Offset + 1
		}
	}
	if plain && total > len(b) {
		t.Fatalf("%d bytes of %d", total, len(b))
	}

	// Again, from a source that gives little at once, the same comes out.
	again, errAgain := readAll(&drip{b: b})
	if err.Error() != errAgain.Error() || len(again) != len(recs) {
		t.Fatalf("%d records and %v; read again, %d and %v", len(recs), err, len(again), errAgain)
	}
	for i := range recs {
		a, b := recs[i], again[i]
		if !bytes.Equal(a.Data, b.Data) {
			t.Fatalf("record %d is %q, and read again %q", i+1, a.Data, b.Data)
		}
		a.Data, b.Data = nil, nil
		if a.Time != b.Time || a.OrigLen != b.OrigLen || a.Interface != b.Interface || a.Offset != b.Offset || a.Untimed != b.Untimed || a.Skip != b.Skip {
			t.Fatalf("record %d is %+v, and read again %+v", i+1, a, b)
		}
	}
	return recs
}

// A drip gives 1 to 7 bytes at once, and its end together with the last.
type drip struct {
	b []byte
	n int
}

func (d *drip) Read(p []byte) (int, error) {
	d.n = d.n%7 + 1
	n := copy(p, d.b[:min(d.n, len(d.b))])
	d.b = d.b[n:]
	if len(d.b) == 0 {
		return n, io.EOF
	}
	return n, nil
}
