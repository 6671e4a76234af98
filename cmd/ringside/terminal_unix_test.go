//go:build linux || darwin || freebsd || netbsd || openbsd

package main

import (
	"bytes"
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestHangUpUndoesWhatIsHalfWritten(t *testing.T) {
	if signal.Ignored(unix.SIGHUP) {
		t.Skip("nohup")
	}
	dir := t.TempDir()
	inTestdata(t)
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	defer stop()
	time.AfterFunc(100*time.Millisecond, func() { unix.Kill(os.Getpid(), unix.SIGHUP) })
	var o, e bytes.Buffer
	code := run(ctx, []string{"replay", "udp-flood.pcap", "--loop", "1000000", "--out", filepath.Join(dir, "stages.pcapng")}, nil, &o, &e)
	assert.Equal(t, exitInterrupted, code, e.String())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}
