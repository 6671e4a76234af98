package bridge

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unhex reads bytes that are written with blanks between their groups.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return data
}

func TestApply(t *testing.T) {
	const macs = "0200000000bb 0200000000aa"
	for _, tt := range []struct {
		name        string
		copy        Copy
		frame, want string
	}{
		{"nothing to edit", Copy{Port: 3}, macs + "0800 45", macs + "0800 45"},
		{"a tag is put in front of the type", Copy{Tag: 0x8100_0005}, macs + "0800 45", macs + "8100 0005 0800 45"},
		{"a tag is put in front of a tag", Copy{Tag: 0x88a8_0005}, macs + "8100 0002 0800 45", macs + "88a8 0005 8100 0002 0800 45"},
		{"the tag is taken off", Copy{Strip: true}, macs + "8100 0005 0800 45", macs + "0800 45"},
		{"of two tags the outer one is taken off", Copy{Strip: true}, macs + "88a8 0005 8100 0002 0800 45", macs + "8100 0002 0800 45"},
		{"a tag is put in the place of one", Copy{Strip: true, Tag: 0x8100_e005}, macs + "8100 e000 0800 45", macs + "8100 e005 0800 45"},
		{"a destination takes the place of a group", Copy{To: MAC{2, 0, 0, 0, 0, 9}}, "01005e000001 0200000000aa 0800 45", "020000000009 0200000000aa 0800 45"},
		{"all at once", Copy{To: MAC{2, 0, 0, 0, 0, 9}, Strip: true, Tag: 0x88a8_0007}, macs + "8100 0001 86dd 60", "020000000009 0200000000aa 88a8 0007 86dd 60"},
		{"a header alone", Copy{Tag: 0x8100_0005}, macs + "0800", macs + "8100 0005 0800"},
		{"a tag without a type behind it stays", Copy{Strip: true}, macs + "8100 0005", macs + "8100 0005"},
		{"half a header stays", Copy{Tag: 0x8100_0005}, macs, macs},
		{"no bytes", Copy{Tag: 0x8100_0005, Strip: true}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frame := unhex(t, tt.frame)
			before := bytes.Clone(frame)
			got := tt.copy.Apply([]byte{0xee}, frame)
			require.Equal(t, append([]byte{0xee}, unhex(t, tt.want)...), got)
			require.Equal(t, before, frame, "the frame was written")
		})
	}
}

func TestApplyAllocatesNothing(t *testing.T) {
	frame, dst := make([]byte, 1518), make([]byte, 0, 2048)
	c := Copy{Strip: true, Tag: 0x8100_0005}
	require.Zero(t, testing.AllocsPerRun(100, func() { dst = c.Apply(dst[:0], frame) }))
}
