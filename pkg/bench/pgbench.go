package bench

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// The scripts of the baselines on PostgreSQL, and the tables of the first two.
const (
	tablesScript   = "tables.sql"
	drawdownScript = "drawdown.sql"
	cteScript      = "drawdown_cte.sql"
	cardScript     = "card.sql"
)

// The numbers of clients at which pgbench is at its best with the one-statement form.
const (
	cteSpreadClients = 16
	cteHotClients    = 4
)

// briefTransactions is what each client does in a window shorter than a second:
// pgbench cannot count parts of one.
const briefTransactions = 20

//go:embed sql/*.sql
var scripts embed.FS

// pgbench runs the program of that name. Its tables are in a schema of their own, in
// the database of the server that it is compared with.
type pgbench struct {
	path      string
	dir       string   // of the scripts
	env       []string // the connection: others can read a command line
	processed int64    // drawdowns
}

// newPgbench makes the tables and fills them.
func newPgbench(ctx context.Context, db *database, env []string, cards int) (*pgbench, error) {
	path, err := pgtest.Program(ctx, "pgbench")
	if err != nil {
		return nil, fmt.Errorf("%w; it comes with the PostgreSQL server (Debian: postgresql-15, Red Hat and macOS: postgresql or postgresql-contrib), "+
			"or measure with --engine sqlite", err)
	}
	connection, err := pgx.ParseConfig(db.url)
	if err != nil {
		return nil, errors.New("the database URL is not a valid postgres:// URL") // the cause may show the password
	}
	p := &pgbench{path: path, dir: db.dir, env: append(slices.Clone(env),
		"PGHOST="+connection.Host, "PGPORT="+strconv.Itoa(int(connection.Port)), "PGUSER="+connection.User,
		"PGPASSWORD="+connection.Password, "PGDATABASE="+connection.Database, "PGOPTIONS=-c search_path=plain,public")}
	for _, name := range []string{drawdownScript, cteScript, cardScript} {
		text, err := scripts.ReadFile("sql/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(p.dir, name), text, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("write the script of a baseline: %w", err)
		}
	}
	return p, p.createTables(ctx, db, cards)
}

func (p *pgbench) createTables(ctx context.Context, db *database, cards int) (err error) {
	tables, err := scripts.ReadFile("sql/" + tablesScript)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, db.url)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err = conn.Exec(ctx, "CREATE SCHEMA plain; SET search_path = plain; "+string(tables)); err == nil {
		_, err = conn.Exec(ctx, "INSERT INTO plain.card SELECT number, $2 FROM generate_series(1, $1::bigint) AS number", cards, openingAmount)
	}
	if err != nil {
		return fmt.Errorf("create the tables of the baseline: %w", err)
	}
	return nil
}

// fill adds transactions to the cards in turn.
func (p *pgbench) fill(ctx context.Context, db *database, cards int, txns int64) (err error) {
	conn, err := pgx.Connect(ctx, db.url)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, `INSERT INTO plain.txn (card_id, ref_id, amount)
		SELECT 1 + number % $1, 'old-' || number, 0 FROM generate_series(1, $2::bigint) AS number`, int64(cards), txns)
	return err
}

// window runs a script for a time with so many clients over so many cards.
func (p *pgbench) window(ctx context.Context, script string, clients, cards int, length time.Duration) (Figures, error) {
	args := []string{
		"--no-vacuum", "--protocol=prepared", "--file=" + filepath.Join(p.dir, script),
		"--client=" + strconv.Itoa(clients), "--jobs=" + strconv.Itoa(min(clients, runtime.NumCPU())),
		"--define=cards=" + strconv.Itoa(cards), "--define=account=" + account,
	}
	if length < time.Second {
		args = append(args, "--transactions="+strconv.Itoa(briefTransactions))
	} else {
		args = append(args, "--time="+strconv.Itoa(int(length.Round(time.Second).Seconds())))
	}
	command := exec.CommandContext(ctx, p.path, args...) //nolint:gosec // found by us, with numbers of ours
	command.Env = p.env
	var complaint tail
	command.Stderr = &complaint
	said, err := command.Output()
	if err != nil {
		return Figures{}, fmt.Errorf("pgbench: %w: %s", err, strings.TrimSpace(string(complaint.kept)))
	}
	figures, err := parsePgbench(string(said))
	if script != cardScript {
		p.processed += int64(figures.Requests)
	}
	return figures, err
}

// What pgbench prints.
var (
	pgbenchProcessed = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	pgbenchFailed    = regexp.MustCompile(`(?m)^number of failed transactions: (\d+)`)
	pgbenchLatency   = regexp.MustCompile(`(?m)^latency average = ([\d.]+) ms`)
	pgbenchRate      = regexp.MustCompile(`(?m)^tps = ([\d.]+) \(without initial connection time\)`)
)

// parsePgbench reads what pgbench prints. It knows the mean of the latencies only.
func parsePgbench(said string) (f Figures, err error) {
	number := func(of *regexp.Regexp) (value float64) {
		found := of.FindStringSubmatch(said)
		if err == nil && found == nil {
			err = fmt.Errorf("pgbench did not print %s, but: %s", of, said)
		}
		if err == nil {
			value, err = strconv.ParseFloat(found[1], 64)
		}
		return value
	}
	f.Requests, f.Errors = int(number(pgbenchProcessed)), int(number(pgbenchFailed))
	f.PerSecond, f.MeanMicros = number(pgbenchRate), number(pgbenchLatency)*1000
	if err == nil && (f.Errors > 0 || f.Requests == 0 || f.PerSecond <= 0) {
		err = fmt.Errorf("pgbench made %d transactions, and %d failed", f.Requests, f.Errors)
	}
	if err != nil {
		return Figures{}, err
	}
	f.Seconds = float64(f.Requests) / f.PerSecond
	return f, nil
}

// check makes sure that the baseline did what it was paid for.
func (p *pgbench) check(ctx context.Context, db *database, cards int) (err error) {
	conn, err := pgx.Connect(ctx, db.url)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var noted, taken int64
	const question = "SELECT (SELECT count(*) FROM plain.txn), $1::bigint * $2::bigint - (SELECT sum(balance)::bigint FROM plain.card)"
	if err := conn.QueryRow(ctx, question, cards, openingAmount).Scan(&noted, &taken); err != nil {
		return fmt.Errorf("check the baseline: %w", err)
	}
	if noted != p.processed || taken != p.processed {
		return fmt.Errorf("%w: pgbench made %d drawdowns, %d are noted and %d taken", errLost, p.processed, noted, taken)
	}
	return nil
}
