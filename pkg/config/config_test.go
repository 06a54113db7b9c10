package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// complete returns settings of a server that lack nothing.
func complete() Serve {
	return Serve{
		Database: Database{Directory: Directory{DataDir: "data"}},
		Listen: Listen{
			Addr: "localhost:8080", PublicURL: "https://cards.example.com",
			ReadHeaderTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second,
			IdleTimeout: time.Second, ShutdownTimeout: time.Second,
		},
		Identity:  Identity{Issuer: "https://issuer.example.com/", JWKS: "keys.json", TokenTTL: DefaultTokenTTL},
		Secrets:   Secrets{DataKeyFile: "data-key"},
		Rules:     Rules{RateBurst: 1},
		WritePath: WritePath{MaxQueue: 1, MaxBatch: 1, Committers: 1},
		Hooks:     Hooks{HookTimeout: time.Second, HookAttempts: 1, HookKeep: time.Minute, HookConcurrency: 1},
	}
}

func TestServeValidate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Serve)
		want   string // the flag or variable at fault; empty for none
	}{
		{"complete", func(*Serve) {}, ""},
		{"no issuer", func(s *Serve) { s.Issuer = "" }, "--issuer (KORT_ISSUER)"},
		{"no keys", func(s *Serve) { s.JWKS = "" }, "--jwks (KORT_JWKS)"},
		{"no public URL", func(s *Serve) { s.PublicURL = "" }, "--public-url (KORT_PUBLIC_URL)"},
		{"an audience in place of the public URL", func(s *Serve) {
			s.PublicURL, s.AudienceBases = "", []string{"https://api.example.com"}
		}, ""},
		{"no data key", func(s *Serve) { s.DataKeyFile = "" }, "--data-key-file (KORT_DATA_KEY_FILE)"},
		{"the data key in the environment", func(s *Serve) { s.DataKeyFile, s.DataKey = "", "k" }, ""},
		{"two data keys", func(s *Serve) { s.DataKey = "k" }, "KORT_DATA_KEY:"},
		{"no data directory", func(s *Serve) { s.DataDir = "" }, "--data-dir"},

		{"dev needs nothing", func(s *Serve) {
			s.Dev, s.Issuer, s.JWKS, s.PublicURL, s.DataKeyFile = true, "", "", "", ""
		}, ""},
		{"dev has keys of its own", func(s *Serve) { s.Dev = true }, "--jwks"},

		{"keys over https", func(s *Serve) { s.JWKS = "https://issuer.example.com/keys" }, ""},
		{"keys over http", func(s *Serve) { s.JWKS = "http://issuer.example.com/keys" }, "--jwks"},
		{"keys over http on this machine", func(s *Serve) { s.JWKS = "http://localhost:9000/keys" }, ""},
		{"keys over http on 127.0.0.1", func(s *Serve) { s.JWKS = "http://127.0.0.1:9000/keys" }, ""},
		{"keys over http on ::1", func(s *Serve) { s.JWKS = "http://[::1]:9000/keys" }, ""},
		{"keys on a name that starts alike", func(s *Serve) { s.JWKS = "http://localhost.example.com/keys" }, "--jwks"},
		{"keys over ftp", func(s *Serve) { s.JWKS = "ftp://issuer.example.com/keys" }, "--jwks"},
		{"keys without a host", func(s *Serve) { s.JWKS = "https:///keys" }, "--jwks"},

		{"metrics", func(s *Serve) { s.MetricsAddr = "localhost:9464" }, ""},
		{"metrics on any port", func(s *Serve) { s.Addr, s.MetricsAddr = "localhost:0", "localhost:0" }, ""},
		{"metrics without a port", func(s *Serve) { s.MetricsAddr = "localhost" }, "--metrics-addr (KORT_METRICS_ADDR)"},
		{"metrics on the address of the API", func(s *Serve) { s.MetricsAddr = s.Addr }, "--metrics-addr (KORT_METRICS_ADDR)"},
		{"traces", func(s *Serve) { s.Tracing.Endpoint = "http://collector:4318" }, ""},
		{"traces to no address", func(s *Serve) { s.Tracing.TracesEndpoint = "collector:4318" }, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"},
		{"traces over gRPC", func(s *Serve) {
			s.Tracing = Tracing{Endpoint: "http://collector:4317", Protocol: "grpc"}
		}, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		{"traces over HTTP, the rest over gRPC", func(s *Serve) {
			s.Tracing = Tracing{Endpoint: "http://collector:4318", Protocol: "grpc", TracesProtocol: "http/protobuf"}
		}, ""},
		{"traces elsewhere", func(s *Serve) { s.Tracing.Exporter = "zipkin" }, "OTEL_TRACES_EXPORTER"},
		{"no traces, whatever the rest says", func(s *Serve) {
			s.Tracing = Tracing{Endpoint: "collector", Protocol: "grpc", Disabled: true}
		}, ""},
		{"one more issuer", func(s *Serve) { s.Trust = []string{"https://other.example.com/=https://other.example.com/keys?a=b"} }, ""},
		{"no issuer but that one", func(s *Serve) { s.Issuer, s.JWKS, s.Trust = "", "", []string{"other=keys.json"} }, ""},
		{"an issuer without keys beside it", func(s *Serve) { s.JWKS, s.Trust = "", []string{"other=keys.json"} }, "--jwks"},
		{"one more without a name", func(s *Serve) { s.Trust = []string{"=keys.json"} }, "--trust (KORT_TRUST)"},
		{"one more without keys", func(s *Serve) { s.Trust = []string{"other"} }, "--trust"},
		{"one more over http", func(s *Serve) { s.Trust = []string{"other=http://other.example.com/keys"} }, "--trust"},
		{"the same twice", func(s *Serve) { s.Trust = []string{"other=a.json", "other=b.json"} }, "--trust"},
		{"the first once more", func(s *Serve) { s.Trust = []string{s.Issuer + "=b.json"} }, "--trust"},

		{"tokens of its own", func(s *Serve) { s.Issuer, s.JWKS, s.SigningKeyFile = "", "", "keys" }, ""},
		{"tokens of its own beside an issuer's", func(s *Serve) { s.SigningKeyFile = "keys" }, ""},
		{"tokens of its own without a name", func(s *Serve) {
			s.Issuer, s.JWKS, s.SigningKeyFile, s.PublicURL, s.AudienceBases = "", "", "keys", "", []string{"https://a.example.com"}
		}, "--public-url"},
		{"dev has a signing key of its own", func(s *Serve) { s.Dev, s.JWKS, s.SigningKeyFile = true, "", "keys" }, "--signing-key-file"},
		{"tokens for a moment", func(s *Serve) { s.TokenTTL = minTokenTTL - 1 }, "--token-ttl (KORT_TOKEN_TTL)"},
		{"tokens for long", func(s *Serve) { s.TokenTTL = MaxTokenTTL + 1 }, "--token-ttl"},
		{"the shortest tokens", func(s *Serve) { s.TokenTTL = minTokenTTL }, ""},
		{"the longest tokens", func(s *Serve) { s.TokenTTL = MaxTokenTTL }, ""},

		{"a PostgreSQL", func(s *Serve) { s.DatabaseURL = "postgres://kort:pw@db/kort" }, ""},
		{"a PostgreSQL by its long name", func(s *Serve) { s.DatabaseURL = "postgresql://db/kort" }, ""},
		{"another database", func(s *Serve) { s.DatabaseURL = "mysql://db/kort" }, "--database-url"},
		{"no time for a receiver", func(s *Serve) { s.HookTimeout = 0 }, "--hook-timeout (KORT_HOOK_TIMEOUT)"},
		{"no attempt", func(s *Serve) { s.HookAttempts = 0 }, "--hook-attempts"},
		{"nothing to look at", func(s *Serve) { s.HookKeep = time.Second }, "--hook-keep"},
		{"nothing at the same time", func(s *Serve) { s.HookConcurrency = 0 }, "--hook-concurrency"},
		{"no URL", func(s *Serve) { s.DatabaseURL = "host=db password=pw" }, "--database-url"},

		{"any address", func(s *Serve) { s.Addr = ":8080" }, ""},
		{"any free port", func(s *Serve) { s.Addr = "localhost:0" }, ""},
		{"IPv6", func(s *Serve) { s.Addr = "[::1]:8080" }, ""},
		{"no port", func(s *Serve) { s.Addr = "localhost" }, "--addr"},
		{"a port by name", func(s *Serve) { s.Addr = "localhost:http" }, "--addr"},
		{"a port too high", func(s *Serve) { s.Addr = "localhost:65536" }, "--addr"},
		{"a negative port", func(s *Serve) { s.Addr = "localhost:-1" }, "--addr"},
		{"an empty address", func(s *Serve) { s.Addr = "" }, "--addr"},

		{"a public URL without a scheme", func(s *Serve) { s.PublicURL = "cards.example.com" }, "--public-url"},
		{"a public URL with a query", func(s *Serve) { s.PublicURL = "https://cards.example.com/?a=b" }, "--public-url"},
		{"a public URL with a fragment", func(s *Serve) { s.PublicURL = "https://cards.example.com/#a" }, "--public-url"},
		{"a public URL with a password", func(s *Serve) { s.PublicURL = "https://a:b@cards.example.com" }, "--public-url"},
		{"a public URL with a path", func(s *Serve) { s.PublicURL = "https://example.com/cards/" }, ""},
		{"an audience that is no address", func(s *Serve) { s.AudienceBases = []string{"https://a.example", "b"} }, "--audience-base"},

		{"no time to read", func(s *Serve) { s.ReadTimeout = 0 }, "--read-timeout"},
		{"no time for the header", func(s *Serve) { s.ReadHeaderTimeout = -1 }, "--read-header-timeout"},
		{"no time to write", func(s *Serve) { s.WriteTimeout = 0 }, "--write-timeout"},
		{"idle for days", func(s *Serve) { s.IdleTimeout = 48 * time.Hour }, "--idle-timeout"},
		{"no time to stop", func(s *Serve) { s.ShutdownTimeout = 0 }, "--shutdown-timeout"},
		{"a negative delay", func(s *Serve) { s.DrainDelay = -1 }, "--drain-delay"},

		{"a negative rate", func(s *Serve) { s.RatePerSecond = -1 }, "--rate-limit"},
		{"half a request per second", func(s *Serve) { s.RatePerSecond = 0.5 }, ""},
		{"no burst", func(s *Serve) { s.RateBurst = 0 }, "--rate-burst"},
		{"no queue", func(s *Serve) { s.MaxQueue = 0 }, "--max-queue"},
		{"no batch", func(s *Serve) { s.MaxBatch = 0 }, "--max-batch"},
		{"a huge batch", func(s *Serve) { s.MaxBatch = maxBatch + 1 }, "--max-batch"},
		{"nobody commits", func(s *Serve) { s.Committers = 0 }, "--committers"},
		{"negative connections", func(s *Serve) { s.ReadConns = -1 }, "--read-conns"},
		{"too many connections", func(s *Serve) { s.WriteConns = maxConns + 1 }, "--write-conns"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			settings := complete()
			test.change(&settings)
			assertProblem(t, settings.Validate(), test.want)
		})
	}
}

