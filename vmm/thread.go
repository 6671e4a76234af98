package vmm

import (
	"fmt"

	"ringside/cost"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
	"ringside/virtio"
)

// Config describes a thread. All of it is required.
type Config struct {
	Rx, Tx    *virtio.Ring // their device's side; in the memory of the process
	Mergeable bool         // a frame may fill several chains (VIRTIO_NET_F_MRG_RXBUF)
	Longest   int          // bytes that a frame and its header may have

	Tag    func() virtio.Tag          // the frame that was read last, for traces
	Late   func(tx bool, at sim.Time) // the guest would have kicked at that later time
	Broken func(error)                // the guest breaks the format, and why
	budget int                        // of a turn; 0 means turnFrames
}

// What the process finds open.
const (
	tapFD = iota
	rxKickFD
	txKickFD
	rxCallFD
	txCallFD
)

// turnFrames bounds what is done for one side before the other is looked at.
const turnFrames = 256

// A thread is one that runs.
type thread struct {
	Config
	task    *syscall.Task
	fds     [3]syscall.PollFD
	rx      buffers
	chain   virtio.Chain
	segs    []syscall.Segment
	starved bool // there are too few buffers: the tap is not looked at
	again   bool // a turn ended with work left
	err     error
}

// Main is the thread's life, until the device is gone or broken.
func (c Config) Main(t *syscall.Task) error {
	if c.budget == 0 {
		c.budget = turnFrames
	}
	w := &thread{Config: c, task: t}
	w.fds = [3]syscall.PollFD{{FD: tapFD}, {FD: rxKickFD, Want: syscall.PollIn}, {FD: txKickFD, Want: syscall.PollIn}}
	w.Rx.Device.DisableKicks()
	w.send() // what was published before there was anybody to kick
	for w.err == nil && w.turn() {
	}
	if w.err != nil {
		w.Broken(w.err)
	}
	return nil
}

// gone are the events of a device that is no more.
const gone = syscall.PollErr | syscall.PollHup | syscall.PollNval

// turn waits for events and deals with them. False says that the device is gone.
func (w *thread) turn() bool {
	timeout := sim.Time(-1)
	if w.again {
		timeout, w.again = 0, false
	}
	w.fds[tapFD].Want = syscall.PollIn
	if w.starved {
		w.fds[tapFD].Want = 0
	}
	w.task.Ppoll(w.fds[:], timeout)
	w.charge(cost.VmmEventLoop, 1)
	for i := range w.fds {
		if w.fds[i].Have&gone != 0 {
			return false
		}
	}
	kicked := w.fds[rxKickFD].Have != 0
	if kicked {
		w.task.EventRead(rxKickFD)
		w.Rx.Device.DisableKicks()
		w.starved = false
	}
	if kicked || w.fds[tapFD].Have != 0 {
		w.receive()
	}
	if w.fds[txKickFD].Have != 0 {
		w.task.EventRead(txKickFD)
	} else if !w.Tx.Device.Silent() {
		return true // and the last turn left nothing
	}
	if w.err == nil {
		w.send()
	}
	return true
}

func (w *thread) charge(s cost.Step, n int) { w.task.Account().Charge(s, uint64(n)) }

// receive reads frames from the tap into the guest's buffers, and calls the guest.
func (w *thread) receive() {
	n := 0
	for ; n < w.budget && w.err == nil && w.room(); n++ {
		got, errno := w.task.Readv(tapFD, w.rx.space(w.Mergeable))
		if errno != syscall.OK {
			if errno != syscall.EAGAIN {
				w.err = fmt.Errorf("vmm: read the tap: %w", errno)
			}
			break
		}
		w.used(got)
	}
	if n > 0 {
		w.task.Account().Frames(cost.VMM, uint64(n))
		w.call(w.Rx, rxCallFD)
	}
	w.again = w.again || n == w.budget
}

