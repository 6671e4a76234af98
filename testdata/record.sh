#!/usr/bin/env bash
#
# record.sh records the captures of this folder: real programs talk across a
# real kernel, and tcpdump listens.
#
#   sudo ./record.sh             record all of them, check them, renew the table in README.md
#   sudo ./record.sh arp mix     record these only
#        ./record.sh check       check the files that are here
#   sudo ./record.sh clean       remove what a killed run left behind
#        ./record.sh list        name the captures
#
# Each capture is one function below, in the order of the table: it builds its
# hosts as network namespaces, starts tcpdump, lets them talk, and stops it.
# Nothing leaves the namespaces. A file is replaced only after its successor
# passed every check of check_file.
#
# Addresses: host NN of a network has the address NN and the MAC
# 02:00:00:00:00:NN, with the same digits. Networks are those set aside for
# documentation: 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32.

set -euo pipefail
export LC_ALL=C

cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD
prefix=ringside-rec-
captures=(arp ping dhcp dns http tcp-bulk ipv6-nd vlan jumbo udp-flood mix)

fail() {
	echo "record.sh: $*" >&2
	exit 1
}

# ---------------------------------------------------------------- namespaces

host_pids=()    # programs on the hosts
tcpdump_pids=() # and the listeners, each with its file
tcpdump_files=()
hosts=()

# host NAME [v6] makes a host. Without v6 it speaks no IPv6 at all, so that its
# router solicitations and MLD reports do not stray into the captures.
host() {
	ip netns add "$prefix$1"
	hosts+=("$1")
	ip -n "$prefix$1" link set lo up
	ctl "$1" net/ipv4/tcp_congestion_control reno # in every kernel, and does not pace
	if [[ ${2-} == v6 ]]; then
		# Addresses from the MAC, and routers believed only where asked for.
		ctl "$1" net/ipv6/conf/default/addr_gen_mode 0
		ctl "$1" net/ipv6/conf/default/accept_ra 0
	else
		ctl "$1" net/ipv6/conf/all/disable_ipv6 1
		ctl "$1" net/ipv6/conf/default/disable_ipv6 1
	fi
}

# on HOST COMMAND... runs a command on a host.
on() {
	local name=$1
	shift
	ip netns exec "$prefix$name" "$@"
}

# ctl HOST KEY VALUE sets a sysctl.
ctl() {
	# shellcheck disable=SC2016 # expanded by the shell in the namespace
	on "$1" sh -c 'echo "$2" >"/proc/sys/$1"' sh "$2" "$3"
}

# cable HOST IFACE MAC HOST IFACE MAC [MTU] joins two hosts. A MAC is given by
# its last bytes, ff:01 or 11. All offloads are off: the frames on the cable
# are those of a NIC, no larger than the MTU and with every checksum filled in.
cable() {
	ip -n "$prefix$1" link add name "$2" mtu "${7-1500}" address "$(mac "$3")" type veth \
		peer name "$5" netns "$prefix$4" mtu "${7-1500}" address "$(mac "$6")"
	local end
	for end in "$1 $2" "$4 $5"; do
		# shellcheck disable=SC2086 # a host and its interface
		set -- $end
		on "$1" ethtool -K "$2" rx off tx off tso off gso off gro off >/dev/null
		ip -n "$prefix$1" link set dev "$2" txqueuelen 1000
	done
}

mac() {
	local full=02:00:00:00:00:00
	echo "${full:0:$((${#full} - ${#1}))}$1"
}

# address HOST ADDRESS/LEN... gives eth0 its addresses and brings it up.
address() {
	local name=$1 addr
	shift
	for addr in "$@"; do
		if [[ $addr == *:* ]]; then
			ip -n "$prefix$name" addr add "$addr" dev eth0 nodad
		else
			ip -n "$prefix$name" addr add "$addr" brd + dev eth0
		fi
	done
	ip -n "$prefix$name" link set eth0 up
}

# bridge HOST [OPTIONS] makes br0 in a host, a switch that learns and floods.
bridge() {
	local name=$1
	shift
	ip -n "$prefix$name" link add br0 type bridge mcast_snooping 0 "$@"
	ip -n "$prefix$name" link set br0 up
}

# port SWITCH IFACE plugs an interface into br0.
port() {
	ip -n "$prefix$1" link set "$2" master br0 up
}

# attach SWITCH HOST NN puts host NN on a port of the switch.
attach() {
	cable "$2" eth0 "$3" "$1" "p$3" "ff:$3"
	port "$1" "p$3"
}

# pair MTU makes the smallest network: host h11 and host h12 on one cable.
pair() {
	host h11
	host h12
	cable h11 eth0 11 h12 eth0 12 "$1"
	address h11 192.0.2.11/24
	address h12 192.0.2.12/24
}

# ------------------------------------------------------------------ programs

