package posting

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// poisons are operations that no edge lets through, each of which breaks its batch
// in another place.
func poisons(t *testing.T) map[string]ledger.Operation {
	t.Helper()
	explode := func(uuid.UUID, *ledger.PIN) (bool, error) { panic("in the comparison") }
	withPIN := transact(t, ledger.ActionFund, "with a PIN", "poison", 1)
	withPIN.PIN.Compare = explode
	unknownType := creation(t, "of no type", 1)
	unknownType.Cards[0].Card.Type = "voucher"
	return map[string]ledger.Operation{
		"a PIN maker that panics":      &ledger.RotatePIN{CardID: "card", ID: repotest.ID(t), PINFor: func(uuid.UUID) ledger.PIN { panic("in the maker") }},
		"no PIN maker":                 &ledger.RotatePIN{CardID: "card", ID: repotest.ID(t)},
		"a comparison that panics":     withPIN,
		"a creation of nothing":        &ledger.CreateCards{},
		"no operation at all":          (*ledger.Transact)(nil),
		"a row that the table refuses": unknownType,
	}
}

// An operation that breaks its batch is answered alone; its neighbours are posted,
// each exactly once, and the next batch is as good as ever.
func TestPoisonIsIsolated(t *testing.T) {
	t.Parallel()
	for name, poison := range poisons(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, Options{}, func(t *testing.T, b *bench) {
				b.must(t, creation(t, "card", 0))
				b.must(t, creation(t, "with a PIN", 0))
				b.must(t, &ledger.RotatePIN{CardID: "with a PIN", ID: repotest.ID(t), PINFor: noPIN})
				g, held := b.hold(t, repotest.OtherAccount)
				if b.store.Postgres() { // where the other account does not keep this one waiting
					g.release()
					_, _ = held.wait(t)
					g, held = b.hold(t, repotest.Account)
				}
				var good []*pending
				for n := range 5 {
					good = append(good, b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionFund, "card", fmt.Sprint(n), 1)))
				}
				b.queued(t, 5)
				bad := b.begin(t.Context(), repotest.Account, poison)
				b.queued(t, 6)
				for n := range 5 {
					good = append(good, b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionFund, "card", fmt.Sprint(5+n), 1)))
				}
				b.queued(t, 11)
				g.release()
				if _, err := held.wait(t); err != nil {
					t.Errorf("the batch before: %v", err)
				}
				if _, err := bad.wait(t); !errors.Is(err, ErrInternal) {
					t.Errorf("the poison: %v, want ErrInternal", err)
				}
				for _, p := range good {
					if _, err := p.wait(t); err != nil {
						t.Errorf("a neighbour: %v", err)
					}
				}
				card, err := b.store.Card(t.Context(), repotest.Account, "card")
				if err != nil || card.Funds != 10 || card.Seq != 10 || card.PIN != nil {
					t.Errorf("the card is %+v, %v", card, err)
				}
				b.must(t, transact(t, ledger.ActionFund, "card", "afterwards", 1))
				if _, err := b.Submit(t.Context(), repotest.Account, poison); !errors.Is(err, ErrInternal) {
					t.Errorf("the poison alone: %v, want ErrInternal", err)
				}
				b.must(t, transact(t, ledger.ActionFund, "card", "after that", 1))
			})
		})
	}
}

// A batch of nothing but poison.
func TestOnlyPoison(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		b.must(t, creation(t, "card", 0))
		g, held := b.hold(t, repotest.Account)
		var bad []*pending
		for range 5 {
			bad = append(bad, b.begin(t.Context(), repotest.Account, &ledger.RotatePIN{CardID: "card", ID: repotest.ID(t)}))
		}
		b.queued(t, 5)
		g.release()
		_, _ = held.wait(t)
		for _, p := range bad {
			if _, err := p.wait(t); !errors.Is(err, ErrInternal) {
				t.Errorf("%v, want ErrInternal", err)
			}
		}
		b.must(t, transact(t, ledger.ActionFund, "card", "afterwards", 1))
	})
}

// A corrupt history fails the operations on its card, and nobody else's.
func TestCorruptRows(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		b.must(t, creation(t, "sound", 1))
		b.must(t, creation(t, "broken", 1))
		b.raw.MustExec(t, "UPDATE cards SET digest = 'no digest' WHERE card_id = 'broken'")
		g, held := b.hold(t, repotest.Account)
		good := b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionFund, "sound", "ref", 1))
		bad := b.begin(t.Context(), repotest.Account, transact(t, ledger.ActionFund, "broken", "ref", 1))
		b.queued(t, 2)
		g.release()
		_, _ = held.wait(t)
		if _, err := bad.wait(t); !errors.Is(err, ErrInternal) {
			t.Errorf("on the broken card: %v, want ErrInternal", err)
		}
		if _, err := good.wait(t); err != nil {
			t.Errorf("on the sound card: %v", err)
		}
	})
}
