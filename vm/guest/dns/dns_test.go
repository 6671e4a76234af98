package dns_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"ringside/vm/guest/dns"
)

func TestMessagesComeBack(t *testing.T) {
	for name, m := range map[string]dns.Message{
		"query":  dns.Query(7, "www.example", dns.AAAA),
		"root":   dns.Query(7, "", dns.A),
		"answer": {ID: 1, Response: true, Authoritative: true, RecursionDesired: true, RecursionAvailable: true, Questions: []dns.Question{{"a.b", dns.A, 1}}, Answers: []dns.Record{dns.Address("a.b", netip.MustParseAddr("10.1.2.3"), 60), dns.Address("a.b", netip.MustParseAddr("2001:db8::1"), 5)}},
		"no":     {ID: 65535, Response: true, Truncated: true, OpCode: 15, RCode: dns.NXDomain, Questions: []dns.Question{{strings.Repeat("a", 63), 255, 255}}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := m.Append(nil)
			require.NoError(t, err)
			got, err := dns.Parse(b)
			require.NoError(t, err)
			require.Equal(t, m, got)
		})
	}
}

func TestNamesThatCannotBe(t *testing.T) {
	for _, name := range []string{".", "a.", ".a", "a..b", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a"} {
		require.Error(t, dns.CheckName(name), name)
		_, err := dns.Query(1, name, dns.A).Append(nil)
		require.Error(t, err, name)
	}
	for _, name := range []string{"", "a", strings.Repeat("a", 63), strings.Repeat("a.", 126) + "a", "ex ample\x00"} {
		require.NoError(t, dns.CheckName(name), name)
	}
}

// header is one of a response with one answer and no question.
var header = []byte{0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0}

// record is an A record behind a name.
func record(name ...byte) []byte {
	return append(append(bytes.Clone(header), name...), 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3)
}

func TestNamesAreReadWhateverTheySay(t *testing.T) {
	long := bytes.Repeat(append([]byte{63}, bytes.Repeat([]byte{'a'}, 63)...), 4)
	for name, row := range map[string]struct {
		message []byte
		want    string
		says    string
	}{
		"labels":                {record(1, 'a', 2, 'b', 'c', 0), "a.bc", ""},
		"to itself":             {record(0xc0, 12), "", "forward"},
		"to a label of itself":  {record(1, 'a', 0xc0, 12), "", "forward"},
		"beyond the message":    {record(0xc3, 0xff), "", "forward"},
		"into the header":       {record(0xc0, 0), "", ""},
		"half a pointer":        {append(bytes.Clone(header), 0xc0), "", "bad label"},
		"of a reserved kind":    {record(0x40, 'a', 0), "", "bad label"},
		"cut short":             {append(bytes.Clone(header), 5, 'a'), "", "bad label"},
		"without an end":        {append(bytes.Clone(header), 1, 'a'), "", "name cut short"},
		"too long":              {record(append(long, 0)...), "", "bad label"},
		"a dot in a label":      {record(3, 'a', '.', 'b', 0), "", "dot"},
		"record cut short":      {record(0)[:20], "", "cut short"},
		"more records than are": {header, "", "name cut short"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := dns.Parse(row.message)
			if row.says != "" {
				require.ErrorContains(t, err, row.says)
				require.ErrorIs(t, err, dns.ErrMessage)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.want, m.Answers[0].Name)
		})
	}
}

func TestEqualKnowsNoCase(t *testing.T) {
	require.True(t, dns.Equal("WWW.Example", "www.eXAMPLE"))
	require.False(t, dns.Equal("www.example", "www.exampl"))
	require.False(t, dns.Equal("a@", "a`"), "which differ in that bit, too")
}

// Parse against golang.org/x/net's parser: what both take they read the same way, and
// what Parse takes comes back from Append.
func FuzzParse(f *testing.F) {
	q, _ := dns.Query(7, "www.example", dns.A).Append(nil)
	f.Add(q)
	f.Add(record(1, 'a', 0))
	f.Add(append(record(1, 'a', 0), 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := dns.Parse(b)
		theirs, theirErr := read(b)
		if err != nil {
			return
		}
		if len(m.Questions)*5+len(m.Answers)*11 > len(b) {
			t.Fatalf("%d questions and %d answers in %d bytes", len(m.Questions), len(m.Answers), len(b))
		}
		if theirErr == nil {
			compare(t, m, theirs)
		}
		again, err := m.Append(nil)
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		back, err := dns.Parse(again)
		aliases := slices.ContainsFunc(m.Answers, func(r dns.Record) bool { return r.Type == dns.CNAME }) // whose data points elsewhere
		if err != nil && !aliases {
			t.Fatalf("%+v: %v", m, err)
		}
		if err == nil && (back.ID != m.ID || len(back.Answers) != len(m.Answers) || len(back.Questions) != len(m.Questions)) {
			t.Fatalf("%+v came back as %+v", m, back)
		}
	})
}

// read is the other parser, as far as Parse goes.
func read(b []byte) (m dnsmessage.Message, err error) {
	var p dnsmessage.Parser
	if m.Header, err = p.Start(b); err != nil {
		return m, err
	}
	if m.Questions, err = p.AllQuestions(); err != nil {
		return m, err
	}
	m.Answers, err = p.AllAnswers()
	return m, err
}

func compare(t *testing.T, m dns.Message, theirs dnsmessage.Message) {
	if m.ID != theirs.ID || m.Response != theirs.Response || uint16(m.RCode) != uint16(theirs.RCode) || uint16(m.OpCode) != uint16(theirs.OpCode) ||
		len(m.Questions) != len(theirs.Questions) || len(m.Answers) != len(theirs.Answers) {
		t.Fatalf("%+v, and %+v", m, theirs.GoString())
	}
	for i, q := range m.Questions {
		if q.Name+"." != theirs.Questions[i].Name.String() && q.Name != "" || uint16(q.Type) != uint16(theirs.Questions[i].Type) {
			t.Fatalf("question %+v, and %+v", q, theirs.Questions[i])
		}
	}
	for i, r := range m.Answers {
		a := theirs.Answers[i]
		if r.Name+"." != a.Header.Name.String() && r.Name != "" || r.TTL != a.Header.TTL {
			t.Fatalf("record %+v, and %+v", r, a)
		}
		switch body := a.Body.(type) {
		case *dnsmessage.AResource:
			if addr, ok := r.Addr(); ok && addr.As4() != body.A {
				t.Fatalf("record %+v, and %+v", r, a)
			}
		case *dnsmessage.CNAMEResource:
			if r.Alias+"." != body.CNAME.String() && r.Alias != "" {
				t.Fatalf("record %+v, and %+v", r, a)
			}
		}
	}
}
