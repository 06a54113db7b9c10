package config

import (
	"net"
	"net/url"
	"strings"
)

// Metrics says where metrics are served.
type Metrics struct {
	MetricsAddr string `name:"metrics-addr" env:"KORT_METRICS_ADDR" placeholder:"HOST:PORT" group:"Watching:" help:"Address to serve metrics for Prometheus on, at /metrics, to whoever can reach it; not the address of the API. Empty for none."`
}

func (m Metrics) check(p *Problems, api string) {
	if m.MetricsAddr == "" {
		return
	}
	_, port, err := net.SplitHostPort(m.MetricsAddr)
	switch {
	case err != nil || !isPort(port):
		p.add("metrics-addr", "must be a host and a port, such as localhost:9464, or empty for no metrics")
	case m.MetricsAddr == api && port != "0":
		p.add("metrics-addr", "must be another address than that of the API, "+Name("addr"))
	}
}

// The standard variables that decide whether traces are sent. The library that sends
// them reads the others.
const (
	EnvOTLPEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	EnvOTLPTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	envOTLPProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	envOTLPTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	envTracesExporter     = "OTEL_TRACES_EXPORTER"
	envSDKDisabled        = "OTEL_SDK_DISABLED"
)

// otlpOverHTTP is the one protocol in which traces are sent, and the standard's default.
const otlpOverHTTP = "http/protobuf"

// Tracing is what the standard variables say about traces. The zero one sends none.
type Tracing struct {
	Endpoint, TracesEndpoint string
	Protocol, TracesProtocol string
	Exporter                 string
	Disabled                 bool
}

// TracingFrom reads the variables. They have no flags: what starts programs sets them
// for all of them alike.
func TracingFrom(env func(name string) string) Tracing {
	return Tracing{
		Endpoint: env(EnvOTLPEndpoint), TracesEndpoint: env(EnvOTLPTracesEndpoint),
		Protocol: env(envOTLPProtocol), TracesProtocol: env(envOTLPTracesProtocol),
		Exporter: env(envTracesExporter), Disabled: strings.EqualFold(env(envSDKDisabled), "true"),
	}
}

// On says whether traces are to be sent.
func (t Tracing) On() bool {
	switch {
	case t.Disabled || t.Exporter == "none":
		return false
	case t.Exporter == "":
		return t.Endpoint != "" || t.TracesEndpoint != ""
	}
	return true
}

func (t Tracing) check(p *Problems) {
	if !t.On() {
		return
	}
	problem := func(variable, reason string) { *p = append(*p, Problem{Setting: variable, Reason: reason}) }
	if t.Exporter != "" && t.Exporter != "otlp" {
		problem(envTracesExporter, "must be otlp, or none for no traces")
	}
	switch {
	case t.TracesProtocol != "" && t.TracesProtocol != otlpOverHTTP:
		problem(envOTLPTracesProtocol, "must be "+otlpOverHTTP+", or left out")
	case t.TracesProtocol == "" && t.Protocol != "" && t.Protocol != otlpOverHTTP:
		problem(envOTLPProtocol, "must be "+otlpOverHTTP+", or left out")
	}
	for _, set := range [][2]string{{EnvOTLPEndpoint, t.Endpoint}, {EnvOTLPTracesEndpoint, t.TracesEndpoint}} {
		parsed, err := url.Parse(set[1])
		if set[1] != "" && (err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "") {
			problem(set[0], "must be an http or https address, such as http://localhost:4318")
		}
	}
}
