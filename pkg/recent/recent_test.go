package recent_test

import (
	"testing"

	"github.com/kortwallet/kort/pkg/recent"
)

// What is used stays, what is not used goes, and there is never more than two generations.
func TestWhatIsUsedStays(t *testing.T) {
	t.Parallel()
	const limit = 10
	m := recent.NewMap[int, string](limit)
	m.Put(-1, "used")
	m.Put(-2, "unused")
	for n := range 10 * limit {
		m.Put(n, "another")
		if value, found := m.Get(-1); !found || value != "used" {
			t.Fatalf("after %d others: %q, %t", n, value, found)
		}
		if m.Len() > 2*limit {
			t.Fatalf("%d are remembered", m.Len())
		}
	}
	if _, found := m.Get(-2); found {
		t.Error("what nobody uses is remembered for ever")
	}
}

func TestForgetting(t *testing.T) {
	t.Parallel()
	m := recent.NewMap[string, int](1)
	m.Put("a", 1)
	m.Put("b", 2) // a is in the old generation now
	m.Put("b", 3) // in place
	for _, key := range []string{"a", "b"} {
		if _, found := m.Get(key); !found {
			t.Errorf("%s is forgotten already", key)
		}
		m.Forget(key)
		if value, found := m.Get(key); found {
			t.Errorf("%s is still %d", key, value)
		}
	}
	if n := m.Len(); n != 0 {
		t.Errorf("%d are remembered", n)
	}
}
