// Package repotest is the conformance suite of repository: every promise about
// storage, tried on SQLite and on PostgreSQL.
//
// Purpose: [Each] gives a test a fresh, migrated store per engine, in parallel;
// [EachDatabase] also gives the raw database behind it, for what no store method
// may do (bad rows, edited rows, a look at the schema). The cases are the test
// files of this directory, one per topic. Tests of other packages use the same
// harness.
//
// Non-goals: rules of the ledger, HTTP, speed.
//
// The surprising decision: every store that the suite opens watches its own
// statements. A statement that reaches for a table of an account without naming the
// account fails the test that issued it, whatever that test is about.
package repotest
