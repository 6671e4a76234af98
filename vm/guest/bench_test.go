package guest_test

import (
	"io"
	"testing"

	"ringside/vm/guest"
	"ringside/vm/guest/guesttest"
)

// BenchmarkBulk is one stream between two guests, with the kernel's charges on an
// account but no device below: what the guest's kernel takes beside its stack.
func BenchmarkBulk(b *testing.B) {
	const size = 64 << 20
	for name, c := range map[string]guesttest.Cable{"1500": {}, "offloads": {Offloads: true}} {
		b.Run(name, func(b *testing.B) {
			frames := 0
			for b.Loop() {
				lab, s, m := two(b, c, process("server", accept(func(_ *guest.Proc, c *guest.Conn) error {
					buf := make([]byte, 64<<10)
					for {
						if _, err := c.Read(buf); err == io.EOF {
							return c.Close()
						} else if err != nil {
							return err
						}
					}
				})), process("client", dial(func(_ *guest.Proc, c *guest.Conn) error {
					buf := make([]byte, 64<<10)
					for range size / len(buf) {
						if _, err := c.Write(buf); err != nil {
							return err
						}
					}
					return c.Close()
				})))
				lab.Unhashed = true
				lab.Run()
				frames += s.NIC(0).Sent + m.NIC(0).Sent
			}
			b.SetBytes(size)
			b.ReportMetric(float64(frames)/b.Elapsed().Seconds(), "frames/s")
		})
	}
}

// BenchmarkSystemCall is the cheapest call there is: two switches of coroutines.
func BenchmarkSystemCall(b *testing.B) {
	lab := guesttest.New(b, 1)
	lab.Machine(guest.Config{Name: "m", Processes: process("p", func(p *guest.Proc) error {
		for b.Loop() {
			p.SleepUntil(0)
		}
		return nil
	})})
	b.ReportAllocs()
	lab.Run()
}
