package syscall_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/cost"
	"ringside/kernel/kerneltest"
	"ringside/mem"
	"ringside/sim"
	"ringside/syscall"
)

// Every row is one call on a host where a frame of 60 bytes waits on tap0, open
// as descriptor 0.
func TestErrnosAreLinux(t *testing.T) {
	const top = mem.Addr(math.MaxUint64)
	many := make([]syscall.Segment, 1025)
	for name, row := range map[string]struct {
		call func(*syscall.Task) call
		want call
	}{
		"read: a frame":                          {func(t *syscall.Task) call { return got(t.Read(0, 0, 100)) }, call{60, 0}},
		"read: negative descriptor":              {func(t *syscall.Task) call { return got(t.Read(-1, 0, 100)) }, call{0, syscall.EBADF}},
		"read: descriptor not open":              {func(t *syscall.Task) call { return got(t.Read(1, 0, 100)) }, call{0, syscall.EBADF}},
		"read: descriptor beyond the table":      {func(t *syscall.Task) call { return got(t.Read(16, 0, 100)) }, call{0, syscall.EBADF}},
		"read: descriptor far beyond the table":  {func(t *syscall.Task) call { return got(t.Read(math.MaxInt, 0, 100)) }, call{0, syscall.EBADF}},
		"read: negative length":                  {func(t *syscall.Task) call { return got(t.Read(0, 0, -1)) }, call{0, syscall.EINVAL}},
		"read: least length":                     {func(t *syscall.Task) call { return got(t.Read(0, 0, math.MinInt)) }, call{0, syscall.EINVAL}},
		"read: bad descriptor before bad length": {func(t *syscall.Task) call { return got(t.Read(9, 0, -1)) }, call{0, syscall.EBADF}},
		"read: one byte behind memory":           {func(t *syscall.Task) call { return got(t.Read(0, memorySize-99, 100)) }, call{0, syscall.EFAULT}},
		"read: at the end of memory":             {func(t *syscall.Task) call { return got(t.Read(0, memorySize, 100)) }, call{0, syscall.EFAULT}},
		"read: the last bytes of memory":         {func(t *syscall.Task) call { return got(t.Read(0, memorySize-60, 60)) }, call{60, 0}},
		"read: address near 2^64":                {func(t *syscall.Task) call { return got(t.Read(0, top-99, 100)) }, call{0, syscall.EFAULT}},
		"read: address plus length is 2^64":      {func(t *syscall.Task) call { return got(t.Read(0, top-99, 101)) }, call{0, syscall.EFAULT}},
		"read: address plus length wraps round":  {func(t *syscall.Task) call { return got(t.Read(0, top-9, 100)) }, call{0, syscall.EFAULT}},
		"read: longest length":                   {func(t *syscall.Task) call { return got(t.Read(0, 0, math.MaxInt)) }, call{0, syscall.EFAULT}},
		"read: longest length at the end":        {func(t *syscall.Task) call { return got(t.Read(0, memorySize, math.MaxInt)) }, call{0, syscall.EFAULT}},
		"read: no length":                        {func(t *syscall.Task) call { return got(t.Read(0, 0, 0)) }, call{0, 0}},
		"read: no length at a bad address":       {func(t *syscall.Task) call { return got(t.Read(0, top, 0)) }, call{0, 0}},

		"readv: no segments":            {func(t *syscall.Task) call { return got(t.Readv(0, nil)) }, call{0, 0}},
		"readv: 1024 segments":          {func(t *syscall.Task) call { return got(t.Readv(0, append(many[:1023:1023], seg(0, 60)))) }, call{60, 0}},
		"readv: 1025 segments":          {func(t *syscall.Task) call { return got(t.Readv(0, many)) }, call{0, syscall.EINVAL}},
		"readv: one negative length":    {func(t *syscall.Task) call { return got(t.Readv(0, []syscall.Segment{seg(0, 60), seg(0, -1)})) }, call{0, syscall.EINVAL}},
		"readv: lengths overflow":       {func(t *syscall.Task) call { return got(t.Readv(0, []syscall.Segment{seg(0, math.MaxInt), seg(0, 1)})) }, call{0, syscall.EINVAL}},
		"readv: second segment is bad":  {func(t *syscall.Task) call { return got(t.Readv(0, []syscall.Segment{seg(0, 59), seg(top, 1)})) }, call{0, syscall.EFAULT}},
		"readv: bad segment not needed": {func(t *syscall.Task) call { return got(t.Readv(0, []syscall.Segment{seg(0, 60), seg(top, 1)})) }, call{60, 0}},
		"readv: empty bad segment":      {func(t *syscall.Task) call { return got(t.Readv(0, []syscall.Segment{seg(top, 0), seg(0, 60)})) }, call{60, 0}},

		"batch: a frame":                 {func(t *syscall.Task) call { return got(t.ReadBatch(0, []syscall.Message{{Segment: seg(0, 100)}, {}})) }, call{1, 0}},
		"batch: bad descriptor":          {func(t *syscall.Task) call { return got(t.ReadBatch(3, make([]syscall.Message, 2))) }, call{0, syscall.EBADF}},
		"batch: bad descriptor, no room": {func(t *syscall.Task) call { return got(t.ReadBatch(3, nil)) }, call{0, syscall.EBADF}},
		"batch: no messages":             {func(t *syscall.Task) call { return got(t.ReadBatch(0, nil)) }, call{0, 0}},
		"batch: bad address":             {func(t *syscall.Task) call { return got(t.ReadBatch(0, []syscall.Message{{Segment: seg(top, 9)}})) }, call{0, syscall.EFAULT}},
		"batch: negative length":         {func(t *syscall.Task) call { return got(t.ReadBatch(0, []syscall.Message{{Segment: seg(0, -9)}})) }, call{0, syscall.EINVAL}},
		"batch: bad address behind frame": {func(t *syscall.Task) call {
			return got(t.ReadBatch(0, []syscall.Message{{Segment: seg(0, 60)}, {Segment: seg(0, -1)}}))
		}, call{1, 0}},

		"write: an Ethernet header":    {func(t *syscall.Task) call { return got(t.Write(0, 0, 14)) }, call{14, 0}},
		"write: shorter than a header": {func(t *syscall.Task) call { return got(t.Write(0, 0, 13)) }, call{0, syscall.EINVAL}},
		"write: nothing":               {func(t *syscall.Task) call { return got(t.Write(0, 0, 0)) }, call{0, syscall.EINVAL}},
		"write: negative length":       {func(t *syscall.Task) call { return got(t.Write(0, 0, -14)) }, call{0, syscall.EINVAL}},
		"write: bad descriptor":        {func(t *syscall.Task) call { return got(t.Write(1, 0, 14)) }, call{0, syscall.EBADF}},
		"write: behind memory":         {func(t *syscall.Task) call { return got(t.Write(0, memorySize-13, 14)) }, call{0, syscall.EFAULT}},
		"write: address near 2^64":     {func(t *syscall.Task) call { return got(t.Write(0, top-13, 60)) }, call{0, syscall.EFAULT}},
		"write: longer than any frame": {func(t *syscall.Task) call { return got(t.Write(0, 0, 65558)) }, call{0, syscall.EMSGSIZE}},
		"write: longest length":        {func(t *syscall.Task) call { return got(t.Write(0, 0, math.MaxInt)) }, call{0, syscall.EMSGSIZE}},

		"writev: pieces make a frame": {func(t *syscall.Task) call {
			return got(t.Writev(0, []syscall.Segment{seg(0, 13), seg(0, 0), seg(9, 1)}))
		}, call{14, 0}},
		"writev: pieces make no header": {func(t *syscall.Task) call { return got(t.Writev(0, []syscall.Segment{seg(0, 7), seg(0, 6)})) }, call{0, syscall.EINVAL}},
		"writev: 1025 segments":         {func(t *syscall.Task) call { return got(t.Writev(0, many)) }, call{0, syscall.EINVAL}},
		"writev: second segment is bad": {func(t *syscall.Task) call { return got(t.Writev(0, []syscall.Segment{seg(0, 60), seg(top, 1)})) }, call{0, syscall.EFAULT}},
		"writev: lengths overflow to a frame's": {func(t *syscall.Task) call {
			return got(t.Writev(0, []syscall.Segment{seg(0, math.MaxInt), seg(0, math.MaxInt), seg(0, 102)}))
		}, call{0, syscall.EINVAL}},

		"open: no such device":      {func(t *syscall.Task) call { return got(t.Open("/dev/tap7", nonBlock)) }, call{-1, syscall.ENOENT}},
		"open: no such path":        {func(t *syscall.Task) call { return got(t.Open("tap0", nonBlock)) }, call{-1, syscall.ENOENT}},
		"open: no name":             {func(t *syscall.Task) call { return got(t.Open("", nonBlock)) }, call{-1, syscall.ENOENT}},
		"open: a directory":         {func(t *syscall.Task) call { return got(t.Open("/dev/", nonBlock)) }, call{-1, syscall.ENOENT}},
		"open: somebody has it":     {func(t *syscall.Task) call { return got(t.Open("/dev/tap0", nonBlock)) }, call{-1, syscall.EBUSY}},
		"close: open":               {func(t *syscall.Task) call { return failed(t.Close(0)) }, call{0, 0}},
		"close: not open":           {func(t *syscall.Task) call { return failed(t.Close(1)) }, call{0, syscall.EBADF}},
		"close: negative":           {func(t *syscall.Task) call { return failed(t.Close(-1)) }, call{0, syscall.EBADF}},
		"close: beyond the table":   {func(t *syscall.Task) call { return failed(t.Close(16)) }, call{0, syscall.EBADF}},
		"nanosleep: negative":       {func(t *syscall.Task) call { return failed(t.Nanosleep(-1)) }, call{0, syscall.EINVAL}},
		"nanosleep: most negative":  {func(t *syscall.Task) call { return failed(t.Nanosleep(-sim.Never)) }, call{0, syscall.EINVAL}},
		"nanosleep: no time at all": {func(t *syscall.Task) call { return failed(t.Nanosleep(0)) }, call{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var have call
			alone(t, frames(1, 60), func(task *syscall.Task) { have = row.call(task) })
			assert.Equal(t, row.want, have)
		})
	}
}

