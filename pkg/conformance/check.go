package conformance

import (
	"slices"
	"strings"
)

// Check proves one rule of the contract.
type Check struct {
	// Name is "section/name", stable and unique.
	Name string
	// Rule is the sentence that it proves.
	Rule string
	// published: the published API promises it too, without the additions of this one.
	published bool
	// reads: it sends nothing that could change anything.
	reads bool
	// needs are the access tokens that it needs beside the first.
	needs []credential
	// unknowable is why no client can find out. Empty for a check that runs.
	unknowable string
	// answersOf is the operation whose answers are compared with the document. Empty for
	// a check that runs.
	answersOf string
	run       func(*trial)
}

// Section is what its name begins with.
func (c Check) Section() string {
	section, _, _ := strings.Cut(c.Name, "/")
	return section
}

// rule is a check that writes, of what this API promises.
func rule(name, sentence string, run func(*trial)) Check {
	return Check{Name: name, Rule: sentence, run: run}
}

// refusal is a check of one request, which must be refused as an invalid one.
func refusal(name, sentence string, ask func(*trial) answer) Check {
	return rule(name, sentence, func(t *trial) { ask(t).refused(invalid) })
}

// unknowable is a rule that no client can check.
func unknowable(name, sentence, why string) Check {
	return Check{Name: name, Rule: sentence, unknowable: why, reads: true}
}

// readOnly says that the check changes nothing on any server.
func (c Check) readOnly() Check {
	c.reads = true
	return c
}

// isPublished says that servers of the published API promise it as well.
func (c Check) isPublished() Check {
	c.published = true
	return c
}

// with says which further access tokens it needs.
func (c Check) with(needs ...credential) Check {
	c.needs = needs
	return c
}

// All returns every check, in the order of the report.
func All() []Check {
	return slices.Concat(
		surface, money, status, transactions, refIDs, tokens, pins, lists, deletion, batches,
		errorBodies, order, reading, identity, documents(),
	)
}
