package httpapi

import (
	"testing"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/cardcode"
)

// The contract names the characters that codes are drawn from; the code that draws
// them must use the same.
func TestAlphabetOfContract(t *testing.T) {
	t.Parallel()
	spec, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	alphabets := map[string]string{
		"UseSymbols":    cardcode.Symbols,
		"UseNumbers":    cardcode.Numbers,
		"UseCharacters": cardcode.Characters,
	}
	for name, want := range alphabets {
		got, _ := spec.Components.Schemas[name].Value.Extensions["x-alphabet"].(string)
		if got != want {
			t.Errorf("%s: x-alphabet is %q, codes are drawn from %q", name, got, want)
		}
	}
}