func TestDescriptorsThatDoNotBlock(t *testing.T) {
	alone(t, frames(1, 60), func(task *syscall.Task) {
		assert.Equal(t, syscall.OK, task.Close(0)) // and the frame is gone
		fd, errno := task.Open("/dev/tap0", nonBlock)
		assert.Equal(t, call{0, syscall.OK}, call{fd, errno}, "the lowest descriptor that is free")
		assert.Equal(t, call{0, syscall.EAGAIN}, got(task.Read(fd, 0, 100)))
		assert.Equal(t, call{0, syscall.EAGAIN}, got(task.Readv(fd, []syscall.Segment{seg(0, 100)})))
		assert.Equal(t, call{0, syscall.EAGAIN}, got(task.ReadBatch(fd, []syscall.Message{{Segment: seg(0, 100)}})))
		assert.Equal(t, call{0, syscall.OK}, got(task.ReadBatch(fd, make([]syscall.Message, 3))), "no room, nothing to wait for")
		assert.Equal(t, call{0, syscall.OK}, got(task.ReadBatch(fd, nil)))
		assert.Equal(t, call{0, syscall.OK}, got(task.Read(fd, 0, 0)), "no length, nothing to wait for")
	})
}

func TestEveryDescriptorCloses(t *testing.T) {
	alone(t, nil, func(task *syscall.Task) {
		assert.Equal(t, syscall.OK, task.Close(0))
		assert.Equal(t, syscall.EBADF, task.Close(0), "twice")
		assert.Equal(t, call{0, syscall.EBADF}, got(task.Read(0, 0, 100)))
		assert.Equal(t, call{0, syscall.EBADF}, got(task.Write(0, 0, 100)))
	})
}

