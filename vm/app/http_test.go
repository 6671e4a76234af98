package app

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside/vm/guest"
	"ringside/vm/guest/guesttest"
)

// talk is a connection in memory: what the client says is there from the start.
type talk struct {
	io.Reader
	answers bytes.Buffer
}

func (c *talk) Write(b []byte) (int, error)      { return c.answers.Write(b) }
func (c *talk) Close() error                     { return nil }
func (c *talk) LocalAddr() net.Addr              { return nil }
func (c *talk) RemoteAddr() net.Addr             { return nil }
func (c *talk) SetDeadline(time.Time) error      { return nil }
func (c *talk) SetReadDeadline(time.Time) error  { return nil }
func (c *talk) SetWriteDeadline(time.Time) error { return nil }

// inProcess runs f as a process of a machine.
func inProcess(t testing.TB, f guest.Program) {
	lab := guesttest.New(t, 1)
	lab.Machine(guest.Config{Name: "m", Processes: []guest.Process{{Name: "p", Main: f}}})
	lab.Run()
	lab.Close()
}

// say has a server answer what a client says.
func say(p *guest.Proc, s *httpServer, text string) (string, error) {
	c := &talk{Reader: strings.NewReader(text)}
	err := s.serve(p, c)
	return c.answers.String(), err
}

