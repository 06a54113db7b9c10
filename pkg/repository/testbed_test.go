package repository

import (
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kortwallet/kort/pkg/ledger"
)

func openTestbed(t *testing.T, aside string) (*Store, *Testbed) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kort.db")
	s, err := Open(t.Context(), Options{SQLitePath: path, Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	bed, err := OpenTestbed(t.Context(), path, aside)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bed.Close() })
	return s, bed
}

// Nothing of an account with real money is ever removed.
func TestTestbedLeavesLiveAccountsAlone(t *testing.T) {
	t.Parallel()
	_, bed := openTestbed(t, "")
	const live = "P00000001"
	_, restored := bed.Restore(t.Context(), live, "x")
	for name, err := range map[string]error{
		"clear":   bed.Clear(t.Context(), live),
		"save":    bed.Save(t.Context(), live, Snapshot{Name: "x"}),
		"restore": restored,
		"drop":    bed.Drop(t.Context(), live, "x"),
	} {
		if err == nil || !strings.Contains(err.Error(), "no test account") {
			t.Errorf("%s of a live account: %v", name, err)
		}
	}
}

// A table of rows of accounts that the testbed does not know would be left behind when an account is put back.
func TestTestbedKnowsAllTables(t *testing.T) {
	t.Parallel()
	s, bed := openTestbed(t, "")
	var tables []string
	const text = `SELECT m.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c ON c.name = 'account_id'
		WHERE m.type = 'table' AND m.name NOT LIKE 'card_search_grams%'
		AND m.name NOT IN ('api_clients', 'client_grants') ORDER BY m.name`
	if err := s.read.NewRaw(text).Scan(t.Context(), &tables); err != nil {
		t.Fatal(err)
	}
	tables = slices.DeleteFunc(tables, func(table string) bool { return table == passingTable || table == settingTable })
	if len(tables) != len(accountTables) {
		t.Errorf("the tables are %v, the testbed knows %v", tables, accountTables)
	}
	for _, table := range tables {
		if bed.columns[table] == "" {
			t.Errorf("the testbed does not know %s", table)
		}
	}
}

func TestTestbedRefusesSnapshotsOfAnotherSchema(t *testing.T) {
	t.Parallel()
	aside := filepath.Join(t.TempDir(), "snapshots.db")
	old, err := sql.Open("sqlite", aside)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.ExecContext(t.Context(), "CREATE TABLE cards (snapshot TEXT, account_id TEXT, id TEXT)"); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s, _ := openTestbed(t, "")
	if bed, err := OpenTestbed(t.Context(), s.path, aside); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("it is opened: %v %v", bed, err)
	}
}

func TestTestbedUsed(t *testing.T) {
	t.Parallel()
	_, bed := openTestbed(t, "")
	const account = "T00000001"
	check := func(want bool) {
		t.Helper()
		if used, err := bed.Used(t.Context(), account); err != nil || used != want {
			t.Errorf("used is %t, want %t: %v", used, want, err)
		}
	}
	check(false)
	if err := bed.Save(t.Context(), account, Snapshot{Name: "x", TakenAt: ledger.Micros(7), Note: "n"}); err != nil {
		t.Fatal(err)
	}
	check(true)
	if s, err := bed.Restore(t.Context(), account, "x"); err != nil || s != (Snapshot{Name: "x", TakenAt: 7, Note: "n"}) {
		t.Errorf("restored is %+v: %v", s, err)
	}
	if err := bed.Drop(t.Context(), account, "x"); err != nil {
		t.Fatal(err)
	}
	if err := bed.Drop(t.Context(), account, "x"); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("dropped twice: %v", err)
	}
	check(false)
}
