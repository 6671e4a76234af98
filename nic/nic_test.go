package nic_test

import (
	"testing"

	"ringside/nic"
	"ringside/nic/nictest"
	"ringside/sim"
)

func TestSmoke(t *testing.T) {
	r, err := nictest.NewRig(nic.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := nictest.Up(r, 1, nictest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 60)
	copy(data, []byte{2, 0, 0, 0, 0, 1})
	r.Wire.Play(nic.WireFrame{ID: 7, At: 0, Data: data}, nic.WireFrame{ID: 8, At: 0, Data: data})
	if err := r.Engine.RunToIdle(); err != nil {
		t.Fatal(err)
	}
	t.Log(r.IRQ.Log, r.Engine.Now())
	d.Now = sim.Microsecond
	for _, f := range d.Harvest(0) {
		t.Log(f.Tag, len(f.Data))
	}
	d.Send(0, nic.Tag{ID: 99}, data, 20)
	t.Log(r.Wire.Sent[0].At)
	d.Now += sim.Microsecond
	t.Log(d.Reap(0))
	t.Log(r.NIC.Misuses())
}
