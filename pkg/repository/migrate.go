package repository

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/gofrs/flock"
	"github.com/uptrace/bun/migrate"

	"github.com/kortwallet/kort/db"
)

// migrationLock is the key of the advisory lock that lets one server migrate at a
// time. PostgreSQL frees it when its connection ends, however it ends.
const migrationLock = 0x6b6f7274 // "kort"

// The same for a SQLite file.
const (
	migrationLockSuffix = "-migration"
	migrationLockMode   = 0o600
	migrationLockRetry  = 20 * time.Millisecond
)

// Migration is a step of the schema.
type Migration struct {
	Name    string
	Applied bool
}

// Migrations lists the steps of the schema, in order, and which of them the
// database has.
func (s *Store) Migrations(ctx context.Context) ([]Migration, error) {
	applied, err := s.applied(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.migrations()
	if err != nil {
		return nil, err
	}
	var list []Migration
	for _, m := range all.Sorted() {
		list = append(list, Migration{Name: m.Name + "_" + m.Comment, Applied: applied[m.Name]})
	}
	return list, nil
}

// Unknown lists the steps that the database has and this program does not know: a
// newer one has taken them.
func (s *Store) Unknown(ctx context.Context) ([]string, error) {
	applied, err := s.applied(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.migrations()
	if err != nil {
		return nil, err
	}
	for _, m := range all.Sorted() {
		delete(applied, m.Name)
	}
	return slices.Sorted(maps.Keys(applied)), nil
}

// applied is the set of the steps that the database has.
func (s *Store) applied(ctx context.Context) (map[string]bool, error) {
	migrator, err := s.migrator()
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	if known, err := s.hasMigrations(ctx); err != nil || !known {
		return names, err
	}
	done, err := migrator.AppliedMigrations(ctx)
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", classify(err))
	}
	for i := range done {
		names[done[i].Name] = true
	}
	return names, nil
}

// Pending tells how many steps the database lacks.
func (s *Store) Pending(ctx context.Context) (int, error) {
	list, err := s.Migrations(ctx)
	pending := 0
	for _, m := range list {
		if !m.Applied {
			pending++
		}
	}
	return pending, err
}

// Migrate brings the schema up to date and returns the names of the steps it
// took. Several servers may call it at once.
func (s *Store) Migrate(ctx context.Context) (names []string, err error) {
	unlock, err := s.lockMigrations(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	done, err := s.done(ctx)
	if err != nil {
		return nil, err
	}
	migrator, err := s.migrator(migrate.WithTemplateData(done))
	if err != nil {
		return nil, err
	}
	if err := migrator.Init(ctx); err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", classify(err))
	}
	group, err := migrator.Migrate(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", classify(err))
	}
	for _, m := range group.Migrations {
		names = append(names, m.Name+"_"+m.Comment)
	}
	return names, nil
}

// lockMigrations waits for other migrating servers.
func (s *Store) lockMigrations(ctx context.Context) (unlock func() error, err error) {
	if !s.dialect.postgres {
		return s.lockMigrationsOfFile(ctx)
	}
	conn, err := s.read.DB.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock migrations: %w", classify(err))
	}
	// Another server may be migrating for longer than any statement of ours may take.
	const patience = "SET lock_timeout = 0; SET statement_timeout = 0; SELECT pg_advisory_lock(%d)"
	if _, err := conn.ExecContext(ctx, fmt.Sprintf(patience, migrationLock)); err != nil {
		return nil, errors.Join(fmt.Errorf("lock migrations: %w", classify(err)), conn.Close())
	}
	return func() error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx),
			fmt.Sprintf("SELECT pg_advisory_unlock(%d); RESET lock_timeout; RESET statement_timeout", migrationLock))
		return errors.Join(classify(err), conn.Close())
	}, nil
}

// lockMigrationsOfFile locks a file beside the database. A lock inside would have to
// be held across the transactions of the steps, which SQLite has no way to do; this
// one the system frees when the process ends, however it ends.
func (s *Store) lockMigrationsOfFile(ctx context.Context) (unlock func() error, err error) {
	lock := flock.New(s.path+migrationLockSuffix, flock.SetPermissions(migrationLockMode))
	if _, err := lock.TryLockContext(ctx, migrationLockRetry); err != nil {
		return nil, fmt.Errorf("lock migrations: %w", err)
	}
	return lock.Close, nil
}

func (s *Store) migrator(options ...migrate.MigratorOption) (*migrate.Migrator, error) {
	all, err := s.migrations()
	if err != nil {
		return nil, err
	}
	// Bun marks a step before it runs it, unless told otherwise: a step that failed
	// half-way would count as done.
	return migrate.NewMigrator(s.write, all, append(options, migrate.WithMarkAppliedOnSuccess(true))...), nil
}

// done tells the steps that SQLite cannot repeat whether they were taken: Bun marks a
// step after its commit, and a crash may come between.
type done struct {
	Listed bool // the columns of the step "lists" are there
}

func (s *Store) done(ctx context.Context) (done, error) {
	var columns int
	if !s.dialect.postgres {
		const text = "SELECT count(*) FROM pragma_table_xinfo('cards') WHERE name = 'usage'"
		if err := s.read.NewRaw(text).Scan(ctx, &columns); err != nil {
			return done{}, fmt.Errorf("look for the schema: %w", classify(err))
		}
	}
	return done{Listed: columns > 0}, nil
}

func (s *Store) migrations() (*migrate.Migrations, error) {
	var files fs.FS = db.SQLite
	if s.dialect.postgres {
		files = db.Postgres
	}
	all := migrate.NewMigrations()
	if err := all.Discover(files); err != nil {
		return nil, fmt.Errorf("discover migrations: %w", err)
	}
	return all, nil
}

// hasMigrations tells whether a migration has ever run, without making its table.
func (s *Store) hasMigrations(ctx context.Context) (bool, error) {
	query := "SELECT count(*) FROM sqlite_master WHERE name = 'bun_migrations'"
	if s.dialect.postgres {
		query = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'bun_migrations' AND table_schema = ANY (current_schemas(false))"
	}
	var count int
	if err := s.read.NewRaw(query).Scan(ctx, &count); err != nil {
		return false, fmt.Errorf("look for the schema: %w", classify(err))
	}
	return count > 0, nil
}
