// Package workload has named workloads: what is put on a machine so that a rate can be
// read off it, as published measurements do it. A Case makes of a machine and a few
// knobs a Config with its load and says which frames count; Run saturates it and reads
// how many of them one core carries.
//
// Nothing here is a formula. Every rate is counted on frames that went through the rings,
// drivers and switches of the real path in virtual time; the machine's prices decide how
// long each CPU was busy with them.
package workload
