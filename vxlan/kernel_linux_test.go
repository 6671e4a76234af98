package vxlan

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"ringside/sim"
)

// A linux is the kernel's own vxlan device in a network namespace, on one end of a
// veth pair; at the other end stands the test, which is all other hosts.
//
//	vxlan0 (inner) ── vxlan ── u0 ══ u1 (outer)
type linux struct {
	t            *testing.T
	inner, outer int // packet sockets
	trace        int // pipe of dropped frames, -1 if there is none
	c            Config
}

var outerMAC = map[string]MAC{"u0": {2, 0, 0, 0, 9, 1}, "u1": {2, 0, 0, 0, 9, 2}}

// sentinel is the type of frames that say that all before them have come through.
const sentinel = 0x88b6

// newLinux needs root, ip, bridge and a kernel with vxlan; else the test is skipped.
// The thread that it is called on never comes back from its namespace.
func newLinux(t *testing.T, c Config) *linux {
	if os.Getuid() != 0 {
		t.Skip("needs root, for a network namespace")
	}
	for _, tool := range []string{"ip", "bridge"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	runtime.LockOSThread() // and never unlock: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		t.Skipf("no namespace: %v", err)
	}
	var one unix.CPUSet
	one.Set(0)
	require.NoError(t, unix.SchedSetaffinity(0, &one)) // one CPU keeps frames in order
	l := &linux{t: t, c: c, trace: -1}
	l.setUp()
	l.inner, l.outer = l.socket("vxlan0"), l.socket("u1")
	l.traceDrops()
	return l
}

// run runs a command in the namespace.
func (l *linux) run(line string) string {
	l.t.Helper()
	args := strings.Fields(line)
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	require.NoError(l.t, err, "%s: %s", line, out)
	return string(out)
}

func (l *linux) setUp() {
	v6 := l.c.IPv6()
	if !v6 {
		require.NoError(l.t, os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0))
	}
	l.run(fmt.Sprintf("ip link add u0 address %v mtu 9000 type veth peer name u1 address %v mtu 9000", outerMAC["u0"], outerMAC["u1"]))
	bits := 24
	if v6 {
		bits = 64
	}
	nodad := map[bool]string{true: " nodad"}[v6]
	l.run(fmt.Sprintf("ip addr add %v/%d dev u0%s", l.c.Local, bits, nodad))
	l.run("ip link set u0 up")
	l.run("ip link set u1 up arp off")
	for n := 2; n < 6; n++ {
		l.run(fmt.Sprintf("ip neigh add %v lladdr %v dev u0", remoteN(v6, n), outerMAC["u1"]))
	}
	require.NoError(l.t, os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)) // vxlan0 says nothing itself
	if line, err := exec.Command("ip", strings.Fields(l.device())...).CombinedOutput(); err != nil {
		l.t.Skipf("this kernel has no vxlan: %s", line)
	}
	for _, r := range l.c.Remotes[min(1, len(l.c.Remotes)):] {
		l.run(fmt.Sprintf("bridge fdb append %v dev vxlan0 dst %v", Default, r))
	}
	for _, e := range l.c.FDB {
		for _, r := range e.Remotes {
			l.run(fmt.Sprintf("bridge fdb append %v dev vxlan0 %v %v", e.MAC, r, e.Kind))
		}
	}
	l.run(fmt.Sprintf("bridge fdb add %v dev vxlan0 dst %v permanent", sentinelMAC, remoteN(v6, 2)))
	l.run("ip link set vxlan0 up")
}

// sentinelMAC is a station behind the first remote that no event has to do with.
var sentinelMAC = MAC{2, 0, 0, 0, 9, 9}

