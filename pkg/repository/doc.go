// Package repository keeps cards, transactions, holds and tokens in a database:
// everything that is SQL.
//
// Purpose: one repository for PostgreSQL and for the embedded SQLite, through
// Bun. Reads answer the API's questions; [Store.Write] hands the write path a
// [Tx] with which it loads, locks and writes the rows of a batch.
//
// Non-goals: rules. What may happen to a card is decided in ledger.
//
// The surprising decision: Bun builds the reads, but the statements of the write
// path are fixed texts with array arguments, so that the database prepares them
// once, whatever the size of a batch. Both go through the same transaction and the
// same row models.
package repository
