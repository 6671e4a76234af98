// Package report prints a run's bill for people: what ran, the journey by stage
// and operation, the cost as an equation, and where every frame went. It decides
// nothing and reckons nothing new; what programs read is the Report itself.
//
// A page is plain text without colour, at most 100 columns wide. In a narrow
// terminal columns are left out; no line is ever broken by the terminal.
package report
