package proof

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/kortwallet/kort/pkg/auth"
)

// ItemLinear compares what concurrent clients are told with what one client after the
// other would have been told.
const ItemLinear Item = "linearizability"

const (
	// linearOpening is what a card begins with, in minor currency units: so little that
	// requests are refused all the time.
	linearOpening = 100
	// leastLinearClients and mostLinearClients take part in a history. With more of them
	// the orders to try become too many.
	leastLinearClients, mostLinearClients = 4, 6
	// leastRequests and mostRequests are how many each of them sends.
	leastRequests, mostRequests = 5, 9
	// spoilOneIn is how many histories lose answers, and loseOneIn how many of their
	// requests meet a fault.
	spoilOneIn, loseOneIn = 4, 8
	// enoughLost is how many lost answers are the last of a history: each doubles the
	// orders to try.
	enoughLost = 5
	// decideTimeout bounds the search for an order of one history.
	decideTimeout = 10 * time.Second
)

// linearizer lets clients write histories, and decides about them.
type linearizer struct {
	*trial
	// direct lead to the servers, one client after the other, and spoiled to the same
	// ones through proxies.
	direct, spoiled []route
	// database stands before PostgreSQL; nil for SQLite.
	database *proxy
	seen     tally
}

// route is how a client of a history reaches a server.
type route struct {
	client *client
	proxy  *proxy // nil if nothing is in between
}

// tally counts what is worth a note.
type tally struct {
	histories, undecided         int64
	refused, replayed, conflicts int64
	lost, held, together         int64
}

// linearOne has one server.
func (t *trial) linearOne(ctx context.Context) error { return t.linearizable(ctx, 1) }

// linearTwo has two on the same database.
func (t *trial) linearTwo(ctx context.Context) error { return t.linearizable(ctx, 2) }

// linearizable writes histories on so many servers.
func (t *trial) linearizable(ctx context.Context, servers int) error {
	return t.withSite(ctx, func(s *site) error {
		write := func(database *proxy) error {
			return t.withServers(ctx, s, servers, func(servers []*server) error {
				l := &linearizer{trial: t, database: database}
				return errors.Join(l.over(ctx, s, servers), l.close())
			})
		}
		if s.databaseURL == "" {
			return write(nil)
		}
		return s.throughProxy(ctx, write)
	})
}

// over writes histories over these servers until the share is over, and audits them.
func (l *linearizer) over(ctx context.Context, s *site, servers []*server) error {
	if err := l.connect(ctx, s, servers); err != nil {
		return err
	}
	if err := l.run(ctx); err != nil {
		return err
	}
	if said, err := s.run(ctx, "verify"); err != nil {
		l.violate("kort verify: %v: %s", err, said)
	}
	return nil
}

// withServers starts several servers on one site for something.
func (t *trial) withServers(ctx context.Context, s *site, count int, use func([]*server) error) error {
	if count == 0 {
		return use(nil)
	}
	return t.withServer(ctx, s, func(first *server) error {
		return t.withServers(ctx, s, count-1, func(others []*server) error {
			return use(append(others, first))
		})
	})
}

// connect gives each client its routes. Neighbours have different servers.
func (l *linearizer) connect(ctx context.Context, s *site, servers []*server) error {
	token, err := s.token(account, "till", auth.ScopeRead, auth.ScopeWrite)
	if err != nil {
		return err
	}
	proxies := make([]*proxy, len(servers))
	for i, server := range servers {
		if proxies[i], err = newProxy(ctx, "tcp", server.addr); err != nil {
			return err
		}
	}
	for i := range mostLinearClients {
		n := i % len(servers)
		l.direct = append(l.direct, route{newClient(servers[n].url(), token), nil})
		l.spoiled = append(l.spoiled, route{newClient("http://"+proxies[n].addr(), token), proxies[n]})
	}
	return nil
}

func (l *linearizer) close() (err error) {
	ended := map[*proxy]bool{nil: true}
	for _, r := range append(l.direct, l.spoiled...) {
		r.client.close()
		if !ended[r.proxy] {
			ended[r.proxy] = true
			err = errors.Join(err, r.proxy.close())
		}
	}
	return err
}

// run writes one history after the other, and decides about each.
func (l *linearizer) run(ctx context.Context) error {
	for until := time.Now().Add(l.share); l.seen.histories == 0 || time.Now().Before(until); {
		h, err := l.newHistory(ctx, int(l.seen.histories))
		if err != nil {
			return err
		}
		if err := h.write(ctx); err != nil {
			return err
		}
		l.count(h)
		if err := l.judge(h); err != nil {
			return err
		}
	}
	l.note("%d histories, %d undecided; %d refused, %d replays, %d conflicts; %d times no answer, %d times 503; %d pairs of the same request at once",
		l.seen.histories, l.seen.undecided, l.seen.refused, l.seen.replayed, l.seen.conflicts, l.seen.lost, l.seen.held, l.seen.together)
	if l.database != nil {
		l.note("%d answers to a COMMIT lost", l.database.muted.Load())
	}
	return nil
}

// judge looks for an order of the requests that explains the answers.
func (l *linearizer) judge(h *history) error {
	switch result, info := decide(h.operations, decideTimeout); result {
	case porcupine.Ok:
	case porcupine.Unknown:
		l.seen.undecided++
	case porcupine.Illegal:
		path, err := l.picture(h, info)
		if err != nil {
			return err
		}
		l.violate("history %d of seed %d has no order that explains its %d answers: see %s",
			h.number, l.Seed, len(h.operations), path)
	}
	return nil
}

// picture draws a history into a file that stays.
func (l *linearizer) picture(h *history, info porcupine.LinearizationInfo) (path string, err error) {
	file, err := os.CreateTemp(l.Dir, fmt.Sprintf("kort-linearizability-%d-*.html", h.number))
	if err != nil {
		return "", fmt.Errorf("draw a history: %w", err)
	}
	if err := errors.Join(porcupine.Visualize(model, info, file), file.Close()); err != nil {
		return "", fmt.Errorf("draw a history: %w", err)
	}
	return file.Name(), nil
}

// count counts what is in a history.
func (l *linearizer) count(h *history) {
	l.seen.histories++
	l.Operations += int64(len(h.operations))
	for i, o := range h.operations {
		switch got := o.Output.(outcome); {
		case got.lost && got.status == http.StatusServiceUnavailable:
			l.seen.held++
		case got.lost:
			l.seen.lost++
		case got.replayed:
			l.seen.replayed++
		case got.code == "ref_id_conflict":
			l.seen.conflicts++
		case got.status != http.StatusOK:
			l.seen.refused++
		}
		for _, other := range h.operations[:i] {
			if o.Input == other.Input && o.Input.(request).verb != doGet && o.Call <= other.Return && other.Call <= o.Return {
				l.seen.together++
			}
		}
	}
}
