package vxlan

import (
	"ringside/sim"
)

// A VTEP is a tunnel end point: one network's interface. It has one owner; no method
// may run beside another. See New.
type VTEP struct {
	cfg     Config
	ipv6    bool
	fdb     fdb
	due     sim.Time
	out     []Out // what Encap returns
	stats   Stats
	header  [HeaderLen]byte
	srcSpan uint64
}

// Stats counts what a VTEP did. Frames and their bytes are those of the inner side.
type Stats struct {
	TxFrames  uint64 `json:"tx_frames"` // encapsulated, each copy for a remote
	TxBytes   uint64 `json:"tx_bytes"`
	TxDropped uint64 `json:"tx_dropped"` // no remote
	RxFrames  uint64 `json:"rx_frames"`  // handed to the interface
	RxBytes   uint64 `json:"rx_bytes"`
	RxErrors  uint64 `json:"rx_errors"`  // bad flags, too short, or a mark that cannot be carried over
	RxDropped uint64 `json:"rx_dropped"` // for another reason
	Created   uint64 `json:"created"`    // entries learned
	Moved     uint64 `json:"moved"`      // that changed their remote
	Refused   uint64 `json:"refused"`    // for which there was no room
	Aged      uint64 `json:"aged"`
	L2Miss    uint64 `json:"l2miss"` // frames to one station that was not in the table
}

// New returns a VTEP with the entries that the Config has.
func New(cfg Config) (*VTEP, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	v := &VTEP{cfg: cfg, ipv6: cfg.IPv6(), due: sim.Never, header: NewHeader(cfg.VNI)}
	v.srcSpan = uint64(cfg.SrcPortMax - cfg.SrcPortMin)
	v.fdb.index = map[MAC]int32{}
	for _, r := range cfg.Remotes {
		if err := v.Add(Entry{Kind: Permanent, Remotes: []Remote{{Addr: r}}}, 0); err != nil {
			return nil, err
		}
	}
	for _, e := range cfg.FDB {
		if err := v.Add(e, 0); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Config is the configuration with its defaults filled in.
func (v *VTEP) Config() Config { return v.cfg }

// IPv6 says that the underlay is IPv6.
func (v *VTEP) IPv6() bool { return v.ipv6 }

// Stats is what it did so far.
func (v *VTEP) Stats() Stats { return v.stats }