# serve HOST READY COMMAND... starts a program and waits for a line that says READY.
serve() {
	local name=$1 ready=$2 log=$tmp/serve.$1.${#host_pids[@]}.log
	shift 2
	ip netns exec "$prefix$name" "$@" >"$log" 2>&1 &
	host_pids+=($!)
	await "$ready" "$log" "$name: $1 $2"
}

# await PATTERN LOG WHAT waits up to five seconds for a line in a log.
await() {
	local try
	for ((try = 0; try < 250; try++)); do
		grep -q -e "$1" "$2" 2>/dev/null && return
		sleep 0.02
	done
	cat "$2" >&2
	fail "$3 did not start"
}

# names HOST [OPTIONS] starts the name server of the zone "example".
names() {
	local name=$1
	shift
	serve "$name" 'started, version' dnsmasq --keep-in-foreground --log-facility=- \
		--conf-file=/dev/null --no-hosts --no-resolv --user=root --pid-file= \
		--bind-interfaces --interface=eth0 --except-interface=lo \
		--dhcp-leasefile="$tmp/leases" "$@"
}

# shellcheck disable=SC2054 # the commas are dnsmasq's
zone=(
	--local=/example/ --local=/2.0.192.in-addr.arpa/
	--host-record=www.example,192.0.2.80,2001:db8::80
	--host-record=files.example,192.0.2.81
	--host-record=log.example,192.0.2.90
	--cname=intranet.example,www.example
	--mx-host=example,mail.example,10
	--host-record=mail.example,192.0.2.82
	--txt-record='example,v=spf1 -all'
)

dhcp_client() { # HOST OPTIONS...
	local name=$1
	shift
	cat >"$tmp/lease.sh" <<'SCRIPT'
#!/bin/sh
case $1 in
deconfig) ip addr flush dev "$interface" ;;
bound | renew) ip addr replace "$ip/$mask" brd + dev "$interface" && echo "has $ip" ;;
esac
SCRIPT
	chmod +x "$tmp/lease.sh"
	serve "$name" 'has ' busybox udhcpc -f -R -i eth0 -s "$tmp/lease.sh" "$@"
}

# fetch HOST ADDRESS CURL-ARGUMENTS... gets pages; host names in URLs stand for ADDRESS.
fetch() {
	local name=$1 addr=$2
	shift 2
	on "$name" curl --silent --show-error --max-time 5 --user-agent curl \
		--resolve "www.example:80:$addr" --resolve "files.example:80:$addr" "$@" >/dev/null
}

# Some exchanges are meant to fail on the host: what counts is what is on the wire.
may_fail() { "$@" >/dev/null 2>&1 || true; }

pings() { # HOST PING-ARGUMENTS...
	local name=$1
	shift
	on "$name" ping -q -n -i 0.1 -W 1 "$@" >/dev/null
}

# ----------------------------------------------------------------- listening

# listen FILE HOST IFACE [TCPDUMP-ARGUMENTS] starts tcpdump.
listen() {
	local file=$1 name=$2 iface=$3 log=$tmp/$1.log
	shift 3
	ip netns exec "$prefix$name" tcpdump -i "$iface" -w "$tmp/$file" -n -Z root \
		--immediate-mode -B 16384 "$@" 2>"$log" &
	tcpdump_pids+=($!)
	tcpdump_files+=("$tmp/$file")
	await 'listening on' "$log" "tcpdump on $name $iface"
}

# stop ends tcpdump, the programs and the hosts.
#
# The kernel stamps a frame when it arrives, but hands it to tcpdump when its
# turn in the backlog comes; a frame sent in between stands before it in the
# file, with a later stamp. Such files are sorted by their stamps.
stop() {
	local i file
	sleep 0.2
	kill -INT "${tcpdump_pids[@]}" # together, for twins must end with the same frame
	for i in "${!tcpdump_pids[@]}"; do
		file=${tcpdump_files[i]}
		wait "${tcpdump_pids[i]}" || fail "tcpdump failed: $(cat "$file.log")"
		grep -q '^0 packets dropped by kernel' "$file.log" || fail "tcpdump lost frames: $(cat "$file.log")"
		reordercap "$file" "$file.sorted" >/dev/null
		mv "$file.sorted" "$file"
	done
	tcpdump_pids=()
	tcpdump_files=()
	demolish
}

# demolish ends what this run started, by its process numbers, and removes its namespaces.
demolish() {
	local pid name
	for pid in "${tcpdump_pids[@]}" "${host_pids[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	tcpdump_pids=()
	host_pids=()
	for name in "${hosts[@]}"; do
		# A background actor that failed may have left a program of its own.
		for pid in $(ip netns pids "$prefix$name"); do kill "$pid" || true; done
		ip netns del "$prefix$name" || true
	done
	hosts=()
}

# ------------------------------------------------------------------ captures

declare -A what how

what[arp]="ARP alone, four hosts on a switch: request and reply, unicast confirmation, nobody home, gratuitous request and reply, address probes free and taken"
how[arp]="arping (iputils) and the kernel's neighbour table; tcpdump at the port of the first host, frames as short as the kernel makes them (42 bytes)"
record_arp() {
	local nn
	host sw
	bridge sw
	for nn in 11 12 13 14; do
		host "h$nn"
		attach sw "h$nn" "$nn"
		address "h$nn" "192.0.2.$nn/24"
	done
	listen arp.pcap h11 eth0 arp
	for nn in 12 13 14; do
		on h11 arping -q -c 1 -I eth0 "192.0.2.$nn"
		on "h$nn" arping -q -c 1 -I eth0 192.0.2.11
	done
	on h13 arping -q -c 1 -I eth0 192.0.2.14 # only the request gets here
	pings h11 -c 1 192.0.2.12                 # the kernel resolves by itself
	ip -n "${prefix}h11" neigh replace 192.0.2.12 lladdr 02:00:00:00:00:12 dev eth0 nud probe
	sleep 0.2
	may_fail pings h11 -c 1 192.0.2.99 # nobody home: three requests
	sleep 2.5
	on h12 arping -q -c 2 -U -I eth0 192.0.2.12          # gratuitous request
	on h13 arping -q -c 2 -A -I eth0 192.0.2.13          # gratuitous reply
	on h14 arping -q -c 2 -w 2 -D -I eth0 192.0.2.44     # probe, address free
	may_fail on h14 arping -c 1 -w 1 -D -I eth0 192.0.2.11 # probe, taken: a reply
	stop
}

