package ringside

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"ringside/internal/capture"
)

// A Found is one record of a capture, as a replay would treat it.
type Found struct {
	Number   uint64 // 1, 2, 3, …
	Records  uint64 // that the file has
	TimeNs   int64  // since 1970
	Captured int    // bytes in the file
	Length   int    // bytes the frame had
	Frame    []byte // as it goes on the wire; nil if it does not
	Skipped  string // why it does not, one of the Skip reasons
	Why      string // that in the file's words, where it has some
	Adjusted string // how it was changed, one of the Adjust reasons
}

// ErrNoFrame says that a capture has no frame of that number.
var ErrNoFrame = errors.New("no such frame")

// Find reads the replay's first file for the record with the given number.
func (r Replay) Find(number uint64) (*Found, error) {
	if len(r.Files) == 0 {
		return nil, errors.New("replay: no capture file was given")
	}
	w := &replayWire{r: &r, surveying: true}
	defer w.close()
	if err := w.openFile(r.Files[0]); err != nil {
		return nil, err
	}
	var f Found
	for {
		rec, err := w.rd.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, capture.ErrTruncatedFile) {
			break
		}
		if err != nil {
			return nil, &InputError{err}
		}
		f.Records = uint64(rec.Number)
		if f.Records&0xfff == 0 && r.stopped() != nil {
			return nil, r.stopped()
		}
		if f.Records != number {
			continue
		}
		f.Number, f.TimeNs, f.Captured, f.Length, f.Why = number, rec.Time, len(rec.Data), rec.OrigLen, rec.Skip
		f.Frame = bytes.Clone(w.shape(rec))
		for reason := range w.skipped {
			f.Skipped = reason
		}
		for reason := range w.adjusted {
			f.Adjusted = reason
		}
	}
	if f.Number == 0 {
		return nil, &InputError{fmt.Errorf("%s: %w %d: the file has %d", r.Files[0], ErrNoFrame, number, f.Records)}
	}
	return &f, nil
}
