//go:build linux || darwin || freebsd || netbsd || openbsd

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// stopSignals end a run; what it has half written is undone.
var stopSignals = []os.Signal{os.Interrupt, unix.SIGTERM}

// terminalColumns is the width of the terminal f, 0 if it is none.
func terminalColumns(f *os.File) int {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if ws.Col == 0 {
		return 80
	}
	return int(ws.Col)
}
