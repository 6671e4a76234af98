package differential

// Rows are the setups that have a name: one for each difference that was found,
// and for what chance does not find.
func Rows() []*Setup {
	return append(timers(), []*Setup{
		{
			Name:  "a tag without a type behind it",
			Ports: make([]Settings, 3),
			Steps: []Step{
				{Kind: Frame, Port: 1, Bytes: Tagged(2, Ethernet(broadcast, station(1), EtherTest, 1))},
				{Kind: Frame, Port: 1, Bytes: Tagged(2, Ethernet(broadcast, station(1), EtherTest, 1, 2))},
				{Kind: Frame, Port: 1, Bytes: Ethernet(broadcast, station(1), EtherVLAN)},
				{Kind: Frame, Port: 1, Bytes: Ethernet(broadcast, station(1), EtherSVLAN, 0, 2)},
				{Kind: Frame, Port: Host, Bytes: Tagged(2, Ethernet(broadcast, station(1), EtherTest, 1))},
			},
		},
	}...)
}

func station(i byte) [6]byte { return [6]byte{2, 0, 0, 0, 0, i} }
