// Package validate holds the model against published measurements: named workloads on
// described machines, and what others have measured there. It has the numbers to compare
// with and the arithmetic, and nothing that a prediction depends on.
package validate
