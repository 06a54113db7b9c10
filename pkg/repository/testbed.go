package repository

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/uptrace/bun"

	"github.com/kortwallet/kort/pkg/ledger"
)

// testAccountPrefix is what the numbers of test accounts begin with. A testbed touches no other account.
const testAccountPrefix = "T"

// accountTables are all tables with rows of accounts that are put aside. API clients and their grants are not: whoever restores an
// account wants to go on with them.
var accountTables = []string{"cards", "holds", "tokens", "transactions", "card_search"}

// passingTable has what is on its way about rows of accounts: it goes with them, and is never put back.
const passingTable = "hook_deliveries"

// settingTable has what was set up for an account, whatever cards it has: it stays.
const settingTable = "hook_subscriptions"

// ErrNoSnapshot means that an account has no snapshot of that name.
var ErrNoSnapshot = errors.New("there is no such snapshot")

// Testbed does to the test accounts of an embedded database what a ledger never does: it empties them, and puts their
// rows aside and back. Only a sandbox opens one. It is safe for concurrent use, and nothing of the account it is asked
// about may be read or written meanwhile.
type Testbed struct {
	mu   sync.Mutex
	pool *bun.DB
	conn bun.Conn // the one connection that has the snapshots attached
	// columns are those of each table that are stored, and not worked out from others.
	columns map[string]string
}

// Snapshot is a name under which rows of an account were put aside.
type Snapshot struct {
	Name    string
	TakenAt ledger.Micros
	// Note is what the caller wants to know again when it restores the snapshot.
	Note string
}

// OpenTestbed opens the database file of a store that is migrated. Snapshots are kept in a file of their own, or, if aside is
// empty, until the testbed is closed.
func OpenTestbed(ctx context.Context, database, aside string) (*Testbed, error) {
	if aside == "" {
		aside = ":memory:"
	}
	path, err := filepath.Abs(database)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", database, err)
	}
	pool, err := openPool(path, url.Values{
		"_txlock": {"immediate"}, "_pragma": {fmt.Sprintf("busy_timeout(%s)", milliseconds(busyTimeout)), "synchronous(NORMAL)"},
	}, 1)
	if err != nil {
		return nil, err
	}
	t := &Testbed{pool: pool, columns: map[string]string{}}
	if err := t.attach(ctx, aside); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// attach adds the snapshots to the connection, and makes a table for the rows of each table.
func (t *Testbed) attach(ctx context.Context, aside string) (err error) {
	if t.conn, err = t.pool.Conn(ctx); err != nil {
		return fmt.Errorf("open the database: %w", classify(err))
	}
	if _, err := t.conn.ExecContext(ctx, "ATTACH DATABASE ? AS aside", aside); err != nil {
		return fmt.Errorf("open the snapshots: %w", classify(err))
	}
	create := `CREATE TABLE IF NOT EXISTS aside.snapshots (account_id TEXT NOT NULL, name TEXT NOT NULL, taken_at BIGINT NOT NULL,
		note TEXT NOT NULL, PRIMARY KEY (account_id, name))`
	if _, err := t.conn.ExecContext(ctx, create); err != nil {
		return fmt.Errorf("prepare the snapshots: %w", classify(err))
	}
	for _, table := range accountTables {
		if err := t.prepare(ctx, table); err != nil {
			return fmt.Errorf("prepare the snapshots of %s: %w", table, err)
		}
	}
	return nil
}

func (t *Testbed) prepare(ctx context.Context, table string) error {
	stored, err := t.columnsOf(ctx, "main", table)
	if err != nil {
		return err
	}
	t.columns[table] = strings.Join(stored, ", ")
	for _, text := range []string{
		"CREATE TABLE IF NOT EXISTS aside.{table} AS SELECT '' AS snapshot, {columns} FROM main.{table} LIMIT 0",
		"CREATE INDEX IF NOT EXISTS aside.{table}_of_snapshot ON {table} (account_id, snapshot)",
	} {
		if _, err := t.conn.ExecContext(ctx, filled(text, table, t.columns[table])); err != nil {
			return classify(err)
		}
	}
	kept, err := t.columnsOf(ctx, "aside", table)
	if err != nil {
		return err
	}
	if !slices.Equal(kept, append([]string{"snapshot"}, stored...)) {
		return errors.New("they are of another version of the schema; remove their file")
	}
	return nil
}

// filled puts the names of a table and of its columns into a statement, which come from accountTables and the schema.
func filled(text, table, columns string) string {
	return strings.NewReplacer("{table}", table, "{columns}", columns).Replace(text)
}

// columnsOf names the columns of a table that are stored.
func (t *Testbed) columnsOf(ctx context.Context, schema, table string) (names []string, err error) {
	err = t.conn.NewRaw("SELECT name FROM pragma_table_info(?, ?)", table, schema).Scan(ctx, &names)
	return names, classify(err)
}

// Close forgets the snapshots that are in no file.
func (t *Testbed) Close() error {
	var err error
	if t.conn.Conn != nil {
		err = t.conn.Close()
	}
	return errors.Join(err, t.pool.Close())
}

