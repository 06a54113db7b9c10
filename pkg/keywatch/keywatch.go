// Package keywatch sees to it that a server has all data keys of its database, from its
// start and for as long as it runs.
//
// Purpose: a new data key reaches several servers one after the other. Until a server
// has it, the tokens that others made under it do not exist for that server, and it
// could give out their values once more. So a key is noted in the database first and
// used for tokens only when every server that lacks it has had to notice.
//
// Non-goals: the keys themselves (cardcode) and who writes them where (the command).
//
// The surprising decision: which key is the current one is decided by the database and
// not by the file. A file says which one should be; a batch of operations asks the
// database, if there is more than one key to choose from.
package keywatch

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
)

// Times of a watch on PostgreSQL.
const (
	// interval is how often the database is asked which keys it has noted.
	interval = 5 * time.Second
	// soon is how long after a question without an answer the next one is asked: the
	// database may be back, and nobody is served until it has answered.
	soon = 200 * time.Millisecond
	// patience is for how long after it has asked a server goes on without a new answer.
	patience = 30 * time.Second
	// tries is how often it may ask in vain before that, on connections that are cut off.
	tries = 3
	// delay is for how long a noted key is not used for tokens yet: patience, and what
	// the slowest operation may take that was let in before.
	delay = 5 * time.Minute
	// settled is after how long a noted key is used without a delay, by the clocks of
	// two servers, which may differ by the rest.
	settled = 2 * delay
)

// Options are a watch's surroundings. Times of zero are the usual ones.
type Options struct {
	Log                       *slog.Logger
	Interval, Patience, Delay time.Duration
}

// Watch is a server's look at the data keys of its database. It is safe for concurrent
// use.
type Watch struct {
	store *repository.Store
	keys  []repository.DataKey
	o     Options

	// until is when the last answer has become too old. Nil says that there is nothing
	// to ask: a SQLite database has one server.
	until atomic.Pointer[time.Time]
	// doubted asks the watch to ask at once.
	doubted chan struct{}

	useAt time.Time // when the first key becomes the current one; zero when it is
	stop  context.CancelFunc
	ended chan struct{}
}

// Start notes the current key of a keyring in the database and begins to watch. The error
// wraps [repository.ErrOtherDataKey] or [repository.ErrMissingDataKey] where the keyring
// lacks keys of the database.
func Start(ctx context.Context, store *repository.Store, keys cardcode.Keyring, o Options) (*Watch, error) {
	o.Interval, o.Patience, o.Delay = orDefault(o.Interval, interval), orDefault(o.Patience, patience), orDefault(o.Delay, delay)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	w := &Watch{store: store, o: o, stop: func() {}, ended: make(chan struct{}), doubted: make(chan struct{})}
	for _, key := range keys.All() {
		w.keys = append(w.keys, repository.DataKey{ID: key.ID(), Fingerprint: key.Fingerprint()})
	}
	asked := time.Now()
	known, err := store.ClaimDataKeys(ctx, w.keys, ledger.MicrosOf(asked))
	if err != nil {
		return nil, err
	}
	if err := w.introduce(ctx, &known); err != nil {
		return nil, err
	}
	if !store.Postgres() {
		close(w.ended)
		return w, nil
	}
	w.extend(asked)
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	go w.run(ctx)
	return w, nil
}

func orDefault(given, usual time.Duration) time.Duration {
	if given > 0 {
		return given
	}
	return usual
}

// introduce makes the first key the current one, now or later.
func (w *Watch) introduce(ctx context.Context, known *repository.DataKeys) error {
	first := w.keys[0].ID
	if known.Used(first) {
		if known.Current != first {
			w.o.Log.Warn("new tokens stay under a newer data key than the one that comes first", "first", first, "current", known.Current)
		}
		return nil
	}
	if w.store.Postgres() && known.Current != "" && !hasSettled(known, first) {
		w.useAt = time.Now().Add(w.o.Delay)
		w.o.Log.Info("a new data key is announced; new tokens are hashed under it later, when every other server has noticed",
			"key", first, "until_then", known.Current, "delay", w.o.Delay.String())
		return nil
	}
	return w.use(ctx)
}

func hasSettled(known *repository.DataKeys, id string) bool {
	for i := range known.Noted {
		if known.Noted[i].ID == id {
			return time.Since(known.Noted[i].NotedAt.Time()) > settled
		}
	}
	return false
}

func (w *Watch) use(ctx context.Context) error {
	if err := w.store.UseDataKey(ctx, w.keys[0].ID, ledger.MicrosOf(time.Now())); err != nil {
		return fmt.Errorf("use the new data key: %w", err)
	}
	w.useAt = time.Time{}
	w.o.Log.Info("new tokens are hashed under a new data key", "key", w.keys[0].ID)
	return nil
}

// Complete tells whether the server has every key that may have hashed something in the
// database. It costs next to nothing.
func (w *Watch) Complete() bool {
	until := w.until.Load()
	if until == nil {
		return true
	}
	// By both clocks: the steady one may have stood still while the machine was suspended.
	now := time.Now()
	if now.Before(*until) && now.Round(0).Before(until.Round(0)) {
		return true
	}
	select {
	case w.doubted <- struct{}{}: // the clock may have been put forward, that is all
	default:
	}
	return false
}

// Close ends the watch.
func (w *Watch) Close() {
	w.stop()
	<-w.ended
}

// extend notes an answer to what was asked at a moment: a key that has been noted since
// then is in use after more than patience.
func (w *Watch) extend(asked time.Time) {
	until := asked.Add(w.o.Patience)
	w.until.Store(&until)
}

func (w *Watch) run(ctx context.Context) {
	defer close(w.ended)
	isSilent := false
	for {
		pause, doubted := w.o.Interval, w.doubted
		if isSilent { // and then not at once, however many ask for it
			pause, doubted = min(pause, soon), nil
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		case <-doubted:
		}
		known, err := w.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !isSilent {
				w.o.Log.Warn("the database does not tell its data keys", "error", err)
			}
			isSilent = true
			continue
		}
		isSilent = false
		if err := known.Missing(w.keys); err != nil { // for good: no key is ever forgotten
			w.until.Store(&time.Time{})
			w.o.Log.Error("this server lacks a data key and answers nothing any more; restart it with the keys that the other servers have", "error", err)
			return
		}
		if !w.useAt.IsZero() && !time.Now().Before(w.useAt) {
			if err := w.use(ctx); err != nil {
				w.o.Log.Warn("a new data key cannot be used yet", "error", err)
			}
		}
	}
}

// ask reads the keys and, where none is missing, extends the time of the watch.
func (w *Watch) ask(ctx context.Context) (repository.DataKeys, error) {
	ctx, cancel := context.WithTimeout(ctx, w.o.Patience/tries)
	defer cancel()
	asked := time.Now()
	known, err := w.store.DataKeys(ctx)
	if err == nil && known.Missing(w.keys) == nil {
		w.extend(asked)
	}
	return known, err
}
