// Package nic is a network card of the igb kind.
package nic