what[ping]="IPv4 ping of 0 to 1,472 bytes, a fragmented one, and ICMP errors: net, host and port unreachable, fragmentation needed, time exceeded; ARP"
how[ping]="ping across a router, whose far link has an MTU of 1,400; tcpdump between first host and router"
what[ping-ns]="the same frames, in a pcap of nanosecond resolution"
how[ping-ns]="a second tcpdump beside the first, \`--time-stamp-precision=nano\`"
record_ping() {
	local size
	host h11
	host r
	host h20
	cable h11 eth0 11 r eth0 01
	cable r eth1 ff:01 h20 eth0 20 1400
	address h11 192.0.2.11/24
	address r 192.0.2.1/24
	address h20 198.51.100.20/24
	ip -n "${prefix}r" addr add 198.51.100.1/24 brd + dev eth1
	ip -n "${prefix}r" link set eth1 up
	ctl r net/ipv4/ip_forward 1
	ip -n "${prefix}h11" route add default via 192.0.2.1
	ip -n "${prefix}h20" route add default via 198.51.100.1
	listen ping.pcap h11 eth0
	listen ping-ns.pcap h11 eth0 --time-stamp-precision=nano
	for size in 0 18 56 500 1372; do
		pings h11 -c 4 -s "$size" 198.51.100.20
	done
	pings h20 -c 2 192.0.2.11
	pings h11 -c 2 -s 1472 192.0.2.1
	pings h11 -c 2 -s 3000 192.0.2.1                                         # three fragments
	may_fail pings h11 -c 1 -t 1 198.51.100.20                               # time exceeded
	may_fail pings h11 -c 1 -M 'do' -s 1472 198.51.100.20                    # fragmentation needed
	may_fail pings h11 -c 1 203.0.113.7                                      # net unreachable
	on h11 "$tmp/recorder" talk -from 192.0.2.11 -port 40000 198.51.100.20:9 # port unreachable
	may_fail pings h11 -c 1 -W 4 198.51.100.99                               # host unreachable
	sleep 1                                                                  # the neighbours confirm each other
	stop
}

what[dhcp]="two clients: discover, offer, request, acknowledgement, the ARP probe of the careful one, renewal, release; a renewal that is refused (NAK) by a server that forgot it"
how[dhcp]="busybox udhcpc against dnsmasq, restarted once, across a switch; tcpdump at the server's port"
record_dhcp() {
	local nn first second
	# shellcheck disable=SC2054 # the commas are dnsmasq's
	local server=(--port=0 --no-ping --dhcp-authoritative --dhcp-range=192.0.2.100,192.0.2.120,1h
		--dhcp-host=02:00:00:00:00:11,192.0.2.111 --dhcp-option=option:router,192.0.2.1
		--dhcp-option=option:dns-server,192.0.2.53 --dhcp-option=option:domain-name,example)
	host sw
	bridge sw
	for nn in 11 12 53; do
		host "h$nn"
		attach sw "h$nn" "$nn"
		ip -n "${prefix}h$nn" link set eth0 up
	done
	address h53 192.0.2.53/24
	names h53 "${server[@]}" --dhcp-host=02:00:00:00:00:12,192.0.2.112
	local dnsmasq=${host_pids[-1]}
	listen dhcp.pcap h53 eth0
	dhcp_client h11 -a500
	first=${host_pids[-1]}
	dhcp_client h12 -x hostname:desk
	second=${host_pids[-1]}
	pings h11 -c 1 192.0.2.53
	kill -USR1 "$first" # renew
	sleep 0.5
	kill "$dnsmasq"
	wait "$dnsmasq" || true
	rm "$tmp/leases"
	names h53 "${server[@]}" --dhcp-host=02:00:00:00:00:12,192.0.2.113
	kill -USR1 "$second" # renew what the server does not know
	sleep 5
	kill "$first" "$second" # release
	wait "$first" "$second" || true
	stop
}

what[dns]="queries A, AAAA, CNAME, MX, TXT, PTR, a name that does not exist, one asked over TCP, one truncated over UDP and asked again over TCP"
how[dns]="dig against dnsmasq on one cable; tcpdump at the client"
record_dns() {
	local ask=(on h11 dig +tries=1 +time=2 @192.0.2.12)
	pair 1500
	names h12 "${zone[@]}" --ptr-record=80.2.0.192.in-addr.arpa,www.example \
		--txt-record="long.example,$(printf 'ringside-%03d-abcdefgh,' {1..40} | fold -w 250 | paste -sd,)"
	listen dns.pcap h11 eth0
	{
		"${ask[@]}" www.example A
		"${ask[@]}" www.example AAAA
		"${ask[@]}" +noedns files.example A
		"${ask[@]}" files.example AAAA # exists, but not this type
		"${ask[@]}" intranet.example A
		"${ask[@]}" example MX
		"${ask[@]}" example TXT
		"${ask[@]}" -x 192.0.2.80
		"${ask[@]}" nobody.example A
		"${ask[@]}" +tcp www.example A
		"${ask[@]}" +bufsize=512 long.example TXT
	} >/dev/null
	stop
}

