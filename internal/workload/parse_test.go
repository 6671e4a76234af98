package workload

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTasksAreReadAndWrittenAlike(t *testing.T) {
	for _, s := range []string{"l2fwd", "l2fwd,batch=1", "switch-p2v,size=1518,flows=1000,ring=4096,plain", "pmd-drop,flows=9,cores=16,plain", Example} {
		task, err := Parse(s)
		require.NoError(t, err)
		assert.Equal(t, s, task.String())
	}
	for i := range Cases() {
		task, err := Parse(Cases()[i].Name)
		require.NoError(t, err)
		assert.Equal(t, Task{Case: &Cases()[i]}, task)
	}
}

func TestTasksThatCannotBe(t *testing.T) {
	for s, says := range map[string]string{
		"l2fw":                  "did you mean \"l2fwd\"?",
		"":                      "no workload",
		"l2fwd,":                "no knob \"\"",
		"l2fwd,speed=1":         "no knob \"speed\"",
		"l2fwd,batch":           "from 1 to 512",
		"l2fwd,batch=0":         "from 1 to 512",
		"l2fwd,batch=513":       "from 1 to 512",
		"l2fwd,size=63":         "from 64 to",
		"l2fwd,batch=1,batch=2": "twice",
		"l2fwd,ring=12":         "multiple of 8",
		"l2fwd,plain,plain":     "no knob \"plain\"",
		"l2fwd,flows=1e3":       "from 1 to",
		"l2fwd,cores=17":        "from 1 to 16",
		"switch-p2p,cores=2":    "on one core",
		"afxdp-fwd,cores=2":     "on one core",
		"vhost-rx,cores=2":      "on one core",
		"tap-sink-same,cores=2": "on one core",
	} {
		_, err := Parse(s)
		assert.ErrorContains(t, err, says, s)
	}
}
