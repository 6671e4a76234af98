// Package journey tells what happened to one frame of a run, step by step under
// the function names of the real path: when, on which CPU, what it did, what it
// cost. It is a trace.Sink and what that makes of what it saw; it reckons with
// the book's prices, so that the journeys of all frames add up to the bill, but
// for what was done for no frame at all.
//
// A step is a frame's own, or one that several frames shared: an interrupt, a
// poll, a wake-up, a system call that fetched many. Of a shared step a journey
// has one frame's share.
//
// # What it cannot tell
//
// Nobody tells a sink which frame's descriptors a poll gave back after sending, so
// the interrupt and the poll that clean up behind a sent frame are no part of its
// journey.
package journey
