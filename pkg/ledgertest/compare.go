package ledgertest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/kortwallet/kort/pkg/ledger"
)

// compareAnswer compares what a target answered with what the model expects.
func compareAnswer(want *Expectation, got Answer) error {
	var refusal *ledger.Refusal
	if got.Err != nil && !errors.As(got.Err, &refusal) {
		return fmt.Errorf("the target fails: %w", got.Err)
	}
	if refusal != nil {
		return compareRefusal(want, refusal)
	}
	if want.Code != "" {
		return fmt.Errorf("accepted, must be refused with %s", want.Code)
	}
	if want.Replayed != got.Result.Replayed {
		return fmt.Errorf("replayed: %t, must be %t", got.Result.Replayed, want.Replayed)
	}
	if len(got.Result.Cards) != len(want.Cards) {
		return fmt.Errorf("answers %d cards, must be %d", len(got.Result.Cards), len(want.Cards))
	}
	for i := range want.Cards {
		if err := compareCards(&want.Cards[i], &got.Result.Cards[i]); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	if want.Txn != nil {
		if err := compareTxns(want.Txn, &got.Result.Txn); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	if want.Token != nil {
		if err := compareTokens(want.Token, &got.Result.Token); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	if !slices.Equal(want.Choices, got.Result.Choices) {
		return fmt.Errorf("took the token candidates %v, must be %v", got.Result.Choices, want.Choices)
	}
	return nil
}

func compareRefusal(want *Expectation, got *ledger.Refusal) error {
	if got.Code != want.Code {
		return fmt.Errorf("refused with %s, must be %q", got.Code, want.Code)
	}
	if got.RetryAfter != want.RetryAfter {
		return fmt.Errorf("refused with retry after %s, must be %s", got.RetryAfter, want.RetryAfter)
	}
	if want.Problems == nil {
		return nil
	}
	missing := places(want.Problems)
	for _, place := range places(got.Problems) {
		if i := slices.Index(missing, place); i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		} else if !want.AtLeast {
			return fmt.Errorf("%s names %s, must name %v", got.Code, place, places(want.Problems))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s does not name %v", got.Code, missing)
	}
	return nil
}

// places lists what problems point to.
func places(problems []ledger.Problem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Pointer+" of "+p.ExistingID.String())
	}
	slices.Sort(all)
	return all
}

// compareCards compares everything but the digest.
func compareCards(want, got *ledger.Card) error {
	w, g := *want, *got
	same := w.DeletedAt == g.DeletedAt || equal(w.DeletedAt, g.DeletedAt)
	same = same && equal(w.ActiveFrom, g.ActiveFrom) && equal(w.ExpiresAt, g.ExpiresAt) && equalPINs(w.PIN, g.PIN)
	for _, c := range []*ledger.Card{&w, &g} {
		c.DeletedAt, c.ActiveFrom, c.ExpiresAt, c.PIN, c.Digest = nil, nil, nil, nil, ledger.Digest{}
	}
	if same && w == g {
		return nil
	}
	return fmt.Errorf("card is\n%s\nmust be\n%s", showCard(got), showCard(want))
}

func equalPINs(a, b *ledger.PIN) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	same := equal(x.LockedUntil, y.LockedUntil)
	x.LockedUntil, y.LockedUntil = nil, nil
	return same && x == y
}

// compareTxns compares everything but the digest.
func compareTxns(want, got *ledger.Transaction) error {
	w, g := *want, *got
	w.Digest, g.Digest = ledger.Digest{}, ledger.Digest{}
	if w == g {
		return nil
	}
	return fmt.Errorf("transaction is\n%+v\nmust be\n%+v", g, w)
}

func compareTokens(want, got *ledger.Token) error {
	w, g := *want, *got
	same := equal(w.ExpiresAt, g.ExpiresAt)
	w.ExpiresAt, g.ExpiresAt = nil, nil
	if same && w == g {
		return nil
	}
	return fmt.Errorf("token is\n%+v expires %s\nmust be\n%+v expires %s", g, showMoment(got.ExpiresAt), w, showMoment(want.ExpiresAt))
}

func equal[T cmp.Ordered](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func showMoment(at *ledger.Micros) string {
	if at == nil {
		return "never"
	}
	return fmt.Sprint(int64(*at))
}

// showCard prints a card with what its pointers point to.
func showCard(c *ledger.Card) string {
	flat := *c
	flat.Digest, flat.PIN, flat.ActiveFrom, flat.ExpiresAt, flat.DeletedAt = ledger.Digest{}, nil, nil, nil, nil
	text := fmt.Sprintf("%+v active from %s expires %s deleted %s",
		flat, showMoment(c.ActiveFrom), showMoment(c.ExpiresAt), showMoment(c.DeletedAt))
	if c.PIN != nil {
		pin := *c.PIN
		pin.LockedUntil = nil
		text += fmt.Sprintf(" pin %+v locked until %s", pin, showMoment(c.PIN.LockedUntil))
	}
	return text
}