// device is the words that make the interface.
func (l *linux) device() string {
	c := &l.c
	s := fmt.Sprintf("link add vxlan0 address %v type vxlan id %d local %v dstport %d srcport 40000 50000", c.MAC, c.VNI, c.Local, DefaultPort)
	if len(c.Remotes) > 0 {
		s += fmt.Sprint(" remote ", c.Remotes[0])
	}
	if c.NoLearning {
		s += " nolearning"
	}
	if c.NoUDPChecksum {
		s += " noudpcsum"
	}
	if c.ZeroChecksumTx {
		s += " udp6zerocsumtx"
	}
	if c.ZeroChecksumRx {
		s += " udp6zerocsumrx"
	}
	if c.MaxAddresses > 0 {
		s += fmt.Sprint(" maxaddress ", c.MaxAddresses+1) // and the sentinel
	}
	switch {
	case c.TTLInherit:
		s += " ttl inherit"
	case c.TTL > 0:
		s += fmt.Sprint(" ttl ", c.TTL)
	}
	switch {
	case c.TOSInherit:
		s += " tos inherit"
	case c.TOS > 0:
		s += fmt.Sprintf(" tos %#x", c.TOS)
	}
	if c.DF != DFUnset {
		s += " df " + c.DF.String()
	}
	return s + " dev u0"
}

func (l *linux) socket(dev string) int {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_ALL)))
	require.NoError(l.t, err)
	l.t.Cleanup(func() { unix.Close(fd) })
	var ifr unix.Ifreq
	if r, err := unix.NewIfreq(dev); err == nil {
		ifr = *r
	}
	require.NoError(l.t, unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, &ifr))
	require.NoError(l.t, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: int(ifr.Uint32())}))
	require.NoError(l.t, unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1))
	require.NoError(l.t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}))
	return fd
}

func htons(x uint16) uint16 { return x<<8 | x>>8 }

// traceDrops has the kernel tell of the frames that it drops, if it can.
func (l *linux) traceDrops() {
	dir := l.t.TempDir()
	if unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") != nil || unix.Mount("none", dir, "tracefs", 0, "") != nil {
		return
	}
	l.t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	instance := filepath.Join(dir, "instances", fmt.Sprint("ringside-", os.Getpid()))
	if os.Mkdir(instance, 0o700) != nil {
		return
	}
	l.t.Cleanup(func() { os.Remove(instance) })
	if os.WriteFile(filepath.Join(instance, "events/skb/kfree_skb/enable"), []byte("1"), 0) != nil {
		return
	}
	if fd, err := unix.Open(filepath.Join(instance, "trace_pipe"), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
		l.trace = fd
		l.t.Cleanup(func() { unix.Close(fd) })
	}
}

var dropLine = regexp.MustCompile(`location=(\w+)\S* .*reason: (\w+)`)

// dropped is the reasons that the kernel gave for frames since the last call, in the
// functions of its vxlan driver.
func (l *linux) dropped() (reasons []string) {
	var all []byte
	b := make([]byte, 65536)
	for l.trace >= 0 {
		n, err := unix.Read(l.trace, b)
		if n <= 0 || err != nil {
			break
		}
		all = append(all, b[:n]...)
	}
	for _, m := range dropLine.FindAllSubmatch(all, -1) {
		if strings.HasPrefix(string(m[1]), "vxlan_") {
			reasons = append(reasons, "drop "+string(m[2]))
		}
	}
	return reasons
}

func (l *linux) happen(e event) []string {
	var list []string
	if e.out {
		list = l.send(e.frame)
	} else {
		list = l.take(e)
	}
	if reasons := l.dropped(); len(list) == 0 {
		list = append(list, reasons...)
		if len(list) == 0 {
			list = []string{"drop"}
		}
	}
	return list
}

// write sends a frame on a packet socket, as if it came from the machine's stack.
func (l *linux) write(fd int, frame []byte) {
	_, err := unix.Write(fd, frame)
	require.NoError(l.t, err)
}

// read is the next frame that a socket sees, with its tag, and whether the socket's own
// side has sent it.
func (l *linux) read(fd int) (frame []byte, sent bool) {
	b, control := make([]byte, 65536), make([]byte, 256)
	n, m, _, from, err := unix.Recvmsg(fd, b, control, 0)
	require.NoError(l.t, err, "waiting for a frame")
	messages, err := unix.ParseSocketControlMessage(control[:m])
	require.NoError(l.t, err)
	frame = b[:n]
	for _, c := range messages {
		const valid = 0x10 | 0x40 // tp_status: there is a tag, and its type
		if aux := c.Data; c.Header.Type == unix.PACKET_AUXDATA && binary.NativeEndian.Uint32(aux)&valid == valid {
			tag := binary.BigEndian.AppendUint16(nil, binary.NativeEndian.Uint16(aux[18:]))
			tag = binary.BigEndian.AppendUint16(tag, binary.NativeEndian.Uint16(aux[16:]))
			frame = slices.Insert(frame, 12, tag...)
		}
	}
	return frame, from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING
}

