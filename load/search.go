package load

import (
	"errors"
	"fmt"
)

// A Search looks for the highest rate at which a machine loses nothing, as the
// throughput test of RFC 2544 does [RFC 2544, 26.1]: the highest rate is tried
// first, and then the interval in which the answer lies is halved until it is as
// small as the resolution.
//
// It believes that what is lost at one rate is lost at every higher one. Where that
// is not so, as it is near a queue that only just overflows, it finds one of the
// rates at which the trial passes.
type Search struct {
	Max        uint64 // frames a second, tried first; required
	Min        uint64 // no lower rate is of interest; 0 means Resolution
	Resolution uint64 // frames a second; 0 means a 256th of Max
	LossPPM    uint64 // loss that still passes, in millionths of what was offered; 0 means none at all
}

// A Trial is one rate and what became of it.
type Trial struct {
	PPS     uint64 `json:"pps"`
	Offered uint64 `json:"offered"`
	Lost    uint64 `json:"lost"`
	Pass    bool   `json:"pass"`
}

// A Found is what a Search has to say.
type Found struct {
	PPS        uint64  `json:"pps"` // the highest rate that passed; 0 if none did
	Resolution uint64  `json:"resolution_pps"`
	LossPPM    uint64  `json:"loss_tolerance_ppm"`
	Trials     []Trial `json:"trials"` // in the order in which they were made
}

// Run searches. A trial offers frames at a rate for some time and says how many
// those were and how many did not arrive.
func (s Search) Run(trial func(pps uint64) (offered, lost uint64, err error)) (*Found, error) {
	switch {
	case s.Max == 0:
		return nil, errors.New("load: Search.Max is required")
	case s.Min > s.Max:
		return nil, fmt.Errorf("load: a search from %d to %d frames a second", s.Min, s.Max)
	case s.LossPPM >= 1e6:
		return nil, fmt.Errorf("load: a search that passes with a loss of %s finds nothing", percent(s.LossPPM))
	}
	if s.Resolution == 0 {
		s.Resolution = max(s.Max/256, 1)
	}
	f := &Found{Resolution: s.Resolution, LossPPM: s.LossPPM}
	try := func(pps uint64) (bool, error) {
		offered, lost, err := trial(pps)
		if err != nil {
			return false, fmt.Errorf("load: trial at %d frames a second: %w", pps, err)
		}
		pass := offered > 0 && muldiv(lost, 1e6, offered) <= s.LossPPM && (lost == 0 || s.LossPPM > 0)
		f.Trials = append(f.Trials, Trial{pps, offered, lost, pass})
		return pass, nil
	}
	low, high := max(s.Min, s.Resolution)-1, s.Max
	for at := high; ; at = low + (high-low)/2 {
		pass, err := try(at)
		if err != nil {
			return nil, err
		}
		if pass {
			low, f.PPS = at, max(at, f.PPS)
		} else {
			high = at
		}
		if pass && at == s.Max || high-low <= s.Resolution {
			return f, nil
		}
	}
}
