package differential

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// openTap makes a TAP interface, which lives as long as its descriptor.
func openTap(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("/dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return -1, errors.Join(fmt.Errorf("make TAP %s: %w", name, err), unix.Close(fd))
	}
	return fd, nil
}

// setCarrier has the cable of a TAP plugged in or pulled out.
func setCarrier(fd int, on bool) error {
	v := 0
	if on {
		v = 1
	}
	return unix.IoctlSetPointerInt(fd, unix.TUNSETCARRIER, v)
}

func htons(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// openPacket is a packet socket for a protocol on one interface, or on all.
func openPacket(index int, proto uint16) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(proto), Ifindex: index}),
	)
	if err != nil {
		return -1, errors.Join(fmt.Errorf("packet socket for protocol %#x: %w", proto, err), unix.Close(fd))
	}
	return fd, nil
}

// A received is one frame of a packet socket.
type received struct {
	index int
	bytes []byte
}

// receive reads one frame, its VLAN tag put back where it was; ok is false when
// there is none.
func receive(fd int, buf []byte) (r received, ok bool, err error) {
	var oob [128]byte
	n, oobn, _, from, err := unix.Recvmsg(fd, buf, oob[:], unix.MSG_DONTWAIT)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENETDOWN) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("packet socket: %w", err)
	}
	if ll, is := from.(*unix.SockaddrLinklayer); is {
		r.index = ll.Ifindex
	}
	r.bytes = append([]byte(nil), buf[:n]...)
	controls, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return r, false, err
	}
	for _, c := range controls {
		if c.Header.Level == unix.SOL_PACKET && c.Header.Type == unix.PACKET_AUXDATA && len(c.Data) >= 20 {
			status := binary.NativeEndian.Uint32(c.Data)
			if status&unix.TP_STATUS_VLAN_VALID != 0 {
				tci := binary.NativeEndian.Uint16(c.Data[16:])
				tpid := binary.NativeEndian.Uint16(c.Data[18:])
				r.bytes = insertTag(r.bytes, tpid, tci)
			}
		}
	}
	return r, true, nil
}
