package audit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/kortwallet/kort/pkg/audit"
)

// verify audits and must get to the end.
func (db *database) verify(o audit.Options) audit.Report {
	db.t.Helper()
	report, err := audit.Verify(context.Background(), db.store, o)
	if err != nil {
		db.t.Fatalf("verify: %v", err)
	}
	return report
}

// clean fails for each finding.
func (db *database) clean(o audit.Options) audit.Report {
	db.t.Helper()
	report := db.verify(o)
	for _, f := range report.Findings.First {
		db.t.Error(f)
	}
	if !report.OK() {
		db.t.Fatalf("%d findings", report.Findings.Total)
	}
	return report
}

func TestVerifyOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	onBoth(t, func(_ *testing.T, db *database) {
		if report := db.clean(audit.Options{}); report.Scope != (audit.Scope{}) {
			db.t.Errorf("audited %+v of nothing", report.Scope)
		}
	})
}

func TestVerifyOfWhatThePosterWrote(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		const steps = 700
		for i := range 3 {
			newWorkload(db, fmt.Sprintf("T0000000%d", i), uint64(i)).run(steps) //nolint:gosec // small
		}
		db.fixture("P12345678")
		all := db.clean(audit.Options{})
		if all.Accounts != 4 || all.Cards < 50 || all.Transactions < steps/2 || all.Tokens < 50 {
			t.Errorf("audited only %+v", all.Scope)
		}
		var sum audit.Scope
		for _, account := range []string{"P12345678", "T00000000", "T00000001", "T00000002"} {
			one := db.clean(audit.Options{Account: account}).Scope
			sum.Accounts += one.Accounts
			sum.Cards += one.Cards
			sum.Transactions += one.Transactions
			sum.Tokens += one.Tokens
		}
		if sum != all.Scope {
			t.Errorf("one by one: %+v, all together: %+v", sum, all.Scope)
		}
	})
}

// TestVerifyWhileServersWrite audits many snapshots while two accounts are
// written to.
func TestVerifyWhileServersWrite(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		stop, writers := make(chan struct{}), sync.WaitGroup{}
		for i := range 2 {
			writers.Go(func() {
				for w := newWorkload(db, fmt.Sprintf("T1000000%d", i), uint64(10+i)); ; { //nolint:gosec // small
					select {
					case <-stop:
						return
					default:
						w.run(10)
					}
				}
			})
		}
		sizes := map[int64]bool{}
		for audits := 0; len(sizes) < 8 && audits < 2_000; audits++ {
			sizes[db.clean(audit.Options{}).Transactions] = true
		}
		close(stop)
		writers.Wait()
		db.clean(audit.Options{})
		if len(sizes) < 8 {
			t.Errorf("only %d different states were audited", len(sizes))
		}
	})
}

func TestProgress(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		newWorkload(db, "T00000001", 3).run(300)
		for _, account := range []string{"", "T00000001"} {
			var calls int
			var last, lastTotal int64
			report := db.clean(audit.Options{Account: account, Progress: func(done, total int64) {
				if done < last || total < done {
					t.Errorf("progress %d of %d after %d", done, total, last)
				}
				calls, last, lastTotal = calls+1, done, total
			}})
			if calls < 2 || last != report.Transactions || lastTotal != last {
				t.Errorf("account %q: %d calls, the last about %d of %d, %d transactions",
					account, calls, last, lastTotal, report.Transactions)
			}
		}
	})
}

func TestVerifyStopsWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		newWorkload(db, "T00000001", 3).run(100)
		ctx, cancel := context.WithCancel(context.Background())
		_, err := audit.Verify(ctx, db.store, audit.Options{Progress: func(int64, int64) { cancel() }})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("verify: %v", err)
		}
	})
}

func TestVerifyOfAnUnknownAccount(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		db.fixture("T00000001")
		if report := db.clean(audit.Options{Account: "T99999999"}); report.Cards != 0 || report.Transactions != 0 {
			t.Errorf("audited %+v", report.Scope)
		}
	})
}

// TestReportIsBounded counts all findings and keeps the first.
func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *database) {
		db.fixture("T00000001")
		db.exec("UPDATE transactions SET created_by = 'somebody else'")
		report := db.verify(audit.Options{MaxFindings: 3})
		if len(report.Findings.First) != 3 || report.Findings.Total < report.Transactions {
			t.Errorf("%d findings kept of %d", len(report.Findings.First), report.Findings.Total)
		}
	})
}
