package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"
)

// BenchmarkNext reads files of 8 to 30 MB that the page cache holds, and so
// has in its nanoseconds the system calls, the kernel's copy and the opening.
// BenchmarkPcapgo reads the same files with pcapgo's zero-copy calls.
//
// Best of 20 runs of 100 ms on two shared cores of an AMD EPYC, go1.26.8, in ns:
//
//	                        64 B   1514 B   pcapgo v1.1.19
//	pcap                    16.1    122      57    443
//	pcapng                  32.3    143      80    480
//	pcapng with epb_flags   46.9    154      82    481
//	pcap.gz                 39.0    539     114    626
func BenchmarkNext(b *testing.B) {
	eachFile(b, func(b *testing.B, path string) {
		var r *Reader
		total := 0
		for b.Loop() {
			if r == nil {
				var err error
				if r, err = Open(path); err != nil {
					b.Fatal(err)
				}
			}
			rec, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
				r.Close()
				r = nil
				continue
			}
			total += len(rec.Data)
		}
		b.SetBytes(int64(total / b.N))
	})
}

func BenchmarkPcapgo(b *testing.B) {
	eachFile(b, func(b *testing.B, path string) {
		type reader interface {
			ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error)
		}
		var f *os.File
		var r reader
		for b.Loop() {
			if r == nil {
				var err error
				if f, err = os.Open(path); err != nil {
					b.Fatal(err)
				}
				if strings.Contains(path, "pcapng") {
					r, err = pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{})
				} else {
					r, err = pcapgo.NewReader(f)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			if _, _, err := r.ZeroCopyReadPacketData(); err != nil {
				f.Close()
				r = nil
			}
		}
	})
}

func eachFile(b *testing.B, run func(*testing.B, string)) {
	dir := b.TempDir()
	for _, kind := range []string{"pcap", "pcapng", "pcapng with flags", "pcap.gz"} {
		for _, size := range []int{64, 1514} {
			var file, frame []byte
			data := strings.Repeat("x", size)
			switch kind {
			case "pcap", "pcap.gz":
				file, frame = le.pcap(magicNano, 1), le.record(1, 2, uint32(size), data)
			case "pcapng":
				file, frame = join(le.section(), le.iface(1, 0)), le.enhanced(0, 1e15, uint32(size), data)
			default:
				file, frame = join(le.section(), le.iface(1, 0)), le.enhanced(0, 1e15, uint32(size), data, le.flags(1), le.option(0))
			}
			n := 100_000
			if size > 64 {
				n = 20_000
			}
			for range n {
				file = append(file, frame...)
			}
			if kind == "pcap.gz" {
				file = zip(file)
			}
			path := filepath.Join(dir, fmt.Sprintf("%d.%s", size, kind))
			if err := os.WriteFile(path, file, 0o600); err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) { run(b, path) })
		}
	}
}
