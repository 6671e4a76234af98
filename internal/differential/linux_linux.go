package differential

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
	"ringside/bridge"
)

// Linux is the kernel's side: a bridge in a network namespace of its own.
type Linux struct {
	rtnl  *rtnl
	taps  [MaxPorts + 1]tap
	stack []int // packet sockets for what a port's own interface receives
	buf   []byte

	setup *Setup
	br    int
	host  int // packet socket by which the host sends
	up    int // packet socket for what goes up
	polls []unix.PollFd
	vlans map[uint16]int // interfaces of the host's VLANs

	opened time.Time
	waited time.Duration // since then, by the steps
	last   State         // of the tables, in a timed setup
}

type tap struct {
	fd, index int
	member    bool
}

// NewLinux makes the namespace. The calling goroutine must be locked to its
// thread, and stay so: the namespace is the thread's.
func NewLinux() (*Linux, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	if err := quiet(); err != nil {
		return nil, err
	}
	r, err := dialRtnl()
	if err != nil {
		return nil, err
	}
	l := &Linux{rtnl: r, buf: make([]byte, 1<<16), vlans: map[uint16]int{}}
	for p := 1; p <= MaxPorts; p++ {
		if err := l.newTap(p); err != nil {
			return nil, err
		}
	}
	for _, proto := range stackProtocols {
		fd, err := openPacket(0, proto)
		if err != nil {
			return nil, err
		}
		l.stack = append(l.stack, fd)
	}
	for p := 1; p <= MaxPorts; p++ {
		if err := l.await(l.taps[p].index, true); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// stackProtocols are the protocols by which the stack of a port is asked for
// frames: a socket for all protocols would see what the bridge takes, too.
var stackProtocols = []uint16{
	unix.ETH_P_802_2, unix.ETH_P_802_3, unix.ETH_P_IP, unix.ETH_P_IPV6, unix.ETH_P_ARP,
	unix.ETH_P_8021Q, unix.ETH_P_8021AD, EtherTest, EtherLLDP, EtherPause, EtherEAPOL,
}

// quiet keeps the host's own stack in this namespace from saying anything.
func quiet() error {
	for _, s := range []struct{ path, value string }{
		{"net/ipv6/conf/all/disable_ipv6", "1"},
		{"net/ipv6/conf/default/disable_ipv6", "1"},
		{"net/ipv4/igmp_link_local_mcast_reports", "0"},
		{"net/bridge/bridge-nf-call-iptables", "0"},
		{"net/bridge/bridge-nf-call-ip6tables", "0"},
		{"net/bridge/bridge-nf-call-arptables", "0"},
	} {
		err := os.WriteFile("/proc/sys/"+s.path, []byte(s.value), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("quiet the host's stack: %w", err)
		}
	}
	return nil
}

// speakIPv6 gives an interface a stack of IPv6 that has no address, and so says
// nothing.
func speakIPv6(name string) error {
	for _, s := range [][2]string{{"addr_gen_mode", "1"}, {"router_solicitations", "0"}, {"disable_ipv6", "0"}} {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/"+s[0], []byte(s[1]), 0); err != nil {
			return fmt.Errorf("IPv6 on %s: %w", name, err)
		}
	}
	return nil
}

func (l *Linux) newTap(p int) error {
	fd, err := openTap(portName(p))
	if err != nil {
		return err
	}
	link, err := l.rtnl.link(portName(p))
	if err != nil {
		return err
	}
	mac := new(Setup).MAC(p)
	if err := l.rtnl.setAddress(link.index, mac[:]); err != nil {
		return fmt.Errorf("address of %s: %w", portName(p), err)
	}
	l.taps[p] = tap{fd: fd, index: link.index}
	return l.rtnl.change(link.index, unix.IFF_UP, unix.IFF_UP)
}

// await waits until an interface is operational, or not; the kernel's link
// watch tells it a little later than the cause.
func (l *Linux) await(index int, up bool) error {
	for range 1500 {
		list, err := l.rtnl.do(unix.RTM_GETLINK, 0, ifinfo(unix.AF_UNSPEC, index, 0, 0), nil)
		if err != nil || len(list) == 0 {
			return fmt.Errorf("operational state: %w", err)
		}
		state := uint64(0)
		attributes(list[0].Data[16:], func(typ uint16, v []byte) {
			if typ == unix.IFLA_OPERSTATE {
				state = number(v)
			}
		})
		if (state == 0 || state == 6) == up { // IF_OPER_UNKNOWN, IF_OPER_UP
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("interface %d does not come to the state up=%v", index, up)
}

// Open makes the bridge and its ports.
func (l *Linux) Open(s *Setup) error {
	l.setup, l.host, l.up = s, -1, -1
	if err := l.drain(); err != nil {
		return err
	}
	mac := s.MAC(Host)
	if err := l.rtnl.newBridge(bridgeName, mac[:]); err != nil {
		return fmt.Errorf("make a bridge: %w", err)
	}
	link, err := l.rtnl.link(bridgeName)
	if err != nil {
		return err
	}
	l.br = link.index
	if s.IPv6 {
		if err := speakIPv6(bridgeName); err != nil {
			return err
		}
	}
	for _, o := range s.Bridge {
		if err := l.set(bridgeOptions, o, func(o option, v uint64) error { return l.rtnl.setBridge(l.br, o, v) }); err != nil {
			return fmt.Errorf("bridge %s %d: %w", o.Name, o.Value, err)
		}
	}
	if err := l.listen(); err != nil {
		return err
	}
	flags := uint32(unix.IFF_UP)
	if s.Promisc {
		flags |= unix.IFF_PROMISC
	}
	if err := l.rtnl.change(l.br, flags, flags); err != nil {
		return fmt.Errorf("bridge up: %w", err)
	}
	for i, settings := range s.Ports {
		if err := l.attach(i+1, settings); err != nil {
			return err
		}
	}
	if l.forwarding() {
		if err := l.await(l.br, true); err != nil {
			return err
		}
	}
	l.opened, l.waited = time.Now(), 0
	if s.Timed {
		l.last, err = l.State(watched)
	}
	return err
}

// Shut gives back what NewLinux made.
func (l *Linux) Shut() error {
	errs := []error{l.rtnl.conn.Close()}
	for p := 1; p <= MaxPorts; p++ {
		errs = append(errs, unix.Close(l.taps[p].fd))
	}
	for _, fd := range l.stack {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}

func (l *Linux) set(list []option, s Setting, set func(option, uint64) error) error {
	o, err := find(list, s.Name)
	if err != nil {
		return err
	}
	v := s.Value
	if s.Name == "backup_port" && v != 0 {
		v = uint64(l.taps[v].index)
	}
	return set(o, v)
}

func (l *Linux) attach(p int, settings Settings) error {
	t := &l.taps[p]
	if err := l.rtnl.setUint32(t.index, unix.IFLA_MASTER, uint32(l.br)); err != nil {
		return fmt.Errorf("port %d: %w", p, err)
	}
	t.member = true
	for _, o := range settings {
		if err := l.set(portOptions, o, func(o option, v uint64) error { return l.rtnl.setPort(t.index, o, v) }); err != nil {
			return fmt.Errorf("port %d %s %d: %w", p, o.Name, o.Value, err)
		}
	}
	return nil
}

// listen opens the sockets on the bridge's interface.
func (l *Linux) listen() (err error) {
	if l.up, err = openPacket(l.br, unix.ETH_P_ALL); err != nil {
		return err
	}
	if l.host, err = openPacket(l.br, 0); err != nil {
		return err
	}
	l.polls = l.polls[:0]
	for p := 1; p <= MaxPorts; p++ {
		l.polls = append(l.polls, unix.PollFd{Fd: int32(l.taps[p].fd), Events: unix.POLLIN})
	}
	l.polls = append(l.polls, unix.PollFd{Fd: int32(l.up), Events: unix.POLLIN})
	for _, fd := range l.stack {
		l.polls = append(l.polls, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	return nil
}

// forwarding says that some port forwards, which gives the bridge its carrier.
func (l *Linux) forwarding() bool {
	ports, err := l.rtnl.ports()
	return err == nil && slices.ContainsFunc(ports, func(p portInfo) bool { return number(p.attrs[unix.IFLA_BRPORT_STATE]) == 3 })
}

// Close takes the bridge away and gives the TAPs back as they were.
func (l *Linux) Close() error {
	var errs []error
	for _, fd := range []int{l.host, l.up} {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	for p := range l.taps {
		if l.taps[p].member {
			errs = append(errs, l.detach(p))
		}
	}
	errs = append(errs, l.rtnl.delLink(l.br)) // and the VLAN interfaces on it
	clear(l.vlans)
	for p := 1; p <= MaxPorts; p++ {
		errs = append(errs, l.rtnl.change(l.taps[p].index, unix.IFF_UP, unix.IFF_UP), setCarrier(l.taps[p].fd, true),
			l.rtnl.setUint32(l.taps[p].index, unix.IFLA_MTU, 1500))
	}
	for p := 1; p <= MaxPorts; p++ {
		errs = append(errs, l.await(l.taps[p].index, true))
	}
	return errors.Join(errs...)
}

// drain throws away what the last setup left behind.
func (l *Linux) drain() error {
	for p := 1; p <= MaxPorts; p++ {
		for {
			if _, err := unix.Read(l.taps[p].fd, l.buf); err != nil {
				break
			}
		}
	}
	for _, fd := range l.stack {
		for {
			if _, ok, err := receive(fd, l.buf); err != nil {
				return err
			} else if !ok {
				break
			}
		}
	}
	return nil
}

func (l *Linux) detach(p int) error {
	l.taps[p].member = false
	return l.rtnl.setUint32(l.taps[p].index, unix.IFLA_MASTER, 0)
}

// Do carries out a step.
func (l *Linux) Do(s *Step) (o Outcome, err error) {
	switch s.Kind {
	case Frame:
		if err := l.send(s.Port, s.Bytes); err != nil {
			return o, err
		}
	case Wait:
		if l.setup.Timed {
			l.waited += s.For
			o.Events, err = l.watch(l.opened.Add(l.waited))
			return o, err
		}
		time.Sleep(s.For)
	default:
		o.Err = l.configure(s)
	}
	if l.setup.Timed {
		o.Events, err = l.happened(true)
		return o, err
	}
	o.Copies, err = l.collect()
	o.sort()
	return o, err
}

// watch tells what happens up to the time end. It looks at the tables often
// enough for the slack, and not so often that others cannot look at theirs.
func (l *Linux) watch(end time.Time) (all []Event, err error) {
	var next time.Time
	for now := time.Now(); ; now = time.Now() {
		look := !now.Before(next) || !now.Before(end)
		list, err := l.happened(look)
		all = append(all, list...)
		if err != nil || !now.Before(end) {
			return all, err
		}
		if look {
			next = now.Add(min(max(20*time.Millisecond, 30*time.Since(now)), slack/5))
		}
		wait := min(time.Until(end), 10*time.Millisecond)
		if _, err := unix.Poll(l.polls, max(1, int(wait.Milliseconds()))); err != nil && !errors.Is(err, unix.EINTR) {
			return all, err
		}
	}
}

// happened tells what was sent, and when asked to look, what the tables changed
// in. It carries frames over the setup's cables.
func (l *Linux) happened(look bool) (all []Event, err error) {
	for {
		copies, err := l.collect()
		all = append(all, framesOf(time.Since(l.opened), copies)...)
		if err != nil || len(copies) == 0 {
			break
		}
		for _, c := range copies {
			if to := l.setup.across(c.Port); c.How == Out && to != 0 {
				if err := l.send(to, c.Bytes); err != nil {
					return all, err
				}
			}
		}
	}
	if !look {
		return all, nil
	}
	now, err := l.State(watched)
	all = append(all, changes(time.Since(l.opened), &l.last, &now)...)
	l.last = now
	return all, err
}

func (l *Linux) send(p int, frame []byte) error {
	if p == Host {
		if err := unix.Sendto(l.host, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.br}); err != nil {
			return fmt.Errorf("send as the host: %w", err)
		}
		return nil
	}
	if _, err := unix.Write(l.taps[p].fd, frame); err != nil {
		return fmt.Errorf("send on %s: %w", portName(p), err)
	}
	return nil
}

// collect reads every frame that is to be seen now.
func (l *Linux) collect() (all []Copy, err error) {
	for {
		n, err := unix.Poll(l.polls, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return all, err
		}
		read := false
		for i := range l.polls {
			if l.polls[i].Revents == 0 {
				continue
			}
			c, ok, err := l.read(i)
			if err != nil {
				return all, err
			}
			read = read || ok
			if ok && c.Port >= 0 {
				all = append(all, c)
			}
		}
		if !read {
			return all, nil
		}
	}
}

// read takes one frame from a polled descriptor. A frame of no interest has the
// port -1.
func (l *Linux) read(i int) (c Copy, ok bool, err error) {
	fd := int(l.polls[i].Fd)
	if i < MaxPorts {
		n, err := unix.Read(fd, l.buf)
		if err != nil {
			return c, false, nil //nolint:nilerr // an interface that is down: EIO
		}
		return Copy{Place{Out, i + 1}, slices.Clone(l.buf[:n])}, true, nil
	}
	r, ok, err := receive(fd, l.buf)
	if !ok || err != nil {
		return c, false, err
	}
	if i == MaxPorts {
		return Copy{Place{ToHost, Host}, r.bytes}, true, nil
	}
	port := slices.IndexFunc(l.taps[:], func(t tap) bool { return t.member && t.index == r.index })
	return Copy{Place{ToPort, port}, r.bytes}, true, nil
}

func (l *Linux) index(p int) int {
	if p == Host {
		return l.br
	}
	return l.taps[p].index
}

// configure is every step but frames. What it returns is the kernel's refusal.
func (l *Linux) configure(s *Step) error {
	i := l.index(s.Port)
	switch s.Kind {
	case SetBridge:
		return l.set(bridgeOptions, s.Setting, func(o option, v uint64) error { return l.rtnl.setBridge(l.br, o, v) })
	case SetPort:
		return l.set(portOptions, s.Setting, func(o option, v uint64) error { return l.rtnl.setPort(i, o, v) })
	case SetVLAN:
		return l.set(vlanOptions, s.Setting, func(o option, v uint64) error { return l.rtnl.setVLAN(i, s.VLAN, o, v) })
	case AddFDB:
		return l.addFDB(s)
	case DelFDB:
		return l.rtnl.delFDB(i, s.MAC[:], s.VLAN, whose(s.Port))
	case FlushFDB:
		if s.Port == Host {
			i = 0
		}
		return l.rtnl.flushFDB(l.br, i)
	case AddVLAN:
		return l.rtnl.vlan(false, i, s.Port == Host, s.VLAN, s.End, vlanFlags(s.Flags))
	case DelVLAN:
		return l.rtnl.vlan(true, i, s.Port == Host, s.VLAN, s.End, 0)
	case AddMDB, DelMDB:
		return l.mdb(s)
	case AddNeigh, DelNeigh:
		return l.neigh(s)
	case Attach:
		if err := l.attach(s.Port, l.setup.Ports[s.Port-1]); err != nil {
			return err
		}
	case Detach:
		return l.detach(s.Port)
	case Up:
		if err := l.rtnl.change(i, unix.IFF_UP, unix.IFF_UP); err != nil {
			return err
		}
		return l.await(i, true)
	case Down:
		return l.rtnl.change(i, 0, unix.IFF_UP)
	case Carrier:
		if err := setCarrier(l.taps[s.Port].fd, s.Setting.Value != 0); err != nil {
			return err
		}
		return l.await(i, s.Setting.Value != 0)
	case SetMTU:
		return l.rtnl.setUint32(i, unix.IFLA_MTU, uint32(s.Setting.Value))
	}
	return nil
}

// whose is the flag that asks for the bridge's entry: on a port that of its
// master, on the bridge its own.
func whose(p int) uint8 {
	if p == Host {
		return ntfSelf
	}
	return ntfMaster
}

func (l *Linux) addFDB(s *Step) error {
	state := []uint16{nudDynamic, nudStatic, nudPermanent}[s.State]
	flags := whose(s.Port)
	if s.Flags&Sticky != 0 {
		flags |= ntfSticky
	}
	if s.Flags&ExtLearned != 0 {
		flags |= unix.NTF_EXT_LEARNED
	}
	return l.rtnl.addFDB(l.index(s.Port), s.MAC[:], s.VLAN, state, flags, s.Flags&Replace != 0)
}

func vlanFlags(f uint8) (flags uint16) {
	if f&PVID != 0 {
		flags |= vlanPVID
	}
	if f&Untagged != 0 {
		flags |= vlanUntagged
	}
	return flags
}

func (l *Linux) mdb(s *Step) error {
	addr, proto := s.GroupL2[:], uint16(0)
	if s.Group.IsValid() {
		addr, proto = s.Group.AsSlice(), unix.ETH_P_IP
		if s.Group.Is6() {
			proto = unix.ETH_P_IPV6
		}
	}
	var source []byte
	if s.Source.IsValid() {
		source = s.Source.AsSlice()
	}
	return l.rtnl.mdb(s.Kind == DelMDB, l.br, mdbEntry(l.index(s.Port), s.State, s.VLAN, addr, proto), source)
}

// neigh adds to the neighbours of the bridge's interface, or of the interface
// of one of its VLANs, which is made if need be.
func (l *Linux) neigh(s *Step) error {
	index := l.br
	if s.VLAN != 0 {
		var err error
		if index, err = l.vlanDevice(s.VLAN); err != nil {
			return err
		}
	}
	err := l.rtnl.neigh(s.Kind == DelNeigh, index, s.IP.AsSlice(), s.MAC[:])
	if s.Kind == DelNeigh && errors.Is(err, unix.ENOENT) {
		return nil // the table of neighbours is not the bridge's
	}
	return err
}

func (l *Linux) vlanDevice(vid uint16) (int, error) {
	if i, ok := l.vlans[vid]; ok {
		return i, nil
	}
	name := fmt.Sprintf("%s.%d", bridgeName, vid)
	if err := l.rtnl.newVLANDevice(name, l.br, vid); err != nil {
		return 0, fmt.Errorf("interface of VLAN %d: %w", vid, err)
	}
	link, err := l.rtnl.link(name)
	if err != nil {
		return 0, err
	}
	l.vlans[vid] = link.index
	if l.setup.IPv6 {
		err = speakIPv6(name)
	}
	return link.index, err
}

// port is the number of the port an interface is, 0 for the bridge.
func (l *Linux) port(index int) int {
	return max(0, slices.IndexFunc(l.taps[:], func(t tap) bool { return t.index == index && index != 0 }))
}

// State shows the tables.
func (l *Linux) State(which Tables) (s State, err error) {
	if which&FDBTable != 0 {
		if s.FDB, err = l.showFDB(); err != nil {
			return s, err
		}
	}
	if which&VLANTable != 0 && !l.setup.NoVLANs {
		if s.VLAN, err = l.showVLANs(); err != nil {
			return s, err
		}
	}
	if which&MDBTable != 0 {
		if s.MDB, s.NoMDB, err = l.showMDB(); err != nil {
			return s, err
		}
	}
	if which&PortTable != 0 {
		s.Ports, err = l.showPorts()
	}
	return s, err
}

func (l *Linux) showFDB() (lines []string, err error) {
	list, err := l.rtnl.fdb(l.br)
	for _, e := range list {
		flags := []string{"dynamic"}
		switch {
		case e.state&nudPermanent != 0:
			flags[0] = "permanent"
		case e.state&nudStatic != 0:
			flags[0] = "static"
		}
		if e.flags&ntfSticky != 0 {
			flags = append(flags, "sticky")
		}
		if e.flags&unix.NTF_EXT_LEARNED != 0 {
			flags = append(flags, "extern_learn")
		}
		if e.flagsExt&extLocked != 0 {
			flags = append(flags, "locked")
		}
		lines = append(lines, entry(bridge.MAC(e.mac), e.vid, l.port(e.index), flags...))
	}
	slices.Sort(lines)
	return lines, err
}

func (l *Linux) showVLANs() (lines []string, err error) {
	stats, _ := l.setup.Bridge.Get("vlan_stats_enabled")
	list, err := l.rtnl.vlans(stats != 0)
	for _, v := range list {
		for vid := v.first; vid <= v.last; vid++ {
			line := vlanText(l.port(v.index), vid, v.flags&vlanPVID != 0, v.flags&vlanUntagged != 0, v.state)
			if stats != 0 {
				line += fmt.Sprintf(" rx %d in %d tx %d in %d", v.stats[0], v.stats[1], v.stats[2], v.stats[3])
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines, err
}

func (l *Linux) showMDB() (lines []string, hidden bool, err error) {
	list, routers, err := l.rtnl.groups(l.br)
	if err == nil && len(list) == 0 {
		link, err := l.rtnl.link(bridgeName)
		if err != nil || number(link.data[unix.IFLA_BR_MCAST_SNOOPING]) == 0 {
			return nil, true, err
		}
	}
	for _, g := range list {
		lines = append(lines, l.mdbText(g))
	}
	for _, i := range routers {
		lines = append(lines, fmt.Sprint("router on port ", l.port(i)))
	}
	slices.Sort(lines)
	return slices.Compact(lines), false, err // a dump in several parts may tell a line twice
}

func (l *Linux) mdbText(g mdbLine) string {
	var sources []string
	for _, s := range g.srcs {
		sources = append(sources, addrText(s))
	}
	return mdbText(addrText(g.addr), addrText(g.source), l.port(g.index), g.vid, g.state != 0, g.mode, g.flags&8 != 0, sources)
}

func (l *Linux) showPorts() (lines []string, err error) {
	list, err := l.rtnl.ports()
	for _, p := range list {
		lines = append(lines, fmt.Sprintf("port %d %s", l.port(p.index), stateText(uint8(number(p.attrs[unix.IFLA_BRPORT_STATE])))))
	}
	slices.Sort(lines)
	return lines, err
}

// Features asks the kernel for each option: what it refuses, or forgets, it has
// not got.
func (l *Linux) Features() (have, lack []string, err error) {
	s := &Setup{Ports: []Settings{nil, nil}}
	if err := l.Open(s); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	note := func(name string, ok bool) {
		if ok {
			have = append(have, name)
		} else {
			lack = append(lack, name)
		}
	}
	for _, o := range bridgeOptions {
		note(o.name, l.rememberBridge(o))
	}
	for _, o := range portOptions {
		note("port "+o.name, l.rememberPort(o))
	}
	for _, o := range vlanOptions {
		note("vlan "+o.name, l.rtnl.setVLAN(l.taps[1].index, 1, o, probe("vlan ", o)) == nil)
	}
	_, err = l.vlanDevice(7)
	note("vlan interface", err == nil)
	have = append(have, actions...)
	kept, err := l.keepsProbes()
	note(keepsProbes, kept)
	if err != nil {
		return nil, nil, err
	}
	return have, lack, nil
}

// keepsProbes asks what becomes of a probe for an address.
func (l *Linux) keepsProbes() (bool, error) {
	on := Step{Kind: SetPort, Port: 2, Setting: Setting{"neigh_suppress", 1}}
	up := Step{Kind: SetPort, Port: 1, Setting: Setting{"state", 3}}
	probe := Ethernet(broadcast, station(1), EtherARP, ARP(1, station(1), zero4, bridge.MAC{}, hosts[0])...)
	for _, s := range []Step{on, up, {Kind: Wait}} {
		if _, err := l.Do(&s); err != nil {
			return false, err
		}
	}
	o, err := l.Do(&Step{Kind: Frame, Port: 1, Bytes: probe})
	return !slices.ContainsFunc(o.Copies, func(c Copy) bool { return c.Place == Place{Out, 2} }), err
}

// probes are the values that are tried where 1 will not do.
var probes = map[string]uint64{
	"forward_delay": 700, "hello_time": 300, "max_age": 1700, "ageing_time": 4200, "vlan_protocol": 0x88a8,
	"group_fwd_mask": 0x4000, "priority": 0x2000, "mcast_snooping": 0, "vlan_default_pvid": 3, "mcast_igmp_version": 3, "mcast_mld_version": 2,
	"mcast_router": 2, "mcast_hash_max": 128, "mcast_last_member_interval": 200, "mcast_membership_interval": 200, "mcast_querier_interval": 200,
	"mcast_query_interval": 4200, "mcast_query_response_interval": 200, "mcast_startup_query_interval": 4200,
	"port state": 1, "port priority": 5, "port cost": 7, "port learning": 0, "port flood": 0, "port mcast_flood": 0, "port bcast_flood": 0,
	"port mcast_max_groups": 5, "port group_fwd_mask": 0x4000, "port backup_port": 2, "vlan state": 2,
}

func probe(of string, o option) uint64 {
	if v, ok := probes[of+o.name]; ok {
		return v
	}
	return 1
}

// prerequisites are what has to be set for an option to be taken.
var prerequisites = map[string]Setting{
	"mst_enabled":         {"vlan_default_pvid", 0}, // no VLANs may be there
	"mcast_vlan_snooping": {"vlan_filtering", 1},
	"vlan_stats_per_port": {"vlan_default_pvid", 0}, // no port may have VLANs
	"port mab":            {"locked", 1},
}

func (l *Linux) rememberBridge(o option) bool {
	set := func(o option, v uint64) error { return l.rtnl.setBridge(l.br, o, v) }
	get := func() map[uint16][]byte {
		link, _ := l.rtnl.link(bridgeName)
		return link.data
	}
	if o.size == 0 { // whether the kernel knows the bit is in the mask
		if b := get()[o.attr]; len(b) < 8 || binary.NativeEndian.Uint32(b[4:])>>o.bit&1 == 0 {
			return false
		}
	}
	return remembers("", bridgeOptions, o, set, get)
}

func (l *Linux) rememberPort(o option) bool {
	index := l.taps[1].index
	set := func(o option, v uint64) error {
		if o.name == "backup_port" && v != 0 {
			v = uint64(l.taps[2].index)
		}
		return l.rtnl.setPort(index, o, v)
	}
	get := func() map[uint16][]byte {
		ports, _ := l.rtnl.ports()
		for _, p := range ports {
			if p.index == index {
				return p.attrs
			}
		}
		return nil
	}
	return remembers("port ", portOptions, o, set, get)
}

// remembers sets an option to another value, reads it back, and sets it to what
// it was.
func remembers(of string, list []option, o option, set func(option, uint64) error, get func() map[uint16][]byte) bool {
	before, ok := get()[o.attr]
	if !ok && o.name != "backup_port" {
		return false
	}
	if first, is := prerequisites[of+o.name]; is {
		p, err := find(list, first.Name)
		if err != nil {
			return false
		}
		was := p.decode(get()[p.attr])
		_ = set(p, first.Value)
		defer func() { _ = set(p, was) }()
	}
	was, v := o.decode(before), probe(of, o)
	if set(o, v) != nil {
		return false
	}
	got, ok := get()[o.attr]
	_ = set(o, was)
	return ok && (o.decode(got) == v || o.name == "backup_port")
}
