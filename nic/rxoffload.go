package nic

import (
	"encoding/binary"

	"ringside/offload"
)

// checked is what the device says of the checksums of a frame, as RXCSUM has it
// look [7.1]: bits of status for those that it summed, of errors for those that
// are wrong. It sums no fragment and no UDP without a checksum.
func (n *NIC) checked(data []byte) (status uint32) {
	v := offload.Verify([][]byte{data})
	if n.rxcsum&RxcsumIPOFLD != 0 && v.IP != offload.Unchecked {
		status |= RxIPCS
		if v.IP == offload.Bad {
			status |= RxIPE
		}
	}
	if n.rxcsum&RxcsumTUOFLD == 0 || v.L4 == offload.Unchecked {
		return status
	}
	switch v.Proto {
	case protoTCP:
		status |= RxTCPCS
	case protoUDP:
		status |= RxTCPCS | RxUDPCS
	default:
		return status // ICMP is software's
	}
	if v.L4 == offload.Bad {
		status |= RxTCPE
	}
	return status
}

// strip takes the VLAN tag off the held frame, whose bytes are data. An outer tag, if CTRL_EXT.EXT_VLAN has the device look for one, stays.
func (n *NIC) strip(v *verdict, data []byte) {
	at := header - 2
	if n.ctrlExt&CtrlExtEXTVLAN != 0 && binary.BigEndian.Uint16(data[at:]) == uint16(n.vet>>16) {
		at += tagSize
	}
	if len(data) < at+tagSize+2 || binary.BigEndian.Uint16(data[at:]) != uint16(n.vet) {
		return
	}
	v.status |= RxVP
	v.reason = aside
	n.tag = binary.BigEndian.Uint16(data[at+2:])
	n.stripped = append(append(n.stripped[:0], data[:at]...), data[at+tagSize:]...)
	n.held.Data = n.stripped
	n.did.tags++
}
