package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// AccountHead condenses an account: who kept an earlier head can tell that the
// history it stands for is still there.
//
// It stands for the cards and transactions that were made up to a moment. A later
// audit finds those again by their times, so nothing but the head has to be kept. That
// holds if no transaction is committed later that bears an earlier time: see
// [HeadMargin].
type AccountHead struct {
	Account      string
	Until        ledger.Micros // nothing made after it counts; 0 means that everything counts
	Root         ledger.Digest // the Merkle root over the cards in the order of their ids
	Cards        int64         // deleted ones included
	Transactions int64
}

// HeadMargin is how long before the audit a head should end while servers run. A server
// gives a transaction its time before it locks and writes, and tries for at most 45
// seconds at a time to get it committed; the rest is for clocks that differ.
const HeadMargin = 2 * time.Minute

// String writes the head in one word, which [ParseHead] reads.
func (h AccountHead) String() string {
	return fmt.Sprintf("%s:%d:%s:%d:%d", h.Account, h.Until, h.Root, h.Cards, h.Transactions)
}

// errNoHead says what a head looks like.
var errNoHead = errors.New("a head is account:microseconds:root:cards:transactions, as kort verify --heads prints it")

// ParseHead reads what [AccountHead.String] wrote, of a head with an end.
func ParseHead(text string) (AccountHead, error) {
	const parts = 5
	words := strings.Split(text, ":")
	if len(words) != parts || words[0] == "" {
		return AccountHead{}, errNoHead
	}
	root, err := ledger.ParseDigest(words[2])
	if err != nil {
		return AccountHead{}, errNoHead
	}
	head := AccountHead{Account: words[0], Root: root}
	for _, number := range []struct {
		word string
		into *int64
	}{{words[1], (*int64)(&head.Until)}, {words[3], &head.Cards}, {words[4], &head.Transactions}} {
		if *number.into, err = strconv.ParseInt(number.word, 10, 64); err != nil || *number.into < 0 {
			return AccountHead{}, errNoHead
		}
	}
	if head.Until == 0 {
		return AccountHead{}, errNoHead
	}
	return head, nil
}

// position is a place in the history of a card.
type position struct {
	seq    int64
	digest ledger.Digest
}

// cut computes a head of the account that is being walked.
type cut struct {
	until ledger.Micros
	want  *AccountHead // the head to compare with; nil when it is to be reported
	tree  tree
}

// has tells whether a moment lies before the end.
func (c *cut) has(moment ledger.Micros) bool { return c.until == 0 || moment <= c.until }

// beginCuts makes ready for the heads of an account.
func (w *walker) beginCuts() {
	w.cuts = nil
	if w.headed != nil {
		w.cuts = append(w.cuts, cut{until: w.o.Until})
	}
	for i := range w.o.Against {
		if head := &w.o.Against[i]; head.Account == w.account {
			w.cuts = append(w.cuts, cut{until: head.Until, want: head})
		}
	}
}

// cut notes how far the history had come at the end of each head.
func (h *history) cut(txn *ledger.Transaction) {
	for i := range h.cuts {
		if h.cuts[i].has(txn.CreatedAt) {
			h.positions[i] = position{txn.Seq, txn.Digest}
		}
	}
}

// addToCuts appends a card, after its last transaction, to the heads.
func (w *walker) addToCuts(h *history) {
	for i := range w.cuts {
		if c := &w.cuts[i]; c.has(h.card.Card.CreatedAt) {
			c.tree.add(h.card.Card.ID, h.positions[i])
		}
	}
}

// endCuts reports the heads of the account, and compares those that were kept.
func (w *walker) endCuts() {
	for i := range w.cuts {
		c := &w.cuts[i]
		head := c.tree.sum(w.account)
		head.Until = c.until
		if c.want == nil {
			w.headed(head)
			continue
		}
		w.compared = append(w.compared, *c.want)
		if head != *c.want {
			w.report(head.differs(c.want))
		}
	}
}

