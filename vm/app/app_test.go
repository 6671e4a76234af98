package app_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside/sim"
	"ringside/vm/app"
	"ringside/vm/guest"
	"ringside/vm/guest/guesttest"
)

// program makes a program of the registry.
func program(t testing.TB, name string, args ...string) guest.Program {
	t.Helper()
	m := map[string]string{}
	for i := 0; i < len(args); i += 2 {
		m[args[i]] = args[i+1]
	}
	main, err := app.New(name, m)
	require.NoError(t, err)
	return main
}

// procs are processes of programs, each under the program's name.
type procs []guest.Process

func run(t testing.TB, name string, args ...string) procs {
	return procs{{Name: name, Main: program(t, name, args...)}}
}

// pair is a server and a client on a cable, run to the end.
func pair(t testing.TB, c guesttest.Cable, server, client procs) (s, m *guesttest.Machine) {
	t.Helper()
	lab := guesttest.New(t, 1)
	s = lab.Machine(guest.Config{Name: "server", Processes: server, Log: log(t)}, "10.0.0.1/24 2001:db8::1/64")
	m = lab.Machine(guest.Config{Name: "client", Processes: client, Log: log(t)}, "10.0.0.2/24 2001:db8::2/64")
	lab.Join(s.NIC(0), m.NIC(0), c)
	lab.Run()
	return s, m
}

func log(t testing.TB) func(at sim.Time, process, line string) {
	return func(at sim.Time, process, line string) { t.Logf("%v %s: %s", at, process, line) }
}

func value(t testing.TB, m *guesttest.Machine, process, name string) int64 {
	t.Helper()
	return m.Result(process, name).Value
}

func TestPingHearsEveryReply(t *testing.T) {
	for _, to := range []string{"10.0.0.1", "2001:db8::1"} {
		_, m := pair(t, guesttest.Cable{}, nil, run(t, "ping", "to", to, "count", "3"))
		require.EqualValues(t, 3, value(t, m, "ping", "sent"))
		require.EqualValues(t, 3, value(t, m, "ping", "received"))
		require.Greater(t, value(t, m, "ping", "rtt-min"), int64(10_000), "two cables of 5 us")
		require.Less(t, value(t, m, "ping", "rtt-max"), int64(100_000))
	}
}

func TestHTTPPagesArriveWhole(t *testing.T) {
	s, m := pair(t, guesttest.Cable{}, run(t, "http"), run(t, "http-get", "url", "http://10.0.0.1/64k", "requests", "20", "concurrency", "4"))
	require.EqualValues(t, 20, value(t, m, "http-get", "requests"))
	require.EqualValues(t, 0, value(t, m, "http-get", "failed"))
	require.EqualValues(t, 20<<16, value(t, m, "http-get", "bytes"))
	require.EqualValues(t, 20<<16, value(t, s, "http", "bytes"))
	require.EqualValues(t, 4, value(t, s, "http", "connections"))
}

func TestBulkHashesAgree(t *testing.T) {
	for name, c := range map[string]guesttest.Cable{
		"clean": {}, "offloads": {Offloads: true}, "loss": {Loss: 100}, "reorder": {Reorder: 50},
	} {
		t.Run(name, func(t *testing.T) {
			s, m := pair(t, c, run(t, "bulk-recv"), run(t, "bulk-send", "to", "10.0.0.1:5001", "bytes", "4m", "streams", "3"))
			require.EqualValues(t, 3*4<<20, value(t, s, "bulk-recv", "bytes"))
			require.Equal(t, m.Result("bulk-send", "sha256").Text, s.Result("bulk-recv", "sha256").Text)
			t.Log(m.Results(), s.Results())
		})
	}
}

func TestBlastIsCounted(t *testing.T) {
	s, m := pair(t, guesttest.Cable{Loss: 10}, run(t, "udp-sink"), run(t, "udp-blast", "to", "[2001:db8::1]:5001", "count", "1000"))
	lost := int64(m.NIC(0).Lost)
	require.Positive(t, lost)
	require.EqualValues(t, 1000, value(t, m, "udp-blast", "sent"))
	t.Log(s.Results(), lost)
	require.InDelta(t, 1000-lost, value(t, s, "udp-sink", "received"), 1)
}

// Machines that are faster than the cable fill it: of 1514 bytes and the 24 around a
// frame on the wire 1448 are payload, with the timestamps of TCP. Acknowledgements go
// the other way.
func TestBulkFillsTheCable(t *testing.T) {
	for bps, bytes := range map[uint64]string{100e6: "1m", 1e9: "4m", 10e9: "32m"} {
		s, _ := pair(t, guesttest.Cable{BPS: bps}, run(t, "bulk-recv"), run(t, "bulk-send", "to", "10.0.0.1:5001", "bytes", bytes))
		want := bps * 1448 / (1514 + 24)
		require.InEpsilon(t, want, value(t, s, "bulk-recv", "rate"), 0.01, "at %d bit/s", bps)
	}
}

// A slow program is what a connection is as fast as: one that works 100 us for every
// 8 KiB reads 80 KiB a millisecond, whatever the cable could carry.
func TestASlowReaderSlowsTheSender(t *testing.T) {
	const piece, work = 8 << 10, 100 * time.Microsecond
	slow := procs{{Name: "slow", Main: func(p *guest.Proc) error {
		l, err := p.Listen("tcp", ":5001")
		if err != nil {
			return err
		}
		c, err := l.Accept()
		if err != nil {
			return err
		}
		for b := make([]byte, piece); ; p.Work(work) {
			if _, err := io.ReadFull(c, b); err != nil {
				c.Close()
				return nil
			}
		}
	}}}
	_, m := pair(t, guesttest.Cable{}, slow, run(t, "bulk-send", "to", "10.0.0.1:5001", "bytes", "16m"))
	require.InEpsilon(t, int64(piece*8*time.Second/work), value(t, m, "bulk-send", "rate"), 0.03)
}
