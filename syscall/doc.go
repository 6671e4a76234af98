// Package syscall is the border between a guest and the kernel, and the only
// door through it: system calls are checked, charged, copied across and
// answered with an errno here. In this tree the word always means this package,
// never the standard library's.
//
// A call goes the way it goes in Linux:
//
//	Enter  charge, find the descriptor
//	File   the kernel's object does its part: a frame for read, EAGAIN for none
//	block  nothing there and the descriptor blocks: sleep until woken, try again
//	copy   between kernel and the guest's private memory, checked, charged
//	Exit   charge; the place where another task may get the CPU
//
// A task is a coroutine of the event loop: it runs until it must wait, and its
// CPU's clock runs with what it is charged. It may be ahead of the event loop's
// time, and that is safe as long as it only takes what carries an earlier time;
// before it may conclude that something is not there, or do something that
// others can see, it lets the loop catch up. See Task.CatchUp.
package syscall
