package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// DefaultMaxFindings is how many findings a report keeps when nothing else is asked.
const DefaultMaxFindings = 100

// Options say what to audit.
type Options struct {
	// Account limits the audit to one account. Empty means all.
	Account string
	// Progress, when set, is told how many of about how many transactions are done.
	Progress func(done, total int64)
	// MaxFindings bounds how many findings are kept; all are counted. 0 means
	// DefaultMaxFindings.
	MaxFindings int
	// Heads asks Verify for the head of each account, of what was made up to Until; 0
	// means everything.
	Heads bool
	Until ledger.Micros
	// Against are heads that were kept. Verify reports those that are not what the
	// history makes of them now. With Account, all are of that account.
	Against []AccountHead
	// Save is written what Verify has verified. Only when it found nothing may that be
	// used as Since of a later one.
	Save *StateWriter
	// Since limits Verify to what came after a saved state, which it reads to its end, and
	// to what can be seen of the rest without reading old rows. With Account, the state
	// may be one of all accounts. It goes together with neither Heads nor Against.
	//
	// Of every card the row is compared: projected columns with the state and what came
	// since, open holds one by one, and the transaction with which the state ends by its
	// digest. New transactions are checked as always. What is not seen is an old
	// transaction, other than that one, or a settled hold that was edited in its place,
	// and rows without a card; tokens are checked only where new transactions name them.
	Since *State
	// Apply makes Rebuild write. Without it nothing changes.
	Apply bool
}

func (o Options) maxFindings() int {
	if o.MaxFindings > 0 {
		return o.MaxFindings
	}
	return DefaultMaxFindings
}

// check finds options that do not go together.
func (o *Options) check() error {
	switch {
	case o.Since == nil:
		return nil
	case o.Heads || len(o.Against) > 0:
		return errors.New("heads need all of the history, and not what came since a saved state")
	case o.Since.Account != "" && o.Since.Account != o.Account:
		return fmt.Errorf("%w: it is of account %s alone", ErrState, o.Since.Account)
	}
	return nil
}

// Scope says what an audit has looked at.
type Scope struct {
	Accounts, Cards, Transactions, Tokens int64
}

// Report is what Verify found.
type Report struct {
	Scope
	Findings Findings
	Heads    []AccountHead // by account, when they were asked for
}

// OK tells whether nothing disagrees.
func (r *Report) OK() bool { return r.Findings.Total == 0 }

// Verify compares, in one snapshot, everything that is stored twice: projections
// with their history, histories with their digests, holds and tokens with their
// transactions. Servers go on writing meanwhile. Findings are no error; an error
// means that the audit did not get to its end, and then the report covers only
// what came before.
func Verify(ctx context.Context, store *repository.Store, o Options) (Report, error) {
	report := Report{Findings: Findings{limit: o.maxFindings()}}
	if err := o.check(); err != nil {
		return report, err
	}
	w := newWalker(&report.Scope, o, report.Findings.add)
	w.finish = func(h *history) error {
		w.checkCard(h)
		return nil
	}
	if o.Heads {
		w.headed = func(head AccountHead) { report.Heads = append(report.Heads, head) }
	}
	err := w.walk(ctx, store, true)
	if err == nil {
		w.compareRest()
	}
	return report, err
}
