// Package identity gives out access tokens: it keeps the API clients of an account, checks their secrets, and signs tokens for what
// their grants permit.
//
// Non-goals: HTTP (httpapi), the keys and the form of tokens (auth), logins of people, and asking whether a token that was given out is
// still wanted. A revoked client gets no new tokens; those it has end by themselves.
//
// The surprising decision: the right secret is never turned away, however many wrong ones came before. A secret has 256 random bits,
// which nobody guesses; a lock would only let strangers keep a shop out. What is limited is how often a wrong one gets an answer of
// its own.
package identity
