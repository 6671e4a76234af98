// Package cost is the ledger: what work there is, where it is done, what it
// costs and why a frame died. It knows no frame and no clock; every room charges
// here what it does, on the line after it has done it.
//
// A room charges a Step, a function of the real path. A step stands for a fixed
// set of operations (Op) within a Stage, and a Book has a price and its source
// for every operation. An Account counts for one CPU or device and keeps its
// meter, which is what makes an emulated CPU busy; a Bill is the sum of accounts.
// All of it is whole numbers: counts are exact, cycles are kept in thousandths,
// device time in picoseconds.
package cost
