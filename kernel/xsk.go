package kernel

import "ringside/cost"

// An XSK is an AF_XDP socket.
type XSK struct{}

// Socket says that a socket is bound to a queue: see xdp.Host.
func (h *xdpHook) Socket(ifindex, queue int) bool { return false }

func (h *xdpHook) toSocket(c *CPU, s *skb) { c.drop(s, cost.XDP, cost.RSXDPNoTarget) }

func (c *CPU) flushSockets() {}
