package observe

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/posting"
)

// A request has a span, and in it one for each operation that it posts, from the queue
// to the answer. A commit serves many operations: its span is in the trace of the first
// of them, linked with the spans of all, and each of those with it. The library keeps
// 128 links of a span unless OTEL_SPAN_LINK_COUNT_LIMIT says otherwise; in a larger
// batch the links of the operations are the complete ones.

// Names of spans of the write path.
const (
	spanPosting = "post operation"
	spanCommit  = "commit batch"
)

// beginRequest goes on with the client's trace where it sent one.
func (t *Traces) beginRequest(r *http.Request, route httpapi.Route) context.Context {
	if route.Operation == httpapi.OperationHealth || route.Operation == httpapi.OperationReady {
		return r.Context() // asked for every few seconds, by a machine
	}
	ctx := t.propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	name := route.Method
	about := []attribute.KeyValue{
		attribute.String("http.request.method", route.Method), attribute.String("kort.operation", route.Operation),
	}
	if route.Path != "" {
		name += " " + route.Path
		about = append(about, attribute.String("http.route", route.Path))
	}
	ctx, _ = t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(about...))
	return ctx
}

func (t *Traces) endRequest(ctx context.Context, a httpapi.Answered) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.Int("http.response.status_code", a.Status), attribute.String("kort.request_id", a.RequestID))
	if a.Account != "" {
		span.SetAttributes(attribute.String("kort.account", a.Account))
	}
	if a.Replayed {
		span.SetAttributes(attribute.Bool("kort.replayed", true))
	}
	if a.Overload != "" {
		span.SetAttributes(attribute.String("kort.overload_reason", string(a.Overload)))
	}
	if a.Code != "" {
		span.SetAttributes(attribute.String("error.type", a.Code))
	}
	if a.Status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, a.Code) // a refusal is no error of the server's
	}
	span.End()
}

// submitted begins the span of an operation, if there is one to be its parent.
func (t *Traces) submitted(ctx context.Context, account string) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	ctx, _ = t.tracer.Start(ctx, spanPosting, trace.WithAttributes(attribute.String("kort.account", account)))
	return ctx
}

func (t *Traces) answered(ctx context.Context, err error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	var refusal *ledger.Refusal
	switch {
	case errors.As(err, &refusal):
		span.SetAttributes(attribute.String("error.type", string(refusal.Code)))
	case errors.Is(err, posting.ErrOverloaded):
		span.SetStatus(codes.Error, posting.ErrOverloaded.Error())
	case err != nil: // its text is the log's: it may say what the database holds
		span.SetStatus(codes.Error, "not committed")
	}
	span.End()
}

// taken begins the span of a commit, where the span of one of its operations is recorded.
func (t *Traces) taken(operations []posting.Waited) context.Context {
	var spans []trace.Span
	var links []trace.Link
	for i := range operations {
		if span := trace.SpanFromContext(operations[i].Context); span.IsRecording() {
			span.SetAttributes(attribute.Int64("kort.queued_us", operations[i].Queued.Microseconds()))
			spans, links = append(spans, span), append(links, trace.Link{SpanContext: span.SpanContext()})
		}
	}
	ctx := context.Background()
	if len(spans) == 0 {
		return ctx
	}
	ctx, commit := t.tracer.Start(trace.ContextWithSpanContext(ctx, spans[0].SpanContext()), spanCommit,
		trace.WithLinks(links...), trace.WithAttributes(attribute.Int("kort.batch.operations", len(operations))))
	for _, span := range spans {
		span.AddLink(trace.Link{SpanContext: commit.SpanContext()})
	}
	return ctx
}

func (t *Traces) attempted(ctx context.Context, a posting.Attempt) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent("attempt", trace.WithAttributes(attribute.String("kort.outcome", string(a.Outcome)),
			attribute.Int("kort.batch.operations", a.Operations), attribute.Int64("kort.took_us", a.Took.Microseconds())))
	}
}

func (t *Traces) finished(ctx context.Context) { trace.SpanFromContext(ctx).End() }
