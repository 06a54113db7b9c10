// Package observe lets an operator watch a server: metrics for Prometheus, traces in
// the OpenTelemetry protocol, and logs that can be found by trace.
//
// Purpose: it turns what the parts of a server report through their own small Observer
// structs into metrics and spans. Each part that is watched has a file here with its
// metrics (requests.go, writes.go, database.go), so a new part brings an Observer of its own and a
// file. The dashboard and the alerts in dashboards/ name these metrics only; a test
// holds them against a running server.
//
// Non-goals: no other package knows Prometheus or OpenTelemetry, and nothing here
// decides anything. What is not switched on costs nothing.
//
// The surprising decision: there is no metric for the age of a projection. Balances are
// projected in the transaction that writes their history, so it would always be zero.
// What an operator needs instead is how long operations wait for their commit, how long
// commits take, and how often they have to be tried again.
//
// Labels come from closed lists: operations and error codes of the contract, statuses,
// reasons. Accounts, cards, paths and whatever else a client may choose are in none.
package observe
