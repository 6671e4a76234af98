package wholefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var _ io.WriteCloser = (*File)(nil)

// tree is what a directory holds, temporary files included: name → contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	files := map[string]string{}
	for _, e := range entries {
		if e.IsDir() {
			files[e.Name()] = "a directory"
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = string(b)
	}
	return files
}

func put(t *testing.T, path, contents string, perm fs.FileMode) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(contents), 0o600))
	require.NoError(t, os.Chmod(path, perm))
}

func TestTheFileAppearsWithCommitAndNotBefore(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "out"))
	require.NoError(t, err)
	defer f.Close()
	long := strings.Repeat("0123456789", 20_000) // several buffers full
	for _, part := range []string{"one ", long, " three"} {
		n, err := io.WriteString(f, part)
		require.NoError(t, err)
		require.Equal(t, len(part), n)
		require.NotContains(t, tree(t, dir), "out")
	}
	require.NoError(t, f.Commit())
	require.Equal(t, map[string]string{"out": "one " + long + " three"}, tree(t, dir))
	require.NoError(t, f.Close())
	require.Equal(t, map[string]string{"out": "one " + long + " three"}, tree(t, dir))
}

func TestAFailedRunLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	run := func() error {
		f, err := Create(filepath.Join(dir, "out"))
		require.NoError(t, err)
		defer f.Close()
		io.WriteString(f, strings.Repeat("half of it", 20_000))
		return errors.New("the run failed")
	}
	require.Error(t, run())
	require.Empty(t, tree(t, dir))
}

func TestAnExistingFileSurvivesAFailedRunUntouched(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	put(t, out, "yesterday's", 0o640)
	before, err := os.Stat(out)
	require.NoError(t, err)

	f, err := Create(out)
	require.NoError(t, err)
	io.WriteString(f, strings.Repeat("today's", 20_000))
	require.NoError(t, f.Close())

	after, err := os.Stat(out)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	require.Equal(t, before.ModTime(), after.ModTime())
	require.Equal(t, map[string]string{"out": "yesterday's"}, tree(t, dir))
}

func TestAnExistingFileIsReplacedAndKeepsItsPermissions(t *testing.T) {
	for _, perm := range []fs.FileMode{0o600, 0o640, 0o666, 0o755} {
		dir := t.TempDir()
		out := filepath.Join(dir, "out")
		put(t, out, "yesterday's, and longer", perm)
		before, err := os.Stat(out)
		require.NoError(t, err)
		f, err := Create(out)
		require.NoError(t, err)
		io.WriteString(f, "today's")
		require.NoError(t, f.Commit())
		after, err := os.Stat(out)
		require.NoError(t, err)
		require.Equal(t, before.Mode(), after.Mode())
		require.Equal(t, map[string]string{"out": "today's"}, tree(t, dir))
	}
}

func TestANewFileHasThePermissionsOfAnyNewFile(t *testing.T) {
	dir := t.TempDir()
	plain, err := os.Create(filepath.Join(dir, "plain"))
	require.NoError(t, err)
	require.NoError(t, plain.Close())
	f, err := Create(filepath.Join(dir, "out"))
	require.NoError(t, err)
	require.NoError(t, f.Commit())
	want, err := os.Stat(filepath.Join(dir, "plain"))
	require.NoError(t, err)
	got, err := os.Stat(filepath.Join(dir, "out"))
	require.NoError(t, err)
	require.Equal(t, want.Mode(), got.Mode())
}

func TestTwoFilesAtOnceDoNotMeet(t *testing.T) {
	dir := t.TempDir()
	one, err := Create(filepath.Join(dir, "one"))
	require.NoError(t, err)
	two, err := Create(filepath.Join(dir, "two"))
	require.NoError(t, err)
	again, err := Create(filepath.Join(dir, "one"))
	require.NoError(t, err)
	io.WriteString(one, "1")
	io.WriteString(two, "2")
	io.WriteString(again, "3")
	require.NoError(t, one.Commit())
	require.NoError(t, two.Close())
	require.NoError(t, again.Commit())
	require.Equal(t, map[string]string{"one": "3"}, tree(t, dir))
}

