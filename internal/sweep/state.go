package sweep

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// StateSchema names the first line of a state file.
const StateSchema = "ringside.sweep-state/1"

// A State is a file that remembers the rows of a sweep that are done, a line of
// JSON each. It outlives a process that is killed: a line that is not whole is as if
// it were not there.
type State struct {
	file *os.File
	rows []Row
}

// ErrOtherSweep says that a state file belongs to another plan.
var ErrOtherSweep = errors.New("it belongs to another sweep")

type stateHead struct {
	Schema string `json:"schema"`
	Plan   string `json:"plan_id"`
}

// OpenState opens the state of a plan, or begins it.
func OpenState(name string, p *Plan) (*State, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("sweep: state: %w", err)
	}
	s := &State{file: f}
	if err := s.load(p); err != nil {
		f.Close()
		return nil, fmt.Errorf("sweep: state %s: %w", name, err)
	}
	return s, nil
}

// load reads what is there and cuts off what is not whole.
func (s *State) load(p *Plan) error {
	text, err := io.ReadAll(s.file)
	if err != nil {
		return err
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	if err := s.file.Truncate(int64(len(text))); err != nil {
		return err
	}
	if _, err := s.file.Seek(int64(len(text)), io.SeekStart); err != nil {
		return err
	}
	if len(text) == 0 {
		return s.line(stateHead{StateSchema, p.ID()})
	}
	points := p.Points()
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		if n == 0 {
			var head stateHead
			if json.Unmarshal(lines.Bytes(), &head) != nil || head.Schema != StateSchema {
				return fmt.Errorf("its first line is not that of a %s", StateSchema)
			}
			if head.Plan != p.ID() {
				return ErrOtherSweep
			}
			continue
		}
		var row Row
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
		if row.Point < 0 || row.Point >= len(points) || points[row.Point].Value != row.Value {
			return fmt.Errorf("line %d: point %d is none of the plan", n+1, row.Point)
		}
		s.rows = append(s.rows, row)
	}
	return lines.Err()
}

// Rows are those that are done.
func (s *State) Rows() []Row { return s.rows }

// Add writes a row down, on the disk when it returns.
func (s *State) Add(r Row) error {
	if err := s.line(r); err != nil {
		return fmt.Errorf("sweep: state: %w", err)
	}
	return nil
}

func (s *State) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := s.file.Write(append(b, '\n')); err != nil {
		return err
	}
	return s.file.Sync()
}

// Close closes the file.
func (s *State) Close() error { return s.file.Close() }
