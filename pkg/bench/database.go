package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/kortwallet/kort/pkg/audit"
	"github.com/kortwallet/kort/pkg/config"
	"github.com/kortwallet/kort/pkg/repository"
)

// removeTimeout bounds what is done to leave nothing behind.
const removeTimeout = time.Minute

// database is a new database that goes away with its benchmark.
type database struct {
	engine Engine
	dir    string // the server's data directory; a SQLite database is in it
	url    string // of a PostgreSQL database; else empty
	admin  string // URL of the PostgreSQL server
	name   string // of the PostgreSQL database, once it exists
}

// createDatabase makes an empty database. The server migrates it.
func (b *benchmark) createDatabase(ctx context.Context) (*database, error) {
	dir, err := os.MkdirTemp(b.Dir, "kort-bench-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("create a directory for the data: %w", err)
	}
	db := &database{engine: b.engine, dir: dir, admin: b.PostgresURL}
	if b.engine == Postgres {
		err = db.createPostgres(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create a database: %w", err), db.remove(ctx))
	}
	return db, nil
}

func (d *database) createPostgres(ctx context.Context) error {
	address, err := url.Parse(d.admin)
	if err != nil {
		return errors.New("the database URL is not a valid postgres:// URL") // the cause may show the password
	}
	name := "kort_bench_" + strings.ToLower(rand.Text())
	if err := d.administer(ctx, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		return err
	}
	d.name = name
	address.Path = "/" + name
	d.url = address.String()
	return nil
}

// administer executes a statement on the server, outside of the new database.
func (d *database) administer(ctx context.Context, statement string) (err error) {
	conn, err := pgx.Connect(ctx, d.admin)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

// remove leaves nothing behind, also after the context has ended.
func (d *database) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	err := os.RemoveAll(d.dir)
	if d.name != "" {
		err = errors.Join(err, d.administer(ctx, "DROP DATABASE "+d.name+" WITH (FORCE)"))
	}
	if err != nil {
		return fmt.Errorf("remove the database: %w", err)
	}
	return nil
}

// sqliteFile is where the server keeps an embedded database.
func (d *database) sqliteFile() string {
	return config.Database{Directory: config.Directory{DataDir: d.dir}}.SQLiteFile()
}

// open opens one plain connection, with the server's drivers and the server's
// settings for durability.
func (d *database) open() (*sql.DB, error) {
	pool, err := d.driver()
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	pool.SetMaxOpenConns(1)
	return pool, nil
}

func (d *database) driver() (*sql.DB, error) {
	if d.engine == Postgres {
		settings, err := pgx.ParseConfig(d.url)
		if err != nil {
			return nil, err
		}
		return stdlib.OpenDB(*settings), nil
	}
	return openSQLite(d.sqliteFile())
}

// openSQLite opens a file with the server's settings for durability.
func openSQLite(path string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"_txlock": {"immediate"}, "_pragma": {"journal_mode(WAL)", "synchronous(FULL)"},
	}.Encode()}
	return sql.Open("sqlite", dsn.String())
}

// describe asks which database this is, and whether its commits survive a crash.
func (d *database) describe(ctx context.Context) (result EngineResult, err error) {
	pool, err := d.open()
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	ask := func(question string) (answer string) {
		if err == nil {
			err = pool.QueryRowContext(ctx, question).Scan(&answer)
		}
		return answer
	}
	result.Engine = d.engine
	if d.engine == Postgres {
		result.Database = "PostgreSQL " + ask("SHOW server_version")
		fsync, commit := ask("SHOW fsync"), ask("SHOW synchronous_commit")
		result.Durability = "fsync=" + fsync + ", synchronous_commit=" + commit
		result.Durable = fsync == "on" && commit != "off"
	} else {
		result.Database = "SQLite " + ask("SELECT sqlite_version()")
		result.Durability, result.Durable = "WAL, synchronous=FULL", true
	}
	if err != nil {
		return result, fmt.Errorf("ask for the version of the database: %w", err)
	}
	return result, nil
}

// settle does at once what PostgreSQL does by itself within minutes of a table being
// filled: without it the first plans are made for empty tables.
func (d *database) settle(ctx context.Context) error {
	if d.engine != Postgres {
		return nil
	}
	pool, err := d.open()
	if err != nil {
		return err
	}
	_, err = pool.ExecContext(ctx, "VACUUM (ANALYZE)")
	if err = errors.Join(err, pool.Close()); err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	return nil
}

// checkpoint brings everything into the tables' files, so that a window after a large
// load does not pay for it.
func (d *database) checkpoint(ctx context.Context) error {
	pool, err := d.open()
	if err != nil {
		return err
	}
	statement := "CHECKPOINT"
	if d.engine == SQLite {
		statement = "PRAGMA wal_checkpoint(TRUNCATE)"
	}
	_, err = pool.ExecContext(ctx, statement)
	if err = errors.Join(err, pool.Close()); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// errLost says that the database and the answers tell different stories.
var errLost = errors.New("the database is not what the server answered")

// audit verifies every card and compares the number of transactions with those that
// were acknowledged. It returns that number.
func (d *database) audit(ctx context.Context, acknowledged int64) (int64, error) {
	stored, err := d.count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count the transactions: %w", err)
	}
	if stored != acknowledged {
		return 0, fmt.Errorf("%w: %d transactions were acknowledged, %d are stored", errLost, acknowledged, stored)
	}
	store, err := repository.Open(ctx, repository.Options{PostgresURL: d.url, SQLitePath: d.sqliteFile()})
	if err != nil {
		return 0, err
	}
	report, err := audit.Verify(ctx, store, audit.Options{MaxFindings: 1})
	if err = errors.Join(err, store.Close()); err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	if !report.OK() {
		return 0, fmt.Errorf("%w: the audit has %d findings, the first: %s", errLost, report.Findings.Total, report.Findings.First[0])
	}
	if report.Transactions != acknowledged {
		return 0, fmt.Errorf("%w: the audit saw %d of %d transactions", errLost, report.Transactions, acknowledged)
	}
	return stored, nil
}

func (d *database) count(ctx context.Context) (stored int64, err error) {
	pool, err := d.open()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	err = pool.QueryRowContext(ctx, "SELECT count(*) FROM transactions").Scan(&stored)
	return stored, err
}