// send has the interface send a frame, and tells the packets that come out.
func (l *linux) send(frame []byte) (list []string) {
	l.write(l.inner, frame)
	l.write(l.inner, append(append(sentinelMAC[:], vtepMAC[:]...), append([]byte{sentinel >> 8, sentinel & 0xff}, make([]byte, 46)...)...))
	for {
		b, sent := l.read(l.outer)
		if sent {
			continue
		}
		p, ok := parseOuter(b)
		switch {
		case !ok:
			continue // neighbour discovery
		case binary.BigEndian.Uint16(p.payload[HeaderLen+12:]) == sentinel:
			l.drainInner()
			return list
		}
		list = append(list, told(p.Out, p.payload))
	}
}

// drainInner reads what the inner socket saw of its own frames.
func (l *linux) drainInner() {
	b := make([]byte, 65536)
	for {
		if _, _, err := unix.Recvfrom(l.inner, b, unix.MSG_DONTWAIT); err != nil {
			return
		}
	}
}

// take has a packet come in, and tells the frame that the interface receives.
func (l *linux) take(e event) (list []string) {
	l.write(l.outer, l.packet(e.from, e.tos, e.frame))
	h := NewHeader(l.c.VNI)
	end := append(h[:], append(append(vtepMAC[:], sentinelMAC[:]...), append([]byte{sentinel >> 8, sentinel & 0xff}, make([]byte, 46)...)...)...)
	l.write(l.outer, l.packet(remoteN(l.c.IPv6(), 2), 0, end))
	for {
		b, sent := l.read(l.inner)
		if sent {
			continue
		}
		if len(b) > 14 && binary.BigEndian.Uint16(b[12:]) == sentinel {
			l.drainOuter()
			return list
		}
		list = append(list, fmt.Sprintf("frame %x", b))
	}
}

func (l *linux) drainOuter() {
	b := make([]byte, 65536)
	for {
		if _, _, err := unix.Recvfrom(l.outer, b, unix.MSG_DONTWAIT); err != nil {
			return
		}
	}
}

// packet is a UDP packet to the VTEP's port.
func (l *linux) packet(from netip.Addr, tos uint8, payload []byte) []byte {
	u0, u1 := outerMAC["u0"], outerMAC["u1"]
	udp := binary.BigEndian.AppendUint16(nil, 12345)
	udp = binary.BigEndian.AppendUint16(udp, DefaultPort)
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(payload)))
	udp = append(append(udp, 0, 0), payload...)
	f := append(u0[:], u1[:]...)
	f = slices.Clone(f)
	if from.Is4() {
		ip := make([]byte, 20)
		ip[0], ip[1], ip[8], ip[9] = 0x45, tos, 64, 17
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(udp)))
		copy(ip[12:], from.AsSlice())
		copy(ip[16:], l.c.Local.AsSlice())
		binary.BigEndian.PutUint16(ip[10:], checksum(ip))
		return append(append(append(f, 0x08, 0), ip...), udp...)
	}
	ip := make([]byte, 40)
	ip[0], ip[1], ip[6], ip[7] = 0x60|tos>>4, tos<<4, 17, 64
	binary.BigEndian.PutUint16(ip[4:], uint16(len(udp)))
	copy(ip[8:], from.AsSlice())
	copy(ip[24:], l.c.Local.AsSlice())
	if !l.c.ZeroChecksumRx {
		pseudo := append(slices.Clone(ip[8:]), 0, 0, udp[4], udp[5], 0, 0, 0, 17)
		binary.BigEndian.PutUint16(udp[6:], checksum(append(pseudo, udp...)))
	}
	return append(append(append(f, 0x86, 0xdd), ip...), udp...)
}

