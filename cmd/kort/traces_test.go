package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is a collector of spans.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*collector.ExportTraceServiceRequest
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		got := &collector.ExportTraceServiceRequest{}
		if err == nil {
			err = proto.Unmarshal(body, got)
		}
		if err != nil || request.URL.Path != "/v1/traces" || request.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("a request to %s that is no OTLP over HTTP: %v", request.URL, err)
			http.Error(w, "no OTLP", http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.requests = append(r.requests, got)
	}))
	t.Cleanup(r.Close)
	return r
}

// env makes a server send its spans here.
func (r *receiver) env() []string { return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + r.URL} }

// spans are all that have arrived.
func (r *receiver) spans() (all []*trace.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, request := range r.requests {
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				all = append(all, scope.Spans...)
			}
		}
	}
	return all
}

// named are the spans with a name.
func (r *receiver) named(name string) []*trace.Span {
	return slices.DeleteFunc(r.spans(), func(s *trace.Span) bool { return s.Name != name })
}

// attribute is the text of a span's attribute, or of its number.
func attribute(s *trace.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if text := a.Value.GetStringValue(); text != "" {
				return text
			}
			return fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return ""
}

// Names of spans.
const (
	postSale    = "POST /v1/accounts/:aid/wallets/transactions"
	postCard    = "POST /v1/accounts/:aid/wallets/cards"
	postingSpan = "post operation"
	commitSpan  = "commit batch"
)

// sendTraced sends a request that belongs to a client's trace.
func (i *instance) sendTraced(method, path, token, body, traceparent, requestID string) answer {
	i.t.Helper()
	request, err := http.NewRequestWithContext(i.t.Context(), method, "http://"+i.addr+path, bytes.NewBufferString(body))
	if err != nil {
		i.t.Fatal(err)
	}
	request.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"},
		"Traceparent": {traceparent}, "X-Request-Id": {requestID}}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		i.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(content)}
}

// A request goes on with its client's trace, through the operation to the commit, and
// the log of the request names the trace.
func TestTraceOfARequest(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		received := newReceiver(t)
		server := serveWith(t, received.env(), dev(database)...)
		token := server.token()
		server.createCard(token, `{"card_id":"a","amount":100,"currency":"NOK"}`)
		const traceID, parentID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
		sold := server.sendTraced(http.MethodPost, transactionsPath, token, sale("1:a"), "00-"+traceID+"-"+parentID+"-01", "traced-request")
		const unsampled = "1af7651916cd43dd8448eb211c80319c"
		unseen := server.sendTraced(http.MethodPost, transactionsPath, token, sale("2:a"), "00-"+unsampled+"-"+parentID+"-00", "unseen-request")
		refused := server.send(http.MethodPost, transactionsPath, token, `{"ref_id":"3","card_id":"a","amount":1000,"currency":"NOK"}`)
		if sold.status != http.StatusOK || unseen.status != http.StatusOK || refused.status != http.StatusConflict {
			t.Fatalf("got %d, %d and %d", sold.status, unseen.status, refused.status)
		}
		server.send(http.MethodGet, "/healthz", "", "")
		server.close() // sends what is left

		sales := received.named(postSale)
		if len(sales) != 2 || len(received.named(postCard)) != 1 || len(received.named(postingSpan)) != 3 || len(received.spans()) != 9 {
			t.Fatalf("%d spans, %d of sales", len(received.spans()), len(sales))
		}
		request := sales[0]
		if hex.EncodeToString(request.TraceId) != traceID || hex.EncodeToString(request.ParentSpanId) != parentID ||
			request.Kind != trace.Span_SPAN_KIND_SERVER {
			t.Errorf("the request is %v", request)
		}
		for key, want := range map[string]string{
			"http.request.method": "POST", "http.route": strings.TrimPrefix(postSale, "POST "), "http.response.status_code": "200",
			"kort.operation": "aid_cards_transactions_post", "kort.request_id": "traced-request", "kort.account": "T12345678",
		} {
			if got := attribute(request, key); got != want {
				t.Errorf("%s of the request is %q, want %q", key, got, want)
			}
		}
		posting := childOf(t, received, postingSpan, request)
		commit := childOf(t, received, commitSpan, posting)
		wantLinks(t, commit, posting)
		wantLinks(t, posting, commit)
		if len(commit.Events) != 1 || attribute(&trace.Span{Attributes: commit.Events[0].Attributes}, "kort.outcome") != "committed" {
			t.Errorf("the events of the commit are %v", commit.Events)
		}
		if s := sales[1]; attribute(s, "error.type") != "insufficient_funds" || s.GetStatus().GetCode() != trace.Status_STATUS_CODE_UNSET ||
			len(s.ParentSpanId) != 0 {
			t.Errorf("the refused request is %v", s)
		}
		wantLogged(t, server, "traced-request", traceID)
		wantLogged(t, server, "unseen-request", unsampled)
	})
}

// childOf is the one span with a name and a parent.
func childOf(t *testing.T, received *receiver, name string, parent *trace.Span) *trace.Span {
	t.Helper()
	children := slices.DeleteFunc(received.named(name), func(s *trace.Span) bool {
		return !bytes.Equal(s.ParentSpanId, parent.SpanId) || !bytes.Equal(s.TraceId, parent.TraceId)
	})
	if len(children) != 1 {
		t.Fatalf("%s has %d children %q, want 1", parent.Name, len(children), name)
	}
	return children[0]
}

