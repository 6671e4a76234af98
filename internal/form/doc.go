// Package form takes files apart that people write: YAML with keys that are known,
// values that have a kind and a range, and names that refer to something. It is
// strict, tells every problem with line and column, how the value is called and what
// is possible, and all of them at once. What the keys mean is told by the packages
// that read labs and scenarios.
package form
