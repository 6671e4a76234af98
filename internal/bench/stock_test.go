package bench

import (
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/pipe"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// BenchmarkTCPStock is a second yardstick beside tcp/bare: two netstacks as gVisor
// ships them, joined by gVisor's own pipe, on the wall clock and with goroutines for
// programs. One operation is a segment of 1448 bytes, as one of tcp/1500 is a frame.
func BenchmarkTCPStock(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as the cases have it
	left, right := pipe.New("\x02\x00\x00\x00\x00\x01", "\x02\x00\x00\x00\x00\x02", 1500)
	client, server := stock(b, left, 1), stock(b, right, 2)
	at := tcpip.FullAddress{NIC: 1, Addr: stockAddr(2), Port: 5001}
	l, err := gonet.ListenTCP(server, at, ipv4.ProtocolNumber)
	require.NoError(b, err)
	defer l.Close()
	out, err := gonet.DialTCP(client, at, ipv4.ProtocolNumber)
	require.NoError(b, err)
	in, err := l.Accept()
	require.NoError(b, err)
	go func() {
		for buf := make([]byte, chunk); ; {
			if _, err := out.Write(buf); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, chunk)
	read := func(segments int) {
		for left := segments * 1448; left > 0; {
			n, err := in.Read(buf[:min(left, len(buf))])
			require.NoError(b, err)
			left -= n
		}
	}
	read(20000)
	b.SetBytes(1448)
	b.ResetTimer()
	read(b.N)
	b.StopTimer()
	out.Close()
	io.Copy(io.Discard, in)
	in.Close()
	client.Destroy()
	server.Destroy()
}

func stock(b *testing.B, link stack.LinkEndpoint, host byte) *stack.Stack {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{arp.NewProtocol, ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	sack := tcpip.TCPSACKEnabled(true)
	require.Nil(b, s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack))
	require.Nil(b, s.CreateNIC(1, link))
	require.Nil(b, s.AddProtocolAddress(1, tcpip.ProtocolAddress{
		Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: stockAddr(host), PrefixLen: 24},
	}, stack.AddressProperties{}))
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	return s
}

func stockAddr(host byte) tcpip.Address { return tcpip.AddrFrom4([4]byte{192, 0, 2, host}) }
