package differential

import (
	"fmt"
	"io"
)

// A file is one entry of an archive.
type file struct {
	name string
	mode uint32 // type and permissions, as in stat(2)
	data []byte
}

const (
	modeDir  = 0o040755
	modeFile = 0o100755
)

// writeNewc writes an archive in the format of cpio that the kernel unpacks as
// its first root, "newc": for each file a header of 13 numbers of eight hex
// digits, the name and the data, each filled up to four bytes; the last file is
// called TRAILER!!!. See the kernel's "initramfs buffer format".
func writeNewc(w io.Writer, files []file) error {
	for i, f := range append(files, file{name: "TRAILER!!!"}) {
		name := f.name + "\x00"
		fields := [...]uint32{uint32(i + 1), f.mode, 0, 0, 1, 0, uint32(len(f.data)), 0, 0, 0, 0, uint32(len(name)), 0}
		header := "070701"
		for _, v := range fields {
			header += fmt.Sprintf("%08X", v)
		}
		if err := writePadded(w, header+name); err != nil {
			return err
		}
		if err := writePadded(w, string(f.data)); err != nil {
			return err
		}
	}
	return nil
}

func writePadded(w io.Writer, s string) error {
	_, err := io.WriteString(w, s+"\x00\x00\x00"[:-len(s)&3])
	return err
}
