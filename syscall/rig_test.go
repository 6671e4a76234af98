package syscall_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/kernel"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
)

const (
	memorySize = 64 << 10 // of the program, as kerneltest.Start gives it
	nonBlock   = syscall.ReadWrite | syscall.NonBlock
)

// frame is a frame for the program: n bytes that count up from fill.
func frame(n int, fill byte) []byte {
	return kerneltest.Frame(kerneltest.Station(0), kerneltest.Remote(0), n, fill)
}

// frames is n of them, of the length size, that differ.
func frames(n, size int) (list [][]byte) {
	for i := range n {
		list = append(list, frame(size, byte(i*16)))
	}
	return list
}

// alone runs program on CPU 1 of a host with two, as the only process. When it
// begins, wire has come in and waits on tap0; nothing is open.
func alone(t *testing.T, wire [][]byte, program func(*syscall.Task)) *kerneltest.Rig {
	t.Helper()
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1})
	r.Play(0, wire...)
	start(t, r, program)
	require.NoError(t, r.Run())
	return r
}

// start spawns program on CPU 1; it begins when the wire has been quiet for long.
// It finds tap0 open as descriptor 0.
func start(t *testing.T, r *kerneltest.Rig, program func(*syscall.Task)) {
	t.Helper()
	_, err := r.Start(1, func(task *syscall.Task) error {
		task.Nanosleep(sim.Millisecond)
		program(task)
		return nil
	}, "tap0")
	require.NoError(t, err)
}

// call is what a system call returned.
type call struct {
	n     int
	errno syscall.Errno
}

func got(n int, errno syscall.Errno) call { return call{n, errno} }

// failed is what a call returned that returns an errno only.
func failed(errno syscall.Errno) call { return call{0, errno} }

func seg(addr mem.Addr, n int) syscall.Segment { return syscall.Segment{Addr: addr, Len: n} }

func TestErrnoIsAnError(t *testing.T) {
	var err error = syscall.EAGAIN
	require.ErrorIs(t, err, syscall.EAGAIN)
	require.NotErrorIs(t, err, syscall.EINVAL)
	require.EqualError(t, err, "EAGAIN: resource temporarily unavailable")
	require.EqualError(t, syscall.Errno(7), "errno 7")
	require.NoError(t, syscall.OK.Err())
	require.True(t, errors.Is(syscall.EFAULT.Err(), syscall.EFAULT))
}

// noITR is a NIC that interrupts as often as it can.
var noITR = kernel.NICConfig{}