// room takes chains off the ring until the longest frame has room. If there are too
// few it asks for a kick, and says so.
func (w *thread) room() bool {
	for !w.rx.hold(w.Longest, w.Mergeable) {
		w.chain.Reset()
		ok, err := w.Rx.Device.Next(w.task.Now(), &w.chain)
		switch {
		case err != nil:
			w.err = err
			return false
		case ok:
			w.task.Account().Once(cost.VmmGetDesc)
			if w.err = w.rx.add(&w.chain, w.task.Memory()); w.err != nil {
				return false
			}
		case w.rx.left(w.Rx.Size()) == 0: // and there will not be more: what is longer is cut
			return true
		case !w.asks(w.Rx, false):
			w.starved = true
			return false
		}
	}
	return true
}

// asks wants a kick for the next chain. True says that there is one already.
func (w *thread) asks(r *virtio.Ring, tx bool) bool {
	more, at := r.Device.EnableKicks(w.task.Now(), 0)
	switch {
	case more:
		r.Device.DisableKicks()
	case at != sim.Never:
		w.Late(tx, at)
	}
	return more
}

// used gives back the chains that a frame of n bytes has filled.
func (w *thread) used(n int) {
	now := w.task.Now()
	if h := &w.rx.heads[0]; n <= h.room { // nearly every frame
		w.Rx.SetTag(h.head, w.Tag())
		w.Rx.Device.Push(now, h.head, uint32(n))
		w.task.Account().Once(cost.VmmAddUsed)
		w.rx.dropFirst()
		return
	}
	filled := w.rx.fill(n, w.Mergeable)
	w.Rx.SetTag(filled[0].head, w.Tag())
	for _, h := range filled {
		w.Rx.Device.Push(now, h.head, uint32(h.got))
	}
	w.charge(cost.VmmAddUsed, len(filled))
	w.rx.drop(len(filled))
}

// call interrupts the guest, if it wants that.
func (w *thread) call(r *virtio.Ring, fd int) {
	if r.Device.CallNeeded() {
		w.task.EventWrite(fd, 1)
	}
}

// send writes the guest's frames to the tap, and calls the guest if it wants to know.
func (w *thread) send() {
	w.Tx.Device.DisableKicks()
	n := 0
	for ; n < w.budget && w.next(); n++ {
		if w.segs, w.err = segments(w.segs[:0], w.chain.Out, w.task.Memory()); w.err != nil {
			break
		}
		// A frame that the kernel refuses it has counted; the chain is used all the same.
		w.task.Writev(tapFD, w.segs)
		w.Tx.Device.Push(w.task.Now(), w.chain.Head, 0)
		w.charge(cost.VmmAddUsed, 1)
	}
	if n > 0 {
		w.task.Account().Frames(cost.VMM, uint64(n))
		w.call(w.Tx, txCallFD)
	}
	w.again = w.again || n == w.budget
}

// next takes the next chain to be sent. If there is none it asks for a kick, and says
// so.
func (w *thread) next() bool {
	for {
		w.chain.Reset()
		ok, err := w.Tx.Device.Next(w.task.Now(), &w.chain)
		switch {
		case err != nil:
			w.err = err
			return false
		case !ok && w.asks(w.Tx, true):
			continue
		case !ok:
			return false
		}
		w.charge(cost.VmmGetDesc, 1)
		if len(w.chain.In) > 0 || w.chain.OutLen < virtio.HdrLen {
			w.err = fmt.Errorf("%w: %d bytes readable and %d writable for sending", virtio.ErrOrder, w.chain.OutLen, w.chain.InLen)
			return false
		}
		return true
	}
}

// maxPieces is how many pieces of memory one system call takes (UIO_MAXIOV).
const maxPieces = 1024

// segments appends where pieces of the process' memory are.
func segments(to []syscall.Segment, pieces [][]byte, m *mem.Memory) ([]syscall.Segment, error) {
	for _, b := range pieces {
		if len(b) == 0 {
			continue
		}
		at, ok := m.AddrOf(b)
		if !ok {
			return to, fmt.Errorf("%w: %d bytes", virtio.ErrAddress, len(b))
		}
		to = append(to, syscall.Segment{Addr: at, Len: len(b)})
	}
	if len(to) > maxPieces {
		return to, fmt.Errorf("%w: %d pieces", virtio.ErrLoop, len(to))
	}
	return to, nil
}
