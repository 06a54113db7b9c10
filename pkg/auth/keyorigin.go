package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
)

const maxRedirects = 3

var (
	errNotHTTP   = errors.New("key URL must be an absolute http or https address")
	errDowngrade = errors.New("redirect from https to http")
	errRedirects = errors.New("too many redirects")
)

// FileKeys is a source that follows a file with a JSON Web Key set. It fails when the file cannot be read now or has no usable key; a
// file that breaks later leaves the last good keys in use.
func FileKeys(path string, options SourceOptions) (*KeySource, error) {
	// The file is read afresh each time: its time stamp can miss a change, and reading costs no more than asking for it.
	return follow(func(context.Context) ([]byte, error) { return readKeyFile(path) }, options)
}

// follow is a source whose documents are at hand. It fails when there is no usable key now.
func follow(load func(context.Context) ([]byte, error), options SourceOptions) (*KeySource, error) {
	source := &KeySource{options: options, load: load}
	set, err := source.loadSet(context.Background())
	if err == nil && len(set.keys) == 0 {
		err = errNoUsableKey
	}
	if err != nil {
		return nil, fmt.Errorf("load signing keys: %w", err)
	}
	source.current.Store(set)
	source.start(DefaultFileInterval)
	return source, nil
}

// URLKeys is a source that fetches a JSON Web Key set. It fails only when the address is none: an issuer that is down must not keep the
// server from starting. Until the first good answer every token is ErrUnavailable.
func URLKeys(address string, options SourceOptions) (*KeySource, error) {
	target, err := url.Parse(address)
	if err != nil || target.Host == "" || target.Scheme != "https" && target.Scheme != "http" {
		return nil, errNotHTTP
	}
	client := &http.Client{CheckRedirect: checkRedirect}
	source := &KeySource{
		options: options,
		load:    func(ctx context.Context) ([]byte, error) { return fetchKeys(ctx, client, target.String()) },
	}
	source.start(DefaultURLInterval)
	return source, nil
}

func readKeyFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readKeys(file)
}

func fetchKeys(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errNotHTTP
	}
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request)
	if err != nil {
		// The outer error quotes the whole address, and with it whatever key its query carries.
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err
		}
		return nil, fmt.Errorf("fetch signing keys: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch signing keys: status %d", response.StatusCode)
	}
	return readKeys(response.Body)
}

// readKeys reads one byte more than a key set may have, so that whoever parses it sees
// that it is too large.
func readKeys(from io.Reader) ([]byte, error) {
	document, err := io.ReadAll(io.LimitReader(from, maxKeySetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	return document, nil
}

func checkRedirect(next *http.Request, earlier []*http.Request) error {
	if len(earlier) > maxRedirects {
		return errRedirects
	}
	if earlier[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errDowngrade
	}
	return nil
}