func TestASymbolicLinkStaysAndItsTargetIsReplaced(t *testing.T) {
	dir := t.TempDir()
	far := filepath.Join(dir, "far")
	require.NoError(t, os.Mkdir(far, 0o777))
	for _, link := range [][2]string{{"far/out", "near"}, {"near", "nearer"}, {"loop", "pool"}, {"pool", "loop"}} {
		if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	for _, contents := range []string{"new", "and replaced"} { // the link dangles first
		f, err := Create(filepath.Join(dir, "nearer"))
		require.NoError(t, err)
		io.WriteString(f, contents)
		require.NoError(t, f.Commit())
		require.Equal(t, map[string]string{"out": contents}, tree(t, far))
		info, err := os.Lstat(filepath.Join(dir, "nearer"))
		require.NoError(t, err)
		require.Equal(t, fs.ModeSymlink, info.Mode()&fs.ModeSymlink)
	}
	_, err := Create(filepath.Join(dir, "loop"))
	require.ErrorContains(t, err, "its symbolic links go round in a circle")
}

func TestADeviceIsWrittenToAndStays(t *testing.T) {
	f, err := Create(os.DevNull)
	require.NoError(t, err)
	io.WriteString(f, "into the void")
	require.NoError(t, f.Commit())
	f, err = Create(os.DevNull)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	info, err := os.Stat(os.DevNull)
	require.NoError(t, err)
	require.False(t, info.Mode().IsRegular())
}

func TestErrorsSayWhatIsWrongAndWhatToDo(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "", 0o666)
	for _, row := range []struct{ name, want string }{
		{"", "create : the file has no name: give it one"},
		{dir, "create " + dir + ": it is a directory: give a file's name"},
		{dir + "/new/", "the name is that of a directory: put a file's name behind it"},
		{filepath.Join(dir, "none", "out"), "there is no directory " + filepath.Join(dir, "none") + ": make it first"},
		{filepath.Join(dir, "file", "out"), filepath.Join(dir, "file") + " is not a directory: choose another place"},
	} {
		_, err := Create(row.name)
		require.ErrorContains(t, err, row.want)
	}
	_, err := Create(filepath.Join(dir, "none", "out"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, map[string]string{"file": ""}, tree(t, dir))
}

func TestWhatMayNotBeWrittenIsRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	put(t, out, "yesterday's", 0o444)
	if f, err := os.OpenFile(out, os.O_WRONLY, 0); err == nil {
		f.Close()
		t.Skip("this user may write everything: run the tests as another one to see permissions refused")
	}
	_, err := Create(out)
	require.ErrorIs(t, err, fs.ErrPermission)
	require.ErrorContains(t, err, "create "+out+": the file that is there may not be written: ")
	require.Equal(t, map[string]string{"out": "yesterday's"}, tree(t, dir))

	if runtime.GOOS == "windows" {
		return // a directory cannot be write-protected by its mode
	}
	require.NoError(t, os.Chmod(dir, 0o555))
	defer os.Chmod(dir, 0o777) // for the cleanup
	_, err = Create(filepath.Join(dir, "new"))
	require.ErrorIs(t, err, fs.ErrPermission)
	require.ErrorContains(t, err, "the directory "+dir+" takes no new file: ")
	require.NotContains(t, err.Error(), ".tmp")
}

func TestACommitThatFailsLeavesNothing(t *testing.T) {
	t.Run("the disk refuses", func(t *testing.T) {
		dir := t.TempDir()
		f, err := Create(filepath.Join(dir, "out"))
		require.NoError(t, err)
		io.WriteString(f, "bytes that wait in the buffer")
		f.file.Close() // what comes next fails as it would on a broken disk
		err = f.Commit()
		require.ErrorContains(t, err, "commit "+filepath.Join(dir, "out")+": ")
		require.NotContains(t, err.Error(), ".tmp")
		require.Empty(t, tree(t, dir))
	})
	t.Run("the target has become a directory", func(t *testing.T) {
		dir := t.TempDir()
		out := filepath.Join(dir, "out")
		f, err := Create(out)
		require.NoError(t, err)
		require.NoError(t, os.Mkdir(out, 0o777))
		err = f.Commit()
		require.ErrorContains(t, err, "commit "+out+": ")
		require.Equal(t, map[string]string{"out": "a directory"}, tree(t, dir))
	})
	t.Run("a write failed before", func(t *testing.T) {
		dir := t.TempDir()
		f, err := Create(filepath.Join(dir, "out"))
		require.NoError(t, err)
		f.file.Close()
		_, err = f.Write(make([]byte, 200_000))
		require.ErrorContains(t, err, "write "+filepath.Join(dir, "out")+": ")
		require.Error(t, f.Commit())
		require.Empty(t, tree(t, dir))
	})
}

func TestAFileIsOverAfterCommitOrClose(t *testing.T) {
	for _, end := range []func(*File) error{(*File).Commit, (*File).Close} {
		f, err := Create(filepath.Join(t.TempDir(), "out"))
		require.NoError(t, err)
		require.NoError(t, end(f))
		_, err = f.Write([]byte("late"))
		require.ErrorIs(t, err, fs.ErrClosed)
		require.ErrorIs(t, f.Commit(), fs.ErrClosed)
		require.NoError(t, f.Close())
	}
}
