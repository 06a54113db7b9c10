// Package audit checks a database against itself, and restores what can be
// derived from the history of transactions.
//
// Purpose: [Verify] reads one snapshot and reports every figure, row and link that
// no sequence of accepted operations can have left; [Rebuild] restores the
// projections of cards, and the state of holds, by replaying transactions; [Head]
// condenses an account into one hash that can be kept elsewhere.
//
// Non-goals: repairing history. A transaction is never written, changed or
// removed, and a card whose chain of digests is broken is left as it is.
//
// The surprising decision: Verify asks twice. A replay runs the same projector
// that made the balances, so a mistake in the projector agrees with itself; sums in
// closed form, computed by the database, do not know the projector and catch it.
//
// What an edit can hide: the digests have no key, so someone who rewrites a card's
// whole chain, its projections and its head agrees with himself. A head that was
// written down before shows it.
package audit
