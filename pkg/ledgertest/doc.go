// Package ledgertest puts any implementation of the ledger's operations through
// long random sequences and compares it, step by step, with a naive model of the
// rules.
//
// Purpose: one engine for three subjects. It drives the bare ledger.Book over the
// [Memory] in this package, and the write path over each database through an
// adapter that implements [Target]. [Run] is for tests, [Play] is the same without
// a test around it.
//
// Non-goals: speed, HTTP, concurrency. Races have tests of their own; those may
// use [Audit] afterwards.
//
// The surprising decision: the script is written by the model alone. Every id and
// every token candidate is drawn before an operation is submitted, so the model
// can say what must happen without looking at the subject; the same seed gives the
// same script for each of them.
package ledgertest
