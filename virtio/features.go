package virtio

import (
	"errors"
	"fmt"
	"math/bits"
)

// Features is a set of feature bits, numbered as the specification does.
type Features uint64

// The features of network devices [5.1.3] and of rings [6] that are known here.
const (
	FCSUM         Features = 1 << 0  // the device completes checksums
	FGuestCSUM    Features = 1 << 1  // the driver takes frames with half-done checksums
	FMTU          Features = 1 << 3  // the device says its MTU
	FMAC          Features = 1 << 5  // the device says its address
	FGuestTSO4    Features = 1 << 7  // the driver takes TCP segments over IPv4 that were merged
	FGuestTSO6    Features = 1 << 8  // likewise over IPv6
	FHostTSO4     Features = 1 << 11 // the device cuts TCP segments over IPv4
	FHostTSO6     Features = 1 << 12 // likewise over IPv6
	FMrgRxbuf     Features = 1 << 15 // a received frame may take several chains
	FStatus       Features = 1 << 16 // the device says whether its link is up
	FCtrlVQ       Features = 1 << 17 // commands to the device
	FMQ           Features = 1 << 22 // several pairs of queues
	FRingIndirect Features = 1 << 28 // tables of descriptors outside of the ring's
	FRingEventIdx Features = 1 << 29 // used_event and avail_event
	FVersion1     Features = 1 << 32 // not a legacy device
	FGuestUSO4    Features = 1 << 54 // the driver takes UDP datagrams over IPv4 that were merged (Version 1.3)
	FGuestUSO6    Features = 1 << 55 // likewise over IPv6
	FHostUSO      Features = 1 << 56 // the device cuts UDP datagrams
)

// Known is every feature of this package.
const Known = FCSUM | FGuestCSUM | FMTU | FMAC | FGuestTSO4 | FGuestTSO6 | FHostTSO4 | FHostTSO6 | FMrgRxbuf | FStatus |
	FCtrlVQ | FMQ | FRingIndirect | FRingEventIdx | FVersion1 | FGuestUSO4 | FGuestUSO6 | FHostUSO

// ErrFeatures says that a driver's choice of features cannot be had.
var ErrFeatures = errors.New("virtio: features refused")

// needs is which features need another one [5.1.3.1].
var needs = [...]struct{ these, need Features }{
	{FGuestTSO4 | FGuestTSO6 | FGuestUSO4 | FGuestUSO6, FGuestCSUM},
	{FHostTSO4 | FHostTSO6 | FHostUSO, FCSUM},
	{FMQ, FCtrlVQ},
}

// Negotiate is what the device answers to FEATURES_OK [3.1.1]: the driver's choice
// if it can be had. A feature that was not offered, one whose condition was not
// chosen, and a driver without VERSION_1 are refused.
func Negotiate(device, driver Features) (Features, error) {
	if more := driver &^ device; more != 0 {
		return 0, fmt.Errorf("%w: %v not offered", ErrFeatures, more)
	}
	if !driver.Has(FVersion1) {
		return 0, fmt.Errorf("%w: a legacy driver, without VERSION_1", ErrFeatures)
	}
	for _, n := range needs {
		if these := driver & n.these; these != 0 && !driver.Has(n.need) {
			return 0, fmt.Errorf("%w: %v without %v", ErrFeatures, these, n.need)
		}
	}
	return driver, nil
}

// Closed is f less the features whose condition is not in f, so that it can be
// negotiated if VERSION_1 is in it.
func (f Features) Closed() Features {
	for _, n := range needs {
		if !f.Has(n.need) {
			f &^= n.these
		}
	}
	return f
}

// Has says whether all of g are in f.
func (f Features) Has(g Features) bool { return f&g == g }

var featureNames = map[Features]string{
	FCSUM: "CSUM", FGuestCSUM: "GUEST_CSUM", FMTU: "MTU", FMAC: "MAC", FGuestTSO4: "GUEST_TSO4", FGuestTSO6: "GUEST_TSO6",
	FHostTSO4: "HOST_TSO4", FHostTSO6: "HOST_TSO6", FMrgRxbuf: "MRG_RXBUF", FStatus: "STATUS", FCtrlVQ: "CTRL_VQ", FMQ: "MQ",
	FRingIndirect: "RING_INDIRECT_DESC", FRingEventIdx: "RING_EVENT_IDX", FVersion1: "VERSION_1",
	FGuestUSO4: "GUEST_USO4", FGuestUSO6: "GUEST_USO6", FHostUSO: "HOST_USO",
}

// String is the names, lowest bit first: "CSUM|MAC|bit 40".
func (f Features) String() string {
	if f == 0 {
		return "none"
	}
	s := ""
	for ; f != 0; f &= f - 1 {
		low := f & -f
		if s != "" {
			s += "|"
		}
		if name, ok := featureNames[low]; ok {
			s += name
		} else {
			s += fmt.Sprint("bit ", bits.TrailingZeros64(uint64(low)))
		}
	}
	return s
}
