package app

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"ringside/sim"
	"ringside/vm/guest"
)

// HTTPGetConfig describes the program HTTPGet. URL is required.
type HTTPGetConfig struct {
	URL         string        // http://HOST[:PORT]/PATH
	Requests    int           // 0 means 1
	Concurrency int           // connections at a time; 0 means 1
	Close       bool          // a connection for each request
	Timeout     time.Duration // for each request; 0 means 30 s
}

// HTTPGet is an HTTP/1.1 client that asks for one page again and again. It records
// requests, failed, bytes, span, p50, p99 and max (of latency), and sha256: over the
// SHA-256 of each body, in the order of the requests.
func HTTPGet(c HTTPGetConfig) guest.Program {
	c.Requests, c.Concurrency = max(c.Requests, 1), max(c.Concurrency, 1)
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	return func(p *guest.Proc) error {
		u, err := parseURL(c.URL)
		if err != nil {
			return err
		}
		g := &getter{c: c, url: u, main: p, began: p.Time(), sums: make([][sha256.Size]byte, c.Requests)}
		g.address = u.Host
		if u.Port() == "" {
			g.address = net.JoinHostPort(u.Hostname(), "80")
		}
		for i := range min(c.Concurrency, c.Requests) {
			p.Go(fmt.Sprintf("%s/%d", p.Name(), i), g.client)
			g.clients++
		}
		return nil
	}
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err == nil && u.Port() != "" {
		_, err = strconv.ParseUint(u.Port(), 10, 16)
	}
	if err != nil || u.Scheme != "http" || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is not http://HOST/PATH", s)
	}
	return u, nil
}

// A getter is what the connections of one HTTPGet share.
type getter struct {
	c       HTTPGetConfig
	url     *url.URL
	address string
	main    *guest.Proc
	began   sim.Time

	clients   int // connections that have not ended
	next      int // request to be made
	failed    int
	bytes     int64
	latencies []sim.Time
	sums      [][sha256.Size]byte
}

// maxHeader is how long the header of an answer may be. A body is no longer than
// maxPage.
const maxHeader = 1 << 20

// client makes requests until all are made.
func (g *getter) client(p *guest.Proc) error {
	var conn net.Conn
	limit := &io.LimitedReader{}
	in := bufio.NewReader(limit)
	for g.next < g.c.Requests {
		i := g.next
		g.next++
		began := p.Time()
		err := error(nil)
		if conn == nil {
			if conn, err = p.DialTimeout("tcp", g.address, g.c.Timeout); err == nil {
				limit.R = conn
				in.Reset(limit)
			}
		}
		again := false
		if err == nil {
			conn.SetDeadline(p.Now().Add(g.c.Timeout))
			again, err = g.get(conn, in, limit, i)
		}
		if err != nil {
			p.Logf("request %d: %v", i, err)
			g.failed++
		} else {
			g.latencies = append(g.latencies, p.Time()-began)
		}
		if !again && conn != nil {
			conn.Close()
			conn = nil
		}
	}
	if conn != nil {
		conn.Close()
	}
	if g.clients--; g.clients == 0 {
		g.record(p.Time())
	}
	return nil
}

// get makes one request and says whether the connection stays.
func (g *getter) get(conn net.Conn, in *bufio.Reader, limit *io.LimitedReader, i int) (bool, error) {
	req := &http.Request{Method: http.MethodGet, URL: g.url, Host: g.url.Host, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Close: g.c.Close}
	if err := req.Write(conn); err != nil {
		return false, err
	}
	limit.N = maxHeader
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return false, err
	}
	limit.N = maxPage
	h := sha256.New()
	n, err := io.Copy(h, resp.Body)
	g.bytes += n
	h.Sum(g.sums[i][:0])
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("server says %s", resp.Status)
	}
	return err == nil && !resp.Close, err
}

// record writes down what came of it.
func (g *getter) record(now sim.Time) {
	p := g.main
	p.Record("requests", int64(g.c.Requests), "")
	p.Record("failed", int64(g.failed), "")
	p.Record("bytes", g.bytes, "B")
	p.Record("span", (now - g.began).Nanoseconds(), "ns")
	h := sha256.New()
	for _, s := range g.sums {
		h.Write(s[:])
	}
	p.RecordText("sha256", hex.EncodeToString(h.Sum(nil)))
	recordLatency(p, g.latencies)
}

// recordLatency records quantiles of spans, if there are any.
func recordLatency(p *guest.Proc, spans []sim.Time) {
	if len(spans) == 0 {
		return
	}
	slices.Sort(spans)
	at := func(permille int) int64 { return spans[(len(spans)-1)*permille/1000].Nanoseconds() }
	p.Record("p50", at(500), "ns")
	p.Record("p99", at(990), "ns")
	p.Record("max", at(1000), "ns")
}

var _ = register(&Spec{
	Name: "http-get",
	Does: "HTTP/1.1 client: asks for one page again and again",
	Args: []Arg{
		required(argOf("url", "http://HOST[:PORT]/PATH", "", "the page", func(s string) (string, error) {
			_, err := parseURL(s)
			return s, err
		})),
		countArg("requests", 1, 1, 1_000_000, "to make in all"),
		countArg("concurrency", 1, 1, 10_000, "connections at a time"),
		flagArg("close", false, "a connection for each request"),
		spanArg("timeout", "30s", "for each request"),
	},
	make: func(v values) guest.Program {
		return HTTPGet(HTTPGetConfig{
			URL: get[string](v, "url"), Requests: get[int](v, "requests"), Concurrency: get[int](v, "concurrency"),
			Close: get[bool](v, "close"), Timeout: get[time.Duration](v, "timeout"),
		})
	},
})
