// Package offload is the arithmetic of offloads: what travels beside a frame whose
// checksum is half done or that is longer than a wire allows (Meta), and how such
// a frame is made good: Complete finishes its checksum, a Segmenter cuts it, Verify
// checks what came from a wire, and Held puts segments of a flow together again.
//
// It is no device and no queue. Everything here is a function of bytes: nothing of
// a run is known, no time passes, nothing is charged, and no memory is allocated
// for a segment. Frames are lists of parts, from the first byte of the Ethernet
// header on and without an FCS; parts may be cut anywhere.
//
// Every frame may come from a hostile guest. Lengths and offsets in it, and in its
// Meta, are checked before they are used; what does not fit is an error or a frame
// that is left alone.
//
//	         Complete                    Segmenter
//	half ──► done              64 KiB ──► MSS, MSS, MSS, rest
//	done ──► good? (Verify)    64 KiB ◄── MSS, MSS, MSS, rest
//	                                Held
//
// The rules are those of Internet checksums [RFC 1071], TCP [RFC 9293], the
// identification of atomic datagrams [RFC 6864] and explicit congestion
// notification [RFC 3168]; Linux's GSO and GRO apply them as is done here.
package offload
