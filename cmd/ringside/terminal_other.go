//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !windows

package main

import "os"

// stopSignals end a run; what it has half written is undone.
func stopSignals() []os.Signal { return []os.Signal{os.Interrupt} }

// terminalColumns knows no terminal here.
func terminalColumns(*os.File) int { return 0 }
