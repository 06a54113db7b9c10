package repository

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/kortwallet/kort/pkg/recent"
)

const (
	// busyTimeout is how long SQLite waits for a lock that another process holds.
	busyTimeout = 5 * time.Second
	// statementTimeout bounds each statement on PostgreSQL.
	statementTimeout = 30 * time.Second
	// lockTimeout bounds the wait for a row that another server has locked.
	lockTimeout = 10 * time.Second
	// connectTimeout bounds the wait for a connection that nobody answers.
	connectTimeout = 10 * time.Second
	// idleInTxTimeout frees the locks of a server that stopped in the middle.
	idleInTxTimeout = time.Minute
	// The sizes of the pools when none is given; a committer needs a connection to write,
	// and so does whoever sends events.
	defaultReadConns, defaultWriteConns = 8, 17
)

// Options say which database to open, and how.
type Options struct {
	// PostgresURL is a postgres:// URL. When it is empty, SQLitePath is used.
	PostgresURL string
	// SQLitePath is the path of the database file.
	SQLitePath string
	// Ephemeral gives up durability for speed: SQLite writes without syncing.
	Ephemeral bool
	// ReadOnly opens SQLite without the right to write.
	ReadOnly bool
	// ReadConns and WriteConns bound the pools; 0 means a sensible number. SQLite
	// always has one writer.
	ReadConns, WriteConns int
	// Lists bound what a list of cards may cost.
	Lists ListLimits
	// Observe, when set, is shown the text of every statement.
	Observe func(text string)
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	dialect dialect
	path    string // of the SQLite file
	read    *bun.DB
	write   *bun.DB
	texts   statements
	details *detailReader // nil on SQLite, where no card is a trip away
	lists   ListLimits
	// statistics are PostgreSQL's.
	statistics *statistics
	// remembered are cards as the last commits left them; see [Tx.Recall].
	remembered *recent.Map[cardKey, *rememberedCard]
	// prepared belongs to SQLite's one connection that writes.
	prepared *prepared
	// compiled are SQLite's, to read with.
	compiled *compiled
	// checkpoints are SQLite's; nil elsewhere, and where nothing is written.
	checkpoints *checkpoints
	observe     func(string)
}

// Open connects to a database. It does not migrate it.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{
		dialect: dialect{postgres: o.PostgresURL != ""}, lists: o.Lists.orDefault(),
		prepared: &prepared{}, compiled: &compiled{statements: map[string]*sql.Stmt{}}, statistics: newStatistics(), observe: o.Observe,
		remembered: recent.NewMap[cardKey, *rememberedCard](maxRecalled),
	}
	var err error
	if s.dialect.postgres {
		err = s.openPostgres(o)
	} else {
		err = s.openSQLite(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	if o.Observe != nil {
		s.read, s.write = s.read.WithQueryHook(hook(o.Observe)), s.write.WithQueryHook(hook(o.Observe))
	}
	s.texts = s.statements()
	if err := s.read.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the database: %w", classify(err)), s.Close())
	}
	return s, nil
}

// openPostgres uses one pool for reads and one for writes, so that a flood of
// reads never keeps the write path waiting for a connection.
func (s *Store) openPostgres(o Options) error {
	config, err := pgx.ParseConfig(o.PostgresURL)
	if err != nil {
		return errors.New("the database URL is not a valid postgres:// URL") // pgx's own text may show the password
	}
	if config.ConnectTimeout == 0 || config.ConnectTimeout > connectTimeout {
		config.ConnectTimeout = connectTimeout
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	for name, value := range map[string]string{
		"statement_timeout":                   milliseconds(statementTimeout),
		"lock_timeout":                        milliseconds(lockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleInTxTimeout),
		"application_name":                    "kort",
	} {
		if _, set := config.RuntimeParams[name]; !set {
			config.RuntimeParams[name] = value
		}
	}
	s.read = openPostgresPool(*config, orDefault(o.ReadConns, defaultReadConns))
	byKey := byKeyOnly(config)
	s.write = openPostgresPool(*byKey, orDefault(o.WriteConns, defaultWriteConns))
	s.details = newDetailReader(openPostgresPool(*byKey, detailReaders), s.watched)
	return nil
}

// byKeyOnly settles how statements are planned that find their few rows by whole keys.
// The planner, which plans them once, for arrays of unknown length, and knows nothing
// of a new table, would sometimes rather read all of it.
func byKeyOnly(config *pgx.ConnConfig) *pgx.ConnConfig {
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	for _, name := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"} {
		config.RuntimeParams[name] = "off"
	}
	config.RuntimeParams["random_page_cost"] = "0" // to look up ten keys is cheaper than to read an account of a hundred
	config.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	return config
}

func openPostgresPool(config pgx.ConnConfig, conns int) *bun.DB {
	pool := stdlib.OpenDB(config, stdlib.OptionAfterConnect(encodeArrays))
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return bun.NewDB(pool, pgdialect.New(), bun.WithDiscardUnknownColumns())
}