what[http]="HTTP/1.1: a page, another on the same connection, HEAD, 404, POST of a form and of 8 KB, a page of 40 KB, a refused connection"
how[http]="curl against a Go web server on one cable; tcpdump at the client"
what[http-ng]="the same frames as pcapng"
how[http-ng]="converted from \`http.pcap\` by editcap, as dumpcap would write the names of kernel and processor into the file"
record_http() {
	pair 1500
	serve h12 ready "$tmp/recorder" http 192.0.2.12:80
	head -c 8000 /dev/zero | tr '\0' x >"$tmp/upload"
	listen http.pcap h11 eth0
	fetch h11 192.0.2.12 http://www.example/ 'http://www.example/page?n=3000' # keep-alive
	fetch h11 192.0.2.12 --head http://www.example/
	fetch h11 192.0.2.12 http://www.example/missing
	fetch h11 192.0.2.12 --data 'seat=ringside&row=1' http://www.example/form
	fetch h11 192.0.2.12 --data-binary @"$tmp/upload" -H 'Expect:' http://www.example/form \
		'http://www.example/form'
	fetch h11 192.0.2.12 'http://www.example/page?n=40000'
	may_fail fetch h11 192.0.2.12 http://192.0.2.12:8080/
	stop
	editcap -F pcapng "$tmp/http.pcap" "$tmp/http.pcapng"
}

what[tcp-bulk]="one bulk TCP transfer of 1.3 MB and its control connection, at 1 Gbit/s, no frame above 1,514 bytes"
how[tcp-bulk]="iperf3 on one cable paced by tc-tbf; tcpdump at the sender"
record_tcp-bulk() {
	local nn
	pair 1500
	for nn in 11 12; do
		tc -n "${prefix}h$nn" qdisc add dev eth0 root tbf rate 1gbit burst 4k latency 20ms
	done
	serve h12 'Server listening' iperf3 --server --one-off --forceflush --bind 192.0.2.12
	listen tcp-bulk.pcap h11 eth0
	on h11 iperf3 --client 192.0.2.12 --bytes 1200K --length 64K >/dev/null
	stop
}

what[ipv6-nd]="a host comes up: MLD reports, duplicate address detection, router solicitation and advertisement; then neighbour discovery, a duplicate address, ping of several sizes and to all nodes, MLDv1 and v2 join and leave, no route"
how[ipv6-nd]="the kernel's own IPv6, dnsmasq as router, ping, a program that joins a group; tcpdump at the switch's port to the host"
record_ipv6-nd() {
	local nn size
	host sw
	bridge sw
	for nn in 01 11 12; do
		host "h$nn" v6
		attach sw "h$nn" "$nn"
	done
	ctl h01 net/ipv6/conf/all/forwarding 1
	address h01 2001:db8::1/64
	sleep 2 # for the router's link-local address to be confirmed
	names h01 --port=0 --enable-ra --dhcp-range=2001:db8::,ra-only,64,1h
	ctl h12 net/ipv6/conf/eth0/force_mld_version 1
	address h12 2001:db8::12/64
	sleep 2
	ctl h11 net/ipv6/conf/eth0/accept_ra 1
	listen ipv6-nd.pcap sw p11
	ip -n "${prefix}h11" link set eth0 up
	sleep 4
	ip -n "${prefix}h11" addr add 2001:db8::11/64 dev eth0
	sleep 2
	ip -n "${prefix}h12" addr add 2001:db8::11/64 dev eth0 # a duplicate
	sleep 1.5
	for size in 0 56 1452; do
		pings h11 -c 2 -s "$size" 2001:db8::12
	done
	pings h12 -c 2 2001:db8::11
	pings h11 -c 1 ff02::1%eth0
	may_fail pings h11 -c 1 2001:db8:ffff::1 # the router knows no way
	for nn in 11 12; do
		serve "h$nn" ready "$tmp/recorder" join '[ff15::4242]:5000' eth0
	done
	sleep 1
	kill "${host_pids[-1]}" "${host_pids[-2]}"
	sleep 2
	stop
}

what[vlan]="a trunk: ARP and ping in VLAN 10 and VLAN 20 (priority 5), with VLAN 0 (priority 6), with two tags (0x88a8 VLAN 100 over 0x8100 VLAN 10), and untagged; a web page in VLAN 10; frames up to 1,518 bytes"
how[vlan]="ping and curl between two switches; each host's tags are pushed and popped by a BPF program on its interface (the kernel's own tagging, but no VLAN device); tcpdump on the trunk"
record_vlan() {
	local nn
	host swa
	host swb
	bridge swa
	bridge swb
	cable swa trunk fe:01 swb trunk fe:02
	port swa trunk
	port swb trunk
	#       left right address            tags, inner first
	members 11 12 192.0.2.%s/24 0x8100:0:10
	members 21 22 198.51.100.%s/24 0x8100:5:20
	members 33 34 203.0.113.%s/27 0x8100:6:0
	members 65 66 203.0.113.%s/27 0x8100:0:10 0x88a8:0:100
	members 97 98 203.0.113.%s/27
	serve h12 ready "$tmp/recorder" http 192.0.2.12:80
	listen vlan.pcap swa trunk
	for nn in 11 12 21 22 33 34 65 66 97 98; do
		case $nn in
		11) pings h11 -c 3 192.0.2.12 ;;
		12) pings h12 -c 2 -s 1472 192.0.2.11 ;;
		21) pings h21 -c 3 198.51.100.22 ;;
		22) pings h22 -c 2 -s 1000 198.51.100.21 ;;
		33) pings h33 -c 2 203.0.113.34 ;;
		65) pings h65 -c 2 203.0.113.66 ;;
		97) pings h97 -c 2 203.0.113.98 ;;
		esac
	done
	fetch h11 192.0.2.12 'http://www.example/page?n=6000'
	on h21 arping -q -c 1 -U -I eth0 198.51.100.21
	stop
}

