// Package labfile reads the configuration file of a machine, a lab: bridges, NICs,
// guests, the cables between bridges, and what the bridges know from the start. It
// makes a ringside.Config of it and nothing else; docs/config.md describes the
// format.
//
// It is strict. What it does not know, what is out of range, what is there twice
// and what refers to nothing is refused, all at once, each with file, line and
// column and with what is possible. What it accepts can be built: it makes every
// bridge once, to hear what that refuses.
package labfile
