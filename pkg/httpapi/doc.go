// Package httpapi is the edge: it serves the contract over HTTP.
//
// Purpose: route, authenticate, authorise, validate against the contract, and
// translate between its types and the ledger's. The order in which a request is
// checked is part of the API.
//
// Non-goals: rules that would be true without HTTP. Handlers translate; what may
// happen is decided in ledger, and written by posting.
//
// The surprising decision: no error text of a library ever reaches an answer or a
// log line about a request. Those texts quote what the client sent, PINs included;
// reasons are written here, from the contract alone.
//
// Requests are checked twice over where it matters: the contract's rules are compiled
// at the start, and what they allow goes through; the OpenAPI library judges only the
// rest, and so finds the reasons. Tests hold the two against each other.
package httpapi
