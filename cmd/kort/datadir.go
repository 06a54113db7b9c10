package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/kortwallet/kort/pkg/config"
)

const (
	// directoryMode and fileMode keep the data directory to its owner: it holds keys.
	directoryMode = 0o700
	fileMode      = 0o600
)

// dataDir is a data directory. Which files it has is decided here and in
// config.Database.SQLiteFile.
type dataDir string

func (d dataDir) lockFile() string       { return filepath.Join(string(d), "kort.lock") }
func (d dataDir) signingKeyFile() string { return filepath.Join(string(d), "signing-key.json") }
func (d dataDir) dataKeyFile() string    { return filepath.Join(string(d), "data-key") }
func (d dataDir) identityFile() string   { return filepath.Join(string(d), "server.json") }

// Two more files are those of a sandbox.
func (d dataDir) accountFile() string  { return filepath.Join(string(d), "sandbox-account") }
func (d dataDir) snapshotFile() string { return filepath.Join(string(d), "sandbox-snapshots.db") }

// create makes the directory where there is none.
func (d dataDir) create() error {
	if err := os.MkdirAll(string(d), directoryMode); err != nil {
		return fmt.Errorf("create the data directory: %w", err)
	}
	return nil
}

// exist fails where there is no such directory: a database that appears in the wrong
// place looks like one that has lost everything.
func (d dataDir) exist() error {
	info, err := os.Stat(string(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the data directory %s does not exist: create it (mkdir -m 700 %s), name another with %s, "+
			"or use PostgreSQL with %s", d, d, config.Name("data-dir"), config.Name("database-url"))
	case err != nil:
		return fmt.Errorf("data directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("the data directory %s is not a directory: name another with %s", d, config.Name("data-dir"))
	}
	return nil
}

// createDatabase makes an empty database file where there is none. SQLite would do
// so too, but readable by everyone.
func createDatabase(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, fileMode)
	if err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return file.Close()
}

// errInUse says that another process has the SQLite database to itself.
var errInUse = errors.New("the data directory is in use")

// lock keeps the directory to this process until unlock, or until the process ends,
// however it ends.
func (d dataDir) lock() (unlock func() error, err error) {
	lock := flock.New(d.lockFile(), flock.SetPermissions(fileMode))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("%w: a server runs on %s, and SQLite serves one process. Stop that server first, or name another "+
			"directory with %s. Several servers share one PostgreSQL: %s", errInUse, d, config.Name("data-dir"), config.Name("database-url"))
	}
	return lock.Unlock, nil
}

// serverIdentity is what a development server leaves in its directory, so that tokens can
// be minted for it.
type serverIdentity struct {
	PublicURL     string   `json:"public_url"`
	Issuer        string   `json:"issuer"`
	AudienceBases []string `json:"audience_bases"`
}

// rememberIdentity replaces the note in one step, as another process may read it now.
func (d dataDir) rememberIdentity(i serverIdentity) error {
	content, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("remember the identity: %w", err)
	}
	draft, err := os.CreateTemp(string(d), ".server-*.json") // mode 0600
	if err != nil {
		return fmt.Errorf("remember the identity: %w", err)
	}
	_, err = draft.Write(append(content, '\n'))
	if err = errors.Join(err, draft.Close()); err == nil {
		err = os.Rename(draft.Name(), d.identityFile())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("remember the identity: %w", err), os.Remove(draft.Name()))
	}
	return nil
}

// recallIdentity fails with fs.ErrNotExist where no development server has run.
func (d dataDir) recallIdentity() (serverIdentity, error) {
	var i serverIdentity
	content, err := os.ReadFile(d.identityFile())
	if err != nil {
		return i, fmt.Errorf("recall the identity: %w", err)
	}
	if err := json.Unmarshal(content, &i); err != nil {
		return i, fmt.Errorf("recall the identity from %s: %w", d.identityFile(), err)
	}
	if len(i.AudienceBases) == 0 {
		return i, fmt.Errorf("recall the identity: %s names no audience; start kort serve --dev once more", d.identityFile())
	}
	return i, nil
}
