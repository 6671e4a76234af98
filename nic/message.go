package nic

// What the drivers of PF and VF say to each other by the mailbox (igb's e1000_mbx.h): a
// type in the lower half of a message's first word, what belongs to it above, and the
// answer's bits on top. The device carries words and looks at none.
const (
	MsgReset      = 0x01
	MsgSetMAC     = 0x02
	MsgMulticast  = 0x03
	MsgSetVLAN    = 0x04
	MsgSetLPE     = 0x05
	MsgSetPromisc = 0x06
	MsgTypeMask   = 0xFFFF

	MsgInfoShift = 16
	MsgInfoMask  = 0xFF << MsgInfoShift
	MsgCTS       = 1 << 29 // the VF may ask for things
	MsgNACK      = 1 << 30
	MsgACK       = 1 << 31

	MsgMACClear = 1 << MsgInfoShift // of MsgSetMAC: further addresses go,
	MsgMACAdd   = 2 << MsgInfoShift // or one comes
	MsgAllMulti = 2 << MsgInfoShift // of MsgSetPromisc
)