# members LEFT RIGHT ADDRESS [TAG...] puts a host on either switch, both with the tags.
members() {
	local nn switch=swa pins=$tmp/bpf/$1 format=$3
	local both=("$1" "$2")
	shift 3
	for nn in "${both[@]}"; do
		host "h$nn"
		attach "$switch" "h$nn" "$nn"
		# shellcheck disable=SC2059 # the format is the address
		address "h$nn" "$(printf "$format" "$nn")"
		switch=swb
		(($#)) || continue
		[[ -e $pins/push ]] || "$tmp/recorder" tag "$pins" "$@"
		tc -n "${prefix}h$nn" qdisc add dev eth0 clsact
		tc -n "${prefix}h$nn" filter add dev eth0 egress bpf direct-action object-pinned "$pins/push"
		tc -n "${prefix}h$nn" filter add dev eth0 ingress bpf direct-action object-pinned "$pins/pop"
	done
}

what[jumbo]="MTU 9,000: pings that cross the page sizes, and a web page of 150 KB in frames of 9,014 bytes"
how[jumbo]="ping and curl on one cable; tcpdump at the client"
record_jumbo() {
	local size
	pair 9000
	serve h12 ready "$tmp/recorder" http 192.0.2.12:80
	listen jumbo.pcap h11 eth0
	for size in 56 1472 1473 4054 4055 8150 8151 8972; do
		pings h11 -c 1 -s "$size" 192.0.2.12
	done
	fetch h11 192.0.2.12 'http://www.example/page?n=150000'
	stop
}

what[udp-flood]="exactly 2,000 UDP datagrams from 16 source ports in turn, in the smallest Ethernet frames (60 bytes, 64 on the wire with the checksum that captures leave out); nothing else"
how[udp-flood]="a Go sender that aims at one datagram every 10 µs, on one cable, both neighbours known beforehand; tcpdump at the receiver"
what[udp-flood-gz]="the same file, compressed"
how[udp-flood-gz]="\`gzip -9n udp-flood.pcap\`"
record_udp-flood() {
	pair 1500
	ip -n "${prefix}h11" neigh replace 192.0.2.12 lladdr 02:00:00:00:00:12 dev eth0 nud permanent
	ip -n "${prefix}h12" neigh replace 192.0.2.11 lladdr 02:00:00:00:00:11 dev eth0 nud permanent
	serve h12 ready "$tmp/recorder" sink 192.0.2.12:9
	listen udp-flood.pcap h12 eth0
	on h11 "$tmp/recorder" talk -from 192.0.2.11 -port 40000 -ports 16 -frames 2000 -size 18 -gap 10us 192.0.2.12:9
	stop
	gzip -9n <"$tmp/udp-flood.pcap" >"$tmp/udp-flood.pcap.gz"
}

what[mix]="an office of six hosts and four servers: ARP, DHCP, DNS, HTTP over IPv4 and IPv6, pings, a voice call, syslog, name and service searches by broadcast and multicast, a multicast stream, spanning tree, refusals"
how[mix]="all of the programs above across two switches; tcpdump at the uplink between them, so that hosts stand on one side and servers on the other"
record_mix() {
	local nn actor actors=()
	host access
	host core
	# Spanning tree needs twice two seconds before a port forwards.
	bridge access stp_state 1 forward_delay 200 hello_time 100 priority 40960
	bridge core stp_state 1 forward_delay 200 hello_time 100 priority 32768
	ip -n "${prefix}access" link set br0 address 02:00:00:00:fe:01
	ip -n "${prefix}core" link set br0 address 02:00:00:00:fe:02
	cable access uplink fe:01 core uplink fe:02
	port access uplink
	port core uplink
	for nn in 11 12 13 14 15 16 53 80 81 90; do
		case $nn in
		15 | 80) host "h$nn" v6 ;;
		*) host "h$nn" ;;
		esac
		case $nn in
		1?) attach access "h$nn" "$nn" ;;
		*) attach core "h$nn" "$nn" ;;
		esac
		case $nn in
		16) ip -n "${prefix}h16" link set eth0 up ;;
		15 | 80) address "h$nn" "192.0.2.$nn/24" "2001:db8::$nn/64" ;;
		*) address "h$nn" "192.0.2.$nn/24" ;;
		esac
		ip -n "${prefix}h$nn" route add 224.0.0.0/4 dev eth0
	done
	names h53 "${zone[@]}" --no-ping --dhcp-range=192.0.2.100,192.0.2.120,1h \
		--dhcp-host=02:00:00:00:00:16,192.0.2.16 --dhcp-option=option:dns-server,192.0.2.53
	serve h80 ready "$tmp/recorder" http :80
	serve h81 ready "$tmp/recorder" http 192.0.2.81:80
	serve h90 ready "$tmp/recorder" echo 192.0.2.90:4000 # the far end of the call
	serve h90 ready "$tmp/recorder" sink 192.0.2.90:514  # the log
	for nn in 11 12 13; do
		serve "h$nn" ready "$tmp/recorder" sink 0.0.0.0:9999 # who hears the broadcast
	done
	head -c 30000 /dev/zero | tr '\0' x >"$tmp/upload"
	sleep 5
	listen mix.pcap access uplink
	for actor in 11 12 13 14 15 16 90; do
		"office_$actor" >/dev/null &
		actors+=($!)
	done
	for actor in "${actors[@]}"; do
		wait "$actor" || fail "mix: an actor failed"
	done
	stop
}

ask() { on "$1" dig +tries=1 +time=2 @192.0.2.53 "${@:2}"; }
say() { on "$1" "$tmp/recorder" talk "${@:2}"; }

office_11() { # reads the intranet and fills in a form
	on h11 arping -q -c 1 -U -I eth0 192.0.2.11
	ask h11 intranet.example A
	fetch h11 192.0.2.80 http://www.example/ 'http://www.example/page?n=2500' 'http://www.example/page?n=20000'
	sleep 0.7
	pings h11 -c 1 192.0.2.12 # stays on the access switch, but for its ARP request
	fetch h11 192.0.2.80 --data 'seat=ringside&row=1' http://www.example/form
	sleep 0.6
	fetch h11 192.0.2.80 'http://www.example/page?n=45000' 'http://www.example/page?n=800'
	sleep 0.6
	ask h11 files.example A
	fetch h11 192.0.2.81 http://files.example/missing 'http://files.example/page?n=9000'
}

