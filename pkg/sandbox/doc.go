// Package sandbox is the control API of `kort sandbox`: it hands out fresh test accounts and steers the clock of
// each, so that what takes months in production is over in milliseconds in a test.
//
// Non-goals: the cards API, which is the production code path and knows nothing of the sandbox; and security beyond
// keeping web pages out, as whoever reaches a sandbox may steer it.
//
// The surprising decision: nothing of an account is kept here but its clock. An account is fresh because its number
// was not handed out before, and there is nothing to create.
package sandbox
