package mmu

import (
	"fmt"

	"ringside/mem"
	"ringside/sim"
)

// A Fault is an access that an IOMMU has refused. The device was told so (an unsupported
// request on the bus); it has read nothing and written nothing.
type Fault struct {
	Source Source   `json:"source"`
	Domain string   `json:"domain,omitempty"`
	Addr   mem.Addr `json:"iova"`
	Write  bool     `json:"write"`
	Reason Reason   `json:"reason"`
	At     sim.Time `json:"at_ps"`
}

// String is one line of a kernel's log.
func (f Fault) String() string {
	way := "read"
	if f.Write {
		way = "write"
	}
	return fmt.Sprintf("DMA %s at %#x by %v: %v", way, uint64(f.Addr), f.Source, f.Reason)
}

// A Reason is why an access was refused.
type Reason uint8

// The reasons, 0 being none.
const (
	NoDomain     Reason = iota + 1 // the source is in no domain
	BeyondWidth                    // the address has more bits than the tables translate
	NotPresent                     // nothing is mapped there
	NotPermitted                   // what is there may not be read, or not be written
	Scattered                      // it is not in one piece where the device needs that
)

var reasonNames = [...]string{"", "no domain", "address beyond the table's width", "not present", "not permitted", "not in one piece"}

// String says the reason in a few words.
func (r Reason) String() string {
	if int(r) >= len(reasonNames) {
		return "reason?"
	}
	return reasonNames[r]
}

// MarshalText is String, for reports.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// MarshalText is String, for reports.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// fault counts an access that is refused, and keeps it while there is room: the first ones
// tell more than the last.
func (u *IOMMU) fault(f Fault) {
	u.stat.Faults++
	if len(u.faults) < u.cfg.Faults {
		u.faults = append(u.faults, f)
	}
}

// Faults is the records of the first faults, the oldest first. It must not be changed.
func (u *IOMMU) Faults() []Fault { return u.faults }
