package nic_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

func stalls(d *nictest.Driver) (list []string) {
	for _, s := range d.NIC.Stalls() {
		list = append(list, s.String())
	}
	return list
}

func TestStalls(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    nictest.Options
		do   func(*nictest.Driver)
		want []string
	}{
		{"nothing came", nictest.Options{}, func(*nictest.Driver) {}, nil},
		{"everything was heard of", nictest.Options{}, func(d *nictest.Driver) { d.Wire.Play(frame(1, hostMAC, 60)) }, nil},
		{"no descriptors, and nobody told", nictest.Options{Given: 2}, func(d *nictest.Driver) { d.Wire.Play(frames(5, 60)...) },
			[]string{"rx queue 0: 3 frames wait in the packet buffer and the driver has every descriptor",
				"rx queue 0: 1 frames written back since the last message: the vector is masked in EIMS"}},
		{"no descriptors, DROP_EN", nictest.Options{Given: 1, DropEN: true}, func(d *nictest.Driver) { d.Wire.Play(frames(5, 60)...) }, nil},
		{"masked", nictest.Options{Polling: true}, func(d *nictest.Driver) { d.Wire.Play(frames(2, 60)...) },
			[]string{"rx queue 0: 2 frames written back since the last message: the vector is masked in EIMS"}},
		{"more came after the message, and the vector was never unmasked", nictest.Options{}, func(d *nictest.Driver) { d.Wire.Play(frames(4, 60)...) },
			[]string{"rx queue 0: 3 frames written back since the last message: the vector is masked in EIMS"}},
		{"unmasked again", nictest.Options{}, func(d *nictest.Driver) {
			awake(d, 0)
			d.Wire.Play(frames(4, 60)...)
		}, nil},
		{"no vector in IVAR", nictest.Options{}, func(d *nictest.Driver) {
			d.Write(nic.IVAR(0), 0)
			d.Wire.Play(frames(1, 60)...)
		}, []string{"rx queue 0: 1 frames written back since the last message: IVAR maps the queue to no vector"}},
		{"EICR never cleared", nictest.Options{}, func(d *nictest.Driver) {
			d.Write(nic.EIAC, 0)
			d.Write(nic.EIAM, 0)
			d.Wire.Play(frames(2, 60)...)
		}, []string{"rx queue 0: 1 frames written back since the last message: the vector's EICR bit was never cleared: no EIAC, no write to EICR"}},
		{"single-vector mode", nictest.Options{}, func(d *nictest.Driver) {
			d.Write(nic.GPIE, 0)
			d.Wire.Play(frames(1, 60)...)
		}, []string{"rx queue 0: 1 frames written back since the last message: GPIE.Multiple_MSIX is clear"}},
		{"sent, and masked", nictest.Options{Polling: true}, func(d *nictest.Driver) {
			d.Send(0, nic.Tag{}, frame(1, otherMAC, 60).Data, 0)
			d.NIC.CatchUp(us)
		}, []string{"tx queue 0: 1 frames written back since the last message: the vector is masked in EIMS"}},
		{"sent, and told", nictest.Options{}, func(d *nictest.Driver) { d.Send(0, nic.Tag{}, frame(1, otherMAC, 60).Data, 0) }, nil},
		{"the throttle still runs", nictest.Options{}, func(d *nictest.Driver) {
			d.Write(nic.EITR(0), 8191<<nic.EitrIntervalShift)
			d.IRQ.Then = func(v int, at sim.Time) {
				d.Now = at
				d.Write(nic.EIMS, 1)
			}
			d.Wire.Play(paced(0, us)...)
			_ = d.Engine.RunUntil(5 * us)
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := up(t, nic.Config{}, tt.o)
			tt.do(d)
			if tt.name != "the throttle still runs" {
				require.NoError(t, d.Engine.RunToIdle())
			}
			d.NIC.CatchUp(max(d.Engine.Now(), 10*us))
			assert.Equal(t, tt.want, stalls(d))
			require.NoError(t, d.NIC.Check())
		})
	}
}
