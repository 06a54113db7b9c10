package bench

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kortwallet/kort/pkg/pgtest"
	"github.com/kortwallet/kort/pkg/repository"
)

// These keep a benchmark as short as it can be and still be one.
const (
	shortWindow = 100 * time.Millisecond
	fewCards    = 50
	fewTills    = 4
	fewAccounts = 3
	// Enough for a page far down, and for a history of more than one chunk.
	someListCards = 1000
	someHistory   = 1500
)

// serverProgram builds the command once for all tests.
var serverProgram = sync.OnceValues(func() (Program, error) {
	dir, err := os.MkdirTemp("", "kort-bench-test-")
	if err != nil {
		return Program{}, err
	}
	path := filepath.Join(dir, "kort")
	out, err := exec.Command("go", "build", "-o", path, "github.com/kortwallet/kort/cmd/kort").CombinedOutput()
	if err != nil {
		return Program{}, errors.New(string(out))
	}
	return Program{Path: path, Args: []string{"bench-server"}, Env: []string{"PATH=" + os.Getenv("PATH")}}, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if program, err := serverProgram(); err == nil {
		if err := os.RemoveAll(filepath.Dir(program.Path)); err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}

// onPostgres lets the tests on PostgreSQL take turns, so that each can tell whether
// the databases that are left are its own.
var onPostgres sync.Mutex

// onEachEngine runs a test on both engines. On PostgreSQL the URL is that of a
// database which the benchmark connects to and does not touch.
func onEachEngine(t *testing.T, test func(*testing.T, Options)) {
	t.Helper()
	program, err := serverProgram()
	if err != nil {
		t.Fatal(err)
	}
	options := Options{
		Server: program, Connections: fewTills, Cards: fewCards, Runs: 2, Duration: shortWindow, Version: "test",
		Accounts: fewAccounts, Parts: TargetParts(), ListCards: someListCards, HistoryTxns: someHistory,
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		o := options
		o.Engines, o.Dir = []Engine{SQLite}, t.TempDir()
		test(t, o)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		o := options
		o.Engines, o.Dir, o.PostgresURL = []Engine{Postgres}, t.TempDir(), pgtest.URL(t)
		onPostgres.Lock()
		defer onPostgres.Unlock()
		before := databases(t, o)
		test(t, o)
		for name := range databases(t, o) {
			if !before[name] {
				t.Errorf("the database %s is left", name)
			}
		}
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, o Options) {
		var last Progress
		phases := map[string]bool{}
		o.Observe = func(p Progress) {
			if p.Done < last.Done || p.Done > p.Total {
				t.Errorf("progress %s of %s after %s", p.Done, p.Total, last.Done)
			}
			last = p
			phases[p.Phase] = true
		}
		report, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Engines) != 1 || report.Machine.Cores == 0 {
			t.Fatalf("report %+v", report)
		}
		assertFigures(t, report.Engines[0])
		assertRows(t, report, o.Engines[0])
		if !phases[string(o.Engines[0])+": drawdown, one hot card, run 2 of 2"] {
			t.Errorf("phases %v", phases)
		}
		assertNothingLeft(t, o.Dir)
	})
}

// assertFigures checks what holds on any machine.
func assertFigures(t *testing.T, e EngineResult) {
	t.Helper()
	var measured int64
	for _, result := range slices.Concat(e.Workloads, e.Baselines) {
		if len(result.Runs) != 2 {
			t.Errorf("%s: %d runs", result.Title, len(result.Runs))
		}
		for _, f := range append(result.Runs, result.Median) {
			known := f.MeanMicros > 0 || f.P50Micros > 0 && f.P50Micros <= f.P99Micros && f.P99Micros <= f.P999Micros && f.P999Micros <= f.MaxMicros
			if f.Requests == 0 || f.PerSecond <= 0 || f.Errors != 0 || !known {
				t.Errorf("%s: %+v", result.Title, f)
			}
		}
		if strings.HasPrefix(result.Name, "drawdown") {
			measured += int64(result.Median.Requests)
			if result.Ratio <= 0 && result.Name != "drawdown-few" {
				t.Errorf("%s is not compared with the baseline", result.Title)
			}
		}
	}
	workloads, baselines := 4, 2
	if e.Engine == Postgres {
		workloads, baselines = 6, 6
	}
	if len(e.Workloads) != workloads || len(e.Baselines) != baselines || e.Transactions < fewCards+measured {
		t.Errorf("%d workloads, %d baselines, %d transactions; measured %d and created %d cards",
			len(e.Workloads), len(e.Baselines), e.Transactions, measured, fewCards)
	}
}

