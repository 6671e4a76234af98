package vm

// A Port is how a guest that is no process of the host gets at frames: what its own
// kernel gives its program.
type Port interface {
	// Receive waits for a frame and returns it. The bytes are the guest's own memory
	// and stay good until the next Receive.
	Receive() ([]byte, error)
	// Send sends a frame that lies in Memory or is of the last Receive, changed in
	// place perhaps; one that does not is ErrNotMine. It waits for room.
	Send(frame []byte) error
	// Work is a program's work for the span d, on top of what beginning it costs.
	Work(d Time)
	// Sleep gives the CPU away for the span d.
	Sleep(d Time)
	// Memory is room for frames of the program's own.
	Memory() []byte
}

// On is the guest's life on a port that is no tap. Its Task is nil, since there are no
// system calls of the host, and its Batch is the port's business.
func (c Config) On(p Port) error { return c.Program(&Guest{Config: c, port: p, aside: true}) }
