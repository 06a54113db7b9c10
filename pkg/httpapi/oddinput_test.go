package httpapi_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kortwallet/kort/pkg/strictjson"
)

// oddIDs are strange, and allowed.
var oddIDs = []string{
	"a", "0", "...", ".a", "a.", "..a", "-", "~", "a b", "a  b", "a/b", "/", "//", "a/", "/a", "%", "%2F", "a%2fb", "%00", "100%",
	"a+b", "+", "a&b=c", "a?b", "a#b", "a;b", "a,b", "a:b", ":card_id", "*", "@", "(a)", `a"b`, `a\b`, "a'b", "<b>", "{aid}", "`",
	"ünïcode", "日本語", "😀", "👩‍👩‍👧‍👦", "e\u0301", "\u00e9", "\u202e", "\u200b", "\ufeff", "İ", "ß", "a\u00a0b", "null", "true", "NaN",
	"batch", "info", "transactions", "tokens", "cards", "customers", "activate", "rotate-pin", "healthz",
	strings.Repeat("a", 255), strings.Repeat("😀", 255), strings.Repeat("/", 255), "' OR 1=1 --", "$1", "?", "_", "a%_b",
}

// An id comes back byte for byte, and finds its card through every path.
func TestOddIDs(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		for _, id := range oddIDs {
			t.Run(fmt.Sprintf("%.20q", id), func(t *testing.T) {
				card := a.card(t, object{"card_id": id, "customer_id": id, "originated_by": id})
				for _, field := range []string{"card_id", "customer_id", "originated_by"} {
					if card[field] != id {
						t.Errorf("%s came back as %q", field, card[field])
					}
				}
				if got := a.must(t, getCard(id)); got["id"] != card["id"] {
					t.Errorf("the path finds %v", got["card_id"])
				}
				if got := a.must(t, getCustomerCard(id, id)); got["id"] != card["id"] {
					t.Errorf("the customer's path finds %v", got["card_id"])
				}
				if list := a.want(t, ok, listCustomerCards(id, "")).list(t); len(list) != 1 || list[0]["card_id"] != id {
					t.Errorf("the customer's list is %v", list)
				}
				for _, filter := range []string{"customer", "search"} {
					found := a.must(t, listCards(filter+"="+url.QueryEscape(id)))["cards"].([]any)
					if !containsCard(found, card["id"]) {
						t.Errorf("the filter %s does not find it", filter)
					}
				}
				a.must(t, createToken(id, a.newToken()))
				a.must(t, rotatePIN(id, object{"pin": object{}}))
				txn := a.must(t, transact(a.txn(card, 1, object{"originated_by": id})))
				if list := a.want(t, ok, listTransactions(id)).list(t); len(list) != 2 || list[1]["id"] != txn["id"] {
					t.Errorf("the transactions are %v", list)
				}
				a.want(t, "card_already_active", activate(id, money(1)))
				a.must(t, deleteCard(id))
				a.want(t, "not_found", getCard(id))
			})
		}
	})
}

func containsCard(cards []any, id any) bool {
	for _, card := range cards {
		if card.(object)["id"] == id {
			return true
		}
	}
	return false
}

// Two ids that look alike are two cards: nothing is normalised or folded.
func TestIDsAreNotNormalised(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		for _, pair := range [][2]string{{"e\u0301", "\u00e9"}, {"card", "CARD"}, {"a/b", "a%2Fb"}, {"a b", "a+b"}, {"ß", "ss"}} {
			first, second := a.card(t, object{"card_id": pair[0]}), a.card(t, object{"card_id": pair[1]})
			if first["id"] == second["id"] {
				t.Errorf("%q and %q are the same card", pair[0], pair[1])
			}
			if got := a.must(t, getCard(pair[1])); got["id"] != second["id"] {
				t.Errorf("%q finds %q", pair[1], got["card_id"])
			}
		}
	})
}

