package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	s := sandboxHere(t)
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{s.addr, ":" + port, "0.0.0.0:" + port, "[::]:" + port} {
		kort(t, "health", "--addr="+addr).want(t, exitOK, `{"status":"ok"}`)
	}
	s.close()
	kort(t, "health", "--addr="+s.addr).want(t, exitFailure, "health")
	kort(t, "health", "--addr=nowhere").want(t, exitUsage, "--addr", "must be a host and a port")
}

func TestHealthOfAServerThatIsNotReady(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("it asks for %s", r.URL.Path)
		}
		http.Error(w, `{"status":"shutting down"}`, http.StatusServiceUnavailable)
	}))
	defer server.Close()
	kort(t, "health", "--addr="+strings.TrimPrefix(server.URL, "http://")).want(t, exitFailure, "503", "shutting down")
}