office_12() { # looks whether the servers live, then loads a file
	sleep 0.1
	pings h12 -c 5 -i 0.25 192.0.2.80
	ask h12 files.example A
	fetch h12 192.0.2.81 'http://files.example/page?n=70000'
	pings h12 -c 3 -s 1400 192.0.2.90
	ask h12 nobody.example A
	ask h12 example MX
	sleep 0.8
	pings h12 -c 10 -s 18 192.0.2.81 # frames of 60 bytes
}

office_13() { # makes a call: 172 bytes each 20 ms, and as many come back
	sleep 0.3
	ask h13 log.example A
	say h13 -from 192.0.2.13 -port 40013 -frames 150 -size 172 -gap 20ms 192.0.2.90:4000
}

office_14() { # searches for devices and writes a log
	local i
	serve h14 ready "$tmp/recorder" join 239.192.0.1:5004 eth0
	local member=${host_pids[-1]}
	may_fail on h14 dig +tries=1 +time=1 @224.0.0.251 -p 5353 printer.local
	for i in 1 2 3; do
		say h14 -from 192.0.2.14 -port 40014 -body \
			'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n' \
			239.255.255.250:1900
		say h14 -from 192.0.2.14 -port 40015 -body "is anybody there, asked $i times" 192.0.2.255:9999
		say h14 -from 192.0.2.14 -port 40016 -frames 4 -gap 30ms -body "<134>door $i opened" 192.0.2.90:514
		sleep 0.5
	done
	kill "$member" # leaves the group
	sleep 0.3
}

office_15() { # prefers IPv6, and tries doors that are closed
	sleep 0.5
	ask h15 www.example AAAA
	pings h15 -c 3 2001:db8::80
	pings h15 -c 1 ff02::1%eth0
	fetch h15 '[2001:db8::80]' 'http://www.example/page?n=15000'
	may_fail fetch h15 192.0.2.81 http://192.0.2.81:8080/
	say h15 -from 192.0.2.15 -port 40017 192.0.2.81:7
	may_fail pings h15 -c 2 -i 0.5 -b 192.0.2.255 # nobody answers a broadcast
	sleep 0.8
	fetch h15 192.0.2.80 'http://www.example/page?n=5000'
}

office_16() { # gets its address, stores a file, goes home
	sleep 0.2
	dhcp_client h16
	local client=${host_pids[-1]}
	ask h16 files.example A
	fetch h16 192.0.2.81 http://files.example/
	sleep 0.6
	fetch h16 192.0.2.81 --data-binary @"$tmp/upload" -H 'Expect:' http://files.example/form
	pings h16 -c 4 -s 600 192.0.2.53
	sleep 0.5
	kill "$client"
	wait "$client" || true
}

office_90() { # sends a stream to its group and looks after the hosts
	local nn
	sleep 0.6
	say h90 -from 192.0.2.90 -port 40090 -frames 40 -size 1000 -gap 50ms 239.192.0.1:5004
	for nn in 11 12 13 14 15; do
		pings h90 -c 2 -s 32 "192.0.2.$nn"
	done
}

# ------------------------------------------------------------------ checking

# files prints the files of the captures, in the order of the table: FILE KEY.
files() {
	local name
	for name in "${captures[@]}"; do
		echo "$name.pcap $name"
		case $name in
		ping) echo "ping-ns.pcap ping-ns" ;;
		http) echo "http.pcapng http-ng" ;;
		udp-flood) echo "udp-flood.pcap.gz udp-flood-gz" ;;
		esac
	done
}

read_back() { # FILE TSHARK-ARGUMENTS...
	WIRESHARK_CONFIG_DIR=$tmp tshark -n -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE \
		-o udp.check_checksum:TRUE -r "$@" 2>"$tmp/tshark.err" ||
		fail "tshark cannot read $1: $(cat "$tmp/tshark.err")"
}

