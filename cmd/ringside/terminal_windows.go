package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// stopSignals end a run; what it has half written is undone.
func stopSignals() []os.Signal { return []os.Signal{os.Interrupt, windows.SIGTERM} }

// terminalColumns is the width of the console f, 0 if it is none.
func terminalColumns(f *os.File) int {
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info) != nil {
		return 0
	}
	return int(info.Window.Right-info.Window.Left) + 1
}
