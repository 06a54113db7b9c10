// Package repository keeps cards, transactions, holds and tokens in a database:
// everything that is SQL.
//
// Purpose: one repository for PostgreSQL and for the embedded SQLite, through
// Bun. Reads answer the API's questions; [Store.Write] hands the write path a
// [Tx] with which it loads, locks and writes the rows of a batch.
//
// Non-goals: rules. What may happen to a card is decided in ledger.
//
// The surprising decision: Bun builds the reads of lists, but what is hot is not
// Bun's: fixed texts, prepared once, sent through the driver's own connection, several
// on one trip. A batch takes three trips to PostgreSQL: lock and load, save, commit.
// Both use the same pools and the same row models.
package repository
