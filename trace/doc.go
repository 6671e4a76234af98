// Package trace is what can be seen of a run: the points where frames are
// watched, the steps they take, and the hash that tells two runs apart. It
// charges nothing and decides nothing; a run with a Sink and one without have
// the same bill and the same hash.
package trace
