package programs

import (
	"fmt"
	"slices"
)

// A Result is a number, or a text, that a program records.
type Result struct{ Name, Unit, Says string }

// Text as a Result's Unit says that it is a text.
const Text = "text"

// Results are what a program records, by its name.
func Results(program string) []Result { return results[program] }

// Results are what the process records, one for each rule of a firewall among them.
func (e *Entry) Results() []Result {
	list := slices.Clone(results[e.Program])
	for i := range e.Rules {
		list = append(list, Result{fmt.Sprintf("rule-%d", i+1), "", "packets that it decided"})
	}
	return list
}

var (
	latency = []Result{{"p50", "ns", "median"}, {"p99", "ns", "of 100, 99 are not above it"}, {"max", "ns", "the longest"}}
	bulk    = []Result{{"bytes", "B", "of payload"}, {"span", "ns", "from begin to end"}, {"rate", "bit/s", "of payload"}, {"sha256", Text, "of what was carried"}}
)

var results = map[string][]Result{
	"echo": {{"connections", "", ""}, {"bytes", "B", "sent back over TCP"}, {"datagrams", "", "sent back over UDP"}},
	"http": {{"connections", "", ""}, {"requests", "", ""}, {"errors", "", "requests answered with 4xx"}, {"bytes", "B", "of bodies"}},
	"http-get": append([]Result{{"requests", "", "made"}, {"failed", "", "of them"}, {"bytes", "B", "of bodies"}, {"span", "ns", "from begin to end"},
		{"sha256", Text, "of the bodies"}}, latency...),
	"bulk-send": append([]Result{{"retransmits", "", "segments, of the machine meanwhile"}}, bulk...),
	"bulk-recv": append([]Result{{"connections", "", ""}}, bulk...),
	"ping": {{"sent", "", "requests"}, {"received", "", "answers"}, {"duplicates", "", "answers beyond the first"},
		{"rtt-min", "ns", ""}, {"rtt-avg", "ns", ""}, {"rtt-max", "ns", ""}},
	"udp-blast": {{"sent", "", "datagrams"}, {"failed", "", "that the stack did not take"}, {"bytes", "B", "of payload"}, {"span", "ns", ""}, {"rate", "bit/s", "of payload"}},
	"udp-sink": {{"received", "", "datagrams"}, {"bytes", "B", "of payload"}, {"lost", "", "numbers below the highest that did not come"}, {"duplicates", "", ""},
		{"reordered", "", "that came after a higher number"}, {"bad", "", "too short, or out of reach"}, {"delay-min", "ns", "one way"}, {"delay-avg", "ns", ""}, {"delay-max", "ns", ""}},
	"dhcp-client": {{"address", Text, "with its prefix"}, {"server", Text, ""}, {"lease", "s", ""}, {"span", "ns", "until it was there"}},
	"dhcp-server": {{"discovers", "", ""}, {"offers", "", ""}, {"requests", "", ""}, {"acks", "", ""}, {"naks", "", ""}, {"bad", "", ""}, {"leases", "", "that have not ended"}},
	"router":      {{"forwarded", "", "packets"}, {"expired", "", "whose time to live was over"}},
	"firewall":    {{"passed", "", "packets"}, {"dropped", "", ""}, {"full", "", "that found no room to go out"}, {"default", "", "that fitted no rule"}},
	"dns":         {{"queries", "", ""}, {"answered", "", ""}, {"nxdomain", "", "names that are not in the table"}, {"bad", "", "no questions"}},
}
