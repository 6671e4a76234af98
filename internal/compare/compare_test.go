package compare

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/cost"
	"ringside/load"
)

func trial(t *testing.T, cfg ringside.Config, spec string) *ringside.Trial {
	t.Helper()
	s, err := load.Parse(spec)
	require.NoError(t, err)
	tr, err := ringside.Load{Spec: s}.Run(cfg, nil)
	require.NoError(t, err)
	return tr
}

func TestEveryStageOfACPUHasAKind(t *testing.T) {
	for s := range cost.NumStages {
		if s != cost.NIC && s != cost.IRQ {
			assert.NotEqual(t, IRQ, stageKinds[s], "stage %v has no kind: only hard interrupts are %v", s, IRQ)
		}
	}
}

func TestKindsAddUpToTheBill(t *testing.T) {
	for _, p := range ringside.Paths() {
		tr := trial(t, ringside.Config{Path: p}, "64@1mpps")
		kinds, idle := Split(tr.Bill)
		sum := idle
		for _, n := range kinds {
			sum += n
		}
		var bill uint64
		for s := range cost.NumStages {
			for o := range cost.NumOps {
				bill += tr.Bill.Ops[s][o].MilliCycles
			}
		}
		assert.Equal(t, bill, sum, p)
		row := OfTrial(tr)
		var perFrame float64
		for _, x := range row.Cycles {
			perFrame += x
		}
		assert.InDelta(t, row.CyclesPerFrame, perFrame, 0.1, p)
		assert.InEpsilon(t, float64(tr.Report.Hz)/row.CyclesPerFrame, float64(row.CorePPS), 0.001, p)
	}
}

// What one core is said to carry is what it carries, if it is offered more: what it
// drops is on the bill, too.
func TestOneCoreCarriesWhatItIsSaidTo(t *testing.T) {
	r := OfTrial(trial(t, ringside.Config{CPUs: 1}, "64@max"))
	assert.InDelta(t, 1, r.Cores, 0.01)
	assert.Greater(t, r.Lost, uint64(0), "more was offered than a core carries")
	assert.InEpsilon(t, float64(r.DeliveredPPS), float64(r.CorePPS), 0.01)
}

func TestRowsStandInTheOrderOfThePoints(t *testing.T) {
	var points []Point
	for i := range 50 {
		points = append(points, Point{Path: fmt.Sprint(i)})
	}
	for _, workers := range []int{0, 1, 3, 100} {
		rows, err := Run(t.Context(), points, workers, func(_ context.Context, p Point) (Row, error) {
			return Row{GivesUp: []string{p.Path}}, nil
		})
		require.NoError(t, err)
		for i, r := range rows {
			assert.Equal(t, points[i], r.Point)
			assert.Equal(t, []string{points[i].Path}, r.GivesUp)
		}
	}
}

func TestAMachineThatCannotBeIsARowAndAnyOtherErrorEndsAll(t *testing.T) {
	points := []Point{{Path: "a"}, {Path: "b"}, {Path: "c"}}
	rows, err := Run(t.Context(), points, 1, func(_ context.Context, p Point) (Row, error) {
		if p.Path == "b" {
			return Row{}, fmt.Errorf("path b: %w: mirrors", ringside.ErrNoPath)
		}
		return Row{Sent: 1}, nil
	})
	require.NoError(t, err)
	assert.Equal(t, "path b: the path cannot carry it: mirrors", rows[1].Cannot)
	assert.Empty(t, rows[0].Cannot)

	var ran atomic.Int32
	broken := errors.New("broken")
	_, err = Run(t.Context(), points, 1, func(_ context.Context, p Point) (Row, error) {
		ran.Add(1)
		return Row{}, broken
	})
	require.ErrorIs(t, err, broken)
	assert.EqualValues(t, 1, ran.Load(), "no new machine is begun after an error")
}

func TestAStoppedComparisonSaysWhy(t *testing.T) {
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	_, err := Run(ctx, []Point{{Path: "a"}, {Path: "b"}}, 1, func(ctx context.Context, p Point) (Row, error) {
		stop(why)
		return Row{}, context.Cause(ctx)
	})
	require.ErrorIs(t, err, why)
}

func TestTheTableFitsAndNamesEveryRow(t *testing.T) {
	r := &Result{Kinds: []string{"irq", "copy", "tlb"}, Rows: []Row{
		{Point: Point{"native", "on", "4k"}, Sent: 1000, Delivered: 999, Lost: 1, P50Ns: 12345, P99Ns: 98765, CyclesPerFrame: 3210.5,
			Cycles: map[string]float64{"irq": 3000, "copy": 210.5}, CorePPS: 1_121_326, DeliveredPPS: 999, Cores: 1.25, GivesUp: []string{}},
		{Point: Point{"dpdk", "on", "4k"}, Sent: 1_000_000, Lost: 1, Delivered: 1, CyclesPerFrame: 300, Cycles: map[string]float64{"irq": 0, "copy": 4.25}, CorePPS: 12e6, Cores: 2, IdleCores: 0.75,
			GivesUp: []string{"the kernel's stack on the NIC", "a core that is busy when nothing comes"}},
		{Point: Point{"sriov", "on", "4k"}, Cannot: "path sriov: the path cannot carry it: a mirror", GivesUp: []string{"the bridge"}},
	}}
	var b strings.Builder
	require.NoError(t, r.WriteTable(&b, 60))
	assert.Equal(t, `path     pinned  pages  cycles  one core  delivered    lost     p50     p99  cores  idle
native       on     4k    3210     1.12M      0.00M   0.10%  12.3us  98.8us   1.25     -
dpdk         on     4k     300    12.00M          0  <0.01%       -       -   2.00  0.75
sriov        on     4k  cannot

cycles for a frame, by kind
path     pinned  pages   irq  copy
native       on     4k  3000   210
dpdk         on     4k     -   4.2

dpdk    gives up the kernel's stack on the NIC; a core that
        is busy when nothing comes

sriov   cannot: path sriov: the path cannot carry it: a
        mirror
`, b.String())
}

func TestCSVHasALineForEachRowWithNumbers(t *testing.T) {
	r := &Result{Kinds: []string{"irq"}, Rows: []Row{{Point: Point{"native", "on", "4k"}, Cycles: map[string]float64{"irq": 1.5}}, {Cannot: "no"}}}
	var b strings.Builder
	require.NoError(t, r.WriteCSV(&b))
	assert.Equal(t, "path,pinning,pages,offered_pps,delivered_pps,sent,delivered,lost,p50_ns,p99_ns,cycles_per_frame,core_pps,cores,idle_cores,irq\nnative,on,4k,0,0,0,0,0,0,0,0.00,0,0.00,0.00,1.50\n", b.String())
}
