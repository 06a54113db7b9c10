package repository

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// What can go wrong with a database, in our own words. Everything else is a
// defect.
var (
	// ErrNotFound means that the account has no such row.
	ErrNotFound = errors.New("not found")
	// ErrConflict means that another writer came first: a lost insert, a
	// serialization failure, a deadlock, a lock not had in time. Load, decide and
	// write again.
	ErrConflict = errors.New("another writer came first")
	// ErrUnavailable means that the database cannot be used now: it is down, full,
	// locked or too slow. It may work later.
	ErrUnavailable = errors.New("the database is unavailable")
)

// classify wraps a driver's error in one of ours, by code and never by text.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict), errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	}
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}

func kindOf(err error) error {
	// Whatever a server says to somebody who connects, it cannot be used now: on a full
	// disk it says XX000.
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return ErrUnavailable
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return kindOfPostgres(pg.Code)
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return kindOfSQLite(lite.Code())
	}
	switch {
	case broken(err), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone):
		return ErrUnavailable
	}
	return nil
}

// broken tells whether a connection has ended, rather than that a server says no.
func broken(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		pgconn.SafeToRetry(err) // it has ended since its last use
}

// cutOff tells whether a connection has ended while there may be a server to connect
// to: with another connection the same may work.
func cutOff(err error) bool {
	var connect *pgconn.ConnectError
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &connect):
		return false
	case errors.As(err, &pg): // ended by an administrator, by a crash, or in an exception of the connection
		return pg.Code == "57P01" || pg.Code == "57P02" || strings.HasPrefix(pg.Code, "08")
	}
	return broken(err)
}

// kindOfPostgres sorts SQLSTATE codes; see appendix A of the PostgreSQL manual.
func kindOfPostgres(code string) error {
	switch code {
	case "23505", "40001", "40P01", "55P03": // unique, serialization, deadlock, lock timeout
		return ErrConflict
	case "25006", "57014": // read-only (a standby), statement timeout
		return ErrUnavailable
	}
	switch code[:min(2, len(code))] {
	case "08", "53", "57", "58": // connection, resources, operator intervention, system error
		return ErrUnavailable
	}
	return nil
}

// primaryCode masks the extension out of an extended SQLite result code.
const primaryCode = 0xff

func kindOfSQLite(code int) error {
	switch code {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return ErrConflict
	}
	switch code & primaryCode {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN,
		lib.SQLITE_NOMEM, lib.SQLITE_READONLY, lib.SQLITE_INTERRUPT, lib.SQLITE_PROTOCOL: // the last: a lock not had after many tries
		return ErrUnavailable
	}
	return nil
}
