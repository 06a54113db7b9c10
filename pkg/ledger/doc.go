// Package ledger decides what may happen to a card and what it does to the
// card's balance.
//
// Purpose: the rules of the wallet that would be true without HTTP and without
// SQL. [Decide] may refuse and changes nothing; [Project] applies a fact and
// never refuses one; [Book] is the working set of one batch of one account, in
// which the operations of the batch see each other.
//
// Non-goals: clocks, randomness, contexts, logging, storage. The present moment
// and every id arrive with the batch or the operation, so that the same input
// always gives the same rows, however a sequence is cut into batches.
//
// The surprising decision: history keeps transactions, not requests. A replay of
// history runs [Project] alone, so a later change of a rule in [Decide] can never
// change what an old transaction did to a balance.
package ledger