// wantLinks checks that a span is linked with others, and with no more.
func wantLinks(t *testing.T, span *trace.Span, others ...*trace.Span) {
	t.Helper()
	linked := len(span.Links) == len(others)
	for _, other := range others {
		linked = linked && slices.ContainsFunc(span.Links, func(l *trace.Span_Link) bool {
			return bytes.Equal(l.SpanId, other.SpanId) && bytes.Equal(l.TraceId, other.TraceId)
		})
	}
	if !linked {
		t.Errorf("%s has the links %v, want %d", span.Name, span.Links, len(others))
	}
}

// wantLogged checks that the line of a request names its trace.
func wantLogged(t *testing.T, server *instance, requestID, traceID string) {
	t.Helper()
	for line := range strings.Lines(server.stderr.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("a line that is no JSON: %s", line)
		}
		if record["request_id"] == requestID {
			if record["trace_id"] != traceID {
				t.Errorf("the request %s is logged with the trace %v, want %s", requestID, record["trace_id"], traceID)
			}
			return
		}
	}
	t.Errorf("the request %s is not logged", requestID)
}

// A commit that serves many operations is linked with each of them, and each with it.
func TestTraceOfACommit(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		received := newReceiver(t)
		server := serveWith(t, received.env(), dev(database, "--metrics-addr=localhost:0")...)
		token := server.token()
		server.createCard(token, `{"card_id":"a","amount":100,"currency":"NOK"}`)
		release := holdDatabase(t, database)
		defer release()
		var clients sync.WaitGroup
		sell := func(ref string) {
			clients.Go(func() { server.send(http.MethodPost, transactionsPath, token, sale(ref)) })
		}
		sell("first:a")
		eventually(t, "begin a commit", func() bool { return server.scrape()["kort_posting_batch_operations_count{}"] == 2 })
		for _, ref := range []string{"x:a", "y:a", "z:a"} {
			sell(ref)
		}
		eventually(t, "queue up", func() bool { return server.scrape()["kort_posting_queue_depth{}"] == 3 })
		release()
		clients.Wait()
		server.close()

		var shared []*trace.Span
		for _, commit := range received.named(commitSpan) {
			if attribute(commit, "kort.batch.operations") == "3" {
				shared = append(shared, commit)
			}
		}
		if len(shared) != 1 || len(received.named(commitSpan)) != 3 {
			t.Fatalf("%d commits of three operations, of %d", len(shared), len(received.named(commitSpan)))
		}
		var served []*trace.Span
		for _, posting := range received.named(postingSpan) {
			if slices.ContainsFunc(posting.Links, func(l *trace.Span_Link) bool { return bytes.Equal(l.SpanId, shared[0].SpanId) }) {
				wantLinks(t, posting, shared[0])
				served = append(served, posting)
			}
		}
		if len(served) != 3 {
			t.Fatalf("%d operations are linked with the commit, want 3", len(served))
		}
		wantLinks(t, shared[0], served...)
		childOf(t, received, commitSpan, served[slices.IndexFunc(served, func(s *trace.Span) bool {
			return bytes.Equal(s.SpanId, shared[0].ParentSpanId)
		})])
		if bytes.Equal(served[0].TraceId, served[1].TraceId) {
			t.Error("two requests without a trace of their client's are in one trace")
		}
	})
}

// No token, PIN, card or customer is in a span.
func TestTracesHoldNoSecrets(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		received := newReceiver(t)
		server := serveWith(t, received.env(), dev(database, "--metrics-addr=localhost:0", "--max-queue=1")...)
		d := doEverything(t, server, database)
		server.close()
		if len(received.spans()) < int(d.posted) {
			t.Fatalf("only %d spans", len(received.spans()))
		}
		for _, request := range received.requests {
			for _, resource := range request.ResourceSpans {
				for what, value := range d.secrets {
					if text := withoutNumbers(resource); strings.Contains(text, value) {
						t.Errorf("the spans show the %s:\n%s", what, text)
					}
				}
			}
		}
	})
}

// withoutNumbers is all text of spans: in ids and times six digits may come by chance.
func withoutNumbers(resource *trace.ResourceSpans) string {
	text := resource.GetResource().String()
	for _, scope := range resource.ScopeSpans {
		for _, s := range scope.Spans {
			text += s.Name + s.TraceState + s.GetStatus().GetMessage()
			for _, a := range s.Attributes {
				if a.Key != "kort.request_id" { // drawn at random, or the client's
					text += "\n" + a.Key + "=" + a.Value.GetStringValue()
				}
			}
			for _, e := range s.Events {
				text += "\n" + e.Name
				for _, a := range e.Attributes {
					text += " " + a.Key + "=" + a.Value.GetStringValue()
				}
			}
		}
	}
	return text
}

// A collector that is away costs spans and a line of the log, no request, and does not
// hold up the end.
func TestCollectorIsAway(t *testing.T) {
	t.Parallel()
	received := newReceiver(t)
	env := append(received.env(), "OTEL_BSP_SCHEDULE_DELAY=20", "OTEL_EXPORTER_OTLP_TIMEOUT=200")
	received.Close()
	server := serveWith(t, env, dev([]string{"--data-dir=" + t.TempDir()})...)
	server.createCard(server.token(), `{"card_id":"a","amount":100,"currency":"NOK"}`)
	eventually(t, "say that spans were lost", func() bool {
		return strings.Contains(server.stderr.String(), `"msg":"spans were not sent"`)
	})
	begin := time.Now()
	server.close()
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %s to stop", took)
	}
}

// What the variables ask for and is not there is said at the start.
func TestTracesThatCannotBeSent(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	kort(t, serveArgs(dev([]string{"--data-dir=" + t.TempDir()}))...).want(t, exitUsage, "OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf")
}
