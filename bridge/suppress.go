package bridge

// suppress is br_do_proxy_suppress_arp and br_do_suppress_nd.
func (b *Bridge) suppress(f *pass) {}

func (b *Bridge) suppresses(q Port, vid uint16) bool { return false }
