package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/common/expfmt"
	prometheus "github.com/prometheus/common/model"
)

var servingMetrics = regexp.MustCompile(`"msg":"serving metrics","metrics_addr":"([^"]+)"`)

// metricsURL is where a server serves metrics.
func (i *instance) metricsURL() string {
	i.t.Helper()
	found := servingMetrics.FindStringSubmatch(i.stderr.String())
	if found == nil {
		i.t.Fatalf("it serves no metrics:\n%s", i.stderr)
	}
	return "http://" + found[1]
}

// get sends a request of any method to any address.
func get(t *testing.T, method, url string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// samples are the values of a scrape, by the name of the metric and its labels: those of
// counters and gauges, and of histograms how often and how much was observed.
type samples map[string]float64

// scrape asks a server for its metrics.
func (i *instance) scrape() samples {
	i.t.Helper()
	a := get(i.t, http.MethodGet, i.metricsURL()+"/metrics")
	if a.status != http.StatusOK {
		i.t.Fatalf("scrape: %d %s", a.status, a.body)
	}
	parser := expfmt.NewTextParser(prometheus.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(a.body))
	if err != nil {
		i.t.Fatalf("scrape: %v", err)
	}
	all := samples{}
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
			key := "{" + strings.Join(labels, ",") + "}"
			if histogram := metric.GetHistogram(); histogram != nil {
				all[name+"_count"+key], all[name+"_sum"+key] = float64(histogram.GetSampleCount()), histogram.GetSampleSum()
				continue
			}
			all[name+key] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return all
}

// of are the samples of a metric that are not zero, without its name.
func (s samples) of(name string) samples {
	found := samples{}
	for key, value := range s {
		if labels, is := strings.CutPrefix(key, name+"{"); is && value != 0 {
			found[strings.TrimSuffix(labels, "}")] = value
		}
	}
	return found
}

// awaitCounts waits until metrics have these values and no others; a request is counted
// when its answer may have arrived already.
func (i *instance) awaitCounts(want map[string]samples) {
	i.t.Helper()
	var wrong string
	defer func() {
		if i.t.Failed() {
			i.t.Log(wrong)
		}
	}()
	eventually(i.t, "count", func() bool {
		wrong = ""
		got := i.scrape()
		for name, values := range want {
			if found := got.of(name); !maps.Equal(found, values) {
				wrong += fmt.Sprintf("%s is %v, want %v\n", name, found, values)
			}
		}
		return wrong == ""
	})
}

// Every request is counted once: by operation, status, code and reason.
func TestMetricsCount(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		server := serveHere(t, dev(database, "--metrics-addr=localhost:0", "--max-queue=1")...)
		d := doEverything(t, server, database)
		server.awaitCounts(map[string]samples{
			"kort_http_requests_total": {
				"operation=aid_cards_post,status=200":              1,
				"operation=aid_cards_get,status=200":               1,
				"operation=aid_cards_get,status=401":               1,
				"operation=aid_cards_get,status=400":               1,
				"operation=aid_cards_token_post,status=200":        1,
				"operation=aid_cards_token_post,status=403":        5,
				"operation=aid_cards_token_post,status=429":        1,
				"operation=aid_cards_transactions_post,status=200": 4,
				"operation=aid_cards_transactions_post,status=409": 1,
				"operation=aid_cards_transactions_post,status=503": 1,
				"operation=healthz,status=200":                     1,
				"operation=readyz,status=200":                      1,
				"operation=none,status=404":                        1,
				"operation=none,status=405":                        1,
			},
			"kort_refusals_total": {
				"code=unauthorized,operation=aid_cards_get":                     1,
				"code=invalid_request,operation=aid_cards_get":                  1,
				"code=invalid_pin,operation=aid_cards_token_post":               5,
				"code=pin_locked,operation=aid_cards_token_post":                1,
				"code=insufficient_funds,operation=aid_cards_transactions_post": 1,
				"code=overloaded,operation=aid_cards_transactions_post":         1,
				"code=not_found,operation=none":                                 1,
				"code=method_not_allowed,operation=none":                        1,
			},
			"kort_replays_total":                    {"operation=aid_cards_transactions_post": 1},
			"kort_pin_locks_total":                  {"": 1},
			"kort_overload_refusals_total":          {"reason=queue_full": 1},
			"kort_http_requests_in_flight":          {},
			"kort_posting_queue_depth":              {},
			"kort_posting_queue_limit":              {"": 1},
			"kort_posting_batch_operations_sum":     {"": d.posted},
			"kort_posting_queue_wait_seconds_count": {"": d.posted},
			"kort_http_request_duration_seconds_count": {
				"operation=aid_cards_post": 1, "operation=aid_cards_get": 3, "operation=aid_cards_token_post": 7,
				"operation=aid_cards_transactions_post": 6, "operation=healthz": 1, "operation=readyz": 1, "operation=none": 2,
			},
		})
		got := server.scrape()
		commits, batches := got.of("kort_posting_commit_seconds_count"), got.of("kort_posting_batch_operations_count")
		if commits["outcome=committed"] != batches[""] || len(commits) != 1 || batches[""] != d.posted {
			t.Errorf("%v commits of %v batches of one, want %v", commits, batches, d.posted)
		}
		if waited := got.of("kort_posting_queue_wait_seconds_sum")[""]; waited < d.held.Seconds() {
			t.Errorf("operations waited for %f s, want at least the %s of the one behind the lock", waited, d.held)
		}
		pools := samples{"pool=read": 1, "pool=write": 1}
		if len(database) > 1 {
			pools["pool=details"] = 1
		}
		if limits := got.of("kort_db_connections_limit"); !slices.Equal(slices.Sorted(maps.Keys(limits)), slices.Sorted(maps.Keys(pools))) {
			t.Errorf("the pools of connections are %v, want %v", limits, pools)
		}
		for _, name := range []string{"go_goroutines", "process_open_fds", "kort_build_info"} {
			if len(got.of(name)) != 1 {
				t.Errorf("%s is missing", name)
			}
		}
		for name := range got { // values are numbers, in which six digits may come by chance
			for what, value := range d.secrets {
				if strings.Contains(name, value) {
					t.Errorf("%s shows the %s", name, what)
				}
			}
		}
		server.close()
	})
}

