// Package deptest keeps the walls of the house: which room may import which, and
// why not the others, and what the core may not touch if a run is to be a
// function of its configuration, its inputs and its seed. All of it is in the
// tests, which read the source and ask the go command; they need no network.
package deptest
