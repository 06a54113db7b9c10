package conformance

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A check that passes whatever it is told proves nothing. Against servers that have one
// answer for everything, no check may pass on all of them, and none where that answer is
// an internal error.
func TestNoCheckPassesWhateverItIsTold(t *testing.T) {
	t.Parallel()
	answers := []struct {
		status int
		body   string
	}{
		{http.StatusInternalServerError, `{"error":{"code":"internal","message":"no"}}`},
		{http.StatusOK, `{}`},
		{http.StatusOK, `{"cards":[]}`},
		{http.StatusOK, `[]`},
		{http.StatusNotFound, `{"error":{"code":"not_found","message":"no"}}`},
		{http.StatusBadRequest, `{"error":{"code":"invalid_request","message":"no"}}`},
		{http.StatusForbidden, `{"error":{"code":"forbidden","message":"no"}}`},
	}
	passed := map[string]int{}
	for _, answer := range answers {
		for _, name := range passedBy(t, answer.status, answer.body) {
			if answer.status == http.StatusInternalServerError {
				t.Errorf("%s passes when everything is an internal error", name)
			}
			passed[name]++
		}
	}
	for name, times := range passed {
		if times == len(answers) {
			t.Errorf("%s passes whatever it is told", name)
		}
	}
}

// passedBy are the checks that pass on a server with one answer, those of the document apart.
func passedBy(t *testing.T, status int, body string) []string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Log(err)
		}
		w.Header().Set("Content-Type", jsonType)
		w.WriteHeader(status)
		if _, err := io.WriteString(w, body); err != nil {
			t.Log(err)
		}
	}))
	defer server.Close()
	token := "h." + segment(`{"aud":"https://a.example.com/v1/accounts/T12345678","sub":"s"}`) + ".s"
	s, err := newSuite(Options{
		URL: server.URL, Token: token, AllowWrites: true, Timeout: 500 * time.Millisecond,
		Others: Others{Reader: token, Writer: token, Till: token, Info: token, Customer: token, Other: token, Expired: token},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.http.CloseIdleConnections()
	var names []string
	for _, check := range All() {
		if check.answersOf != "" {
			continue
		}
		if s.try(t.Context(), check).Outcome == Passed {
			names = append(names, check.Name)
		}
	}
	return names
}
