// Package raw is the smallest guest kernel: a device's driver, a poll, and one program
// that takes the frames. There is no stack and there are no system calls: the program
// is part of the kernel and works on frames where the device has put them.
//
// It is what a guest with a vm.Program is on every path but the native one, where the
// program is a process of the host. The program is a coroutine that is resumed once a
// poll, not once a frame:
//
//	interrupt ─► poll: NIC.Receive ─► program: Receive, Work, Send … ─► NIC.Complete, NIC.Flush
//
// A program that works for long, sleeps, or waits for room to send holds its poll up;
// interrupts come in meanwhile and only say that there is more.
package raw
