// Package vhostuser is the vhost-user protocol: how a VMM hands the rings of a guest's
// virtio device to another process, which serves them in its place. It has the messages
// as they are on the socket, the VMM's end (Frontend) and the other one (Backend).
//
//	VMM                                         process that serves the rings
//	GET_FEATURES, SET_FEATURES            ──►   what the rings are like
//	SET_OWNER                             ──►
//	SET_MEM_TABLE      + memory           ──►   the guest's memory, mapped
//	SET_VRING_NUM, _BASE, _ADDR           ──►   where a ring is
//	SET_VRING_CALL     + eventfd          ──►   how the guest is told
//	SET_VRING_KICK     + eventfd          ──►   the ring starts
//	SET_VRING_ENABLE                      ──►   and is served
//	GET_VRING_BASE                        ──►   it stops; where it stood
//
// The socket is a call in this process, and what is passed beside a message stands for
// a descriptor: a *mem.Memory for a file of memory, an Event for an eventfd.
//
// The back end takes the VMM for hostile. Whatever a message says is checked before it
// is used; one that is wrong closes the connection for good, with its rings. Of the
// memory that comes with SET_MEM_TABLE the rings reach the regions of the table and
// nothing else.
//
// Names and numbers are those of the protocol's document, Vhost-user Protocol, in QEMU's
// docs/interop. There is no migration (SET_LOG_BASE), no IOTLB, no inflight buffer, no
// back-end channel and no configuration space; guest memory begins at address 0 and is
// in one piece, though a table may give it in several.
package vhostuser