func TestTokenValidate(t *testing.T) {
	t.Parallel()
	valid := Token{Directory: Directory{DataDir: "data"}, Account: "T12345678", Subject: "dev", TTL: time.Hour}
	tests := []struct {
		name   string
		change func(*Token)
		want   string
	}{
		{"complete", func(*Token) {}, ""},
		{"a live account", func(s *Token) { s.Account = "P12345678" }, ""},
		{"another letter", func(s *Token) { s.Account = "X12345678" }, "--account"},
		{"nine digits", func(s *Token) { s.Account = "T123456789" }, "--account"},
		{"a line break", func(s *Token) { s.Account = "T12345678\n" }, "--account"},
		{"no subject", func(s *Token) { s.Subject = "" }, "--sub"},
		{"the longest subject", func(s *Token) { s.Subject = strings.Repeat("ø", maxSubject) }, ""},
		{"a longer subject", func(s *Token) { s.Subject = strings.Repeat("a", maxSubject+1) }, "--sub"},
		{"half a second", func(s *Token) { s.TTL = time.Second / 2 }, "--ttl"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			settings := valid
			test.change(&settings)
			assertProblem(t, settings.Validate(), test.want)
		})
	}
}

func TestAuditValidate(t *testing.T) {
	t.Parallel()
	database := Database{Directory: Directory{DataDir: "data"}}
	assertProblem(t, Audit{Database: database}.Validate(), "")
	assertProblem(t, Audit{Database: database, Account: "T12345678"}.Validate(), "")
	assertProblem(t, Audit{Database: database, Account: "T1"}.Validate(), "--account")
	assertProblem(t, Audit{}.Validate(), "--data-dir")
}

