// Package scenario reads and runs scenario files: several hosts, the cables between
// them, peers at their wires, programs in guests and peers, faults at their times, a
// duration, and expectations that decide whether the story went as told.
// docs/scenarios.md describes the format.
//
// A host is written as a lab is (internal/labfile), so that a lab can be pasted in.
// A file is refused with every mistake in it, each with file, line and column and
// what is possible. That holds for the names in expectations too: what can be
// expected of a lab is known before it runs.
package scenario