// An outerPacket is a packet of the underlay as it was seen.
type outerPacket struct {
	Out
	payload []byte
}

// parseOuter reads a UDP packet to a port that VTEPs have.
func parseOuter(b []byte) (p outerPacket, ok bool) {
	udp := 0
	switch typ := binary.BigEndian.Uint16(b[12:]); {
	case typ == typeIPv4 && b[23] == 17 && b[20]&0x1f == 0 && b[21] == 0 && len(b) > 42:
		udp = 34
		p.TOS, p.TTL, p.DF = b[15], b[22], b[20]&0x40 != 0
		p.To = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[30:])), binary.BigEndian.Uint16(b[udp+2:]))
	case typ == typeIPv6 && b[20] == 17 && len(b) > 62:
		udp = 54
		p.TOS, p.TTL = b[14]<<4|b[15]>>4, b[21]
		p.To = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[38:])), binary.BigEndian.Uint16(b[udp+2:]))
	default:
		return p, false
	}
	p.From = netip.AddrPortFrom(netip.Addr{}, binary.BigEndian.Uint16(b[udp:]))
	p.Checksum = binary.BigEndian.Uint16(b[udp+6:]) != 0
	p.payload = b[udp+8:]
	return p, len(p.payload) >= HeaderLen+ethLen
}

// table is the kernel's entries in the words of ours.
func (l *linux) table() (list []string) {
	for _, line := range strings.Split(strings.TrimSpace(l.run("bridge fdb show dev vxlan0")), "\n") {
		if strings.HasPrefix(line, sentinelMAC.String()) {
			continue
		}
		line = strings.Replace(line, " via u0", "", 1)
		if words, ok := strings.CutSuffix(strings.TrimSpace(line), " self"); ok {
			line = words + " self dynamic"
		}
		list = append(list, strings.Replace(strings.TrimSpace(line), " self", "", 1))
	}
	slices.Sort(list)
	return list
}

// taggedAt says that a packet comes in with a tagged frame inside. Linux takes the tag for
// the packet behind it when it carries a mark over, and spoils the VLAN by it; we do not.
func taggedAt(e event) bool {
	const at = HeaderLen + 12
	return !e.out && len(e.frame) > at+1 && e.frame[at] == 0x81 && e.frame[at+1] == 0
}

// calls are reasons that Linux gives and we call otherwise.
var calls = map[string]string{
	"drop NO_TX_TARGET": "drop VXLAN_NO_REMOTE", // since 6.14, which gave the name up
	"drop NOMEM":        "drop PKT_TOO_SMALL",   // there was no lack of memory
}

// The whole of this package is measured against the kernel of the machine that the
// test runs on: what leaves, what comes in, the table, and, where the kernel tells, the
// reason of each drop. Time stands still, since no entry has time to age.
func TestVTEPDoesWhatLinuxDoes(t *testing.T) {
	for _, ipv6 := range []bool{false, true} {
		for name, c := range configs(ipv6) {
			if c.Ageing != 0 {
				continue
			}
			t.Run(fmt.Sprint(name, map[bool]string{true: "6"}[ipv6]), func(t *testing.T) {
				l := newLinux(t, c)
				o := newOurs(c)
				g := generator{r: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2)), ipv6: ipv6}
				for i := range 200 {
					e := g.next()
					if e.at = sim.Time(i); taggedAt(e) {
						e.tos &^= 3
						if len(e.frame) < HeaderLen+ethLen+4+2 {
							continue // Linux drops it behind the device, and we do in the bridge
						}
					}
					want := l.happen(e)
					got := o.happen(e)
					for i := range want {
						if r, ok := calls[want[i]]; ok {
							want[i] = r
						}
					}
					if l.trace < 0 && len(got) == 1 && strings.HasPrefix(got[0], "drop") {
						got[0] = "drop"
					}
					require.Empty(t, diff(got, want), "event %d: %+v\nframe %x", i, e, e.frame)
					if i%10 == 0 {
						require.Empty(t, diff(o.table(), l.table()), "the table after event %d: %+v", i, e)
					}
				}
			})
		}
	}
}

