package guest_test

import (
	"fmt"
	"io"
	"testing"

	"ringside/vm/guest"
	"ringside/vm/guest/guesttest"
)

// A server and a client, each on a machine of its own.
func Example() {
	server := func(p *guest.Proc) error {
		l, err := p.Listen("tcp", ":80")
		if err != nil {
			return err
		}
		c, err := l.Accept()
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = io.WriteString(c, "hello, "+c.RemoteAddr().Network())
		return err
	}
	client := func(p *guest.Proc) error {
		c, err := p.Dial("tcp", "10.0.0.1:80")
		if err != nil {
			return err
		}
		b, err := io.ReadAll(c)
		fmt.Printf("%s\n", b)
		return err
	}

	lab := guesttest.New(new(testing.T), 1)
	defer lab.Close()
	a := lab.Machine(guest.Config{Name: "a", Processes: []guest.Process{{Name: "server", Main: server}}}, "10.0.0.1/24")
	b := lab.Machine(guest.Config{Name: "b", Processes: []guest.Process{{Name: "client", Main: client}}}, "10.0.0.2/24")
	lab.Join(a.NIC(0), b.NIC(0), guesttest.Cable{})
	lab.Run()
	// Output: hello, tcp
}
