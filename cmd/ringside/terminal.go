package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"ringside/internal/report"
)

// isTerminal says whether a person sits at x.
func isTerminal(x any) bool {
	f, ok := x.(*os.File)
	return ok && terminalColumns(f) > 0
}

// columns is how wide to print: as asked, or as the terminal is.
func columns(asked int, out io.Writer) int {
	if asked > 0 {
		return asked
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if n := terminalColumns(os.Stdout); n > 0 {
		return n
	}
	return report.MaxWidth
}

// A progress tells a person at a terminal how far a long run is. The zero value
// tells nobody.
type progress struct {
	w    io.Writer
	last time.Time
	told bool
}

func newProgress(errs io.Writer, quiet bool) *progress {
	p := &progress{last: time.Now()}
	if isTerminal(errs) && !quiet {
		p.w = errs
	}
	return p
}

// frames is called now and then.
func (p *progress) frames(n uint64) {
	if p.w == nil || time.Since(p.last) < 200*time.Millisecond {
		return
	}
	p.last, p.told = time.Now(), true
	fmt.Fprintf(p.w, "\r%s frames on the wire ", report.Comma(n))
}

// end wipes the line.
func (p *progress) end() {
	if p.told {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
