//go:build linux

// Command recorder stands in for the programs of a small network while
// record.sh captures it: a web server, UDP talkers and listeners, and the
// VLAN tags of a switch port. It is no part of Ringside and runs only inside
// the network namespaces that record.sh makes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = `usage: recorder COMMAND ARGUMENTS

  http ADDR:PORT           serve pages: / /page?n=BYTES /missing, POST /form
  echo ADDR:PORT           send every UDP datagram back
  sink ADDR:PORT           receive UDP datagrams and say nothing
  join GROUP:PORT IFACE    be a member of a multicast group
  talk [flags] TO:PORT     send UDP datagrams; talk -help lists the flags
  tag DIR TAG [TAG]        load two BPF programs, pinned as DIR/push and DIR/pop,
                           that add and take the given VLAN tags, inner tag first;
                           a TAG is PROTOCOL:PCP:VID, such as 0x8100:0:10
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "recorder:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("a command and its arguments are needed")
	}
	command, args := args[0], args[1:]
	switch {
	case command == "http" && len(args) == 1:
		return serveHTTP(args[0])
	case command == "echo" && len(args) == 1:
		return listenUDP(args[0], true)
	case command == "sink" && len(args) == 1:
		return listenUDP(args[0], false)
	case command == "join" && len(args) == 2:
		return join(args[0], args[1])
	case command == "talk":
		return talk(args)
	case command == "tag" && len(args) <= 3:
		return pinTags(args[0], args[1:])
	}
	fmt.Fprint(os.Stderr, usage)
	return fmt.Errorf("cannot %q with %d arguments", command, len(args))
}

// ready tells record.sh that the socket is open.
func ready() { fmt.Println("ready") }

// text is n bytes of numbered lines: the same bytes at every recording.
func text(n int) string {
	var b strings.Builder
	for line := 1; b.Len() < n; line++ {
		fmt.Fprintf(&b, "%06d a ringside seat at the datapath of a hypervisor\n", line)
	}
	return b.String()[:n]
}

func serveHTTP(addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><title>Ringside</title><pre>\n%s</pre>\n", text(600))
	})
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("n"))
		if err != nil || n < 0 || n > 1<<20 {
			http.Error(w, "n must be between 0 and 1048576", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(n))
		// One write: in small ones, the segments would be no larger than they are.
		_, _ = w.Write([]byte(text(n))) // a client that left is no fault of the server
	})
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "received %d bytes\n", n)
	})
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	ready()
	return http.Serve(listener, mux)
}

func listenUDP(addr string, echo bool) error {
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	ready()
	buf := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		if echo {
			if _, err := conn.WriteTo(buf[:n], from); err != nil {
				return err
			}
		}
	}
}

func join(addr, iface string) error {
	group, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return err
	}
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return err
	}
	conn, err := net.ListenMulticastUDP("udp", ifi, group)
	if err != nil {
		return err
	}
	ready()
	_, err = io.Copy(io.Discard, conn)
	return err
}

// talk sends frames datagrams from each of ports source ports in turn. The
// destination may be a broadcast or a multicast address.
func talk(args []string) error {
	flags := flag.NewFlagSet("talk", flag.ContinueOnError)
	from := flags.String("from", "", "source address, without the port")
	base := flags.Int("port", 0, "first source port, 0 for any")
	ports := flags.Int("ports", 1, "number of source ports, used in turn")
	frames := flags.Int("frames", 1, "datagrams to send")
	size := flags.Int("size", 18, "payload bytes; 18 make the smallest Ethernet frame")
	gap := flags.Duration("gap", 0, "time from one datagram to the next")
	body := flags.String("body", "", "payload instead of numbered text; \\r\\n is a line end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *ports < 1 {
		return errors.New("talk needs one ADDR:PORT to talk to and at least one source port")
	}
	to, err := net.ResolveUDPAddr("udp", flags.Arg(0))
	if err != nil {
		return err
	}

	conns := make([]*net.UDPConn, *ports)
	for i := range conns {
		local := &net.UDPAddr{IP: net.ParseIP(*from), Port: *base}
		if *base != 0 {
			local.Port += i
		}
		if conns[i], err = net.DialUDP("udp", local, to); err != nil {
			return err
		}
		defer conns[i].Close()
	}

	payload := []byte(strings.ReplaceAll(*body, `\r\n`, "\r\n"))
	start := time.Now()
	for i := range *frames {
		// Short gaps are below what a sleep can hit, so they are spun.
		due := start.Add(time.Duration(i) * *gap)
		if wait := time.Until(due); wait > time.Millisecond {
			time.Sleep(wait)
		}
		for time.Now().Before(due) {
		}
		if *body == "" {
			payload = append(fmt.Appendf(payload[:0], "%08d ", i), text(max(*size, 9)-9)...)[:*size]
		}
		_, err := conns[i%*ports].Write(payload)
		// An ICMP error for an earlier datagram is part of the traffic.
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
	}
	return nil
}
