package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"

	"ringside/syscall"
)

// An Option is a socket option.
type Option uint8

// The options. Those that are on or off are 1 or 0.
const (
	NoDelay       Option = iota // TCP_NODELAY; on to begin with, as Go has it
	KeepAlive                   // SO_KEEPALIVE
	ReuseAddr                   // SO_REUSEADDR
	ReusePort                   // SO_REUSEPORT
	Broadcast                   // SO_BROADCAST
	SendBuffer                  // SO_SNDBUF, bytes
	ReceiveBuffer               // SO_RCVBUF, bytes
	TTL                         // IP_TTL or IPV6_UNICAST_HOPS
	TOS                         // IP_TOS or IPV6_TCLASS
)

// SetOption sets a socket option.
func (k *Socket) SetOption(o Option, v int) syscall.Errno {
	k.enter()
	defer k.leave()
	so, on := k.ep.SocketOptions(), v != 0
	switch o {
	case NoDelay:
		so.SetDelayOption(!on)
	case KeepAlive:
		so.SetKeepAlive(on)
	case ReuseAddr:
		so.SetReuseAddress(on)
	case ReusePort:
		so.SetReusePort(on)
	case Broadcast:
		so.SetBroadcast(on)
	case SendBuffer, ReceiveBuffer:
		if v < 0 || v > maxBuffer {
			return syscall.EINVAL
		}
		if o == SendBuffer {
			so.SetSendBufferSize(int64(v), true)
		} else {
			so.SetReceiveBufferSize(int64(v), true)
		}
	case TTL, TOS:
		if v < 0 || v > 255 || o == TTL && v == 0 {
			return syscall.EINVAL
		}
		return errnoOf(k.ep.SetSockOptInt(k.number(o), v))
	default:
		return syscall.ENOPROTOOPT
	}
	return syscall.OK
}

const maxBuffer = 64 << 20

// GetOption is what a socket option is set to.
func (k *Socket) GetOption(o Option) (int, syscall.Errno) {
	k.enter()
	defer k.leave()
	so := k.ep.SocketOptions()
	switch o {
	case NoDelay:
		return number(!so.GetDelayOption()), syscall.OK
	case KeepAlive:
		return number(so.GetKeepAlive()), syscall.OK
	case ReuseAddr:
		return number(so.GetReuseAddress()), syscall.OK
	case ReusePort:
		return number(so.GetReusePort()), syscall.OK
	case Broadcast:
		return number(so.GetBroadcast()), syscall.OK
	case SendBuffer:
		return int(so.GetSendBufferSize()), syscall.OK
	case ReceiveBuffer:
		return int(so.GetReceiveBufferSize()), syscall.OK
	case TTL, TOS:
		v, err := k.ep.GetSockOptInt(k.number(o))
		return v, errnoOf(err)
	}
	return 0, syscall.ENOPROTOOPT
}

// number is gVisor's number of an option that each family has one of.
func (k *Socket) number(o Option) tcpip.SockOptInt {
	four := k.network[len(k.network)-1] == '4'
	switch {
	case o == TTL && four:
		return tcpip.IPv4TTLOption
	case o == TTL:
		return tcpip.IPv6HopLimitOption
	case four:
		return tcpip.IPv4TOSOption
	}
	return tcpip.IPv6TrafficClassOption
}

func number(on bool) int {
	if on {
		return 1
	}
	return 0
}
