// Package sandbox is the control API of `kort sandbox`: it hands out fresh test accounts, and for each it has a clock,
// contents that can be set, put aside and put back, faults and a log, so that what takes months or a bad day in
// production is over in milliseconds in a test.
//
// Non-goals: the cards API, which is the production code path and knows nothing of the sandbox; and security beyond
// keeping web pages out, as whoever reaches a sandbox may steer it.
//
// The surprising decision: a request of the cards API holds its account until it is over, even when its client has left,
// and what changes the account as a whole waits for it. So there is no moment in which half of an account is another one's.
package sandbox
