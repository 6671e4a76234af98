//go:build race

package gate

// Race says that the race detector is built in, which makes everything some ten
// times slower.
const Race = true