# check_file FILE: every frame decodes, is complete and in order of time, has
# right checksums and no address but those of this script; nothing names the
# machine; and the frames are those that the table promises.
check_file() {
	local file=$1 frames bytes least most span
	local -A never=(
		[malformed]='_ws.malformed'
		['cut short']='frame.cap_len != frame.len'
		['out of order']='frame.time_delta < 0'
		# A checksum of zero is written as ffff by the kernel: right in ones'
		# complement, though tshark expects 0000 in TCP.
		['wrong checksum']='ip.checksum.status == "Bad" || udp.checksum.status == "Bad" ||
			(tcp.checksum.status == "Bad" && tcp.checksum != 0xffff) || icmp.checksum.status == "Bad" ||
			icmpv6.checksum.status == "Bad" || igmp.checksum.status == "Bad"'
		['foreign MAC address']='!(eth.src[0] == 02) || !(eth.dst[0] == 02 || eth.dst[0] == 01 ||
			eth.dst[0] == 33 || eth.dst == ff:ff:ff:ff:ff:ff)'
		['foreign IPv4 address']='ip && !((ip.src == 192.0.2.0/24 || ip.src == 198.51.100.0/24 ||
			ip.src == 203.0.113.0/24 || ip.src == 0.0.0.0) && (ip.dst == 192.0.2.0/24 ||
			ip.dst == 198.51.100.0/24 || ip.dst == 203.0.113.0/24 || ip.dst == 224.0.0.0/4 ||
			ip.dst == 255.255.255.255))'
		['foreign address in ARP']='arp && !((arp.src.proto_ipv4 == 192.0.2.0/24 || arp.src.proto_ipv4 == 198.51.100.0/24 ||
			arp.src.proto_ipv4 == 203.0.113.0/24 || arp.src.proto_ipv4 == 0.0.0.0) &&
			(arp.dst.proto_ipv4 == 192.0.2.0/24 || arp.dst.proto_ipv4 == 198.51.100.0/24 ||
			arp.dst.proto_ipv4 == 203.0.113.0/24 || arp.dst.proto_ipv4 == 0.0.0.0))'
		['foreign IPv6 address']='ipv6 && !((ipv6.src == 2001:db8::/32 || ipv6.src == fe80::/10 || ipv6.src == ::) &&
			(ipv6.dst == 2001:db8::/32 || ipv6.dst == fe80::/10 || ipv6.dst == ff00::/8))'
	)
	local always=()
	content "$file"
	local what i names=() filters=() counts=()
	for what in "${!never[@]}"; do
		names+=("$what")
		filters+=("${never[$what]//$'\n'/ }")
	done
	read -ra counts < <(count "$file" "${filters[@]}" "${always[@]}")
	((${#counts[@]} == ${#filters[@]} + ${#always[@]})) || fail "$file: tshark did not count"
	for i in "${!filters[@]}"; do
		((counts[i] == 0)) || fail "$file: ${names[i]}:"$'\n'"$(read_back "$file" -Y "${filters[i]}")"
	done
	for i in "${!always[@]}"; do
		((counts[${#filters[@]} + i] > 0)) || fail "$file: no frame is: ${always[i]}"
	done
	case $file in
	*.gz) gzip -cd "$file" ;;
	*) cat "$file" ;;
	esac >"$tmp/plain"
	! grep -qaF -e "$(uname -r)" "$tmp/plain" || fail "$file: names this machine's kernel"
	# A short host name, such as vm, would be found by chance.
	[[ $(uname -n) != ?????* ]] || ! grep -qaiF -e "$(uname -n)" "$tmp/plain" || fail "$file: names this machine"
	read -r frames bytes least most span < <(numbers "$file")
	case ${file##*/} in
	jumbo.*) ((most == 9014)) || fail "$file: largest frame has $most bytes, not 9014" ;;
	vlan.*) ((most == 1518)) || fail "$file: largest frame has $most bytes, not 1518" ;;
	udp-flood.*) ((frames == 2000 && least == 60 && most == 60)) || fail "$file: not 2000 frames of 60 bytes" ;;
	*) ((most <= 1514)) || fail "$file: a frame has $most bytes" ;;
	esac
}

# content FILE adds to never and always what the table promises of a capture.
content() {
	case ${1##*/} in
	arp.*)
		never['not ARP']='!arp'
		always=('arp.opcode == 1' 'arp.opcode == 2' 'arp.opcode == 1 && eth.dst[0] == 02'
			'arp.isgratuitous && arp.opcode == 1' 'arp.isgratuitous && arp.opcode == 2'
			'arp.src.proto_ipv4 == 0.0.0.0')
		;;
	ping*)
		always=(arp 'icmp.type == 0' 'icmp.type == 8 && frame.len == 42' 'icmp.type == 8 && frame.len == 1514'
			'icmp.type == 3 && icmp.code == 0' 'icmp.type == 3 && icmp.code == 1' 'icmp.type == 3 && icmp.code == 3'
			'icmp.type == 3 && icmp.code == 4' 'icmp.type == 11' 'ip.flags.mf == 1')
		;;
	dhcp.*)
		always=('dhcp.option.dhcp == 1' 'dhcp.option.dhcp == 2' 'dhcp.option.dhcp == 3' 'dhcp.option.dhcp == 5'
			'dhcp.option.dhcp == 6' 'dhcp.option.dhcp == 7' 'dhcp.option.hostname == "desk"' 'arp.src.proto_ipv4 == 0.0.0.0')
		;;
	dns.*)
		always=('dns.a' 'dns.aaaa' 'dns.cname' 'dns.mx.mail_exchange' 'dns.txt' 'dns.ptr.domain_name'
			'dns.flags.rcode == 3' 'dns.flags.truncated == 1' 'dns && tcp')
		;;
	http.*)
		always=('http.request.method == "GET"' 'http.request.method == "HEAD"' 'http.request.method == "POST"'
			'http.response.code == 200' 'http.response.code == 404' 'tcp.flags.reset == 1'
			'tcp.stream == 0 && http.request.uri contains "page"')
		;;
	tcp-bulk.*)
		always=('tcp && frame.len == 1514')
		;;
	ipv6-nd.*)
		never['not ICMPv6']='!icmpv6'
		always=('icmpv6.type == 1' 'icmpv6.type == 128' 'icmpv6.type == 129' 'icmpv6.type == 131'
			'icmpv6.type == 132' 'icmpv6.type == 133' 'icmpv6.type == 134' 'icmpv6.type == 135 && ipv6.src == ::'
			'icmpv6.type == 135 && ipv6.src != ::' 'icmpv6.type == 136 && ipv6.dst == ff02::1'
			'icmpv6.type == 136 && ipv6.dst != ff02::1' 'icmpv6.type == 143')
		;;
	vlan.*)
		always=('vlan.id == 10 && arp' 'vlan.id == 10 && http' 'vlan.id == 20 && vlan.priority == 5 && icmp'
			'vlan.id == 0 && vlan.priority == 6 && icmp' 'ieee8021ad.id == 100 && vlan.id == 10 && icmp'
			'ieee8021ad && arp' '!vlan && !ieee8021ad && icmp')
		;;
	jumbo.*)
		always=('icmp && frame.len == 9014' 'tcp && frame.len == 9014' 'frame.len == 4096' 'frame.len == 8192')
		;;
	mix.*)
		always=('eth.dst == ff:ff:ff:ff:ff:ff && arp' 'eth.dst == ff:ff:ff:ff:ff:ff && udp' 'ip.dst == 224.0.0.0/4 && udp'
			'ipv6.dst == ff00::/8' 'ipv6 && http' 'stp' 'igmp' 'dhcp' 'dns' 'mdns' 'ssdp' 'syslog' 'http.response.code == 404'
			'icmp.type == 3' 'tcp.flags.reset == 1' 'frame.len == 60' 'frame.len == 1514')
		;;
	esac
}