// All that is wrong is said at once: nobody should have to start a server five times.
func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	settings := complete()
	settings.Issuer, settings.JWKS, settings.Addr = "", "", "nowhere"
	err := settings.Validate()
	for _, want := range []string{"--issuer", "--jwks", "--addr", "kort serve --dev"} {
		assertProblem(t, err, want)
	}
}

func assertProblem(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got problems, want none: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want a problem with %s", err, want)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	settings := complete()
	settings.DataKey, settings.DatabaseURL = "hush", "mysql://kort:hush@db"
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		text := fmt.Sprintf(verb, settings) + fmt.Sprintf(verb, settings.DataKey)
		if strings.Contains(text, "hush") || strings.Contains(text, "68757368") {
			t.Errorf("%s shows a secret", verb)
		}
	}
	if encoded, err := json.Marshal(settings); err != nil || strings.Contains(string(encoded), "hush") {
		t.Errorf("JSON shows a secret (error %v)", err)
	}
	if err := settings.Validate(); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("the problem shows a secret, or there is none")
	}
	if settings.DataKey.Reveal() != "hush" {
		t.Error("the secret is lost")
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	tests := []struct{ addr, publicURL, want string }{
		{"localhost:8080", "", "http://localhost:8081"},
		{":8080", "", "http://localhost:8081"},
		{"0.0.0.0:8080", "", "http://localhost:8081"},
		{"[::]:8080", "", "http://localhost:8081"},
		{"127.0.0.1:0", "", "http://localhost:8081"},
		{"192.0.2.1:8080", "", "http://192.0.2.1:8081"},
		{"[2001:db8::1]:8080", "", "http://[2001:db8::1]:8081"},
		{"kort.example:8080", "", "http://kort.example:8081"},
		{":8080", "https://cards.example.com/", "https://cards.example.com"},
	}
	for _, test := range tests {
		if got := (Listen{Addr: test.addr, PublicURL: test.publicURL}).BaseURL(8081); got != test.want {
			t.Errorf("BaseURL of %s and %q: got %s, want %s", test.addr, test.publicURL, got, test.want)
		}
	}
}

