package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"ringside"
)

// An input opens captures. Standard input, which is named -, is spooled to a
// temporary file first, because captures are read twice.
type input struct {
	spool *os.File
	size  int64
}

// openInput makes the input of a run and gives it to o.
func openInput(c *cobra.Command, o *options) (*input, error) {
	in := &input{}
	stdin := 0
	for _, f := range o.replay.Files {
		if f == "-" {
			stdin++
		}
	}
	if stdin > 1 {
		return nil, usagef("- is standard input, which can be read once; it was named %d times", stdin)
	}
	if stdin == 1 {
		if err := in.read(c.Context(), c.InOrStdin()); err != nil {
			in.close()
			return nil, err
		}
	}
	o.replay.Context, o.replay.Open = c.Context(), in.open
	return in, nil
}

// read spools r.
func (in *input) read(ctx context.Context, r io.Reader) (err error) {
	if isTerminal(r) {
		return usagef("- is standard input, and that is a terminal: pipe a capture into it, as in tcpdump -w - | ringside replay -")
	}
	if in.spool, err = os.CreateTemp("", "ringside-*.spool"); err != nil {
		return fmt.Errorf("standard input is read twice and so needs a temporary file: %w", err)
	}
	// A read of standard input cannot be interrupted, so it gets a goroutine of
	// its own, which dies with the process.
	done := make(chan error, 1)
	go func() {
		n, err := io.Copy(in.spool, r)
		in.size = n
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return &ringside.InputError{Err: fmt.Errorf("-: reading standard input: %w", err)}
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// open opens a capture.
func (in *input) open(name string) (io.ReadCloser, error) {
	if name == "-" && in.spool != nil {
		return io.NopCloser(io.NewSectionReader(in.spool, 0, in.size)), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		f.Close()
		return nil, fmt.Errorf("%s is a directory; name a capture file in it", name)
	}
	return f, nil
}

// close removes the spool.
func (in *input) close() {
	if in.spool != nil {
		in.spool.Close()
		os.Remove(in.spool.Name())
	}
}