// A path may be escaped more than it needs to be, or less where HTTP still carries it.
func TestWaysToWriteAPath(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		for _, id := range []string{"a b", "é/ü", "100%"} {
			a.card(t, object{"card_id": id})
		}
		for segment, want := range map[string]int{
			"a%20b": 200, "%61%20%62": 200, "a+b": 404, "%C3%A9%2F%C3%BC": 200, "%c3%a9%2f%c3%bc": 200, "é%2fü": 200,
			"é/ü": 404, "100%25": 200, "100%2525": 404,
		} {
			if got := a.raw(t, "GET /v1/accounts/"+a.id+"/wallets/cards/"+segment+" HTTP/1.1"); got != want {
				t.Errorf("%s: got %d, want %d", segment, got, want)
			}
		}
		escapedAccount := strings.ReplaceAll(a.id, "0", "%30")
		if got := a.raw(t, "GET /v1/accounts/"+escapedAccount+"/wallets/cards HTTP/1.1"); got != http.StatusOK {
			t.Errorf("an account that is escaped for no reason: got %d", got)
		}
		for _, line := range []string{
			"GET /v1/accounts/" + a.id + "/wallets/cards/%zz HTTP/1.1",
			"GET /v1/accounts/" + a.id + "/wallets/cards/a\x00b HTTP/1.1",
			"GET /v1/accounts/" + a.id + "/wallets/cards/a b HTTP/1.1",
			"GET /v1/accounts/" + a.id + "/wallets/cards/\xff HTTP/1.1",
		} {
			if got := a.raw(t, line); got != http.StatusBadRequest {
				t.Errorf("%q: got %d, want 400", line, got)
			}
		}
	})
}

// raw sends a request line as it is, past the HTTP client, which would mend it, and
// returns the status.
func (a *account) raw(t *testing.T, line string) (status int) {
	t.Helper()
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(a.s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	token := a.s.mint(t, claims(a.id))
	if _, err := fmt.Fprintf(connection, "%s\r\nHost: kort\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", line, token); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// Metadata comes back as the same value: large numbers keep their digits.
func TestMetadata(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		full := `{"a":"` + strings.Repeat("x", 16<<10-8) + `"}`
		if len(full) != 16<<10 {
			t.Fatalf("the sample has %d bytes", len(full))
		}
		for name, sent := range map[string]struct{ sent, want string }{
			"empty":                {`{}`, `{}`},
			"large numbers":        {`{"a":123456789012345678901234567890,"b":1.10,"c":1e400,"d":-0}`, `{"a":123456789012345678901234567890,"b":1.10,"c":1e400,"d":-0}`},
			"null inside":          {`{"a":null,"b":[null]}`, `{"a":null,"b":[null]}`},
			"keys get an order":    {`{"b":1,"a":{"d":[],"c":{}}}`, `{"a":{"c":{},"d":[]},"b":1}`},
			"escapes":              {`{"a":"\u00e9\/\ud83d\ude00"}`, `{"a":"é/😀"}`},
			"HTML":                 {`{"a":"<&>"}`, `{"a":"<&>"}`},
			"keys alike":           {`{"a":1,"A":2,"amount":-1}`, `{"A":2,"a":1,"amount":-1}`},
			"reserved keys":        {`{"dintero_x":1}`, `{"dintero_x":1}`},
			"eight levels":         {nested(8), nested(8)},
			"16 KiB":               {full, full},
			"8 levels with arrays": {`{"a":[[[[[[[]]]]]]]}`, `{"a":[[[[[[[]]]]]]]}`},
			"the pointer's escape": {`{"~/":1,"":2}`, `{"":2,"~/":1}`},
		} {
			card := a.want(t, ok, text(opCreate, `{"card_id":"`+a.s.next("card")+`","amount":1,"currency":"NOK","metadata":`+sent.sent+`}`))
			var answer struct {
				CardID   string          `json:"card_id"`
				Metadata json.RawMessage `json:"metadata"`
			}
			card.decode(t, &answer)
			if got := canonical(t, answer.Metadata); got != sent.want {
				t.Errorf("%s: %.100s was answered as %.100s", name, sent.sent, got)
			}
			a.want(t, ok, getCard(answer.CardID)).decode(t, &answer)
			if got := canonical(t, answer.Metadata); got != sent.want {
				t.Errorf("%s: %.100s was read back as %.100s", name, sent.sent, got)
			}
		}
	})
}

