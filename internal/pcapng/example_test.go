package pcapng_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/google/gopacket/pcapgo"

	"ringside/internal/pcapng"
)

// A frame is seen on the wire, and again at the tap of a guest whose queue is full.
func ExampleWriter() {
	frame := make([]byte, 64)
	var file bytes.Buffer
	w := pcapng.NewWriter(&file, pcapng.Section{Application: "ringside"})
	wire := w.AddInterface(pcapng.Interface{Name: "wire0", SpeedBPS: 10e9})
	tap := w.AddInterface(pcapng.Interface{Name: "tap0"})
	w.WritePacket(&pcapng.Packet{Interface: wire, TimePS: 67_200, Data: frame, ID: pcapng.Of(1),
		Verdict: "forward"})
	w.WritePacket(&pcapng.Packet{Interface: tap, TimePS: 912_000, Data: frame, ID: pcapng.Of(1),
		Verdict: "drop", Reason: "FULL_RING"})
	w.WriteStats(&pcapng.Stats{Interface: tap, EndPS: 1_000_000, Received: pcapng.Of(1), Dropped: pcapng.Of(1)})
	if err := w.Flush(); err != nil { // the first error of all the calls above
		log.Fatal(err)
	}

	r, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		data, info, err := r.ReadPacketData()
		if err != nil {
			log.Fatal(err)
		}
		seen, _ := r.Interface(info.InterfaceIndex)
		fmt.Printf("%s at %d ns: %d bytes\n", seen.Name, info.Timestamp.UnixNano(), len(data))
	}
	// Output:
	// wire0 at 67 ns: 64 bytes
	// tap0 at 912 ns: 64 bytes
}
