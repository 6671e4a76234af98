package dpdk

import (
	"ringside/cost"
	"ringside/mem"
	"ringside/nic"
	"ringside/trace"
	"ringside/vswitch"
)

// rsThresh is after how many descriptors the device is to write one back at the latest
// (tx_rs_thresh). The last of a burst is always one.
const rsThresh = 32

// A txQueue is a transmit ring. An mbuf stays in the place of its descriptor until that
// was written back, or one behind it.
type txQueue struct {
	base    mem.Addr
	ring    []byte
	size    int
	next    int // to be filled
	clean   int // the oldest that is pending
	pending int
	mbufs   []*vswitch.Mbuf
	report  []bool // the descriptor has RS
}

func (q *txQueue) desc(i int) nic.TxDesc {
	return nic.TxDesc(q.ring[i*nic.DescSize : (i+1)*nic.DescSize : (i+1)*nic.DescSize])
}

func (q *txQueue) after(i int) int {
	if i++; i == q.size {
		return 0
	}
	return i
}

func (d *Device) setUpTx(i int) error {
	n := d.cfg.TxRing
	q := &d.tx[i]
	*q = txQueue{size: n, mbufs: make([]*vswitch.Mbuf, n), report: make([]bool, n)}
	var err error
	if q.base, q.ring, err = d.ring(n); err != nil {
		return err
	}
	d.poke(nic.TDBAL(i), uint32(q.base))
	d.poke(nic.TDBAH(i), uint32(q.base>>32))
	d.poke(nic.TDLEN(i), uint32(n*nic.DescSize))
	d.poke(nic.TXDCTL(i), uint32(nic.DctlENABLE))
	return nil
}

// Transmit is eth_igb_xmit_pkts: a descriptor for each frame, and one doorbell.
func (p *Port) Transmit(burst []*vswitch.Mbuf) (int, cost.DropReason) {
	q := p.tx
	if q.size-1-q.pending < len(burst) {
		p.reclaim()
	}
	n := min(len(burst), q.size-1-q.pending)
	p.core.Charge(cost.RteEthTxBurst, 1)
	if n == 0 {
		return 0, cost.RSTxBusy
	}
	vswitch.Each(p.core, cost.EthIgbXmitPkts, burst[:n])
	for i, m := range burst[:n] {
		cmd := uint32(nic.TxEOP | nic.TxIFCS)
		report := i == n-1 || i%rsThresh == rsThresh-1
		if report {
			cmd |= nic.TxRS
		}
		q.desc(q.next).Give(uint64(m.Addr), len(m.Data), cmd, len(m.Data))
		p.dev.nic.SetTxTag(p.q, uint32(q.next), nic.Tag{ID: m.ID, Arrived: m.Arrived})
		q.mbufs[q.next], q.report[q.next] = m, report
		q.next = q.after(q.next)
	}
	q.pending += n
	if p.core.Watched() {
		p.showSent(burst[:n])
	}
	p.core.Charge(cost.EthIgbTxDoorbell, 1)
	p.write(nic.TDT(p.q), q.next)
	return n, cost.RSTxBusy
}

func (p *Port) showSent(burst []*vswitch.Mbuf) {
	for _, m := range burst {
		p.core.Show(&trace.Frame{ID: m.ID, Point: trace.Driver, Tx: true, Queue: int32(p.q), Port: p.i, VM: -1, Len: len(m.Data), Data: m.Data})
	}
}

// reclaim frees the mbufs of descriptors that the device is done with: those up to the
// last that was written back.
func (p *Port) reclaim() {
	q := p.tx
	p.dev.nic.CatchUp(p.core.Now())
	done := 0
	for i, k := q.clean, 1; k <= q.pending; i, k = q.after(i), k+1 {
		if !q.report[i] {
			continue
		}
		if !q.desc(i).Done() {
			break
		}
		done = k
	}
	for range done {
		q.mbufs[q.clean].Free()
		q.mbufs[q.clean] = nil
		q.clean = q.after(q.clean)
	}
	q.pending -= done
}
