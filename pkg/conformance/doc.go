// Package conformance asks a server of the Wallet / Cards API whether it keeps the
// contract.
//
// Purpose: one suite of named checks, each of which proves one sentence of the contract by
// requests alone, against any server of this API, ours or another. It makes the cards it
// needs, under ids that nobody else can have, and removes them.
//
// Non-goals: load, crashes and attacks, which are the proof's; and whatever a client cannot
// find out, which is listed as undecided with the reason.
//
// The surprising decision: nothing here is shared with the server but what the contract
// itself was made into: the generated client, which makes the paths and reads the answers,
// and the document. A check that called the server's own rules would forgive its mistakes.
// Every answer is also compared with the document, by the library that the server reads
// requests with; its opinion is one check per operation, so that a fault of the library
// could hide there but in no other check.
package conformance
