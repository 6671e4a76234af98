package cost

import "testing"

func TestEveryBuiltInBookLoads(t *testing.T) {
	for _, name := range Books() {
		b, err := Open(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b.Name != name {
			t.Errorf("book %s calls itself %s", name, b.Name)
		}
	}
}
