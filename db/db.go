// Package db embeds the schema migrations, plain SQL per dialect.
//
// Non-goals: running them; that is repository's. The surprising decision: a
// migration is only ever added. Nothing is dropped, so an older server can go on
// while a newer one migrates.
package db

import "embed"

// Postgres holds the migrations for PostgreSQL 15 and later.
//
//go:embed postgres/*.sql
var Postgres embed.FS

// SQLite holds the migrations for the embedded database.
//
//go:embed sqlite/*.sql
var SQLite embed.FS
