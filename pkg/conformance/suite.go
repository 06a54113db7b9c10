package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of a run.
const (
	// maxConnections bounds the idle connections that are kept.
	maxConnections = 64
	// cleanupTimeout bounds the removal of what one check has made, and of the rest.
	cleanupTimeout = 30 * time.Second
	// maxAnswerBytes bounds an answer.
	maxAnswerBytes = 16 << 20
	// maxPatience is how long a check waits when the server asks to come back later.
	maxPatience = 5 * time.Second
)

// Options say what to check, and how far to go.
type Options struct {
	// URL is where the API is, without /v1.
	URL string
	// Account is the one to work on. Empty: that of Token.
	Account string
	// Token is an access token with admin:wallets.
	Token string
	// Others are further access tokens. Checks that need one that is missing stay undecided.
	Others Others
	// AllowWrites permits requests that make or change cards.
	AllowWrites bool
	// AllowLive permits an account of real money.
	AllowLive bool
	// Published leaves out what the published API does not promise.
	Published bool
	// Only selects checks by name. Nil: all.
	Only *regexp.Regexp
	// Parallel is how many checks run at once, at least 1.
	Parallel int
	// Timeout is the longest that one check may take.
	Timeout time.Duration
}

// Others are access tokens for checks on who may do what. All but Other and Expired are for
// the account of the run.
type Others struct {
	// Reader has read:wallets only.
	Reader string
	// Writer has write:wallets only.
	Writer string
	// Till has write:wallets:/transactions only.
	Till string
	// Info has write:wallets:/info only.
	Info string
	// Customer has user:wallets only.
	Customer string
	// Other has admin:wallets for another account.
	Other string
	// Expired was a token like the first, and has expired more than a minute ago.
	Expired string
}

// ErrCannotRun is why a run did not begin.
var ErrCannotRun = errors.New("cannot run")

// suite is one run.
type suite struct {
	Options
	prefix   string
	http     *http.Client
	document *document
	claims   claims
	bearers  map[credential]string

	mu        sync.Mutex
	leftovers map[string]error
}

// Selected are the checks that a run with these options is about.
func Selected(o Options) []Check {
	var selected []Check
	for _, check := range All() {
		if (o.Only == nil || o.Only.MatchString(check.Name)) && (!o.Published || check.published) {
			selected = append(selected, check)
		}
	}
	return selected
}

// Run carries out the checks. When ctx ends, the checks that have not run are undecided, and
// what was made is removed nevertheless. An error wraps ErrCannotRun and means that nothing
// was checked.
func Run(ctx context.Context, o Options) (Report, error) {
	s, err := newSuite(o)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrCannotRun, err)
	}
	defer s.http.CloseIdleConnections()
	if err := s.greet(ctx); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrCannotRun, err)
	}
	checks := Selected(o)
	results := make([]Result, len(checks))
	var group sync.WaitGroup
	slots := make(chan struct{}, max(o.Parallel, 1))
	for i, check := range checks {
		if check.answersOf != "" {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			results[i] = s.try(ctx, check)
			<-slots
		})
	}
	group.Wait()
	s.sweep(ctx)
	for i, check := range checks {
		if check.answersOf != "" {
			results[i] = s.document.verdict(check)
		}
	}
	report := Report{Account: s.Account, Results: results}
	for _, id := range slices.Sorted(maps.Keys(s.leftovers)) {
		report.Leftovers = append(report.Leftovers, id+": "+s.leftovers[id].Error())
	}
	return report, nil
}

func newSuite(o Options) (*suite, error) {
	claims, err := readClaims(o.Token)
	if err != nil && o.Account == "" {
		return nil, fmt.Errorf("no account is named, and the access token does not tell it: %w", err)
	}
	if o.Account == "" {
		o.Account = claims.account()
	}
	if !accountPattern.MatchString(o.Account) {
		return nil, errors.New("the account must be P or T and eight digits")
	}
	if strings.HasPrefix(o.Account, "P") && !o.AllowLive {
		return nil, errors.New("a P account holds real money: take a T account, or allow it explicitly")
	}
	document, err := readDocument()
	if err != nil {
		return nil, err
	}
	o.URL = strings.TrimRight(o.URL, "/")
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: maxConnections, TLSHandshakeTimeout: cleanupTimeout,
	}
	return &suite{
		Options: o, document: document, claims: claims, leftovers: map[string]error{},
		prefix: "conformance-" + strings.ToLower(rand.Text()[:10]) + "-",
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a redirection is an answer too, and a wrong one
		}},
		bearers: map[credential]string{
			reader: o.Others.Reader, writer: o.Others.Writer, till: o.Others.Till, info: o.Others.Info,
			customer: o.Others.Customer, other: o.Others.Other, expired: o.Others.Expired,
		},
	}, nil
}

var accountPattern = regexp.MustCompile(`^[PT][0-9]{8}$`)

// greet finds out whether there is somebody to check: a server that answers, and lets us in.
func (s *suite) greet(ctx context.Context) error {
	t := s.newTrial(ctx, Check{Name: "greeting"})
	defer t.cancel()
	err := t.attempt(func(t *trial) {
		a := t.listCards("limit=1")
		switch {
		case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
			t.fail("an access token that may list cards", a.String())
		case a.status == http.StatusNotFound || a.status >= http.StatusInternalServerError:
			t.fail("a server of this API that can list cards", a.String())
		}
	})
	if err != nil {
		return err
	}
	return nil
}

// try carries out one check, and removes what it made.
func (s *suite) try(ctx context.Context, check Check) Result {
	result := Result{Check: check, Outcome: Undecided}
	switch missing := s.missing(check); {
	case check.unknowable != "":
		result.Reason = check.unknowable
		return result
	case !check.reads && !s.AllowWrites:
		result.Reason = "it makes cards: --allow-writes decides it"
		return result
	case missing != "":
		result.Reason = "it needs another access token: --" + string(missing) + " decides it"
		return result
	case ctx.Err() != nil:
		result.Reason = "interrupted"
		return result
	}
	t := s.newTrial(ctx, check)
	defer t.cancel()
	begun := time.Now()
	failure := t.attempt(check.run)
	result.Duration = time.Since(begun)
	s.removeAll(ctx, t.ids)
	switch {
	case t.undecided != "":
		result.Reason = t.undecided
	case ctx.Err() != nil:
		result.Reason = "interrupted"
	case failure != nil:
		result.Outcome, result.Failure = Failed, failure
	default:
		result.Outcome = Passed
	}
	return result
}

// missing is the first access token that the check needs and nobody gave.
func (s *suite) missing(check Check) credential {
	for _, need := range check.needs {
		if s.bearers[need] == "" {
			return need
		}
	}
	return ""
}