// canonical undoes the ways in which JSON may escape a text, and nothing else.
func canonical(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	text, err := strictjson.Canonical(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Fields the server owns, and fields nobody knows, are ignored: the published
// example sends some.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card := a.card(t, object{
			"id": "mine", "status": "used", "deleted_at": "2020-01-01T00:00:00Z", "deleted_by": nil, "created_at": 7,
			"amount_balance": 5, "tokens": []any{1}, "unknown": object{"deep": []any{true}}, "gift_card": nil,
		})
		if card["status"] != "unused" || card["deleted_at"] != nil || fmt.Sprint(card["amount_balance"]) != "10000" {
			t.Errorf("the card is %v", card)
		}
		body := a.txn(card, 1, object{"unknown": 1, "created_by": "x"})
		first := a.want(t, ok, transact(body))
		again := a.want(t, ok, transact(with(without(body, "unknown"), object{"other": 2, "created_by": "y"})))
		if string(first.body) != string(again.body) || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("unknown fields are compared: %s, %s", first.body, again.body)
		}
		a.must(t, listCards("unknown=&unknown=x&limit=5"))
	})
}

func TestBoundariesAreInside(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		longest := strings.Repeat("😀", 255)
		card := a.card(t, object{"name": longest, "amount": maxAmount, "expires_at": "9999-12-31T23:59:59.999999Z"})
		if card["name"] != longest || card["expires_at"] != "9999-12-31T23:59:59.999999Z" {
			t.Errorf("the card is %v", card)
		}
		a.card(t, object{"name": " with spaces ", "active_from": "0001-01-01T00:00:00Z"})
		a.must(t, transact(a.txn(card, maxAmount, object{"ref_id": longest})))
		a.want(t, "not_found", info(object{"token": strings.Repeat("😀", 512), "pin": strings.Repeat("😀", 128)}))
		a.must(t, text(opCreate, `{"card_id":"minus nothing","amount":-0,"currency":"NOK"}`))
		made := a.must(t, createToken(card["card_id"], a.newToken(object{
			"expires_in": 3_153_600_000, "format": object{"length": 255, "prefix": strings.Repeat("p", 64), "barcode": true},
		})))
		if got := len(clearOf(made)); got != 64+255 {
			t.Errorf("the longest token has %d characters", got)
		}
		rotated := a.must(t, rotatePIN(card["card_id"], object{"pin": object{"format": object{"length": 64, "prefix": strings.Repeat("~", 64)}}}))
		a.must(t, info(object{"token": clearOf(made), "pin": clearPIN(rotated)}))
	})
}

func TestBodiesOfTheLargestSize(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		fill := func(body string, size int) string { return body + strings.Repeat(" ", size-len(body)) }
		a.want(t, ok, text(opCreate, fill(`{"card_id":"a","amount":1,"currency":"NOK"}`, 1<<20)))
		a.want(t, ok, call{operation: opCreate, body: chunked(fill(`{"card_id":"b","amount":1,"currency":"NOK"}`, 1<<20))})
		a.want(t, ok, text(opBatch, fill(`{"cards":[{"card_id":"c"}]}`, 8<<20)))
	})
}

func TestWaysToDeclareJSON(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		for _, declared := range []string{
			"application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", `application/json; charset="utf-8"`,
			"Application/JSON", " application/json ", "application/json; version=1",
		} {
			c := createCard(a.newCard())
			c.header = http.Header{"Content-Type": {declared}, "Content-Encoding": {"identity"}}
			a.want(t, ok, c)
		}
	})
}
