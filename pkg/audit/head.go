package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// AccountHead condenses an account: who kept an earlier head can tell that the
// history it stands for is still there.
type AccountHead struct {
	Account      string
	Root         ledger.Digest // the Merkle root over the cards in the order of their ids
	Cards        int64         // deleted ones included
	Transactions int64
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
				t.add(&cards[i].Card)
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
func (t *tree) add(c *ledger.Card) {
	leaf := append(make([]byte, 0, 64), leafPrefix)
	leaf = append(leaf, c.ID[:]...)
	leaf = binary.BigEndian.AppendUint64(leaf, uint64(c.Seq)) //nolint:gosec // the bit pattern is what is hashed
	leaf = append(leaf, c.Digest[:]...)
	t.cards++
	t.transactions += c.Seq
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