func TestTheSeventeenthDescriptorIsEMFILE(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 17})
	start(t, r, func(task *syscall.Task) {
		for i := 1; i < 16; i++ {
			assert.Equal(t, call{i, syscall.OK}, got(task.Open(fmt.Sprintf("/dev/tap%d", i), syscall.ReadWrite)))
		}
		assert.Equal(t, call{-1, syscall.EMFILE}, got(task.Open("/dev/tap16", syscall.ReadWrite)))
		assert.Equal(t, syscall.OK, task.Close(5))
		assert.Equal(t, call{5, syscall.OK}, got(task.Open("/dev/tap16", syscall.ReadWrite)), "the refused open left the tap to others")
	})
	require.NoError(t, r.Run())
}

func TestNoMemoryForAWrittenFrameIsENOMEM(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, RAM: 3 << 20})
	for {
		if _, err := r.Memory.Alloc(0); err != nil {
			break
		}
	}
	before := r.Memory.InUse()
	start(t, r, func(task *syscall.Task) {
		assert.Equal(t, call{0, syscall.ENOMEM}, got(task.Write(0, 0, 60)))
		assert.Equal(t, call{0, syscall.ENOMEM}, got(task.Write(0, 0, 9000)))
	})
	require.NoError(t, r.Run())
	assert.Equal(t, before, r.Memory.InUse())
	assert.Zero(t, r.Flow().Own)
}

func TestAPieceOfMemoryIsNotEnough(t *testing.T) {
	r := kerneltest.New(t, kerneltest.Config{CPUs: 2, Taps: 1, RAM: 3 << 20})
	var pages []mem.Addr
	for {
		a, err := r.Memory.Alloc(0)
		if err != nil {
			break
		}
		pages = append(pages, a)
	}
	r.Memory.Release(pages[0])
	r.Memory.Release(pages[1])
	before := r.Memory.InUse()
	start(t, r, func(task *syscall.Task) {
		assert.Equal(t, call{0, syscall.ENOMEM}, got(task.Write(0, 0, 9000)), "two pages of three")
		assert.Equal(t, before, r.Memory.InUse())
		assert.Equal(t, call{8000, syscall.OK}, got(task.Write(0, 0, 8000)))
	})
	require.NoError(t, r.Run())
	assert.Equal(t, before, r.Memory.InUse())
}

// A bad address costs the frame, as in Linux, and the next read has the next.
func TestAFaultLosesItsFrame(t *testing.T) {
	r := alone(t, frames(3, 60), func(task *syscall.Task) {
		assert.Equal(t, call{0, syscall.EFAULT}, got(task.Read(0, memorySize, 60)))
		assert.Equal(t, call{60, syscall.OK}, got(task.Read(0, 0, 60)))
		assert.Equal(t, frame(60, 16), task.Memory().Bytes(0, 60))
	})
	assert.EqualValues(t, 1, r.Drops[cost.Syscall][cost.SKBUcopyFault])
	assert.EqualValues(t, 1, r.Drops[cost.Tap][cost.RSClosed], "the third, when the program ended")
}
