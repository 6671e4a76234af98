package gate

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Disturb makes the process a noisy place until stop is called: goroutines that
// spin and yield, goroutines that allocate, and a garbage collection at every
// twentieth of growth.
func Disturb() (stop func()) {
	percent := debug.SetGCPercent(5)
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := 0; !done.Load(); n++ {
				if n%64 == 0 {
					runtime.Gosched()
				}
			}
		})
		wg.Go(func() {
			var keep [64][]byte
			for n := 0; !done.Load(); n++ {
				keep[n%len(keep)] = make([]byte, 1<<(n%14))
				if n%1024 == 0 {
					runtime.Gosched()
				}
			}
			runtime.KeepAlive(&keep)
		})
	}
	return func() {
		done.Store(true)
		wg.Wait()
		debug.SetGCPercent(percent)
	}
}
