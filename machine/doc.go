// Package machine describes hardware and the kernel on it by what prices depend on:
// clock, caches, memory, PCIe, NIC, the kernel's age and its mitigations. It reads such
// descriptions from small files and moves a cost book from the machines on which its
// prices were measured to the one described.
//
// It measures nothing and knows no path: what a machine carries is for a run to say.
package machine
