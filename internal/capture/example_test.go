package capture_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"ringside/internal/capture"
)

// A caller that takes a cut for the end, and says so.
func ExampleReader_Next() {
	var file bytes.Buffer
	w := pcapgo.NewWriterNanos(&file)
	w.WriteFileHeader(65535, layers.LinkTypeEthernet)
	for i := range int64(3) {
		w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(0, i*672), CaptureLength: 60, Length: 60}, make([]byte, 60))
	}
	file.Truncate(file.Len() - 10)

	r, err := capture.NewReader(&file, "lab.pcap")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Format())
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return
		}
		if errors.Is(err, capture.ErrTruncatedFile) {
			fmt.Println(err)
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d: %d ns, %d bytes\n", rec.Number, rec.Time, len(rec.Data))
	}
	// Output:
	// pcap (ns, little-endian)
	// 1: 0 ns, 60 bytes
	// 2: 672 ns, 60 bytes
	// capture: lab.pcap: file cut short: record 3 at byte 176: the record needs 76 bytes and the file ends after 66; copy or capture the file again, or do with the records before this, which are whole
}
