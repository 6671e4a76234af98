// Package leaktest tells tests whether goroutines are left. It waits by the wall clock,
// which is why it stands beside the rooms and is for tests alone.
package leaktest

import (
	"runtime"
	"time"
)

// Goroutines is how many goroutines there are, once those that are about to end have
// ended: a stack that is closed does not wait for its own. So a test can hold the
// number before against the number after, whatever other tests ran before it.
func Goroutines() int {
	n, same := runtime.NumGoroutine(), 0
	for same < 5 {
		time.Sleep(5 * time.Millisecond)
		if now := runtime.NumGoroutine(); now != n {
			n, same = now, 0
		} else {
			same++
		}
	}
	return n
}