func TestHTTPAnswers(t *testing.T) {
	const get = "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, row := range map[string]struct {
		says    string
		answers string // status codes, with "close" behind the last if the server closes
	}{
		"one":                    {get, "200"},
		"pipelined":              {get + get + get, "200 200 200"},
		"closed by the client":   {strings.Replace(get, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1) + get, "200close"},
		"HTTP/1.0":               {"GET /3 HTTP/1.0\r\n\r\n" + get, "200close"},
		"HTTP/1.0, kept":         {"GET /3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get, "200 200"},
		"no page":                {"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n" + get, "404 200"},
		"a named page":           {"GET /page HTTP/1.1\r\nHost: h\r\n\r\n", "200"},
		"a page too long":        {"GET /9999999g HTTP/1.1\r\nHost: h\r\n\r\n", "404"},
		"HEAD":                   {"HEAD /3 HTTP/1.1\r\nHost: h\r\n\r\n" + get, "200 200"},
		"POST":                   {"POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "405close"},
		"GET with a body":        {"GET /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + get, "200 200"},
		"a chunked body":         {"GET /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + get, "200 200"},
		"a body cut short":       {"GET /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\nabc", "200"},
		"no host":                {"GET /3 HTTP/1.1\r\n\r\n" + get, "400close"},
		"garbage":                {"\x16\x03\x01 hello\r\n\r\n", "400close"},
		"half a request":         {"GET /3 HTTP/1.1\r\nHo", "400close"},
		"two lengths":            {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400close"},
		"nothing":                {"", ""},
		"headers without an end": {"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("y", 2*maxRequest), "400close"},
		"another version":        {"GET / HTTP/3.7\r\nHost: h\r\n\r\n" + get, "505close"},
	} {
		t.Run(name, func(t *testing.T) {
			inProcess(t, func(p *guest.Proc) error {
				s := &httpServer{c: HTTPConfig{Pages: map[string]int64{"/page": 5}}}
				text, err := say(p, s, row.says)
				require.NoError(t, err)
				require.Equal(t, row.answers, codes(t, text, strings.HasPrefix(row.says, "HEAD")))
				return nil
			})
		})
	}
}

// codes reads responses and lists their status codes.
func codes(t testing.TB, text string, head bool) string {
	in := bufio.NewReader(strings.NewReader(text))
	var list []string
	for {
		req := &http.Request{Method: "GET"}
		if head && len(list) == 0 {
			req.Method = "HEAD"
		}
		r, err := http.ReadResponse(in, req)
		if err != nil {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			break
		}
		n, err := io.Copy(io.Discard, r.Body)
		require.NoError(t, err)
		if req.Method == "GET" && r.ContentLength >= 0 {
			require.Equal(t, r.ContentLength, n)
		}
		code := fmt.Sprint(r.StatusCode)
		if r.Close {
			code += "close"
		}
		list = append(list, code)
	}
	return strings.Join(list, " ")
}

func TestHTTPPagesAreTheSameInEveryRun(t *testing.T) {
	inProcess(t, func(p *guest.Proc) error {
		a, err := say(p, &httpServer{}, "GET /1k HTTP/1.0\r\n\r\n")
		require.NoError(t, err)
		b, err := say(p, &httpServer{}, "GET /1024 HTTP/1.0\r\n\r\n")
		require.NoError(t, err)
		require.Equal(t, a, b)
		require.Contains(t, a, "Date: Sun, 09 Sep 2001 01:46:40 GMT\r\n", "the date at which every run begins")
		require.Greater(t, len(a), 1024)
		return nil
	})
}

// Whatever a client says, each answer is a whole response, every request is counted,
// and the server ends when the client does.
func FuzzHTTP(f *testing.F) {
	for _, s := range []string{
		"GET /3 HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD / HTTP/1.0\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
		"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "\x00\x01", "GET http://[::1]:99/64 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, says string) {
		if len(says) > 1<<14 {
			return
		}
		inProcess(t, func(p *guest.Proc) error {
			s := &httpServer{c: HTTPConfig{Pages: map[string]int64{"/x": 1}}}
			text, err := say(p, s, fuzzed(says))
			if err != nil {
				t.Fatal(err)
			}
			answers, failed := responses(t, s, text)
			if refused := answers - int(s.requests); refused < 0 || refused > 1 {
				t.Fatalf("%d answers to %d requests", answers, s.requests)
			}
			if failed != int(s.errors) {
				t.Fatalf("%d answers with 4xx, %d errors", failed, s.errors)
			}
			return nil
		})
	})
}

// fuzzed keeps pages short: a digit more makes them ten times as long.
func fuzzed(says string) string {
	if strings.ContainsAny(says, "kmgKMG") || len(digits(says)) > 3 {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' || strings.ContainsRune("kmgKMG", r) {
				return 'x'
			}
			return r
		}, says)
	}
	return says
}

// digits is the longest run of digits.
func digits(s string) (longest string) {
	run := ""
	for _, r := range s + " " {
		if r >= '0' && r <= '9' {
			run += string(r)
			continue
		}
		if len(run) > len(longest) {
			longest = run
		}
		run = ""
	}
	return longest
}

// responses reads what a server said. To a HEAD there is no body, which only the
// length of the text tells: both are tried.
func responses(t *testing.T, s *httpServer, text string) (n, failed int) {
	in := bufio.NewReader(strings.NewReader(text))
	for in.Buffered() > 0 || n == 0 {
		head, err := in.Peek(12)
		if err != nil {
			if len(head) > 0 {
				t.Fatalf("%q behind the last answer", head)
			}
			return n, failed
		}
		r, err := http.ReadResponse(in, &http.Request{Method: "HEAD"})
		if err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		n++
		if r.StatusCode >= 400 {
			failed++
		}
		if next, _ := in.Peek(5); string(next) != "HTTP/" && r.ContentLength > 0 {
			if m, err := io.CopyN(io.Discard, in, r.ContentLength); err != nil && m > 0 {
				t.Fatalf("a body of %d bytes, %d announced", m, r.ContentLength)
			}
		}
		in.Peek(1)
	}
	return n, failed
}

// A server that never ends its header is given up, and does not fill the memory.
func TestHTTPGetGivesUpOnAHeaderWithoutAnEnd(t *testing.T) {
	lab := guesttest.New(t, 1)
	sent := 0
	s := lab.Machine(guest.Config{Name: "server", Processes: []guest.Process{{Name: "p", Main: func(p *guest.Proc) error {
		l, err := p.Listen("tcp", ":80")
		if err != nil {
			return err
		}
		c, err := l.Accept()
		if err != nil {
			return err
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for line := []byte("X: " + strings.Repeat("y", 4000) + "\r\n"); err == nil; sent += len(line) {
			_, err = c.Write(line)
		}
		return nil
	}}}}, "10.0.0.1/24")
	m := lab.Machine(guest.Config{Name: "client", Processes: []guest.Process{{Name: "get", Main: HTTPGet(HTTPGetConfig{URL: "http://10.0.0.1/"})}}}, "10.0.0.2/24")
	lab.Join(s.NIC(0), m.NIC(0), guesttest.Cable{})
	lab.Run()
	require.EqualValues(t, 1, m.Result("get", "failed").Value)
	require.Less(t, sent, 16<<20)
}
