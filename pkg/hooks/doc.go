// Package hooks tells subscribers over HTTP what happens to cards.
//
// Purpose: it takes deliveries from the outbox, which the ledger's own commits write,
// sends each until it is acknowledged or given up, and notes what came of it. An event
// exists if and only if what it tells of does. It is told at least once, and the events
// of a card are told in their order, however often servers end in the middle.
//
// Non-goals: to decide what an event is (repository), and the API of subscriptions
// (httpapi).
//
// The surprising decision: a delivery has no body of its own. The body is made of the
// rows that it tells of when it is sent: those never change, so that every attempt
// sends the same bytes, and a commit of the ledger writes a few numbers only.
package hooks
