// Package ringside is a whole hypervisor network path in one process.
package ringside
