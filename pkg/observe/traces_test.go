package observe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/posting"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// recorded are traces whose spans stay here.
func recorded(t *testing.T, sampler sdktrace.Sampler) (*Traces, *tracetest.SpanRecorder) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sampler))
	return &Traces{provider: provider, tracer: provider.Tracer("test"), log: discard()}, spans
}

// A request that is not sampled has no spans, and neither have its operations and their
// commit.
func TestUnsampledRequests(t *testing.T) {
	t.Parallel()
	traces, spans := recorded(t, sdktrace.NeverSample())
	requests, writes := Watch{Traces: traces}.Requests(), Watch{Traces: traces}.Writes()
	ctx := requests.Begin(httptest.NewRequest(http.MethodGet, "/", nil), httpapi.Route{Operation: "a", Method: http.MethodGet})
	if submitted := writes.Submitted(ctx, "T12345678"); submitted != ctx {
		t.Error("an operation has a span without its request")
	}
	commit := writes.Taken([]posting.Waited{{Context: ctx}})
	writes.Attempted(commit, posting.Attempt{Outcome: posting.OutcomeCommitted})
	writes.Answered(ctx, nil)
	writes.Finished(commit)
	requests.End(ctx, httpapi.Answered{})
	if trace.SpanContextFromContext(commit).IsValid() || len(spans.Started()) != 0 {
		t.Errorf("%d spans, want none", len(spans.Started()))
	}
}

// Whatever an operation's error says stays out of its span: it may be what the database
// said about a row.
func TestErrorsOfOperations(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		code codes.Code
		text string
	}{
		"none":       {nil, codes.Unset, ""},
		"a refusal":  {&ledger.Refusal{Code: ledger.CodeCardExpired}, codes.Unset, ""},
		"overload":   {posting.ErrContended, codes.Error, posting.ErrOverloaded.Error()},
		"a failure":  {fmt.Errorf("key (hush) exists: %w", posting.ErrInternal), codes.Error, "not committed"},
		"one of I/O": {errors.New("write hush: broken pipe"), codes.Error, "not committed"},
	} {
		traces, spans := recorded(t, sdktrace.AlwaysSample())
		writes := Watch{Traces: traces}.Writes()
		parent, span := traces.tracer.Start(t.Context(), "parent")
		writes.Answered(writes.Submitted(parent, "T12345678"), test.err)
		span.End()
		if status := spans.Ended()[0].Status(); status.Code != test.code || status.Description != test.text {
			t.Errorf("%s: the status is %+v", name, status)
		}
	}
}

// Metrics and traces together are both told, once each.
func TestBothAreTold(t *testing.T) {
	t.Parallel()
	traces, spans := recorded(t, sdktrace.AlwaysSample())
	w := Watch{Metrics: NewMetrics(Build{}), Traces: traces}
	requests, writes := w.Requests(), w.Writes()
	ctx := requests.Begin(httptest.NewRequest(http.MethodGet, "/", nil), httpapi.Route{Operation: "a", Method: http.MethodGet})
	operation := writes.Submitted(ctx, "T12345678")
	commit := writes.Taken([]posting.Waited{{Context: operation}})
	writes.Attempted(commit, posting.Attempt{Outcome: posting.OutcomeCommitted})
	writes.Answered(operation, nil)
	writes.Finished(commit)
	requests.End(ctx, answered("a", "internal", http.StatusInternalServerError))
	if n := len(spans.Ended()); n != 3 {
		t.Errorf("%d spans, want 3", n)
	}
	if status := spans.Ended()[2].Status(); status.Code != codes.Error || status.Description != "internal" {
		t.Errorf("the status of the request is %+v", status)
	}
	recorder := httptest.NewRecorder()
	w.Metrics.Handler(discard()).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, Path, nil))
	for _, line := range []string{
		`kort_http_requests_total{operation="a",status="500"} 1`, `kort_posting_batch_operations_count 1`,
		`kort_posting_commit_seconds_count{outcome="committed"} 1`, `kort_http_requests_in_flight 0`,
	} {
		if !strings.Contains(recorder.Body.String(), line) {
			t.Errorf("no line %s", line)
		}
	}
}

// A record that is logged with the context of a trace names it, whatever the logger has
// been given before.
func TestCorrelatedRecords(t *testing.T) {
	t.Parallel()
	traces, _ := recorded(t, sdktrace.AlwaysSample())
	ctx, span := traces.tracer.Start(t.Context(), "request")
	defer span.End()
	id := "trace_id=" + span.SpanContext().TraceID().String()
	var out bytes.Buffer
	log := slog.New(Correlated(slog.NewTextHandler(&out, nil)))
	for name, record := range map[string]struct {
		log  *slog.Logger
		ctx  context.Context
		want bool
	}{
		"plain":           {log, ctx, true},
		"with attributes": {log.With("part", "x"), ctx, true},
		"with a group":    {log.WithGroup("part"), ctx, true},
		"no trace":        {log, t.Context(), false},
	} {
		out.Reset()
		record.log.InfoContext(record.ctx, "said", "key", "value")
		if got := strings.Contains(out.String(), id); got != record.want || !strings.Contains(out.String(), "key=value") {
			t.Errorf("%s: logged %s", name, &out)
		}
	}
}
