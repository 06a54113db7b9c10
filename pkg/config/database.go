package config

import (
	"net/url"
	"path/filepath"
)

// Directory says where Kort keeps its files.
type Directory struct {
	DataDir string `name:"data-dir" env:"KORT_DATA_DIR" default:"kort-data" placeholder:"DIR" group:"Data:" help:"Directory of what Kort keeps on disk: the embedded database, and the keys that serve --dev makes."`
}

func (d Directory) check(p *Problems) {
	if d.DataDir == "" {
		p.add("data-dir", "must name a directory, such as /var/lib/kort")
	}
}

// Database says where the cards are.
type Database struct {
	Directory
	DatabaseURL Secret `name:"database-url" env:"KORT_DATABASE_URL" placeholder:"URL" group:"Data:" help:"PostgreSQL 15 or later, such as postgres://kort@db.example.com/kort. With a password it belongs in the environment: other users can read a command line. Empty for the embedded SQLite, the file kort.db in the data directory."`
}

// Postgres says whether the cards are on PostgreSQL; otherwise they are in SQLiteFile.
func (d Database) Postgres() bool { return d.DatabaseURL != "" }

// SQLiteFile is the path of the embedded database.
func (d Database) SQLiteFile() string { return filepath.Join(d.DataDir, "kort.db") }

// Validate checks the settings of a command that needs nothing but the database.
func (d Database) Validate() error {
	var p Problems
	d.check(&p)
	return p.err()
}

func (d Database) check(p *Problems) {
	d.Directory.check(p)
	if !d.Postgres() {
		return
	}
	parsed, err := url.Parse(d.DatabaseURL.Reveal())
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		p.add("database-url", "must be a PostgreSQL URL, such as postgres://kort@db.example.com/kort, or empty for SQLite")
	}
}

// Audit holds what verify and rebuild have in common.
type Audit struct {
	Database
	Account string `name:"account" placeholder:"T12345678" help:"Look at one account only. Left out: at all of them."`
}

// Validate says all that is wrong.
func (a Audit) Validate() error {
	var p Problems
	a.Database.check(&p)
	if a.Account != "" {
		p.addAccount(a.Account)
	}
	return p.err()
}

// Verify holds the settings of verify.
type Verify struct {
	Audit
	Heads bool `name:"heads" help:"Also print the head of each account: one hash over all its history. Kept elsewhere, it shows later whether history was rewritten."`
}

// Rebuild holds the settings of rebuild.
type Rebuild struct {
	Audit
	Apply bool `name:"apply" help:"Write the corrections. Left out: only show them."`
}

// Checked says whether a copy of the database is looked at before it counts as one.
type Checked struct {
	Verify bool `name:"verify" negatable:"" default:"true" help:"Check the copy: each index against its table, and each balance against its history, as kort verify does. With --no-verify it may be damaged."`
}

// Backup holds the settings of backup.
type Backup struct {
	Database
	Out string `name:"out" required:"" placeholder:"FILE" help:"File to create; its owner alone may read it."`
	Checked
}

// Restore holds the settings of restore.
type Restore struct {
	Database
	From string `name:"from" required:"" placeholder:"FILE" help:"File that kort backup has made. It stays as it is."`
	Checked
}
