// Package programs reads the programs that labs and scenarios name, as ringside/vm/app
// has them, and knows what each records. A program in a file is an entry of a list
// under run, by itself or with its arguments:
//
//	run: [http, {ping: {to: 10.0.0.2, count: 10}}]
package programs
