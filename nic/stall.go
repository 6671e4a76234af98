package nic

import "fmt"

// A Stall is a queue on which frames wait and on which nothing in the device
// will change that: the oracle for rings that are not empty while nobody comes.
// Whether somebody comes for another reason, a poll that is scheduled, is for
// the kernel to say.
type Stall struct {
	Queue int
	Tx    bool
	What  string
}

// String is the stall on one line.
func (s Stall) String() string {
	if s.Tx {
		return fmt.Sprintf("tx queue %d: %s", s.Queue, s.What)
	}
	return fmt.Sprintf("rx queue %d: %s", s.Queue, s.What)
}

// Stalls lists the queues that are stalled.
func (n *NIC) Stalls() (list []Stall) {
	if n.stalled {
		q := int(n.fifo.head().v.queue)
		list = append(list, Stall{q, false, fmt.Sprintf(
			"%d frames wait in the packet buffer and the driver has every descriptor", n.fifo.count)})
	}
	for q := range n.queues {
		rx, tx := &n.rx[q], &n.tx[q]
		if rx.vf != nil {
			continue // its driver's own affair
		}
		if rx.written != rx.noticed {
			if what := n.unheard(rx.bit); what != "" {
				list = append(list, Stall{q, false, fmt.Sprintf("%d frames written back since the last message: %s", rx.written-rx.noticed, what)})
			}
		}
		if tx.reported != tx.noticed {
			if what := n.unheard(tx.bit); what != "" {
				list = append(list, Stall{q, true, fmt.Sprintf("%d frames written back since the last message: %s", tx.reported-tx.noticed, what)})
			}
		}
	}
	return list
}

// unheard is why a cause leads to no message, "" if it does.
func (n *NIC) unheard(bit uint32) string {
	i := &n.irq
	switch {
	case bit == 0:
		return "IVAR maps the queue to no vector"
	case i.gpie&GpieMultipleMSIX == 0:
		return "GPIE.Multiple_MSIX is clear"
	case i.eims&bit == 0:
		return "the vector is masked in EIMS"
	case i.owed&bit == 0 && i.eicr&bit != 0:
		return "the vector's EICR bit was never cleared: no EIAC, no write to EICR"
	}
	return ""
}

// Check says whether the device's own books agree: every frame that came in is
// written, merged, dropped, held or in the packet buffer; heads and tails lie in their rings; a
// message that is owed has the timer armed. It is cheap enough for every run.
func (n *NIC) Check() error {
	came, waiting := n.in, uint64(n.fifo.count)
	if n.vt != nil {
		came, waiting = came+n.vt.copies, waiting+n.vt.looping()
	}
	if came != n.written+n.merged+n.dropped+waiting+n.holding() {
		return fmt.Errorf("nic: %s: %d frames in, %d written, %d merged, %d dropped, %d in the packet buffer, %d held",
			n.name, came, n.written, n.merged, n.dropped, waiting, n.holding())
	}
	used := 0
	for i := range n.fifo.count {
		used += n.fifo.at(i).room
	}
	if used != n.fifo.used || used > n.fifo.room {
		return fmt.Errorf("nic: %s: packet buffer of %d bytes counts %d, holds %d", n.name, n.fifo.room, n.fifo.used, used)
	}
	if n.dma.busy && n.fifo.count == 0 || n.stalled && (n.fifo.count == 0 || n.dma.busy) {
		return fmt.Errorf("nic: %s: DMA engine at work or waiting without a frame", n.name)
	}
	for q := range n.queues {
		rx, tx := &n.rx[q], &n.tx[q]
		if rx.on() && (rx.head >= rx.n || rx.tail >= rx.n) || tx.on() && (tx.head >= tx.n || tx.tail >= tx.n || tx.fetch >= tx.n) {
			return fmt.Errorf("nic: %s: queue %d: rx head %d tail %d of %d, tx head %d fetch %d tail %d of %d",
				n.name, q, rx.head, rx.tail, rx.n, tx.head, tx.fetch, tx.tail, tx.n)
		}
	}
	i := n.irq
	i.plan()
	switch {
	case i.next != n.irq.next || i.soon != n.irq.soon:
		return fmt.Errorf("nic: %s: next message planned for %v, due at %v", n.name, n.irq.next, i.next)
	case i.owed&^i.eicr != 0:
		return fmt.Errorf("nic: %s: messages %#x owed for causes %#x", n.name, i.owed, i.eicr)
	case (i.owed&i.able() != 0 || i.flying != 0) && !n.timer.Armed():
		return fmt.Errorf("nic: %s: messages %#x owed and %#x on their way, and no timer", n.name, i.owed, i.flying)
	}
	return nil
}

// Counts are the frames that the device has dealt with since it was made.
type Counts struct {
	In        uint64 // taken from the wire
	Written   uint64 // of those, put into host memory
	Dropped   uint64 // of those, dropped
	Sent      uint64 // put on the wire
	DroppedTx uint64 // taken from a transmit ring and dropped
	Messages  uint64 // MSI-X messages that reached a CPU
	Merged    uint64 // of In, joined another frame in the device (LRO)
	Segmented uint64 // of Sent, made by cutting frames (TSO), beyond the first of each

	// With virtual functions. Written and Dropped count copies and frames between pools, too.
	Cloned  uint64 // copies of frames, beyond the first of each
	FromVFs uint64 // taken from the rings of VFs
}

// Counts says how many frames the device has dealt with. In is Written, Merged and
// Dropped and what InFlight says of reception.
func (n *NIC) Counts() Counts {
	c := Counts{
		In: n.in, Written: n.written, Dropped: n.dropped, Sent: n.sentFrames, DroppedTx: n.droppedTx,
		Messages: n.interrupts, Merged: n.merged, Segmented: n.segmented,
	}
	if n.vt != nil {
		c.Cloned, c.FromVFs = n.vt.cloned, n.vt.fromVF
	}
	return c
}
