// Package mem is memory as hardware sees it: physical addresses, pages with
// holders, and bytes that are reached only through a check. The machine has one
// Memory, which its devices write by DMA; every guest has a private one, which
// only the system-call gate reaches into.
package mem
