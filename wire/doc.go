// Package wire is what happens to frames between a NIC and the other end of its
// cable: delay and jitter, loss alone and in bursts, duplicates, flipped bits,
// frames that overtake others, a slow line and its queue. The words and their
// meaning are those of Linux's tc-netem(8).
//
// A Cable is between two NICs: what one sends the other receives. A Link is a nic.Wire
// around a nic.Wire, a cable's end for instance, so links can be stacked. What it does
// each way is a Spec, which Parse reads from text:
//
//	delay 10ms 2ms loss 1%
//	rx rate 100mbit queue 64kb tx loss gemodel 1% 10%
//
// It is no switch and no host: a frame leaves by the end it did not come in by, or
// is lost.
//
// # Order of effects
//
// Whatever the order of words in a Spec, a frame meets in each direction
//
//  1. the line: towards the NIC frames come in no faster than the line carries them;
//  2. duplicate: from here on there are two, and each meets the rest by itself;
//  3. loss, then loss in bursts;
//  4. corrupt;
//  5. limit;
//  6. rate, with its queue;
//  7. delay, with jitter and reorder.
//
// Another order is a link around a link.
//
// # Chance
//
// Every effect of every direction draws from a stream of its own, by name from the
// engine's seed. The same seed gives the same bytes at the same times, and an effect
// that is added changes no draw of the others, only which frames come to them.
//
// # Who owns a frame's bytes
//
// A Link keeps the contract of nic.Wire on both of its sides. It never writes to
// bytes that it was given: a frame that is corrupted or held back is copied to a
// buffer of the link, which is used again when the frame is gone. Without those two
// effects no byte is copied. A Cable copies every frame once. When their buffers have
// grown, neither allocates anything.
package wire
