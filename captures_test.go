package ringside_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/internal/gate"
	"ringside/sim"
	"ringside/vm"
)

// foreign is where captures of strangers lie, if they do: hundreds of protocols,
// many of them broken on purpose.
const foreign = "../shared/captures"

// Whatever a file holds, it ends in a replay in which nothing is lost, or in an
// error that says which file it is and what is wrong with it.
func TestForeignCapturesEndWell(t *testing.T) {
	var files []string
	err := filepath.WalkDir(foreign, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Ext(name) != ".md" {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Skipf("there are no captures of strangers beside the project: %v", err)
	}
	every := 1
	if testing.Short() || gate.Race {
		every = 10
	}
	var tally endings
	work := make(chan string)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for name := range work {
				for i, way := range foreignWays {
					if err := tally.play(name, i, way); err != nil {
						t.Errorf("%s, %s: %v", name, way.name, err)
					}
				}
			}
		})
	}
	for i := 0; i < len(files); i += every {
		work <- files[i]
	}
	close(work)
	wg.Wait()
	tally.log(t, (len(files)+every-1)/every)
}

// A foreignWay is how a capture is played.
type foreignWay struct {
	name    string
	replay  ringside.Replay
	machine ringside.Config
}

var foreignWays = []foreignWay{
	{"at its own speed", ringside.Replay{}, ringside.Config{Seed: 1}},
	{"at top speed into guests that reflect", ringside.Replay{
		Speed: ringside.TopSpeed, Program: vm.Reflect, PadTruncated: true, Until: 2 * sim.Millisecond, VMs: 3,
	}, ringside.Config{Seed: 1, Queues: 4, Ring: 64, FIFO: 16 << 10, DropEn: true}},
	{"at top speed with all offloads", ringside.Replay{Speed: ringside.TopSpeed, Program: vm.Reflect, Until: 2 * sim.Millisecond, VMs: 3},
		ringside.Config{Seed: 1, Queues: 2, Offloads: must(ringside.ParseOffloads("all"))}},
}

// endings counts how replays ended.
type endings struct {
	sync.Mutex
	replayed, refused [3]int
	frames            uint64
	skipped           map[string]uint64
	why               map[string]int
}

// play replays one file and checks how that ended.
func (e *endings) play(name string, way int, w foreignWay) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	const long = 30 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	r := w.replay
	r.Files, r.Context = []string{name}, ctx
	rep, err := r.Run(w.machine, nil)
	e.Lock()
	defer e.Unlock()
	if err != nil {
		var input *ringside.InputError
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("still at it after %v: %w", long, err)
		case !errors.As(err, &input):
			return fmt.Errorf("not the file's fault: %w", err)
		case !strings.Contains(err.Error(), name):
			return fmt.Errorf("the error does not name the file: %w", err)
		case strings.ContainsAny(err.Error(), "\n\r\x00"):
			return fmt.Errorf("the error is no line: %q", err)
		}
		if e.refused[way]++; way == 0 {
			e.note(err)
		}
		return nil
	}
	e.replayed[way]++
	return e.check(rep, way)
}

// check does the sums of a report again.
func (e *endings) check(rep *ringside.Report, way int) error {
	c, in := rep.Conservation, rep.Input
	dropped := uint64(0)
	for _, n := range c.Dropped {
		dropped += n
	}
	atVMs := uint64(0)
	for _, v := range rep.VMs {
		atVMs += v.Frames
	}
	if way == 0 {
		e.frames += in.Frames
		if e.skipped == nil {
			e.skipped = map[string]uint64{}
		}
		for reason, n := range in.Skipped {
			e.skipped[reason] += n
		}
	}
	switch {
	case !c.Balanced || c.In+c.Cloned+c.Segmented != c.Delivered+dropped+c.Merged+c.InFlight:
		return fmt.Errorf("frames were lost: %+v", c)
	case c.ToVMs+c.ToHost+c.ToWire != c.Delivered || atVMs != c.ToVMs:
		return fmt.Errorf("deliveries do not add up: %+v, guests have %d", c, atVMs)
	case c.FromWire != in.Frames:
		return fmt.Errorf("%d frames were read and %d are in", in.Frames, c.FromWire)
	case way == 0 && c.InFlight != 0:
		return fmt.Errorf("%d frames in flight at rest", c.InFlight)
	}
	_, err := json.Marshal(rep)
	return err
}

// note counts an error by its beginning.
func (e *endings) note(err error) {
	if e.why == nil {
		e.why = map[string]int{}
	}
	switch text := err.Error(); {
	case errors.Is(err, ringside.ErrNoFrames):
		e.why["no frame for a wire"]++
	case strings.Contains(text, "link type"):
		e.why["not Ethernet"]++
	default:
		e.why["damaged"]++
	}
}

func (e *endings) log(t *testing.T, files int) {
	for way := range foreignWays {
		require.Equal(t, files, e.replayed[way]+e.refused[way], "each file has an end")
		require.GreaterOrEqual(t, e.replayed[way], files/3, "more than a third can go on a wire")
	}
	t.Logf("%d files: %d replayed (%d if what was cut is filled up), %d refused: %v; %d frames on the wire, left out: %v",
		files, e.replayed[0], e.replayed[1], e.refused[0], e.why, e.frames, e.skipped)
}