// The address of the metrics serves nothing else, that of the API no metrics, and
// without the setting there are none.
func TestMetricsHaveAnAddressOfTheirOwn(t *testing.T) {
	t.Parallel()
	server := serveHere(t, dev([]string{"--data-dir=" + t.TempDir()}, "--metrics-addr=localhost:0")...)
	for _, row := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/metrics", http.StatusOK},
		{http.MethodHead, "/metrics", http.StatusOK},
		{http.MethodPost, "/metrics", http.StatusMethodNotAllowed},
		{http.MethodGet, "/metrics/", http.StatusNotFound},
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodGet, "/healthz", http.StatusNotFound},
		{http.MethodGet, "/debug/pprof/", http.StatusNotFound},
		{http.MethodGet, cardsPath, http.StatusNotFound},
	} {
		if a := get(t, row.method, server.metricsURL()+row.path); a.status != row.want {
			t.Errorf("%s %s: got %d %s, want %d", row.method, row.path, a.status, a.body, row.want)
		}
	}
	if a := server.send(http.MethodGet, "/metrics", server.token(), ""); a.status != http.StatusNotFound {
		t.Errorf("the API serves metrics: %d %s", a.status, a.body)
	}
	server.close()

	without := serveHere(t, dev([]string{"--data-dir=" + t.TempDir()})...)
	without.close()
	if strings.Contains(without.stderr.String(), "metrics") {
		t.Errorf("metrics without the setting:\n%s", without.stderr)
	}
}

// The metrics are there as long as the server drains, and gone when it has ended.
func TestMetricsEndLast(t *testing.T) {
	t.Parallel()
	server := serveHere(t, dev([]string{"--data-dir=" + t.TempDir()}, "--metrics-addr=localhost:0", "--drain-delay=1s")...)
	url := server.metricsURL() + "/metrics"
	server.stop()
	eventually(t, "drain", func() bool { return strings.Contains(server.stderr.String(), `"msg":"draining"`) })
	if a := get(t, http.MethodGet, url); a.status != http.StatusOK {
		t.Errorf("while it drains: %d %s", a.status, a.body)
	}
	<-server.done
	if server.code != exitOK {
		t.Fatalf("exit code %d:\n%s", server.code, server.stderr)
	}
	if response, err := http.Get(url); err == nil { //nolint:gosec // an address of this test
		_ = response.Body.Close()
		t.Errorf("it answers %d when it has ended", response.StatusCode)
	}
}

// Every operation can be seen before its first request: what is not there cannot
// increase.
func TestMetricsAreThereFromTheStart(t *testing.T) {
	t.Parallel()
	server := serveHere(t, dev([]string{"--data-dir=" + t.TempDir()}, "--metrics-addr=localhost:0")...)
	defer server.close()
	var operations []string
	for key, value := range server.scrape() {
		if operation, is := strings.CutPrefix(key, "kort_refusals_total{code=internal,operation="); is && value == 0 {
			operations = append(operations, strings.TrimSuffix(operation, "}"))
		}
	}
	slices.Sort(operations)
	const cards, identity, hooks, probesDocsAndNone = 15, 9, 8, 4
	if len(operations) != cards+identity+hooks+probesDocsAndNone || len(slices.Compact(operations)) != len(operations) {
		t.Errorf("the operations are %q", operations)
	}
}

// What becomes of events is counted: one that arrives, one that its receiver does not want, and one that fails at first.
func TestMetricsOfWebhooks(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		var mu sync.Mutex
		statuses := map[string][]int{"ping": {http.StatusOK}, "wallet_card": {http.StatusGone}, "wallet_transaction": {http.StatusBadGateway, http.StatusOK}}
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			name := r.Header.Get("event")
			if left := statuses[name]; len(left) > 0 {
				w.WriteHeader(left[0])
				statuses[name] = left[1:]
			} else {
				t.Errorf("%s comes once more", name)
			}
		}))
		defer receiver.Close()
		server := serveHere(t, dev(database, "--metrics-addr=localhost:0")...)
		defer server.close()
		made := server.send(http.MethodPost, hooksPath, server.token(),
			`{"config":{"url":"`+receiver.URL+`"},"events":["wallet_transaction","wallet_card"]}`)
		if made.status != http.StatusOK {
			t.Fatalf("subscribe: %d %s", made.status, made.body)
		}
		server.createCard(server.token(), `{"card_id":"gift","amount":1,"currency":"NOK"}`)
		server.awaitCounts(map[string]samples{
			"kort_webhook_attempts_total":    {"outcome=delivered": 2, "outcome=failed": 1, "outcome=given_up": 1},
			"kort_webhook_lag_seconds_count": {"": 2},
		})
	})
}
