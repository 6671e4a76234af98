package bench

import "ringside"

// sriovCases are virtual functions.
func sriovCases() []Case {
	return []Case{
		atDriver("path/sriov", "64, the path sriov: the guest's function writes into its memory", ringside.Config{Path: ringside.SRIOV}, guestsGot),
	}
}