func TestAudiences(t *testing.T) {
	t.Parallel()
	if got := (Identity{}).Audiences("https://a"); len(got) != 1 || got[0] != "https://a" {
		t.Errorf("got %v, want the public URL", got)
	}
	if got := (Identity{AudienceBases: []string{"https://b"}}).Audiences("https://a"); len(got) != 1 || got[0] != "https://b" {
		t.Errorf("got %v, want the base alone", got)
	}
}

func TestTracingIsOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"nothing":              {nil, false},
		"an address":           {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, true},
		"an address of traces": {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, true},
		"the usual address":    {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		"none":                 {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, false},
		"disabled":             {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "True"}, false},
	} {
		if got := TracingFrom(func(name string) string { return test.env[name] }).On(); got != test.want {
			t.Errorf("%s: on is %t, want %t", name, got, test.want)
		}
	}
}

func TestIssuers(t *testing.T) {
	t.Parallel()
	both := Identity{Issuer: "first", JWKS: "https://first/keys", Trust: []string{"second=keys.json"}}
	want := []TrustedIssuer{{"jwks", "first", "https://first/keys"}, {"trust", "second", "keys.json"}}
	if got := both.TrustedIssuers(); !slices.Equal(got, want) || !got[0].HasKeyURL() || got[1].HasKeyURL() {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := both.OwnIssuer("https://a"); got != "https://a" {
		t.Errorf("beside an issuer's tokens the server's own are of %q", got)
	}
	if got := (Identity{Issuer: "me"}).OwnIssuer("https://a"); got != "me" {
		t.Errorf("the server is called %q", got)
	}
}
