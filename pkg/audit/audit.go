package audit

import (
	"context"

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
	// Heads asks Verify for the head of each account.
	Heads bool
	// Apply makes Rebuild write. Without it nothing changes.
	Apply bool
}

func (o Options) maxFindings() int {
	if o.MaxFindings > 0 {
		return o.MaxFindings
	}
	return DefaultMaxFindings
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
	w := newWalker(&report.Scope, o, report.Findings.add)
	w.finish = func(h *history) error {
		w.checkCard(h)
		return nil
	}
	if o.Heads {
		w.headed = func(head AccountHead) { report.Heads = append(report.Heads, head) }
	}
	err := w.walk(ctx, store, true)
	return report, err
}
