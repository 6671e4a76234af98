// Package vm is guests: programs with private memory that reach the host through
// system calls and nothing else. It imports syscall and memory and cannot name a
// ring or the bridge; that is the whole protection.
//
// A program is ordinary blocking Go that runs as a coroutine of the event loop.
// It must not start goroutines, lock, or look at the wall clock; what it does in
// plain Go takes no virtual time unless it says so with Guest.Work.
//
//	func Count(g *vm.Guest) error {
//		for {
//			frame, err := g.Receive()
//			if err != nil {
//				return err
//			}
//			g.Work(0)
//			n += len(frame)
//		}
//	}
package vm
