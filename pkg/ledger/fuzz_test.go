package ledger_test

import (
	"math/rand/v2"
	"testing"

	"github.com/kortwallet/kort/pkg/ledgertest"
)

// fuzzSteps bounds a script: a longer one finds nothing that a shorter one does not.
const fuzzSteps = 400

// FuzzLedger plays the script that the bytes stand for against the independent
// model, as TestRandomScripts does with random ones.
func FuzzLedger(f *testing.F) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // a corpus must be repeatable
		data := make([]byte, 200<<seed)
		for i := range data {
			data[i] = byte(r.UintN(256))
		}
		f.Add(data, byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte, batch byte) {
		o := ledgertest.Options{Steps: fuzzSteps, Accounts: 1, Cards: 3, MaxBatch: 1 + int(batch%8)}
		if err := ledgertest.PlayBytes(t.Context(), ledgertest.NewMemory(), data, o); err != nil {
			t.Fatal(err)
		}
	})
}
