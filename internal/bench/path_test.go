package bench

import "testing"

func BenchmarkPathVirtio(b *testing.B) { benchmark(b, "path/virtio") }

func BenchmarkPathVhost(b *testing.B) { benchmark(b, "path/vhost") }
