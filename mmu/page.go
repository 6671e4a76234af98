package mmu

import (
	"fmt"

	"ringside/mem"
)

// A PageSize is one of the sizes of pages.
type PageSize uint8

// The page sizes of x86-64, the smallest first.
const (
	Page4K PageSize = iota
	Page2M
	Page1G
	NumPageSizes
)

var pageNames = [NumPageSizes]string{"4k", "2m", "1g"}

// ParsePageSize reads "4k", "2m" or "1g".
func ParsePageSize(s string) (PageSize, error) {
	for p, name := range pageNames {
		if s == name {
			return PageSize(p), nil
		}
	}
	return 0, fmt.Errorf("mmu: pages of %q: use 4k, 2m or 1g", s)
}

// String is the size as ParsePageSize reads it.
func (p PageSize) String() string {
	if p >= NumPageSizes {
		return "page?"
	}
	return pageNames[p]
}

// Shift is the number of bits of an address inside a page: 12, 21 or 30.
func (p PageSize) Shift() uint { return pageShift + levelBits*uint(p) }

// Bytes is how large a page is.
func (p PageSize) Bytes() mem.Addr { return 1 << p.Shift() }

// Levels is the number of tables from the root to the entry of a page: 4, 3 or 2.
func (p PageSize) Levels() int { return levels - int(p) }

// What the tables of x86-64 have: four levels of 512 entries over pages of 4 KiB.
const (
	pageShift   = 12
	levelBits   = 9
	levels      = 4
	entries     = 1 << levelBits
	addressBits = pageShift + levels*levelBits // 48
	physBits    = 52
)

// A Perm is what may be done with a page.
type Perm uint8

// The permissions.
const (
	Read Perm = 1 << iota
	Write
	ReadWrite = Read | Write
)

// String is "r", "w", "rw" or "-".
func (p Perm) String() string { return [...]string{"-", "r", "w", "rw"}[p&ReadWrite] }
