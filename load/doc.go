// Package load makes traffic: a wire that offers frames at a rate that is known,
// of known sizes and in a known order of flows, and the arithmetic that a receiver
// needs to tell what was lost, doubled or put out of order.
//
// It measures nothing by itself. What a machine makes of a load is in the machine's
// report; Search is the way to the highest rate that it takes without loss.
//
//	spec, err := load.Parse("64@1mpps,flows=1000,burst=32")
//	…
//	gen, err := load.New(load.Config{Spec: spec, Seed: 1, Dests: []load.MAC{guest}})
//	host, err := ringside.New(ringside.Config{Wire: gen, …})
//
// # Frames
//
// Sizes are those of benchmarks [RFC 2544, 9]: from the destination address to the
// FCS, so that a 64-byte frame is 60 bytes in memory. Every frame is a UDP datagram
// in IPv4 with both checksums right, from the block of addresses that is set aside
// for benchmarks [RFC 6890, 2.2.2]:
//
//	Ethernet  to the destination of the flow, from 02:00:00:00:fe:01
//	IPv4      from 198.18.0.1 and up, a new address every 16,384 flows, to
//	          198.19.0.1 and up, one for each destination
//	UDP       from port 49152 and up, to 9
//	payload   "RS", sequence number and time of the first bit in picoseconds, 64 bits
//	          each and big-endian; zeros behind
//
// # Determinism
//
// A load is a function of its Config. All chance comes from its seed, and there is
// no floating point: exponential gaps and Zipf's shares are tables of whole numbers.
package load
