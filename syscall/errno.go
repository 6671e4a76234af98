package syscall

import "fmt"

// An Errno is a system call's error number, with Linux's values and names. The
// zero value is success.
type Errno int32

// The numbers that calls here return.
const (
	OK       Errno = 0
	ENOENT   Errno = 2
	EINTR    Errno = 4
	EIO      Errno = 5
	EBADF    Errno = 9
	EAGAIN   Errno = 11
	ENOMEM   Errno = 12
	EFAULT   Errno = 14
	EBUSY    Errno = 16
	EINVAL   Errno = 22
	EMFILE   Errno = 24
	EMSGSIZE Errno = 90
)

var errnoNames = map[Errno][2]string{
	OK:       {"OK", "success"},
	ENOENT:   {"ENOENT", "no such file or directory"},
	EINTR:    {"EINTR", "interrupted system call"},
	EIO:      {"EIO", "input/output error"},
	EBADF:    {"EBADF", "bad file descriptor"},
	EAGAIN:   {"EAGAIN", "resource temporarily unavailable"},
	ENOMEM:   {"ENOMEM", "cannot allocate memory"},
	EFAULT:   {"EFAULT", "bad address"},
	EBUSY:    {"EBUSY", "device or resource busy"},
	EINVAL:   {"EINVAL", "invalid argument"},
	EMFILE:   {"EMFILE", "too many open files"},
	EMSGSIZE: {"EMSGSIZE", "message too long"},
}

// Error is the number's name and what it means, so that an Errno is an error and
// errors.Is(err, EAGAIN) works. Compare with OK before returning one as an error.
func (e Errno) Error() string {
	if n, ok := errnoNames[e]; ok {
		return n[0] + ": " + n[1]
	}
	return fmt.Sprintf("errno %d", int32(e))
}

// Err is e as an error: nil for OK.
func (e Errno) Err() error {
	if e == OK {
		return nil
	}
	return e
}
