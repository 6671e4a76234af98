// Package gate holds the proof of "same seed, same bytes": scenarios that
// between them use every part of the machine, a way to run one and keep all
// that must be equal, and a comparison that says where two runs part.
//
// The tests that use it are the root package's: they run every scenario twice in
// one process, once more among goroutines that spin and allocate, in processes
// of their own at several GOMAXPROCS, and some as WebAssembly. See
// docs/determinism.md.
package gate
