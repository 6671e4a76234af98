package kernel

import "testing"

// The thresholds of igb, a row on each side of every one.
func TestTrafficChangesTheClassOfAVector(t *testing.T) {
	for _, tt := range []struct {
		from           itrClass
		packets, bytes uint64
		to             itrClass
	}{
		{itrBulk, 0, 0, itrBulk}, // nothing says nothing
		{itrLowest, 1, 8001, itrBulk},
		{itrLowest, 1, 8000, itrLow},
		{itrLowest, 4, 513, itrLow},
		{itrLowest, 4, 512, itrLowest},
		{itrLowest, 5, 7000, itrLowest},
		{itrLow, 2, 511, itrLowest},
		{itrLow, 2, 512, itrLow},
		{itrLow, 3, 180, itrLow},
		{itrLow, 9, 10001, itrBulk},
		{itrLow, 10, 10001, itrLow},
		{itrLow, 10, 12011, itrBulk},
		{itrLow, 35, 10001, itrLow},
		{itrLow, 36, 10001, itrLowest},
		{itrLow, 4, 8004, itrBulk},
		{itrLow, 4, 8000, itrLow},
		{itrBulk, 36, 25001, itrLow},
		{itrBulk, 35, 25001, itrBulk},
		{itrBulk, 36, 25000, itrBulk},
		{itrBulk, 2, 1499, itrLow},
		{itrBulk, 2, 1500, itrBulk},
	} {
		if got := tt.from.next(tt.packets, tt.bytes); got != tt.to {
			t.Errorf("class %d after %d packets of %d bytes in all is %d, want %d", tt.from, tt.packets, tt.bytes, got, tt.to)
		}
	}
}
