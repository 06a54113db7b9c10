// Package bench measures a Kort server as its clients see it: requests per second
// and latencies over HTTP, and what the server needs for them.
//
// Purpose: figures that a reader can reproduce with one command. The server is the
// real one, in a process of its own, with signed tokens, validation and durable
// commits; a plain SQL loop on the same database says what the machine can do.
//
// Non-goals: judging. It asserts no time and no ratio; it only refuses to report
// figures that are not true.
//
// The surprising decision: a benchmark here ends like a test. The server is stopped,
// its database audited, and the transactions in it compared with those that were
// acknowledged. If anything is amiss there are no figures, only the error.
package bench
