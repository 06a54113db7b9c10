package keywatch_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/keywatch"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/repository"
	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// patience bounds every wait in these tests, on a busy machine.
const patience = 30 * time.Second

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("%s: not within %s", what, patience)
}

func newKey(t *testing.T) cardcode.Key {
	t.Helper()
	key, err := cardcode.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) has(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.text.String(), text)
}

// installation is a database with servers.
type installation struct {
	d   repotest.Database
	log *journal
	o   keywatch.Options
}

func newInstallation(d repotest.Database) *installation {
	i := &installation{d: d, log: &journal{}}
	i.o = keywatch.Options{
		Log:      slog.New(slog.NewJSONHandler(i.log, nil)),
		Interval: 20 * time.Millisecond, Patience: patience, Delay: time.Hour,
	}
	return i
}

// start starts a server's watch on a store of its own.
func (i *installation) start(t *testing.T, keys cardcode.Keyring) (*keywatch.Watch, error) {
	t.Helper()
	w, err := keywatch.Start(t.Context(), repotest.Open(t, i.d.Options), keys, i.o)
	if err == nil {
		t.Cleanup(w.Close) // before the store
	}
	return w, err
}

func (i *installation) mustStart(t *testing.T, keys cardcode.Keyring) *keywatch.Watch {
	t.Helper()
	w, err := i.start(t, keys)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (i *installation) current(t *testing.T) string {
	t.Helper()
	known, err := i.d.DataKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return known.Current
}

func onPostgres(t *testing.T) *installation {
	t.Helper()
	return newInstallation(repotest.Migrated(t, repotest.Postgres(t)))
}

func TestOneKey(t *testing.T) {
	t.Parallel()
	repotest.EachDatabase(t, func(t *testing.T, d repotest.Database) {
		i, key := newInstallation(d), newKey(t)
		for range 2 {
			if w := i.mustStart(t, cardcode.NewKeyring(key)); !w.Complete() || i.current(t) != key.ID() {
				t.Fatalf("complete: %v, current: %s", w.Complete(), i.current(t))
			}
		}
		if _, err := i.start(t, cardcode.NewKeyring(newKey(t))); !errors.Is(err, repository.ErrOtherDataKey) {
			t.Errorf("another key: %v", err)
		}
		if _, err := i.start(t, cardcode.NewKeyring(newKey(t), newKey(t), key)); err != nil {
			t.Errorf("with the key among the old ones: %v", err)
		}
		if _, err := i.start(t, cardcode.NewKeyring(key)); !errors.Is(err, repository.ErrMissingDataKey) {
			t.Errorf("without the newest: %v", err)
		}
	})
}

// A SQLite database has one server, which nobody has to be told.
func TestNewKeyIsUsedAtOnceOnSQLite(t *testing.T) {
	t.Parallel()
	i := newInstallation(repotest.Migrated(t, repotest.SQLite(t)))
	before, next := newKey(t), newKey(t)
	i.mustStart(t, cardcode.NewKeyring(before))
	i.mustStart(t, cardcode.NewKeyring(next, before))
	if i.current(t) != next.ID() {
		t.Error("the new key is not in use")
	}
	i.mustStart(t, cardcode.NewKeyring(before, next))
	if i.current(t) != next.ID() || !i.log.has("new tokens stay under a newer data key") {
		t.Error("an older key was put to use again, or nothing is said of it")
	}
}

// A rotation in one step: who lacks the new key stops long before it is used.
func TestServerWithoutTheNewKeyStops(t *testing.T) {
	t.Parallel()
	i := onPostgres(t)
	before, next := newKey(t), newKey(t)
	late := i.mustStart(t, cardcode.NewKeyring(before))
	first := i.mustStart(t, cardcode.NewKeyring(next, before))
	eventually(t, "the other server stops", func() bool { return !late.Complete() })
	if i.current(t) != before.ID() || !first.Complete() {
		t.Errorf("complete: %v, current: %s", first.Complete(), i.current(t))
	}
	eventually(t, "it says why", func() bool { return i.log.has("lacks a data key") && i.log.has(next.ID()) })
	for _, secret := range []cardcode.Key{before, next} {
		if i.log.has(secret.Reveal()) {
			t.Error("the log shows a key")
		}
	}
}

// A rotation in two steps stops nobody; the key is used when its time has come.
func TestRotationInTwoSteps(t *testing.T) {
	t.Parallel()
	i := onPostgres(t)
	i.o.Delay = 300 * time.Millisecond
	before, next := newKey(t), newKey(t)
	i.mustStart(t, cardcode.NewKeyring(before))
	prepared := i.mustStart(t, cardcode.NewKeyring(before, next))
	if i.current(t) != before.ID() {
		t.Fatal("a key to come is used")
	}
	began := time.Now()
	promoted := i.mustStart(t, cardcode.NewKeyring(next, before))
	eventually(t, "the new key is used", func() bool { return i.current(t) == next.ID() })
	if waited := time.Since(began); waited < i.o.Delay {
		t.Errorf("it was used after %s", waited)
	}
	if !prepared.Complete() || !promoted.Complete() {
		t.Error("a server with both keys has stopped")
	}
}

// A server that was stopped while it waited does not wait again for ever.
func TestOldAnnouncementIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	i := onPostgres(t)
	before, next := newKey(t), newKey(t)
	i.mustStart(t, cardcode.NewKeyring(before)).Close()
	for _, c := range []struct {
		age  time.Duration
		want cardcode.Key
	}{{0, before}, {9 * time.Minute, before}, {11 * time.Minute, next}} {
		noted := ledger.MicrosOf(time.Now().Add(-c.age))
		i.mustStart(t, cardcode.NewKeyring(next, before)).Close()
		update := fmt.Sprintf("UPDATE data_keys SET created_at = %d WHERE key_id = '%s'", noted, next.ID())
		if err := i.d.Raw(t).Exec(update); err != nil {
			t.Fatal(err)
		}
		i.mustStart(t, cardcode.NewKeyring(next, before)).Close()
		if got := i.current(t); got != c.want.ID() {
			t.Errorf("noted %s ago: %s is current", c.age, got)
		}
	}
}