// compareRest reports the kept heads of accounts that have no rows any more.
func (w *walker) compareRest() {
	for i := range w.o.Against {
		want := &w.o.Against[i]
		none := (&tree{}).sum(want.Account)
		none.Until = want.Until
		if !slices.Contains(w.compared, *want) && none != *want {
			w.report(none.differs(want))
		}
	}
}

// differs says how a head that was kept differs from what it is now.
func (h *AccountHead) differs(kept *AccountHead) Finding {
	f := Finding{
		Account: kept.Account, Row: HeadRow, ID: moment(kept.Until), Figure: "root",
		Problem: "is not the one that was kept: what it stands for was rewritten",
		Stored:  h.Root.String(), Saved: kept.Root.String(),
	}
	if h.Cards != kept.Cards || h.Transactions != kept.Transactions {
		f.Figure, f.Problem = "size", "is not the one that was kept: cards or transactions were removed, added or given another time"
		f.Stored = fmt.Sprintf("%d cards and %d transactions", h.Cards, h.Transactions)
		f.Saved = fmt.Sprintf("%d cards and %d transactions", kept.Cards, kept.Transactions)
	}
	return f
}

// Head computes the head of an account as it is now, from the cards' own seqs and
// digests; [Verify] tells whether those are true. An error wraps
// [ledger.ErrCorrupt] when a card's cannot be read.
func Head(ctx context.Context, store *repository.Store, account string) (AccountHead, error) {
	var t tree
	err := store.Snapshot(ctx, func(reader *repository.AuditReader) error {
		for after, more := "", true; more; {
			cards, span, err := reader.Cards(ctx, account, after)
			if err != nil {
				return err
			}
			for i := range cards {
				if len(cards[i].Defects) > 0 {
					return fmt.Errorf("card %s: %w", cards[i].Key, ledger.ErrCorrupt)
				}
				t.add(cards[i].Card.ID, position{cards[i].Card.Seq, cards[i].Card.Digest})
			}
			after, more = span.Upto, span.Upto != ""
		}
		return nil
	})
	return t.sum(account), err
}

// tree computes a Merkle root leaf by leaf, with the shape of RFC 6962: leaves and
// nodes are hashed differently, so that no node can pass for a leaf. It keeps one
// hash for each complete subtree, the largest first.
type tree struct {
	subtrees     []subtree
	cards        int64
	transactions int64
}

type subtree struct {
	hash   ledger.Digest
	leaves int64
}

// The first byte of what is hashed for a leaf and for a node.
const (
	leafPrefix = 0
	nodePrefix = 1
)

// add appends a card. Cards come in the order of their ids.
func (t *tree) add(card uuid.UUID, at position) {
	leaf := append(make([]byte, 0, 64), leafPrefix)
	leaf = append(leaf, card[:]...)
	leaf = binary.BigEndian.AppendUint64(leaf, uint64(at.seq)) //nolint:gosec // the bit pattern is what is hashed
	leaf = append(leaf, at.digest[:]...)
	t.cards++
	t.transactions += at.seq
	t.subtrees = append(t.subtrees, subtree{sha256.Sum256(leaf), 1})
	for n := len(t.subtrees); n > 1 && t.subtrees[n-1].leaves == t.subtrees[n-2].leaves; n-- {
		t.join()
	}
}

// join replaces the last two subtrees by the one above them.
func (t *tree) join() {
	n := len(t.subtrees)
	left, right := t.subtrees[n-2], t.subtrees[n-1]
	node := append(make([]byte, 0, 1+2*len(left.hash)), nodePrefix)
	node = append(append(node, left.hash[:]...), right.hash[:]...)
	t.subtrees = append(t.subtrees[:n-2], subtree{sha256.Sum256(node), left.leaves + right.leaves})
}

// sum is the head of the cards added. Without any it is the hash of nothing.
func (t *tree) sum(account string) AccountHead {
	head := AccountHead{Account: account, Root: sha256.Sum256(nil), Cards: t.cards, Transactions: t.transactions}
	rest := tree{subtrees: append([]subtree(nil), t.subtrees...)}
	for len(rest.subtrees) > 1 {
		rest.join()
	}
	if len(rest.subtrees) == 1 {
		head.Root = rest.subtrees[0].hash
	}
	return head
}
