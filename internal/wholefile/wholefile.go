// Package wholefile writes files that are whole or absent: until Commit nobody
// sees a byte of the new contents under the file's name, and a run that fails
// leaves whatever was there before as it was.
//
//	f, err := wholefile.Create("report.json")
//	if err != nil {
//		return err
//	}
//	defer f.Close() // undoes everything that was not committed
//	… write to f …
//	return f.Commit()
//
// The bytes gather in a hidden file of the same directory, ".wholefile-*.tmp",
// which Commit syncs to the disk and renames over the target. A process that is
// killed cannot tidy up and leaves that file behind, but never half a target.
//
// A device or a pipe, such as /dev/null, cannot be replaced and takes no bytes
// back: it is written to directly. The name "-" has no special meaning here;
// standard output is the caller's business.
package wholefile

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A File is a file in the making. Its zero value is not ready; see Create.
// It serves one goroutine.
type File struct {
	name   string // as the caller gave it, for errors
	target string // what is replaced: name without symbolic links
	file   *os.File
	buf    *bufio.Writer
	temp   bool // file is a temporary one, to be renamed or removed
	done   bool
}

// Create begins a file that shall stand under name. An existing file must be
// one that the caller may write to, and keeps its permissions but not its owner;
// a symbolic link stays one, and what it points at is replaced. The directory must exist.
func Create(name string) (*File, error) {
	f := &File{name: name}
	if err := f.open(); err != nil {
		return nil, f.failed("create", err)
	}
	f.buf = bufio.NewWriterSize(f.file, 64<<10)
	return f, nil
}

func (f *File) open() error {
	if f.name == "" {
		return errors.New("the file has no name: give it one")
	}
	if os.IsPathSeparator(f.name[len(f.name)-1]) {
		return errors.New("the name is that of a directory: put a file's name behind it")
	}
	info, missing := os.Stat(f.name)
	perm := fs.FileMode(0o666)
	switch {
	case missing != nil: // the rule; what follows finds out if there is more to it
	case info.IsDir():
		return errors.New("it is a directory: give a file's name")
	case !info.Mode().IsRegular():
		var err error
		f.file, err = os.OpenFile(f.name, os.O_WRONLY, 0)
		return err
	default:
		// Renaming would replace even a file that is write-protected.
		old, err := os.OpenFile(f.name, os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("the file that is there may not be written: %w", cause(err))
		}
		old.Close()
		perm = info.Mode().Perm()
	}

	target, err := follow(f.name)
	if err != nil {
		return err
	}
	dir := filepath.Dir(target)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no directory %s: make it first: %w", dir, fs.ErrNotExist)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory: choose another place", dir)
	}
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return missing
	}
	if f.file, err = createTemp(dir, perm); err != nil {
		return fmt.Errorf("the directory %s takes no new file: %w", dir, cause(err))
	}
	if missing == nil {
		f.file.Chmod(perm) // gives back what the umask took; without it the file is only more private
	}
	f.target, f.temp = target, true
	return nil
}

// follow returns what a chain of symbolic links ends at, there or not yet there.
func follow(name string) (string, error) {
	for range 40 { // as deep as Linux goes
		info, err := os.Lstat(name)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return name, nil // whatever is wrong, the next to look at it will say so
		}
		to, err := os.Readlink(name)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(name), to)
		}
		name = to
	}
	return "", errors.New("its symbolic links go round in a circle: give another name")
}

// createTemp makes a file with the permissions perm, as far as the umask lets a
// new file have them; os.CreateTemp would make it the owner's alone.
func createTemp(dir string, perm fs.FileMode) (*os.File, error) {
	for n := 0; ; n++ {
		name := filepath.Join(dir, fmt.Sprintf(".wholefile-%d-%d.tmp", os.Getpid(), n))
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if !errors.Is(err, fs.ErrExist) || n == 10_000 {
			return file, err
		}
	}
}

// Write adds b to the file. An error of the disk may show up later, but Commit
// returns it.
func (f *File) Write(b []byte) (int, error) {
	if f.done {
		return 0, f.failed("write", fs.ErrClosed)
	}
	n, err := f.buf.Write(b)
	if err != nil {
		err = f.failed("write", err)
	}
	return n, err
}

// Commit puts the file in its place, whole and on the disk. If it fails, the
// target is what it was before.
func (f *File) Commit() error {
	if f.done {
		return f.failed("commit", fs.ErrClosed)
	}
	f.done = true
	err := f.buf.Flush()
	if err == nil && f.temp {
		err = f.file.Sync()
	}
	if closing := f.file.Close(); err == nil {
		err = closing
	}
	if err == nil && f.temp {
		err = os.Rename(f.file.Name(), f.target)
	}
	if err != nil {
		f.remove()
		return f.failed("commit", err)
	}
	if f.temp {
		syncDir(filepath.Dir(f.target))
	}
	return nil
}

// Close undoes everything unless Commit was called, and does nothing then. A
// deferred Close makes sure that a failed run leaves no trace.
func (f *File) Close() error {
	if f.done {
		return nil
	}
	f.done = true
	err := f.file.Close()
	if removing := f.remove(); err == nil {
		err = removing
	}
	if err != nil {
		return f.failed("close", err)
	}
	return nil
}

func (f *File) remove() error {
	if !f.temp {
		return nil
	}
	return os.Remove(f.file.Name())
}

// syncDir makes a rename outlast a power cut. Not every system and file system
// can, and the file is in its place either way.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}

// failed speaks of the file the caller knows, not of the temporary one.
func (f *File) failed(what string, err error) error {
	return fmt.Errorf("%s %s: %w", what, f.name, cause(err))
}

// cause is err without the name that the os package puts in front.
func cause(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}