// Used tells whether an account has, or had, cards or snapshots.
func (t *Testbed) Used(ctx context.Context, account string) (used bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err = t.conn.NewRaw(`SELECT EXISTS (SELECT 1 FROM main.cards WHERE account_id = ?0)
		OR EXISTS (SELECT 1 FROM aside.snapshots WHERE account_id = ?0)`, account).Scan(ctx, &used)
	return used, classify(err)
}

// Clear removes all that an account has, except its snapshots and its subscriptions to events.
func (t *Testbed) Clear(ctx context.Context, account string) error {
	return t.change(ctx, account, func(tx *sql.Tx) error { return clearRows(ctx, tx, account) })
}

func clearRows(ctx context.Context, tx *sql.Tx, account string) error {
	// Nothing else removes entries of the search index, so that no trigger does.
	for _, table := range append(slices.Clone(accountTables), "card_search_grams", passingTable) {
		if _, err := tx.ExecContext(ctx, filled("DELETE FROM main.{table} WHERE account_id = ?", table, ""), account); err != nil {
			return fmt.Errorf("clear %s: %w", table, classify(err))
		}
	}
	return nil
}

// Save puts a copy of all that an account has aside. It replaces a snapshot of the same name.
func (t *Testbed) Save(ctx context.Context, account string, s Snapshot) error {
	return t.change(ctx, account, func(tx *sql.Tx) error {
		if _, err := drop(ctx, tx, account, s.Name); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO aside.snapshots (account_id, name, taken_at, note) VALUES (?, ?, ?, ?)",
			account, s.Name, int64(s.TakenAt), s.Note)
		if err != nil {
			return fmt.Errorf("save the snapshot: %w", classify(err))
		}
		for _, table := range accountTables {
			text := filled("INSERT INTO aside.{table} (snapshot, {columns}) SELECT ?, {columns} FROM main.{table} WHERE account_id = ?",
				table, t.columns[table])
			if _, err := tx.ExecContext(ctx, text, s.Name, account); err != nil {
				return fmt.Errorf("save %s: %w", table, classify(err))
			}
		}
		return nil
	})
}

// Restore brings an account back to a snapshot. The error may be [ErrNoSnapshot].
func (t *Testbed) Restore(ctx context.Context, account, name string) (s Snapshot, err error) {
	err = t.change(ctx, account, func(tx *sql.Tx) error {
		s.Name = name
		row := tx.QueryRowContext(ctx, "SELECT taken_at, note FROM aside.snapshots WHERE account_id = ? AND name = ?", account, name)
		if err := row.Scan(&s.TakenAt, &s.Note); errors.Is(err, sql.ErrNoRows) {
			return ErrNoSnapshot
		} else if err != nil {
			return fmt.Errorf("find the snapshot: %w", classify(err))
		}
		if err := clearRows(ctx, tx, account); err != nil {
			return err
		}
		for _, table := range accountTables {
			text := filled("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM aside.{table} WHERE account_id = ? AND snapshot = ?",
				table, t.columns[table])
			if _, err := tx.ExecContext(ctx, text, account, name); err != nil {
				return fmt.Errorf("restore %s: %w", table, classify(err))
			}
		}
		return nil
	})
	return s, err
}

// Drop forgets a snapshot. The error may be [ErrNoSnapshot].
func (t *Testbed) Drop(ctx context.Context, account, name string) error {
	return t.change(ctx, account, func(tx *sql.Tx) error {
		found, err := drop(ctx, tx, account, name)
		if err == nil && !found {
			err = ErrNoSnapshot
		}
		return err
	})
}

func drop(ctx context.Context, tx *sql.Tx, account, name string) (found bool, err error) {
	for _, table := range accountTables {
		text := filled("DELETE FROM aside.{table} WHERE account_id = ? AND snapshot = ?", table, "")
		if _, err := tx.ExecContext(ctx, text, account, name); err != nil {
			return false, fmt.Errorf("drop the snapshot's %s: %w", table, classify(err))
		}
	}
	dropped, err := tx.ExecContext(ctx, "DELETE FROM aside.snapshots WHERE account_id = ? AND name = ?", account, name)
	if err != nil {
		return false, fmt.Errorf("drop the snapshot: %w", classify(err))
	}
	n, err := dropped.RowsAffected()
	return n > 0, err
}

// Snapshots lists those of an account, by name.
func (t *Testbed) Snapshots(ctx context.Context, account string) (all []Snapshot, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err = t.conn.NewRaw("SELECT name, taken_at, note FROM aside.snapshots WHERE account_id = ? ORDER BY name", account).Scan(ctx, &all)
	return all, classify(err)
}

// change runs something in a transaction.
func (t *Testbed) change(ctx context.Context, account string, do func(*sql.Tx) error) (err error) {
	if !strings.HasPrefix(account, testAccountPrefix) {
		return fmt.Errorf("account %s is no test account", account)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	tx, err := t.conn.Conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", classify(err))
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", classify(err))
	}
	return nil
}
