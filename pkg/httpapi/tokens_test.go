package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image/png"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/oned"
)

const (
	defaultToken = `^DINCARD:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	everyClass   = `[0-9A-Za-z!$.@_~-]`
)

// formats are what a client can ask for, what it gets, and what is shown of it later.
var formats = []struct {
	name          string
	format        object // nil: none is sent
	token, masked string
}{
	{"none", nil, defaultToken, `^DINCARD:\*{8}-\*{4}-\*{4}-\*{4}-\*{7}[0-9a-f]{5}$`},
	{"an empty one", object{}, defaultToken, `^DINCARD:\*{8}-`},
	{"a barcode only", object{"barcode": true}, defaultToken, `^DINCARD:\*{8}-`},
	{"a length", object{"length": 30}, `^` + everyClass + `{30}$`, `^\*{25}` + everyClass + `{5}$`},
	{"a prefix", object{"prefix": "P "}, `^P ` + everyClass + `{36}$`, `^P \*{31}` + everyClass + `{5}$`},
	{"digits", object{"length": 16, "numbers": true}, `^[0-9]{16}$`, `^\*{11}[0-9]{5}$`},
	{"letters", object{"characters": true}, `^[A-Za-z]{36}$`, `^\*{31}[A-Za-z]{5}$`},
	{"symbols", object{"symbols": true}, `^[!$.@_~-]{36}$`, `^\*{31}[!$.@_~-]{5}$`},
	{"two classes", object{"symbols": true, "numbers": true}, `^[0-9!$.@_~-]{36}$`, `^\*{31}`},
	{"one class left", object{"symbols": false, "characters": false}, `^[0-9]{36}$`, `^\*{31}`},
	{"named true wins", object{"numbers": true, "symbols": false}, `^[0-9]{36}$`, `^\*{31}`},
	{"all of it", object{"length": 12, "prefix": "SHOP-", "numbers": true, "barcode": true}, `^SHOP-[0-9]{12}$`, `^SHOP-\*{8}[0-9]{4}$`},
	{"a short one", object{"length": 6, "numbers": true}, `^[0-9]{6}$`, `^\*{4}[0-9]{2}$`},
	{"one character", object{"length": 1, "characters": true}, `^[A-Za-z]$`, `^\*$`},
}

func TestTokenFormats(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for _, f := range formats {
			t.Run(f.name, func(t *testing.T) {
				a := s.account()
				ask := object{}
				if f.format != nil {
					ask["format"] = f.format
				}
				card := a.card(t, object{"card_token": ask})
				checkToken(t, f.format, f.token, card["card_token"].(object))
				made := a.must(t, createToken(card["card_id"], a.newToken(ask)))
				checkToken(t, f.format, f.token, made)
				batch := a.inactiveCard(t, object{"card_token": ask})
				checkToken(t, f.format, f.token, batch["card_token"].(object))

				tokens := a.must(t, getCard(card["card_id"]))["tokens"].([]any)
				if len(tokens) != 2 {
					t.Fatalf("the card has %d tokens, want 2", len(tokens))
				}
				for _, listed := range tokens {
					token := listed.(object)
					if !regexp.MustCompile(f.masked).MatchString(token["masked_code"].(string)) {
						t.Errorf("the mask is %q", token["masked_code"])
					}
					if fmt.Sprint(token["format"]) != fmt.Sprint(orNil(f.format)) {
						t.Errorf("the format came back as %v", token["format"])
					}
				}
				if a.must(t, info(object{"token": clearOf(made)}))["id"] != card["id"] {
					t.Error("the token finds another card")
				}
			})
		}
	})
}

// orNil is the object, or nothing when there is none.
func orNil(o object) any {
	if o == nil {
		return nil
	}
	return o
}

// checkToken compares a token that was just made with what was asked for.
func checkToken(t *testing.T, format object, pattern string, made object) {
	t.Helper()
	value := clearOf(made)
	if !regexp.MustCompile(pattern).MatchString(value) {
		t.Errorf("the token is %q, want %s", value, pattern)
	}
	if fmt.Sprint(made["format"]) != fmt.Sprint(orNil(format)) {
		t.Errorf("the format came back as %v", made["format"])
	}
	barcode, there := made["token"].(object)["barcode_128"].(string)
	if there != (format["barcode"] == true) {
		t.Errorf("barcode_128 is there: %t", there)
	}
	if there && scan(t, barcode) != value {
		t.Errorf("the barcode scans to %q, want %q", scan(t, barcode), value)
	}
}

// scan reads a barcode as a till does.
func scan(t *testing.T, uri string) string {
	t.Helper()
	file, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(uri, "data:image/png;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	result, err := oned.NewCode128Reader().Decode(bitmap, nil)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return result.GetText()
}

func TestPINFormats(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		for name, f := range map[string]struct {
			format object
			want   string
		}{
			"none":          {nil, `^[0-9]{6}$`},
			"an empty one":  {object{}, `^[0-9]{6}$`},
			"four digits":   {object{"length": 4, "numbers": true}, `^[0-9]{4}$`},
			"no length":     {object{"characters": true}, `^[A-Za-z]{6}$`},
			"with a prefix": {object{"prefix": "PIN ", "length": 8, "barcode": true}, `^PIN ` + everyClass + `{8}$`},
		} {
			ask := object{}
			if f.format != nil {
				ask["format"] = f.format
			}
			card := a.card(t, object{"pin": ask})
			for _, made := range []object{card, a.must(t, rotatePIN(card["card_id"], object{"pin": ask})), a.inactiveCard(t, object{"pin": ask})} {
				pin := made["pin"].(object)
				checkToken(t, f.format, f.want, object{"token": pin["pin"], "format": pin["format"]})
			}
			shown := a.must(t, getCard(card["card_id"]))["pin"].(object)
			if fmt.Sprint(shown["format"]) != fmt.Sprint(orNil(f.format)) || shown["pin"] != nil {
				t.Errorf("%s: the card shows %v", name, shown)
			}
		}
		if _, there := a.card(t)["pin"]; there {
			t.Error("a card without a PIN shows one")
		}
	})
}

// A value is unique in its account for ever: spent, expired and deleted tokens count.
func TestTokensAreUniqueForEver(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		seen := map[string]bool{}
		note := func(value string) {
			t.Helper()
			if seen[value] {
				t.Errorf("%q was given out twice", value)
			}
			seen[value] = true
		}
		deleted := a.card(t, object{"card_token": digit})
		note(clearToken(deleted))
		a.must(t, deleteCard(deleted["card_id"]))
		card := a.card(t)
		for i := range 9 {
			token := clearOf(a.must(t, createToken(card["card_id"], a.newToken(digit, object{"expires_in": 1}))))
			note(token)
			if i%2 == 0 {
				a.must(t, transact(a.pay(token, 1)))
			}
			a.later(2 * time.Second)
		}
		a.want(t, "token_space_exhausted", createToken(card["card_id"], a.newToken(digit)))
		a.must(t, createToken(card["card_id"], a.newToken(object{"format": object{"length": 2, "numbers": true}})))
	})
}

func TestTokensExpire(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		card := a.card(t, object{"card_token": object{}, "expires_at": start.Add(2 * time.Hour)})
		eternal := clearToken(card)
		hour := a.must(t, createToken(card["card_id"], a.newToken()))
		tokens := a.must(t, getCard(card["card_id"]))["tokens"].([]any)
		if _, there := tokens[0].(object)["expires_at"]; there || len(tokens) != 2 {
			t.Errorf("the tokens are %v", tokens)
		}
		if got := tokens[1].(object)["expires_at"]; got != "2026-06-30T10:15:00.123456Z" {
			t.Errorf("expires_at is %v", got)
		}
		a.later(time.Hour - time.Microsecond)
		a.must(t, info(object{"token": clearOf(hour)}))
		a.later(time.Microsecond)
		a.want(t, "not_found", info(object{"token": clearOf(hour)}))
		a.want(t, "not_found", transact(a.pay(clearOf(hour), 1)))
		if got := len(a.must(t, getCard(card["card_id"]))["tokens"].([]any)); got != 1 {
			t.Errorf("%d tokens are listed, want 1", got)
		}
		a.later(2 * time.Hour)
		if got := a.must(t, info(object{"token": eternal}))["status"]; got != "expired" {
			t.Errorf("the status is %v, want expired", got)
		}
		a.must(t, createToken(card["card_id"], a.newToken()))
	})
}

// A token pays once, unless it was made to pay for longer; a look-up is not a payment.
func TestTokensPayOnce(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		for _, kind := range []object{{}, {"type": "fund"}, {"pending": true}} {
			card := a.card(t)
			made := a.must(t, createToken(card["card_id"], a.newToken()))
			if made["expires_after_transaction"] != true {
				t.Errorf("expires_after_transaction is %v", made["expires_after_transaction"])
			}
			token := clearOf(made)
			a.want(t, "currency_mismatch", transact(a.pay(token, 1, object{"currency": "SEK"})))
			a.must(t, info(object{"token": token}))
			paid := a.must(t, transact(a.pay(token, 1, kind)))
			if kind["pending"] == true {
				a.must(t, void(paid["id"], a.ref()))
			}
			a.want(t, "token_used", transact(a.pay(token, 1)))
			a.must(t, info(object{"token": token}))
			if got := len(a.must(t, getCard(card["card_id"]))["tokens"].([]any)); got != 1 {
				t.Errorf("a spent token is not listed")
			}
		}
		_, lasting := a.cardWithToken(t)
		for range 3 {
			a.must(t, transact(a.pay(lasting, 1)))
		}
	})
}