// assertRows checks that each part has told its figures. Whether a target is reached
// is not for a test to say.
func assertRows(t *testing.T, report Report, engine Engine) {
	t.Helper()
	told := map[Part]int{}
	for _, row := range report.Rows {
		told[row.Part]++
		if row.Value <= 0 && row.Goal != flatGoal || row.Baseline != "" && (row.Ratio <= 0 || row.BaselineValue <= 0) {
			t.Errorf("row %+v", row)
		}
	}
	want := map[Part]int{PartSQLite: 4, PartLatency: 1, PartEdge: 1, PartLists: 1, PartHistory: 4, PartFootprint: 2, PartLone: 1}
	if engine == Postgres {
		want = map[Part]int{
			PartSpread: 2, PartAccounts: 1, PartHot: 3, PartLatency: 2, PartRead: 1, PartEdge: 1, PartLists: 1, PartHistory: 4,
			PartFootprint: 1, PartLone: 1,
		}
	}
	if !maps.Equal(told, want) {
		t.Errorf("rows by part %v, want %v", told, want)
	}
	for _, l := range report.Lists {
		if l.Samples == 0 || l.P50Micros <= 0 || l.P50Micros > l.P95Micros || l.P95Micros > l.MaxMicros || l.Overloaded > 0 {
			t.Errorf("list %+v", l)
		}
	}
}

func TestOverloadAndGrowth(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, o Options) {
		o.Parts = []Part{PartOverload, PartGrowth}
		o.OverloadConnections, o.GrowthCards, o.GrowthTxns = 4*fewTills, 2000, 6000
		report, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Overload) != 1 || report.Overload[0].Accepted.PerSecond <= 0 || report.Overload[0].MaxPerSecond <= 0 {
			t.Errorf("overload %+v", report.Overload)
		}
		var sizes []int64
		for _, p := range report.Growth {
			sizes = append(sizes, p.Transactions)
			if p.Spread <= 0 || p.Hot <= 0 || p.ByHand <= 0 {
				t.Errorf("growth %+v", p)
			}
		}
		if want := []int64{2, 200, 2000, 6000}; !slices.Equal(sizes, want) {
			t.Errorf("sizes %v, want %v", sizes, want)
		}
		assertNothingLeft(t, o.Dir)
	})
}

func TestInterruptedRunLeavesNothing(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, o Options) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o.Duration = time.Hour
		o.Observe = func(p Progress) {
			if p.Rate > 0 && strings.Contains(p.Phase, "warm-up") {
				cancel()
			}
		}
		if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		assertNothingLeft(t, o.Dir)
	})
}

func TestServerThatDoesNotStart(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, o Options) {
		o.Server.Args = []string{"no-such-command"}
		_, err := Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), "the server wrote:") || !strings.Contains(err.Error(), "no-such-command") {
			t.Errorf("got %v, want what the server complained about", err)
		}
		assertNothingLeft(t, o.Dir)
	})
}

// databases lists the databases that benchmarks have made.
func databases(t *testing.T, o Options) map[string]bool {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, o.PostgresURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_database WHERE datname LIKE 'kort\_bench\_%'`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool, len(names))
	for _, name := range names {
		found[name] = true
	}
	return found
}

func assertNothingLeft(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left in the directory: %v, %v", entries, err)
	}
}

// withTables runs a test on a database of its own that has its tables and no rows.
func withTables(t *testing.T, o Options, test func(*database)) {
	t.Helper()
	ctx := t.Context()
	b := benchmark{Options: o, engine: o.Engines[0], clock: &stopwatch{}}
	err := b.withDatabase(ctx, func(db *database) error {
		store, err := repository.Open(ctx, repository.Options{PostgresURL: db.url, SQLitePath: db.sqliteFile()})
		if err != nil {
			return err
		}
		_, err = store.Migrate(ctx)
		if err = errors.Join(err, store.Close()); err == nil {
			test(db)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A database that tells another story than the answers gets no figures.
func TestAuditNoticesALie(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, o Options) {
		withTables(t, o, func(db *database) { assertLiesAreNoticed(t, db) })
	})
}

func assertLiesAreNoticed(t *testing.T, db *database) {
	t.Helper()
	ctx := t.Context()
	if n, err := db.audit(ctx, 0); n != 0 || err != nil {
		t.Errorf("an empty database: %d, %v", n, err)
	}
	if _, err := db.audit(ctx, 1); !errors.Is(err, errLost) {
		t.Errorf("a transaction that was acknowledged and is not there: %v", err)
	}
	pool, err := db.open()
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	const stray = `INSERT INTO transactions
			(account_id, id, card_object_id, seq, type, amount, currency, ref_id, addressed_by, amount_given, created_at, created_by, digest)
			VALUES ('` + account + `', '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071', '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6072', 1, 'fund', 5, 'NOK',
				'r', 'card_id', TRUE, 1, 'x', '')`
	if _, err := pool.ExecContext(ctx, stray); err != nil {
		t.Fatal(err)
	}
	if _, err := db.audit(ctx, 1); !errors.Is(err, errLost) || !strings.Contains(err.Error(), "findings") {
		t.Errorf("a transaction that no server has written: %v", err)
	}
}
