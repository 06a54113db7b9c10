package sandbox

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	cards "github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/gen/hooks"
	"github.com/kortwallet/kort/gen/identity"
)

// cardsBase is where the paths of the cards API begin.
const cardsBase = "/v1"

// operations are those of the cards API and of those beside it, the ones with fewer parameters in their paths first.
type operations []operation

type operation struct {
	id, method string
	segments   []string // of the path; a parameter is in braces
}

func allOperations() (operations, error) {
	wallets, err := cards.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("load the specification of the cards API: %w", err)
	}
	clients, err := identity.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("load the specification of the identity API: %w", err)
	}
	events, err := hooks.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("load the specification of the webhooks: %w", err)
	}
	all := slices.Concat(operationsOf(wallets, cardsBase), operationsOf(clients, ""), operationsOf(events, cardsBase))
	slices.SortFunc(all, func(a, b operation) int { return cmp.Compare(a.parameters(), b.parameters()) })
	return all, nil
}

func operationsOf(spec *openapi3.T, base string) (all operations) {
	for path, item := range spec.Paths.Map() {
		for method, o := range item.Operations() {
			all = append(all, operation{id: o.OperationID, method: method, segments: strings.Split(base+path, "/")})
		}
	}
	return all
}

func (o operation) parameters() (n int) {
	for _, segment := range o.segments {
		if isParameter(segment) {
			n++
		}
	}
	return n
}

func isParameter(segment string) bool { return strings.HasPrefix(segment, "{") }

// find names the operation of a request, whose path is escaped as it came; it is empty where there is none.
func (all operations) find(method, path string) string {
	segments := strings.Split(path, "/")
	for _, o := range all {
		if o.method == method && slices.EqualFunc(o.segments, segments, fits) {
			return o.id
		}
	}
	return ""
}

func fits(want, got string) bool { return want == got || isParameter(want) && got != "" }

func (all operations) has(id string) bool {
	return slices.ContainsFunc(all, func(o operation) bool { return o.id == id })
}

// accountOf is the test account that a path names, or empty.
func accountOf(path string) string {
	rest, found := strings.CutPrefix(path, cardsBase+"/accounts/")
	number, _, _ := strings.Cut(rest, "/")
	digits, isTest := strings.CutPrefix(number, "T")
	if !found || !isTest || len(digits) != 8 || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return number
}
