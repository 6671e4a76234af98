package bridge

import "ringside/sim"

// Shortcut is Handle for those who can do no more with a frame than to send it to one
// port as it is: it is done if the frame is from a station that is known and has not
// moved to one that is known on another port, and may answers yes for that. Else it says
// false and has changed nothing; Handle is to be asked.
func (b *Bridge) Shortcut(in Port, frame []byte, now sim.Time, may func(Port) bool) (to Port, ok bool) {
	n := uint(uint32(in))
	if n >= uint(len(b.ports)) || len(frame) < taggedLen {
		return 0, false
	}
	p := &b.ports[n]
	dst, src := addresses(frame)
	from, i := b.fdb.find(src)
	if from == nil {
		return 0, false
	}
	there, j := b.fdb.find(dst)
	if there == nil {
		return 0, false
	}
	here, out := from.what[i], there.what[j]
	to = out.port()
	q := &b.ports[to]
	if !here.refreshes(p.tag) || out.same(here) || out&local != 0 || q.flags&p.avoids != 0 || !may(to) {
		return 0, false
	}
	from.updated[i] = now
	p.Rx++
	q.Tx++
	return to, true
}
