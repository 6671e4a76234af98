// Package kernel is the software of one host, in the order and under the names of
// Linux: a driver (igb) that is interrupted, polls under NAPI and refills its
// ring, the receive core, a bridge's ports, taps, the host's own stack (gVisor's),
// and the processes of its guests on CPUs with hard interrupt, softirq and process
// context.
//
//	device ─► igb_msix_ring ─► net_rx_action ─► igb_poll ─► netif_receive_skb
//	              IRQ              NAPI                          │ rx_handler
//	                                                         br_handle_frame
//	guest ◄── tun_chr_read_iter ◄── wake ◄── tun_net_xmit ◄──────┤
//	vCPU ◄── virtqueue ◄── vhost_worker ◄── tun_net_xmit ◄───────┤
//	                                 host's stack ◄── pass_frame_up
//	other bridge ◄── process_backlog ◄── netif_rx ◄── veth_xmit
//
// It is a state machine on sim's event loop without a goroutine or a lock of its
// own. A guest's process is a coroutine that runs inside the loop until it waits; a
// vCPU, in which a guest has a kernel of its own, and a vhost worker are threads that
// the loop lets do one piece of work after the other.
// Each CPU is busy for what it is charged and may be ahead of the loop by the
// length of one piece of work; the queues between CPUs carry times, so that none
// sees another's future.
//
// It does not model NUMA, RPS, XDP or qdiscs other than a fifo.
package kernel