// Without answers from the database a server does not know what others have noted.
func TestSilentDatabaseStopsTheServer(t *testing.T) {
	t.Parallel()
	i := onPostgres(t)
	i.o.Patience = 3 * time.Second
	w := i.mustStart(t, cardcode.NewKeyring(newKey(t)))
	for began := time.Now(); time.Since(began) < i.o.Patience+time.Second; time.Sleep(time.Millisecond) {
		eventually(t, "go on while there are answers", w.Complete)
	}
	rename := func(from, to string) {
		t.Helper()
		if err := i.d.Raw(t).Exec("ALTER TABLE " + from + " RENAME TO " + to); err != nil {
			t.Fatal(err)
		}
	}
	rename("data_keys", "hidden")
	eventually(t, "the server stops", func() bool { return !w.Complete() })
	rename("hidden", "data_keys")
	eventually(t, "the server goes on", w.Complete)
	if !i.log.has("does not tell its data keys") {
		t.Error("nothing is said of it")
	}
}

// A server whose answer has become too old asks as soon as somebody wants to be served,
// and while it is told nothing again and again: it does not wait for its next turn.
func TestServerGoesOnAtOnce(t *testing.T) {
	t.Parallel()
	i := onPostgres(t)
	const briefly = 300 * time.Millisecond
	i.o.Interval, i.o.Patience = time.Hour, briefly
	w := i.mustStart(t, cardcode.NewKeyring(newKey(t)))
	for range 2 {
		eventually(t, "the answer becomes old", func() bool { return !w.Complete() })
		eventually(t, "it asks and goes on", w.Complete)
	}
	raw := i.d.Raw(t)
	raw.MustExec(t, "ALTER TABLE data_keys RENAME TO hidden")
	eventually(t, "it is told nothing", func() bool { return !w.Complete() && i.log.has("does not tell its data keys") })
	raw.MustExec(t, "ALTER TABLE hidden RENAME TO data_keys")
	eventually(t, "it goes on by itself", w.Complete)
}
