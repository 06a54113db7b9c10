// Package proof attacks a running server and checks that nothing was lost, posted
// twice or left half done.
//
// Purpose: one command that anybody can rerun: the built program, on real databases,
// under load from several clients, while processes are killed, connections cut and
// resources taken away. Every client writes down what it meant to do and what it was
// told; afterwards the server's own answers and the audit have to agree with that.
//
// Non-goals: rules of a single request, which the tests of each package look after, and
// speed.
//
// The surprising decision: the checks of a load read nothing but answers over HTTP and the
// verdict of `kort verify`. What a client was told is the only thing that counts, and a check
// that shares code with the server would share its mistakes.
package proof
