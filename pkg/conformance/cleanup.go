package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/kortwallet/kort/gen/client"
)

var (
	errStays      = errors.New("it cannot be removed")
	errStillThere = errors.New("it was removed, and is still listed")
)

// removeAll removes cards, and notes those that it cannot.
func (s *suite) removeAll(ctx context.Context, ids []string) {
	if len(ids) == 0 {
		return
	}
	// Whoever interrupts wants an end, and no debris.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	for _, id := range ids {
		if err := s.remove(ctx, id); err != nil {
			s.leave(id, err)
		}
	}
}

// leave notes what is left behind.
func (s *suite) leave(id string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leftovers[id] = why
}

// remove removes a card, where there is one; what is pending on it is voided.
func (s *suite) remove(ctx context.Context, id string) error {
	t := s.newTrial(ctx, Check{Name: "cleanup"})
	defer t.cancel()
	failure := t.attempt(func(t *trial) {
		a := t.deleteCard(id)
		if a.code() == client.ErrorCodeCardHasPending || a.status == http.StatusConflict {
			t.release(id)
			a = t.deleteCard(id)
		}
		t.want(a.status == http.StatusOK || a.status == http.StatusNotFound, "200 or 404", a)
	})
	if failure != nil {
		return fmt.Errorf("%w: %w", errStays, failure)
	}
	return nil
}

// release voids every hold of a card; those that are closed refuse.
func (t *trial) release(card string) {
	for _, txn := range t.history(card) {
		if txn.Type == client.TransactionTypePendingCapture {
			t.void(txn.ID, t.ref())
		}
	}
}

// maxSweptPages bounds the pages of cards that a run looks through in the end.
const maxSweptPages = 100

// sweep removes what is left of the run: cards that a wrong server made under an id that was
// not asked for, or did not remove.
func (s *suite) sweep(ctx context.Context) {
	if !s.AllowWrites {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	left, err := s.ours(ctx)
	if err == nil && len(left) > 0 {
		s.removeAll(ctx, left)
		left, err = s.ours(ctx)
	}
	if err != nil {
		s.leave(s.prefix+"…", err)
		return
	}
	for _, id := range left {
		s.leave(id, errStillThere)
	}
}

// ours are the cards of the run that are there.
func (s *suite) ours(ctx context.Context) ([]string, error) {
	t := s.newTrial(ctx, Check{Name: "cleanup"})
	defer t.cancel()
	var ids []string
	failure := t.attempt(func(t *trial) {
		for cursor, pages := "", 0; pages < maxSweptPages; pages++ {
			page := t.list("limit=100&search=" + s.prefix + cursor)
			for _, card := range page.Cards {
				if strings.HasPrefix(strings.TrimSpace(card.CardID), s.prefix) && card.DeletedAt == nil {
					ids = append(ids, card.CardID)
				}
			}
			if page.StartingAfter == nil {
				return
			}
			cursor = "&starting_after=" + url.QueryEscape(*page.StartingAfter)
		}
	})
	if failure != nil {
		return nil, fmt.Errorf("look for cards that are left: %w", failure)
	}
	return ids, nil
}
