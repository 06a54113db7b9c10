package posting

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// logged collects a log that committers write.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// expect takes what was logged so far, and wants lines that hold each of the texts.
func (l *logged) expect(t *testing.T, texts ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.text.String()
	l.text.Reset()
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%q is not in the log:\n%s", text, all)
		}
	}
	if len(texts) == 0 && all != "" {
		t.Errorf("logged:\n%s", all)
	}
}

// Callers are told no more than that posting failed; the cause is in the log.
func TestCausesAreLogged(t *testing.T) {
	t.Parallel()
	each(t, Options{}, func(t *testing.T, b *bench) {
		var log logged
		b.Poster = newPoster(t, b.store, Options{Log: log.logger()})
		b.must(t, creation(t, "sound", 1))
		b.must(t, creation(t, "broken", 1))
		log.expect(t)
		b.raw.MustExec(t, "UPDATE cards SET digest = 'no digest' WHERE card_id = 'broken'")
		fund := func(card, ref string) ledger.Operation { return transact(t, ledger.ActionFund, card, ref, 1) }
		if _, err := b.Submit(t.Context(), repotest.Account, fund("broken", "alone")); !errors.Is(err, ErrInternal) {
			t.Errorf("on the broken card: %v, want ErrInternal", err)
		}
		log.expect(t, `msg="an operation failed"`, "account="+repotest.Account, "digest")
		g, held := b.hold(t, repotest.Account)
		good := b.begin(t.Context(), repotest.Account, fund("sound", "good"))
		bad := b.begin(t.Context(), repotest.Account, fund("broken", "bad"))
		b.queued(t, 2)
		g.release()
		_, _ = held.wait(t)
		if _, err := bad.wait(t); !errors.Is(err, ErrInternal) {
			t.Errorf("on the broken card: %v, want ErrInternal", err)
		}
		if _, err := good.wait(t); err != nil {
			t.Errorf("on the sound card: %v", err)
		}
		log.expect(t, `msg="a batch failed, its operations are tried one by one"`, "operations=2", `msg="an operation failed"`)
		if _, err := b.Submit(t.Context(), repotest.Account, &ledger.RotatePIN{CardID: "sound", ID: repotest.ID(t)}); !errors.Is(err, ErrInternal) {
			t.Errorf("an operation that panics: %v, want ErrInternal", err)
		}
		log.expect(t, `msg="an operation panicked"`, "stack=")
		if _, err := b.Submit(t.Context(), repotest.Account, (*ledger.Transact)(nil)); !errors.Is(err, ErrInternal) {
			t.Errorf("an operation that cannot even be loaded: %v, want ErrInternal", err)
		}
		log.expect(t, `msg="an operation panicked"`, "stack=", `msg="an operation failed"`)
	})
}
