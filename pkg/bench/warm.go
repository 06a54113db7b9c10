package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// warmed reads the files of a database right before a window. A large database is loaded
// minutes before its turn comes, and an operating system that thinks little of what
// nobody has read since may have given the memory away: the window would measure how
// fast the disk reads single pages, which is not what a database in use is like.
func (d *database) warmed(w measuring) measuring {
	return func(ctx context.Context, length time.Duration, watch watcher) (Figures, error) {
		if _, err := d.readFiles(ctx); err != nil {
			return Figures{}, fmt.Errorf("read the files of the database: %w", err)
		}
		return w(ctx, length, watch)
	}
}

// readFiles reads all that a database has on the disk, and says how many bytes that is.
// Those of a PostgreSQL on another machine, or of another user, are left alone.
func (d *database) readFiles(ctx context.Context) (read int64, err error) {
	dir := d.dir
	if d.engine == Postgres {
		if dir, err = d.postgresFiles(ctx); err != nil || dir == "" {
			return 0, err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, d.reading(err)
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		n, err := readFile(filepath.Join(dir, entry.Name()))
		read += n
		if err := errors.Join(d.reading(err), ctx.Err()); err != nil {
			return read, err
		}
	}
	return read, nil
}

// reading is an error of reading files, but for what is no fault: that the database has
// removed one meanwhile, or that those of a PostgreSQL are not for us.
func (d *database) reading(err error) error {
	if errors.Is(err, fs.ErrNotExist) || d.engine == Postgres && errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// postgresFiles is the directory of a database, or nothing where one may not know it.
func (d *database) postgresFiles(ctx context.Context) (dir string, err error) {
	pool, err := d.open()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	const text = `SELECT s.setting || '/base/' || d.oid FROM pg_settings AS s, pg_database AS d
		WHERE s.name = 'data_directory' AND d.datname = current_database()`
	if err = pool.QueryRowContext(ctx, text).Scan(&dir); errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return dir, err
}

func readFile(name string) (read int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.Copy(io.Discard, f)
}