# count FILE FILTER... prints how many frames each filter finds, in one reading.
count() {
	local file=$1 IFS=,
	shift
	read_back "$file" -q -z "io,stat,0,$*" | awk -F '|' '/<>/ {
		for (i = 3; i < NF; i += 2) printf "%d ", $i
		print ""
	}'
}

# numbers FILE prints frames, bytes, smallest and largest frame, seconds.
numbers() {
	read_back "$1" -T fields -e frame.len -e frame.time_relative | awk '
		NR == 1 || $1 < least { least = $1 }
		$1 > most { most = $1 }
		{ bytes += $1; span = $2 }
		END { printf "%d %d %d %d %.3f\n", NR, bytes, least, most, span }'
}

# twins FILE FILE fails unless both hold the same frames at the same microseconds.
twins() {
	bytes_and_time "$1" >"$tmp/one"
	bytes_and_time "$2" >"$tmp/other"
	cmp -s "$tmp/one" "$tmp/other" || fail "$1 and $2 differ"
}

bytes_and_time() { # seconds with six digits, then the frame
	read_back "$1" -t e -P -x | sed -E 's/^( *[0-9]+ [0-9]{10}\.[0-9]{6})[0-9]*/\1/'
}

# table prints the rows of README.md.
table() {
	local file key frames bytes least most span
	echo '| File | What is in it | Frames | Bytes | Frame sizes | Seconds | How it was made |'
	echo '|---|---|---:|---:|---|---:|---|'
	while read -r file key; do
		[[ -e $file ]] || continue
		read -r frames bytes least most span < <(numbers "$file")
		((least == most)) || least="$least to $most"
		echo "| \`$file\` | ${what[$key]} | $frames | $bytes | $least | $span | ${how[$key]} |"
	done < <(files)
}

# renew_readme puts the table between its two marks.
renew_readme() {
	[[ -e README.md ]] || return 0
	table >"$tmp/table"
	awk -v table="$tmp/table" '
		/^<!-- end of the table -->$/ { skip = 0 }
		!skip { print }
		/^<!-- table: written by record.sh -->$/ {
			skip = 1
			print ""
			while ((getline row <table) > 0) print row
			print ""
		}' README.md >"$tmp/README.md"
	cat "$tmp/README.md" >README.md
}

# ---------------------------------------------------------------------- main

need() {
	local tool missing=()
	for tool in "$@"; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	((${#missing[@]} == 0)) || fail "missing: ${missing[*]}
Debian and Ubuntu have them in: tcpdump tshark dnsmasq-base busybox-static iproute2
iputils-ping iputils-arping curl iperf3 ethtool bind9-dnsutils; Go is at https://go.dev"
}

need_root() {
	((EUID == 0)) || fail "needs root, for network namespaces and tcpdump: sudo $0"
}

leftovers() { ip netns list | awk -v p="$prefix" 'index($1, p) == 1 { print $1 }'; }

finish() {
	demolish
	mountpoint -q "$tmp/bpf" && umount "$tmp/bpf"
	rm -rf "$tmp"
}

record() {
	local name file key
	need_root
	need tcpdump tshark editcap reordercap dnsmasq busybox ip tc ping arping curl iperf3 ethtool dig gzip mountpoint go
	[[ -z $(leftovers) ]] || fail "namespaces named $prefix* exist: another recording runs, or one was killed; remove them with: sudo $0 clean"
	CGO_ENABLED=0 go build -o "$tmp/recorder" ./recorder
	mkdir "$tmp/bpf"
	mount -t bpf bpf "$tmp/bpf"
	for name in "$@"; do
		echo "recording $name"
		"record_$name"
		while read -r file key; do
			[[ -e $tmp/$file ]] || continue
			check_file "$tmp/$file"
			install -m 644 "$tmp/$file" "$here/$file"
			rm "$tmp/$file"
		done < <(files)
	done
	renew_readme
}

check() {
	local file key
	need tshark gzip
	while read -r file key; do
		[[ -e $file ]] || fail "$file is not here"
		check_file "$file"
		echo "$file is in order"
	done < <(files)
	check_twins
}

check_twins() {
	twins ping.pcap ping-ns.pcap
	twins http.pcap http.pcapng
	twins udp-flood.pcap udp-flood.pcap.gz
}

tmp=$(mktemp -d)
trap finish EXIT
trap 'exit 130' INT TERM

case ${1-} in
list) printf '%s\n' "${captures[@]}" ;;
check) check ;;
table) table ;;
clean)
	need_root
	for name in $(leftovers); do
		for pid in $(ip netns pids "$name"); do kill "$pid" || true; done
		ip netns del "$name"
	done
	;;
'')
	record "${captures[@]}"
	check_twins
	;;
*)
	for name in "$@"; do
		[[ " ${captures[*]} " == *" $name "* ]] || fail "no capture is called $name; they are: ${captures[*]}"
	done
	record "$@"
	;;
esac
