package syscall

// A Counter is a File that is an eventfd: eight bytes that are a number.
type Counter interface {
	File
	// Take is read(): the number that was added up, and none is left. EAGAIN means
	// that there is none at the task's time.
	Take(t *Task) (uint64, Errno)
	// Add is write().
	Add(t *Task, n uint64) Errno
}

// EventRead is read() of an eventfd, which does not wait. The number goes into a
// register of the caller's and not into its memory. Errors: EBADF, EINVAL for what is
// no eventfd, EAGAIN.
func (t *Task) EventRead(fd int) (uint64, Errno) {
	t.enter()
	defer t.exit()
	c, errno := t.counter(fd)
	if errno != OK {
		return 0, errno
	}
	return c.Take(t)
}

// EventWrite is write() of an eventfd. Errors: EBADF, EINVAL.
func (t *Task) EventWrite(fd int, n uint64) Errno {
	t.enter()
	defer t.exit()
	c, errno := t.counter(fd)
	if errno != OK {
		return errno
	}
	t.CatchUp() // others will see this
	return c.Add(t, n)
}

func (t *Task) counter(fd int) (Counter, Errno) {
	d := t.descriptor(fd)
	if d == nil {
		return nil, EBADF
	}
	if c, ok := d.file.(Counter); ok {
		return c, OK
	}
	return nil, EINVAL
}

// InheritFile is Inherit of a file that is open already and has no name, as a thread
// finds what its process has opened.
func (t *Task) InheritFile(f File, flags Flags) (int, Errno) { return t.install(f, flags) }
