package machine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/sim"
)

const sample = `schema: ringside.machine/1
name: mine
clock_hz: 2_500_000_000
l3: 50cyc
dram: 81.4ns
tlb: {l1: {4k: 64}, l2: {4k: 1536, 2m: 1536}}
nic: {model: X710, link: 25G, mpps: 37.5, pcie: 3.0 x8, ddio: on}
kernel: "4.10"
mitigations: on
`

func TestAMachineIsReadInItsUnits(t *testing.T) {
	m, err := Load(strings.NewReader(sample), "mine.yaml")
	require.NoError(t, err)
	require.Equal(t, 20*sim.Nanosecond, m.L3)
	require.Equal(t, sim.Time(81_400), m.DRAM)
	require.Equal(t, uint64(37_500_000), m.NIC.PPS)
	require.Equal(t, PCIe{3, 8}, m.NIC.PCIe)
	require.Equal(t, Kernel{4, 10}, m.Kernel)
	require.True(t, m.Kernel.Before(5, 4))
	require.False(t, m.Kernel.Before(4, 10))
	require.False(t, Kernel{}.Before(5, 4), "what is not known is not old")
	require.True(t, m.Retpoline, "with mitigations, if the file says nothing")
	require.Equal(t, [3]int{1536, 1536, 0}, m.TLB.L2)
}

// The slots of one generation differ by their lanes, and generation 2 is half of 3 but
// for its line code.
func TestBytesOnPCIe(t *testing.T) {
	require.Equal(t, PCIe{3, 8}.Per1000()/2, PCIe{3, 16}.Per1000())
	require.InDelta(t, 1.97, float64(PCIe{2, 8}.Per1000())/float64(PCIe{3, 8}.Per1000()), 0.01)
	require.Zero(t, PCIe{}.Per1000())
}

func TestRefusals(t *testing.T) {
	change := func(old, new string) string {
		require.Contains(t, sample, old)
		return strings.Replace(sample, old, new, 1)
	}
	for _, tt := range []struct{ claim, text, want string }{
		{"empty", "", "mine.yaml:1:1: the file is empty: a machine begins with schema: ringside.machine/1"},
		{"another schema", change("machine/1", "machine/2"), `mine.yaml:1:9: schema: "ringside.machine/2" is not one`},
		{"a list", "- a\n", "mine.yaml:1:1: a machine is a list of keys"},
		{"no name", change("name: mine\n", ""), "name: missing"},
		{"a built-in name", change("name: mine", "name: e5-1650v4"), "is a built-in machine"},
		{"a name that cannot stand in a report", change("name: mine", "name: a b"), "use up to 64 letters"},
		{"no clock", change("clock_hz: 2_500_000_000\n", ""), "clock_hz: missing"},
		{"a clock in GHz", change("2_500_000_000", "2.5"), `clock_hz: "2.5": give a whole number from 100000000 to 10000000000`},
		{"an unknown key", change("l3: 50cyc", "l4: 50cyc"), `mine.yaml:4:1: unknown key "l4": did you mean`},
		{"twice", change("l3: 50cyc", "dram: 50cyc"), "is there twice"},
		{"a wait without unit", change("50cyc", "50"), `l3: "50" is no time with its unit: write it as 21.2ns or 46cyc`},
		{"a wait in another unit", change("50cyc", "50us"), "is no time with its unit"},
		{"a wait below 0", change("50cyc", "-5ns"), "is no time with its unit"},
		{"a wait of nothing", change("50cyc", "0ns"), "give a time up to 10us"},
		{"a wait without end", change("50cyc", "1000000ns"), "give a time up to 10us"},
		{"no link", change("25G", "26G"), "nic.link"},
		{"no slot", change("3.0 x8", "3.0 x7"), `nic.pcie: "3.0 x7" is no slot`},
		{"a slot of no generation", change("3.0 x8", "9.0 x8"), "is no slot"},
		{"frames without number", change("37.5", "many"), "is no number of millions a second"},
		{"no frames", change("37.5", "0"), "above 0"},
		{"no kernel", change(`"4.10"`, "new"), "is no version of Linux"},
		{"neither on nor off", change("mitigations: on", "mitigations: maybe"), "neither on nor off"},
		{"pages of no size", change("2m: 1536", "3m: 1536"), `tlb.l2: unknown key "3m"`},
	} {
		_, err := Load(strings.NewReader(tt.text), "mine.yaml")
		require.Error(t, err, tt.claim)
		require.ErrorContains(t, err, tt.want, tt.claim)
	}
	_, err := Load(strings.NewReader(strings.Repeat("#", maxBytes+1)), "mine.yaml")
	require.ErrorContains(t, err, "larger than")
	_, err = Open("e5-1650v5")
	require.ErrorContains(t, err, `did you mean "e5-1650v4"?`)
}

// What is read has the bounds it should, and a book can be moved there; what is refused
// is so with its place.
func FuzzLoad(f *testing.F) {
	f.Add(sample)
	for _, name := range Names() {
		text, err := Text(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.Replace(string(text), "name: ", "name: my-", 1))
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Load(strings.NewReader(text), "f.yaml")
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f.yaml:") {
					t.Errorf("no place: %s", line)
				}
			}
			return
		}
		if m.Hz < minHz || m.Hz > maxHz || m.Name == "" {
			t.Errorf("%q at %d Hz", m.Name, m.Hz)
		}
		for _, w := range []sim.Time{m.L2, m.L3, m.DRAM, m.DRAMFar, m.Remote, m.RemoteFar, m.DMALine} {
			if w < 0 || w > maxWait {
				t.Errorf("a wait of %v", w)
			}
		}
		b, err := m.Book(nil)
		if err != nil {
			t.Fatal(err)
		}
		for o := range b.Entries {
			if b.Entries[o].Value == "" || strings.HasPrefix(b.Entries[o].Value, "-") {
				t.Errorf("%v costs %q", b.Entries[o].Op, b.Entries[o].Value)
			}
		}
	})
}
