package machine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/cost"
)

func TestBuiltInMachinesCanBeReadAndSayWhereTheyComeFrom(t *testing.T) {
	for _, name := range Names() {
		m, err := Open(name)
		require.NoError(t, err)
		require.Equal(t, name, m.Name)
		require.NotEmpty(t, m.Title, name)
		require.NotEmpty(t, m.Source, name)
		_, err = m.Book(nil)
		require.NoError(t, err, name)
	}
}

func open(t *testing.T, name string) *Machine {
	t.Helper()
	m, err := Open(name)
	require.NoError(t, err)
	return m
}

func book(t *testing.T, m *Machine) *cost.Book {
	t.Helper()
	b, err := m.Book(nil)
	require.NoError(t, err)
	return b
}

func TestBookNamesMachinesThatAreThere(t *testing.T) {
	for _, name := range cost.Books() {
		b, err := cost.Open(name)
		require.NoError(t, err)
		for id, m := range b.Machines {
			require.NotEmpty(t, b.Sources[id])
			open(t, m)
		}
	}
}
