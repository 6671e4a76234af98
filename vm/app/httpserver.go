package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"ringside/vm/guest"
)

// HTTPConfig describes the program HTTP. The zero value answers on port 80 for every
// path that is a size.
type HTTPConfig struct {
	Port  uint16           // 0 means 80
	Pages map[string]int64 // bytes by path, "/index.html"; beside them there are "/" and "/SIZE", "/64k" for instance
	Work  time.Duration    // that the program does for each request
}

// HTTP is an HTTP/1.1 server [RFC 9112]: GET and HEAD, connections that stay open,
// pipelining. The bytes of a page are the same in every run. It does not end. It
// records connections, requests, errors (requests that were refused) and
// bytes (of bodies).
func HTTP(c HTTPConfig) guest.Program {
	if c.Port == 0 {
		c.Port = 80
	}
	return func(p *guest.Proc) error {
		s := &httpServer{c: c}
		p.RecordFunc("connections", "", func() int64 { return s.connections })
		p.RecordFunc("requests", "", func() int64 { return s.requests })
		p.RecordFunc("errors", "", func() int64 { return s.errors })
		p.RecordFunc("bytes", "B", func() int64 { return s.bytes })
		return serveTCP(p, fmt.Sprintf(":%d", c.Port), &s.connections, s.serve)
	}
}

type httpServer struct {
	c                                    HTTPConfig
	connections, requests, errors, bytes int64
}

// maxRequest is how long a request may be, its headers and its body.
const maxRequest = 1 << 20

// serve answers the requests of one connection, in order.
func (s *httpServer) serve(p *guest.Proc, conn net.Conn) error {
	limit := &io.LimitedReader{R: conn}
	in, out := bufio.NewReader(limit), bufio.NewWriterSize(conn, 16<<10)
	for {
		limit.N = maxRequest
		req, err := http.ReadRequest(in)
		if err != nil {
			if !broken(err) {
				s.refuse(p, out, http.StatusBadRequest)
			}
			return out.Flush()
		}
		if s.c.Work > 0 {
			p.Work(s.c.Work)
		}
		again, err := s.answer(p, out, req)
		if err != nil {
			return err
		}
		if again {
			_, err := io.Copy(io.Discard, req.Body)
			again = err == nil
		}
		if !again || in.Buffered() == 0 { // else more requests wait: answer them together
			if err := out.Flush(); err != nil || !again {
				return err
			}
		}
	}
}

// broken says that no request can be answered, since the connection has ended.
func broken(err error) bool {
	_, ok := err.(net.Error)
	return ok || err == io.EOF
}

// answer writes the response to a request and says whether the connection stays.
func (s *httpServer) answer(p *guest.Proc, out io.Writer, req *http.Request) (bool, error) {
	s.requests++
	r := &http.Response{ProtoMajor: 1, ProtoMinor: 1, Request: req, Close: req.Close, Header: http.Header{}}
	size, found := s.find(req)
	switch {
	case req.ProtoMajor != 1:
		r.StatusCode, r.Close = http.StatusHTTPVersionNotSupported, true
	case req.ProtoAtLeast(1, 1) && req.Host == "":
		r.StatusCode, r.Close = http.StatusBadRequest, true
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		r.StatusCode, r.Close = http.StatusMethodNotAllowed, true
		r.Header.Set("Allow", "GET, HEAD")
	case !found:
		r.StatusCode = http.StatusNotFound
	default:
		r.StatusCode = http.StatusOK
	}
	var body io.Reader = io.LimitReader(content(uint64(size)), size)
	if r.StatusCode != http.StatusOK {
		s.errors++
		text := fmt.Sprintf("%d %s\n", r.StatusCode, http.StatusText(r.StatusCode))
		body, size = strings.NewReader(text), int64(len(text))
	}
	r.Header.Set("Date", p.Now().Format(http.TimeFormat))
	r.Header.Set("Content-Type", "application/octet-stream")
	r.ContentLength = size
	if req.Method != http.MethodHead {
		r.Body = io.NopCloser(body)
		s.bytes += size
	}
	return !r.Close, r.Write(out)
}

// maxPage is the longest page.
const maxPage = 4 << 30

// find is the size of the page that is asked for.
func (s *httpServer) find(req *http.Request) (int64, bool) {
	if req.URL == nil {
		return 0, false
	}
	path := req.URL.Path
	if size, ok := s.c.Pages[path]; ok {
		return size, true
	}
	if path == "/" {
		return 1024, true
	}
	size, err := parseSize(strings.TrimPrefix(path, "/"))
	return size, err == nil && size <= maxPage
}

// refuse answers what is no request.
func (s *httpServer) refuse(p *guest.Proc, out io.Writer, status int) {
	s.errors++
	r := &http.Response{ProtoMajor: 1, ProtoMinor: 1, StatusCode: status, Close: true, Header: http.Header{"Date": {p.Now().Format(http.TimeFormat)}}}
	r.Write(out)
}

var _ = register(&Spec{
	Name: "http",
	Does: "HTTP/1.1 server: / is a page of 1 KiB, /SIZE one of that many bytes",
	Args: []Arg{
		portArg("port", 80, "to listen on"),
		spanArg("work", "0", "the program's own work for each request"),
	},
	make: func(v values) guest.Program {
		return HTTP(HTTPConfig{Port: get[uint16](v, "port"), Work: get[time.Duration](v, "work")})
	},
})
