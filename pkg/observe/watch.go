package observe

import (
	"context"
	"net/http"

	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/posting"
)

// Watch is what a server is watched with: metrics, traces, both, or neither where a
// field is nil.
type Watch struct {
	Metrics *Metrics
	Traces  *Traces
}

// Requests is for the edge.
func (w Watch) Requests() httpapi.Observer {
	m, t := w.Metrics, w.Traces
	switch {
	case m == nil && t == nil:
		return httpapi.Observer{}
	case t == nil:
		return httpapi.Observer{Begin: m.requests.begin, End: m.requests.end}
	case m == nil:
		return httpapi.Observer{Begin: t.beginRequest, End: t.endRequest}
	}
	return httpapi.Observer{
		Begin: func(r *http.Request, route httpapi.Route) context.Context {
			m.requests.begin(r, route)
			return t.beginRequest(r, route)
		},
		End: func(ctx context.Context, a httpapi.Answered) {
			t.endRequest(ctx, a)
			m.requests.end(ctx, a)
		},
	}
}

// Writes is for the write path.
func (w Watch) Writes() posting.Observer {
	m, t := w.Metrics, w.Traces
	switch {
	case m == nil && t == nil:
		return posting.Observer{}
	case t == nil:
		return posting.Observer{Taken: m.writes.taken, Attempted: m.writes.attempted}
	}
	o := posting.Observer{
		Submitted: t.submitted, Taken: t.taken, Attempted: t.attempted, Answered: t.answered, Finished: t.finished,
	}
	if m != nil {
		o.Taken = func(operations []posting.Waited) context.Context {
			m.writes.taken(operations)
			return t.taken(operations)
		}
		o.Attempted = func(ctx context.Context, a posting.Attempt) {
			m.writes.attempted(ctx, a)
			t.attempted(ctx, a)
		}
	}
	return o
}
