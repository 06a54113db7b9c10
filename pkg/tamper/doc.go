// Package tamper measures whether tampering with a database is found.
//
// Purpose: [Run] fills a database with a rich history, then changes it over and over
// behind the servers' back: it edits, deletes, adds, reorders and exchanges rows of
// transactions, cards and holds with plain SQL, asks package audit what is wrong, and
// puts everything back. A tampering counts as found when a finding names the card and
// the row.
//
// Non-goals: tampering that the database itself refuses (its constraints are no merit
// of the audit), and what nothing in the database can show, such as a card that is
// gone with all its rows: that takes a head that was kept elsewhere.
//
// The surprising decision: no tampering says what has to be found. The rows of a
// database are compared with a copy of them, and whatever differs has to be named, so
// that no tampering can expect too little. The columns come from the schema for the
// same reason: a new one is edited without anybody thinking of it.
package tamper
