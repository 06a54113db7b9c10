package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/httpapi"
	"github.com/kortwallet/kort/pkg/ledger"
	"github.com/kortwallet/kort/pkg/observe"
)

const (
	// loadEnv makes the test binary a client: the processor time that the benchmarks
	// report is then the server's alone.
	loadEnv = "KORT_TEST_LOAD"
	// loadConns is how many connections that client has.
	loadConns = 16
)

func TestMain(m *testing.M) {
	if requests := os.Getenv(loadEnv); requests != "" {
		if err := load(requests, os.Args[1], os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// load sends the request on standard input again and again, over a number of
// connections.
func load(requests, addr string, in io.Reader) error {
	n, err := strconv.Atoi(requests)
	if err != nil {
		return err
	}
	request, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	failures := make(chan error, loadConns)
	var clients sync.WaitGroup
	for i := range loadConns {
		clients.Go(func() { failures <- repeat(addr, request, n/loadConns+min(1, max(0, n%loadConns-i))) })
	}
	clients.Wait()
	close(failures)
	for failure := range failures {
		err = errors.Join(err, failure)
	}
	return err
}

// repeat sends a request a number of times over one connection. All answers are
// alike; only the first one is parsed.
func repeat(addr string, request []byte, times int) error {
	if times == 0 {
		return nil
	}
	connection, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer connection.Close()
	if _, err := connection.Write(request); err != nil {
		return err
	}
	answer := make([]byte, 64<<10)
	size, err := connection.Read(answer)
	if err != nil {
		return err
	}
	parsed, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer[:size])), nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, parsed.Body); err != nil {
		return err
	}
	status := answer[:len("HTTP/1.1 200")]
	for range times - 1 {
		if _, err := connection.Write(request); err != nil {
			return err
		}
		if _, err := io.ReadFull(connection, answer[:size]); err != nil {
			return err
		}
		if !bytes.HasPrefix(answer, status) {
			return fmt.Errorf("answered %.12q, before %.12q", answer, status)
		}
	}
	return parsed.Body.Close()
}

// benchLoad sends b.N requests to a handler behind a real listener and reports the
// processor time that the server takes for each.
func benchLoad(b *testing.B, handler http.Handler, request []byte) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	web := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	b.Cleanup(func() {
		if err := errors.Join(web.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
	client := exec.CommandContext(b.Context(), os.Args[0], listener.Addr().String())
	client.Env = append(os.Environ(), loadEnv+"="+strconv.Itoa(b.N))
	client.Stdin, client.Stderr = bytes.NewReader(request), os.Stderr
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	if err := client.Run(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// processorTime is what this process took so far, in user and system mode.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// postBody has ten fields.
const postBody = `{"ref_id":"order-20001","amount":1250,"currency":"NOK","token":"DINCARD:9f3b6c1e-7a52-4d08-b1c4-5e2f8a91d37c",` +
	`"pin":"041734","type":"drawdown","pending":false,"originated_by":"till-3","metadata":{"order_id":"10042","shop":"Oslo"},"note":"x"}`

// postRequest is a whole request to post a transaction.
func postRequest(token string) []byte {
	return fmt.Appendf(nil, "POST /v1/accounts/T12345678/wallets/transactions HTTP/1.1\r\nHost: kort.test\r\n"+
		"User-Agent: Go-http-client/1.1\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Accept-Encoding: gzip\r\n\r\n%s", len(postBody), token, postBody)
}

// noLedger commits nothing: what is measured with it is the edge alone.
func noLedger(context.Context, string, ledger.Operation) (ledger.Result, error) {
	return ledger.Result{Txn: ledger.Transaction{
		ID: uuid.UUID{6: 0x70, 8: 0x80}, RefID: "order-20001", Amount: 1250, Currency: "NOK", Type: "drawdown",
		CreatedAt: ledger.MicrosOf(start), CreatedBy: "backend", OriginatedBy: "till-3",
		Metadata: `{"order_id":"10042","shop":"Oslo"}`,
	}}, nil
}

// edgeAlone is a server without a ledger and a token for it. Its log goes to a file.
func edgeAlone(b *testing.B, change func(*httpapi.Config)) (handler http.Handler, token string) {
	b.Helper()
	key, err := auth.OpenLocalKey(b.TempDir() + "/signing.key")
	if err != nil {
		b.Fatal(err)
	}
	document, err := key.JWKS()
	if err != nil {
		b.Fatal(err)
	}
	keys, err := auth.StaticKeys(document)
	if err != nil {
		b.Fatal(err)
	}
	dataKey, err := cardcode.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	log, err := os.Create(b.TempDir() + "/log")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := log.Close(); err != nil {
			b.Error(err)
		}
	})
	config := httpapi.Config{
		Submit: noLedger, Verifier: newVerifier(b, keys, time.Now), DataKeys: cardcode.NewKeyring(dataKey),
		Clock: func(string) ledger.Micros { return ledger.MicrosOf(start) }, Log: slog.New(slog.NewJSONHandler(log, nil)),
	}
	change(&config)
	if handler, err = httpapi.New(config); err != nil {
		b.Fatal(err)
	}
	if token, err = key.Mint(claims("T12345678"), time.Now()); err != nil {
		b.Fatal(err)
	}
	return handler, token
}

// The edge: routing, authentication, validation, decoding, answer and log.
func BenchmarkPostTransaction(b *testing.B) {
	handler, token := edgeAlone(b, func(*httpapi.Config) {})
	benchLoad(b, handler, postRequest(token))
}

// The same with metrics, which every request is counted in.
func BenchmarkPostTransactionCounted(b *testing.B) {
	handler, token := edgeAlone(b, func(c *httpapi.Config) {
		c.Observer = observe.Watch{Metrics: observe.NewMetrics(observe.Build{})}.Requests()
	})
	benchLoad(b, handler, postRequest(token))
}

// What the framework takes to do the least: read the same request, decode its body,
// send the same answer.
func BenchmarkBareEcho(b *testing.B) {
	bare := echo.New()
	bare.POST("/v1/accounts/:aid/wallets/transactions", func(c echo.Context) error {
		var body api.TransactionCreate
		if err := c.Bind(&body); err != nil {
			return err
		}
		originatedBy := "till-3"
		return c.JSON(http.StatusOK, api.Transaction{
			ID: uuid.UUID{6: 0x70, 8: 0x80}, RefID: body.RefID, Amount: body.Amount, Currency: body.Currency,
			Type: api.TransactionTypeDrawdown, CreatedAt: start, CreatedBy: "backend", OriginatedBy: &originatedBy, Metadata: body.Metadata,
		})
	})
	_, token := edgeAlone(b, func(*httpapi.Config) {})
	benchLoad(b, bare, postRequest(token))
}

// A request that an overloaded server refuses. What it costs is taken from those
// that are accepted.
func BenchmarkRefuseOverloaded(b *testing.B) {
	handler, token := edgeAlone(b, func(c *httpapi.Config) { c.Overloaded = func() bool { return true } })
	benchLoad(b, handler, postRequest(token))
}
