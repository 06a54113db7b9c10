package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// flushTimeout bounds how long a server that stops waits for the collector to take the
// last spans. They are worth less than a quick end.
const flushTimeout = 5 * time.Second

// Traces sends spans to a collector, in the background. It is safe for concurrent use.
type Traces struct {
	provider   *sdktrace.TracerProvider
	tracer     trace.Tracer
	propagator propagation.TraceContext
	log        *slog.Logger
}

// StartTraces begins to send spans with OTLP over HTTP. Where to, which of them, with
// which headers and certificates is said by the standard OTEL_ variables, which the
// library reads. A collector that cannot be reached is no error: it is logged, and the
// spans are lost.
func StartTraces(ctx context.Context, build Build, log *slog.Logger) (*Traces, error) {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare to send traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "kort"), attribute.String("service.version", build.Version)),
		resource.WithFromEnv(), // the last one wins
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the OTEL_ variables: %w", err), exporter.Shutdown(ctx))
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&loggingExporter{SpanExporter: exporter, log: log}), sdktrace.WithResource(about))
	return &Traces{provider: provider, tracer: provider.Tracer("github.com/kortwallet/kort"), log: log}, nil
}

// Close sends what is left. It only logs what goes wrong: the server has done its work.
func (t *Traces) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last spans were not sent", "error", err)
	}
	return nil
}

// loggingExporter logs what cannot be sent, where the library would print it.
type loggingExporter struct {
	sdktrace.SpanExporter
	log *slog.Logger
}

// ExportSpans implements sdktrace.SpanExporter.
func (e *loggingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.log.Warn("spans were not sent", "spans", len(spans), "error", err)
	}
	return nil
}
