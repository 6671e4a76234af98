package bench

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryCaseRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a million addresses")
	}
	rep, err := Run(t.Context(), Options{Rounds: 3, Round: 5 * time.Millisecond})
	require.NoError(t, err)
	require.Len(t, rep.Cases, len(Cases()))
	require.NoError(t, rep.Write(os.Stderr))
}

// BenchmarkNative64 is native/64 alone, for profiles.
func BenchmarkNative64(b *testing.B) { benchmark(b, "native/64") }

func BenchmarkNative1514(b *testing.B) { benchmark(b, "native/1514") }

func BenchmarkPaging4K(b *testing.B) { benchmark(b, "paging/4k") }

func BenchmarkPaging2M(b *testing.B) { benchmark(b, "paging/2m") }

func BenchmarkPorts1024(b *testing.B) { benchmark(b, "ports/1024") }

func benchmark(b *testing.B, name string) {
	for _, c := range Cases() {
		if c.Name != name {
			continue
		}
		m, err := c.setUp()
		require.NoError(b, err)
		defer m.close()
		require.NoError(b, m.run(10000))
		b.ReportAllocs()
		b.ResetTimer()
		require.NoError(b, m.run(b.N))
	}
}

// BenchmarkYardstick64 is the bare ring alone.
func BenchmarkYardstick64(b *testing.B) {
	r, frame, into := new(ring), make([]byte, 60), make([]byte, 2048)
	r.run(frame, into, b.N)
}

func BenchmarkTCPBare(b *testing.B) { benchmark(b, "tcp/bare") }

func BenchmarkTCP1500(b *testing.B) { benchmark(b, "tcp/1500") }

func BenchmarkTCPOffloads(b *testing.B) { benchmark(b, "tcp/offloads") }

func BenchmarkTCPBareGSO(b *testing.B) { benchmark(b, "tcp/bare-gso") }
