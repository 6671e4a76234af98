// Package iproute shows what a bridge knows as bridge(8) of iproute2 prints it: the
// forwarding database, VLANs, multicast groups, ports, and the events of bridge
// monitor. Each is a list of rows whose JSON has the names and the order of
// bridge -j; the text is made of the same rows.
//
// The format was taken from what iproute2 6.1 printed on Linux 6.1
// (testdata/iproute2.txt), and a test compares with the program that is installed.
//
// It differs in this: an interface's own list of groups ("self permanent") is not
// shown, since no interface here has one; rows are ordered by interface and
// address, where the kernel goes by its hash tables; "used" is left out, because
// the bridge does not note when a station was last sent to.
package iproute
