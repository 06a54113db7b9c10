package httpapi_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// FuzzServer sends anything. The server must not fall over, must not answer with a
// 5xx, and must answer as the contract says: it checks its own answers, and turns
// one that is not into a 500.
func FuzzServer(f *testing.F) {
	s := newServer(f, repotest.Migrated(f, repotest.SQLite(f)))
	s.config.Log = slog.New(slog.DiscardHandler) // a long run would fill the memory
	s.serve(f)
	a := &account{s: s, id: "T00000001"}
	token := s.mint(f, claims(a.id))
	card, clearValue := a.cardWithToken(f, object{"card_id": "card", "customer_id": "c", "pin": object{}})
	hold := a.hold(f, card, 100)

	base := "/v1/accounts/T00000001/wallets"
	for _, seed := range []struct{ method, target, header, body string }{
		{"GET", base + "/cards", "", ""},
		{"GET", base + "/cards?limit=1&search=a&created_at.gte=2026-06-30T12:00:00+02:00&currency=NOK&currency=SEK", "", ""},
		{"GET", base + "/cards?status=used&amount_balance.lte=5&include_deleted=true&starting_after=" + fmt.Sprint(card["id"]), "", ""},
		{"GET", base + "/cards/card", "", ""},
		{"GET", base + "/cards/%ff%00", "", ""},
		{"GET", base + "/cards/card/transactions", "", ""},
		{"GET", base + "/customers/c/cards/card", "", ""},
		{"GET", base + "/customers/c%2Fd/cards/../x", "", ""},
		{"DELETE", base + "/cards/nobody", "", ""},
		{"POST", base + "/cards", "application/json", `{"card_id":"x","amount":1,"currency":"NOK","metadata":{"a":[1e400,null]},"pin":{}}`},
		{"POST", base + "/cards", "application/json", `{"card_id":"y","amount":1,"currency":"NOK","card_token":{"format":{"length":2,"barcode":true}}}`},
		{"POST", base + "/cards", "application/json; charset=utf-8", `{"AMOUNT":-5,"amount":1.0,"amount":1}`},
		{"POST", base + "/cards", "text/plain", "\xff\x00"},
		{"POST", base + "/cards/batch", "application/json", `{"cards":[{"card_id":"z"}],"options":{"pin":{"format":{"length":4}}}}`},
		{"POST", base + "/cards/z/activate", "application/json", `{"amount":9007199254740991,"currency":"SEK","expires_at":"2026-06-30T12:00:00Z"}`},
		{"POST", base + "/cards/card/tokens", "application/json", `{"ref_id":"r","expires_in":3153600000,"format":{"prefix":"~","symbols":true}}`},
		{"POST", base + "/cards/card/rotate-pin", "application/json", `{"pin":{"format":{"numbers":false}}}`},
		{"POST", base + "/info", "application/json", `{"token":"` + clearValue + `","pin":"000000"}`},
		{"POST", base + "/transactions", "application/json", `{"ref_id":"a","amount":1,"currency":"NOK","token":"` + clearValue + `","pending":true}`},
		{"POST", base + "/transactions", "application/json", `{"ref_id":"b","amount":1,"currency":"NOK","card_id":"card","type":"fund"}`},
		{"POST", base + "/transactions/" + fmt.Sprint(hold["id"]) + "/capture", "application/json", `{"ref_id":"c","amount":1}`},
		{"POST", base + "/transactions/" + fmt.Sprint(hold["id"]) + "/void", "application/json", `{"ref_id":"d"}`},
		// The type is the last header, so that more may follow it.
		{"POST", base + "/cards", "application/json\r\nContent-Encoding: gzip\r\nX-Request-Id: a\x7f", `{}`},
		{"GET", base + "/cards", "\r\nAuthorization: Bearer x\r\nHost: b\r\nRange: bytes=0-", ""},
		{"POST", base + "/info", "application/json\r\nTransfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"},
		{"OPTIONS", base + "/cards", "", ""},
		{"GET", "/readyz", "", ""},
	} {
		f.Add(seed.method, seed.target, seed.header, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, target, contentType, body string) {
		head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: kort\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nContent-Type: %s\r\n\r\n",
			method, target, token, len(body), contentType)
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + body)))
		if err != nil {
			return // which net/http answers without us
		}
		recorder := httptest.NewRecorder()
		s.handler.ServeHTTP(recorder, request.WithContext(t.Context()))
		checkFuzzed(t, recorder)
	})
}

// FuzzLists asks for lists by any query. The pages of a list join up: each card comes
// once, the newest first, and there is an end.
func FuzzLists(f *testing.F) {
	const cards = 12
	s := newServer(f, repotest.Migrated(f, repotest.SQLite(f)))
	s.config.Log = slog.New(slog.DiscardHandler)
	s.serve(f)
	a := &account{s: s, id: "T00000001"}
	for i := range cards {
		a.card(f, object{"card_id": fmt.Sprintf("card %d", i), "customer_id": "c", "amount": i})
	}
	token := s.mint(f, claims(a.id))
	for _, seed := range []string{
		"", "limit=3", "limit=1&currency=NOK&currency=SEK", "search=card%201", "amount_balance.gte=3&amount_balance.lte=9&limit=2",
		"created_at.gte=2026-06-30T12:00:00 02:00", "created_at.lt=2026-06-30", "status=unused&type=gift_card", "customer_id=c&limit=5",
		"starting_after=019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071", "include_deleted=true&limit=100", "search=%25_", "expires_at.gt=9999-12-31T23:59:59Z",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		seen, last := map[string]bool{}, "~"
		for page := query; ; {
			recorder := httptest.NewRecorder()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			request.URL.Path, request.URL.RawQuery = "/v1/accounts/"+a.id+"/wallets/cards", page
			request.RequestURI = request.URL.RequestURI()
			request.Header.Set("Authorization", "Bearer "+token)
			s.handler.ServeHTTP(recorder, request)
			checkFuzzed(t, recorder)
			if recorder.Code != http.StatusOK {
				return
			}
			var list struct {
				Cards []struct{ ID string }
				After string `json:"starting_after"`
			}
			if err := json.Unmarshal(recorder.Body.Bytes(), &list); err != nil {
				t.Fatal(err)
			}
			for _, card := range list.Cards {
				if seen[card.ID] || card.ID >= last {
					t.Fatalf("%s comes after %s, of %d so far", card.ID, last, len(seen))
				}
				seen[card.ID], last = true, card.ID
			}
			if list.After == "" {
				return
			}
			if len(list.Cards) == 0 || strings.Contains(query, "starting_after") {
				return // which of two counts is not said
			}
			page = query + "&starting_after=" + list.After
			if query == "" {
				page = page[1:]
			}
		}
	})
}

// checkFuzzed looks at what every answer has in common.
func checkFuzzed(t *testing.T, recorder *httptest.ResponseRecorder) {
	t.Helper()
	if recorder.Code >= http.StatusInternalServerError {
		t.Fatalf("got %d %s", recorder.Code, recorder.Body)
	}
	if recorder.Header().Get("X-Request-Id") == "" || recorder.Header().Get("Content-Type") != "application/json" {
		t.Errorf("the headers are %v", recorder.Header())
	}
	if recorder.Code == http.StatusOK {
		return
	}
	var failed failure
	if err := json.Unmarshal(recorder.Body.Bytes(), &failed); err != nil {
		t.Fatalf("the body of a %d is %s", recorder.Code, recorder.Body)
	}
	if statusOf[failed.Error.Code] != recorder.Code {
		t.Errorf("got %d with the code %q", recorder.Code, failed.Error.Code)
	}
}