// newLinuxBridge is a kernel whose vxlan0 is a port of a bridge with one port more,
// which the inner socket is behind: inner frames longer than the underlay's MTU of
// 1500 less 50 come to the device.
func newLinuxBridge(t *testing.T) *linux {
	l := newLinux(t, configs(false)["plain"])
	for _, line := range []string{
		"ip link set vxlan0 mtu 8000",
		"ip link set u0 mtu 1500",
		"ip link add b0 mtu 9000 type veth peer name b1 mtu 9000",
		"ip link add br0 type bridge",
		"ip link set vxlan0 master br0",
		"ip link set b0 master br0",
		"ip link set br0 up",
		"ip link set b0 up",
		"ip link set b1 up",
	} {
		l.run(line)
	}
	l.inner = l.socket("b1")
	time.Sleep(100 * time.Millisecond) // the ports come up
	return l
}

// What is too long for the underlay is answered for as Linux does it, byte for byte, or
// goes out in fragments.
func TestTooLongPacketsAreAnsweredAsLinuxDoes(t *testing.T) {
	l := newLinuxBridge(t)
	for _, p := range longs() {
		l.drainInner()
		l.drainOuter()
		l.write(l.inner, p.frame)
		// The sentinel comes out at u1 behind all fragments, and behind the answer.
		l.write(l.inner, append(append(sentinelMAC[:], stations[3][:]...), append([]byte{sentinel >> 8, sentinel & 0xff}, make([]byte, 46)...)...))
		fragments := 0
		for {
			b, sent := l.read(l.outer)
			if q, ok := parseOuter(b); !sent && ok && binary.BigEndian.Uint16(q.payload[HeaderLen+12:]) == sentinel {
				break
			}
			if !sent && b[12] == 0x08 && b[23] == 17 {
				fragments++
			}
		}
		var answer []byte
		for b := make([]byte, 65536); ; {
			n, from, err := unix.Recvfrom(l.inner, b, unix.MSG_DONTWAIT)
			if err != nil {
				break
			}
			if from.(*unix.SockaddrLinklayer).Pkttype != unix.PACKET_OUTGOING {
				answer = slices.Clone(b[:n])
			}
		}
		want := TooBig(nil, p.frame, p.mtu)
		require.Equal(t, fmt.Sprintf("%x", answer), fmt.Sprintf("%x", want), p.name)
		require.Equal(t, p.answer, fragments == 0, "%s: %d packets left", p.name, fragments)
	}
}

// Over IPv6 nothing is fragmented: what does not fit is lost, where over IPv4 it leaves in
// fragments unless DF is set.
func TestLinuxFragmentsOverIPv4Alone(t *testing.T) {
	for _, c := range []struct {
		ipv6   bool
		config string
		want   int
	}{{false, "plain", 2}, {false, "fixed", 0}, {true, "plain", 0}} {
		t.Run(fmt.Sprint(c.config, c.ipv6), func(t *testing.T) {
			l := newLinux(t, configs(c.ipv6)[c.config])
			l.run("ip link set vxlan0 mtu 8000")
			l.run("ip link set u0 mtu 1500")
			l.write(l.inner, long4(1600, func(p []byte) { p[6] = 0 }))
			l.write(l.inner, append(append(sentinelMAC[:], stations[3][:]...), append([]byte{sentinel >> 8, sentinel & 0xff}, make([]byte, 46)...)...))
			packets := 0
			for {
				b, sent := l.read(l.outer)
				if q, ok := parseOuter(b); !sent && ok && binary.BigEndian.Uint16(q.payload[HeaderLen+12:]) == sentinel {
					break
				}
				if udp := b[12] == 0x08 && b[23] == 17 || b[12] == 0x86 && (b[20] == 17 || b[20] == 44); udp && !sent {
					packets++
				}
			}
			// To one remote, as station 0 is behind one.
			require.Equal(t, c.want, packets, "%v", l.dropped())
		})
	}
}
