package virtio

// A NetConfig is the configuration space of a network device [5.1.4].
type NetConfig struct {
	MAC      [6]byte // with FMAC
	LinkUp   bool    // VIRTIO_NET_S_LINK_UP, with FStatus
	MaxPairs uint16  // max_virtqueue_pairs, with FMQ
	MTU      uint16  // with FMTU
	RingSize uint16  // largest that its rings may be: of the transport, not of this space
}
