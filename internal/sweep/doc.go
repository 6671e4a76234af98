// Package sweep turns a knob over a range: it says which points that is, has them
// worked through on all cores, remembers on disk which are done, and puts the parts
// of several machines together. What a point is it does not know.
//
// A result is the same in whatever order points were done, by however many workers,
// on however many machines: a row depends on its point alone, and rows stand in the
// order of the plan.
package sweep
