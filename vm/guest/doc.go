// Package guest is a guest's own kernel: processes, sockets, softirq and timers
// over a network stack of its own, on a processor and devices that it is given.
//
// A program is ordinary blocking Go over net.Conn, net.Listener and
// net.PacketConn:
//
//	func Hello(p *guest.Proc) error {
//		l, err := p.Listen("tcp", ":80")
//		if err != nil {
//			return err
//		}
//		for {
//			c, err := l.Accept()
//			if err != nil {
//				return err
//			}
//			p.Go("hello", func(p *guest.Proc) error {
//				defer c.Close()
//				_, err := io.WriteString(c, "hello\n")
//				return err
//			})
//		}
//	}
//
// # Processes
//
// Each process is a coroutine of the event loop and runs until its next system
// call; the kernel carries that out on its own stack, charges it, and resumes the
// process when it is done. So a process that waits costs a small stack and nothing
// else, and one that has not begun costs no stack at all. Which process runs when
// is decided by a FIFO, never by the Go scheduler: a program may call anything that
// is synchronous, bufio or http.ReadRequest for instance, but must not start
// goroutines, wait for a lock or a channel, or look at the wall clock. A program
// that starts goroutines of its own is outside of what is promised here, and so is
// a call of this package from one. Proc.Go is the way to do two things at once.
//
// What a program does in plain Go takes no virtual time, unless it says so with
// Proc.Work.
//
// # Pieces
//
// The kernel works in pieces, the most urgent first:
//
//  1. an interrupt, which puts a NIC on the list of those to be polled;
//  2. a poll of at most 64 packets, which go up the stack;
//  3. timers that have expired;
//  4. one stretch of a process, up to and including its next system call.
//
// Between two pieces the owner of the CPU lets every event of an earlier time come
// first. Polling that does not end gives processes a turn after ten rounds, as
// ksoftirqd does.
//
// # Costs
//
// Every system call is charged GuestSysEnter and GuestSysExit and the bytes it
// copies; every packet GuestIPRcv or GuestIPOutput, and the transport's step when
// it ends or begins here; a wake-up GuestWakeUp and a switch to another process
// GuestSchedule. What a driver does is charged by the driver.
package guest