// openSQLite sets everything in the DSN, so that each new connection has it: a
// PRAGMA sent once would reach one connection of the pool only.
//
//   - WAL lets readers go on while the writer writes.
//   - synchronous=FULL makes every commit durable; an ephemeral database has none.
//   - The write-ahead log grows to 256 MiB at most before it goes into the database
//     file, usually beside the writer: see [checkpoints].
//   - The writer begins with BEGIN IMMEDIATE: a transaction that reads first and
//     writes later could otherwise fail half-way, because another one wrote between.
func (s *Store) openSQLite(ctx context.Context, o Options) error {
	if o.SQLitePath == "" {
		return errors.New("neither a database URL nor a database file was given")
	}
	path, err := filepath.Abs(o.SQLitePath) // so that no name is a host or ":memory:" to SQLite
	if err != nil {
		return fmt.Errorf("open %s: %w", o.SQLitePath, err)
	}
	s.path = path
	synchronous := "FULL"
	if o.Ephemeral {
		synchronous = "OFF"
	}
	pragmas := []string{
		fmt.Sprintf("busy_timeout(%s)", milliseconds(busyTimeout)),
		fmt.Sprintf("synchronous(%s)", synchronous),
	}
	writer := url.Values{"_txlock": {"immediate"}, "_pragma": append(slices.Clone(pragmas), "journal_mode(WAL)",
		fmt.Sprintf("wal_autocheckpoint(%d)", checkpointAtLatest), "cache_size(-16384)")}
	reader := url.Values{"_pragma": append(slices.Clone(pragmas), "query_only(1)")}
	if o.ReadOnly {
		writer, reader = url.Values{"mode": {"ro"}, "_pragma": pragmas}, url.Values{"mode": {"ro"}, "_pragma": pragmas}
	}
	if s.write, err = openPool(path, writer, 1); err != nil {
		return err
	}
	if err := s.write.PingContext(ctx); err != nil { // creates the file before a reader asks for it
		return errors.Join(fmt.Errorf("open %s: %w", o.SQLitePath, classify(err)), s.write.Close())
	}
	if s.read, err = openPool(path, reader, orDefault(o.ReadConns, runtime.GOMAXPROCS(0)*2)); err != nil || o.ReadOnly {
		return err
	}
	beside, err := openPool(path, url.Values{"_pragma": pragmas}, 1)
	if err == nil {
		s.checkpoints = newCheckpoints(ctx, beside)
	}
	return err
}

// Connect opens every connection that a server on SQLite may use. Without it a pool opens
// one when more is asked for at once than ever before, and by then no file descriptor may
// be left. PostgreSQL's many are opened when they are needed.
func (s *Store) Connect(ctx context.Context) error {
	if s.dialect.postgres {
		return nil
	}
	for _, pool := range []*bun.DB{s.write, s.read, s.checkpoints.pool} {
		if err := connect(ctx, pool, pool.Stats().MaxOpenConnections); err != nil {
			return fmt.Errorf("connect to the database: %w", err)
		}
	}
	return nil
}

// connect keeps each connection until the last is open, so that none is used twice. Each
// reads a little, as SQLite opens the write-ahead log only then.
func connect(ctx context.Context, pool *bun.DB, n int) error {
	if n == 0 {
		return nil
	}
	conn, err := pool.DB.Conn(ctx)
	if err != nil {
		return classify(err)
	}
	if _, err = conn.ExecContext(ctx, "PRAGMA schema_version"); err == nil {
		err = connect(ctx, pool, n-1)
	}
	return errors.Join(classify(err), conn.Close())
}

// openPool opens connections to a SQLite file, each with the same settings.
func openPool(path string, settings url.Values, conns int) (*bun.DB, error) {
	pool, err := sql.Open("sqlite", sourceName(path, settings))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return bun.NewDB(pool, sqlitedialect.New(), bun.WithDiscardUnknownColumns()), nil
}

// sourceName is what SQLite's driver calls a file and the settings to open it with.
func sourceName(path string, settings url.Values) string {
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: settings.Encode()}
	return name.String()
}

// Postgres tells whether the store is on PostgreSQL.
func (s *Store) Postgres() bool { return s.dialect.postgres }

// Ping checks that the database answers.
func (s *Store) Ping(ctx context.Context) error { return classify(s.read.PingContext(ctx)) }

// PoolStats says how busy each pool of connections is, by what it is for.
func (s *Store) PoolStats() map[string]sql.DBStats {
	stats := map[string]sql.DBStats{"read": s.read.Stats(), "write": s.write.Stats()}
	if s.details != nil {
		stats["details"] = s.details.pool.Stats()
	}
	return stats
}

// Close releases the connections.
func (s *Store) Close() error {
	s.statistics.stop()
	err := errors.Join(s.checkpoints.stop(), s.prepared.release(), s.read.Close(), s.write.Close())
	if s.details != nil {
		err = errors.Join(err, s.details.pool.Close())
	}
	return err
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

func orDefault(n, fallback int) int {
	if n > 0 {
		return n
	}
	return fallback
}

// watched shows a statement to the observer.
func (s *Store) watched(text string) {
	if s.observe != nil {
		s.observe(text)
	}
}

// hook shows Bun's statements to an observer.
type hook func(text string)

// BeforeQuery implements bun.QueryHook.
func (h hook) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

// AfterQuery implements bun.QueryHook.
func (h hook) AfterQuery(_ context.Context, e *bun.QueryEvent) { h(strings.TrimSpace(e.Query)) }
