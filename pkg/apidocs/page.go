package apidocs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Page is one file of the description. It is an http.Handler for GET and HEAD, safe for concurrent use.
type Page struct {
	path        string
	contentType string
	policy      string                 // empty for what a browser does not run
	body        func() ([]byte, error) // the error of a program that was built from something broken
	gzipped     bool                   // whether the body is
}

// Path is where the page is to be found.
func (p Page) Path() string { return p.path }

// ServeHTTP implements http.Handler.
func (p Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", p.contentType)
	if p.policy != "" {
		header.Set("Content-Security-Policy", p.policy)
		header.Set("Referrer-Policy", "no-referrer")
	}
	body, err := p.body()
	if p.gzipped {
		header.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			header.Set("Content-Encoding", "gzip")
		} else if err == nil {
			body, err = unpack(body)
		}
	}
	if err != nil {
		panic(err)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	// An error means that the client has left; there is nobody to tell.
	_, _ = w.Write(body)
}

// acceptsGzip reads the Accept-Encoding header of a request, without weighing its wishes: what is refused is not sent.
func acceptsGzip(header []string) bool {
	for _, item := range strings.Split(strings.Join(header, ","), ",") {
		coding, parameter, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		weight, err := strconv.ParseFloat(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(parameter)), "q="), 64)
		return err != nil || weight > 0
	}
	return false
}

func unpack(body []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("unpack a part of the reference: %w", err)
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("unpack a part of the reference: %w", err)
	}
	return plain, nil
}
