package config

import (
	"strings"
	"testing"
	"time"
)

func TestBench(t *testing.T) {
	t.Parallel()
	usual := Bench{Engine: "both", Connections: 64, Cards: 10000, Accounts: 1000, ListCards: 1000, HistoryTxns: 1000, OverloadConnections: 10, GrowthCards: 10, GrowthTxns: 10, Duration: 5 * time.Second, Runs: 3}
	tests := []struct {
		name   string
		change func(*Bench)
		want   []string // settings with a problem
	}{
		{"the defaults", func(*Bench) {}, nil},
		{"one of each", func(b *Bench) {
			b.Connections, b.Cards, b.Runs, b.Duration = 1, 1, 1, minBenchDuration
			b.Accounts, b.ListCards, b.HistoryTxns = 1, 1, 1
		}, nil},
		{"a URL", func(b *Bench) { b.DatabaseURL = "postgres://kort@db.example.com/postgres" }, nil},
		{"none of each", func(b *Bench) { b.Connections, b.Cards, b.Runs, b.Duration = 0, 0, 0, 0 }, []string{"--connections", "--cards", "--runs", "--duration"}},
		{"too many", func(b *Bench) { b.Connections, b.Cards, b.Runs, b.Duration = 1001, 1_000_001, 101, 2*time.Hour }, []string{"--connections", "--cards", "--runs", "--duration"}},
		{"no data to list", func(b *Bench) { b.Accounts, b.ListCards, b.HistoryTxns = 0, 0, 0 }, []string{"--accounts", "--list-cards", "--history-transactions"}},
		{"no URL", func(b *Bench) { b.DatabaseURL = "secret@db" }, []string{"--database-url"}},
		{"settings", func(b *Bench) { b.PostgresSettings = []string{"shared_buffers = 2GB"} }, nil},
		{"settings of another server", func(b *Bench) {
			b.PostgresSettings, b.DatabaseURL = []string{"shared_buffers = 2GB"}, "postgres://kort@db.example.com/postgres"
		}, []string{"--postgres-setting"}},
		{"settings of no server", func(b *Bench) { b.Engine, b.PostgresSettings = "sqlite", []string{"x = 1"} }, []string{"--postgres-setting"}},
		{"another engine than that of the URL", func(b *Bench) { b.Engine, b.DatabaseURL = "sqlite", "postgres://db/x" }, []string{"--database-url"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			settings := usual
			test.change(&settings)
			err := settings.Validate()
			if len(test.want) == 0 {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("accepted")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.want) {
				t.Errorf("problems:\n%v\nwant %v", err, test.want)
			}
			for i, want := range test.want {
				if i < len(lines) && !strings.HasPrefix(lines[i], want) {
					t.Errorf("problem %q, want one with %s", lines[i], want)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the URL is in the message: %v", err)
			}
		})
	}
}

func TestBenchEngines(t *testing.T) {
	t.Parallel()
	for engine, want := range map[string][2]bool{"both": {true, true}, "sqlite": {true, false}, "postgres": {false, true}} {
		if b := (Bench{Engine: engine}); b.SQLite() != want[0] || b.Postgres() != want[1] {
			t.Errorf("%s: sqlite %t, postgres %t", engine, b.SQLite(), b.Postgres())
		}
	}
}
