package labfile

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside"
	"ringside/sim"
)

func batching(text string) (*Lab, error) {
	return Load(strings.NewReader("schema: ringside.lab/1\ncpus: 4\nbatching: "+text+"\n"), "x.yaml")
}

func TestALabSaysHowFramesAreTakenIn(t *testing.T) {
	for text, want := range map[string]ringside.Batching{
		"{}": {},
		"{napi_weight: 16, gro_normal_batch: 4, netdev_budget: 100, netdev_budget_time: 1ms, netdev_max_backlog: 300, threaded: on}": {
			Weight: 16, List: 4, Budget: 100, BudgetTime: sim.Millisecond, Backlog: 300, Threaded: true},
		"{napi_defer_hard_irqs: 2, gro_flush_timeout: 20us, busy_poll: 50us, adaptive_itr: on, rps_cpus: [1, 3]}": {
			DeferHardIRQs: 2, FlushTimeout: 20 * sim.Microsecond, BusyPoll: 50 * sim.Microsecond, AdaptiveITR: true, RPS: 0b1010},
		"{interrupts: per-frame}": {Interrupts: ringside.PerFrame},
	} {
		lab, err := batching(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, lab.Config.Batching, text)
		h, err := ringside.New(lab.Config)
		require.NoError(t, err, text)
		h.Close()
	}
}

func TestKnobsOfALabThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"{napi_defer_hard_irqs: 2}":             "x.yaml:3:11: batching: Batching.DeferHardIRQs and FlushTimeout go together",
		"{interrupts: per-frame, threaded: on}": "leaves nothing to poll",
		"{interrupts: never}":                   "napi",
		"{rps_cpus: [7]}":                       "names CPU 7, and there are 4",
		"{rps_cpus: 64}":                        "63",
		"{gro_normal_batch: 9}":                 "8",
		"{busy_poll: 2s}":                       "1s",
		"{weight: 3}":                           "unknown key",
	} {
		_, err := batching(text)
		if assert.Error(t, err, text) {
			assert.Contains(t, err.Error(), want, text)
		}
	}
}
