package httpapi_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// refusedInput is a request that must be refused, and where it must say so.
type refusedInput struct {
	name    string
	call    call
	code    string // invalid_request unless given
	pointer string // among the answer's errors; "-" when there are none
}

// text is a call with a body as it is written.
func text(operation, body string) call { return call{operation: operation, body: body} }

// fields is the body of a new card, with more fields written as they are.
func fields(more string) string {
	return `{"card_id":"bad-SENTINEL","amount":10000,"currency":"NOK"` + more + `}`
}

// amount is the body of a new card with an amount as it is written.
func amount(number string) string {
	return `{"card_id":"bad-SENTINEL","amount":` + number + `,"currency":"NOK"}`
}

// metadata is the body of a new card with metadata as it is written.
func metadata(text string) string { return fields(`,"metadata":` + text) }

// nested is an object in which objects are nested so deep, itself counted.
func nested(levels int) string {
	return strings.Repeat(`{"a":`, levels-1) + `{}` + strings.Repeat(`}`, levels-1)
}

// refusedJSON is about bodies as such; any operation with a body would do.
var refusedJSON = []refusedInput{
	{name: "nothing", call: text(opCreate, ""), pointer: ""},
	{name: "white space", call: text(opCreate, " \n"), pointer: ""},
	{name: "not JSON", call: text(opCreate, "SENTINEL"), pointer: ""},
	{name: "cut off", call: text(opCreate, `{"card_id":"SENTINEL`), pointer: "/card_id"},
	{name: "null", call: text(opCreate, "null"), pointer: ""},
	{name: "an array", call: text(opCreate, `["SENTINEL"]`), pointer: ""},
	{name: "a string", call: text(opCreate, `"SENTINEL"`), pointer: ""},
	{name: "a second value", call: text(opCreate, fields("")+`{}`), pointer: ""},
	{name: "trailing garbage", call: text(opCreate, fields("")+`SENTINEL`), pointer: ""},
	{name: "a trailing comma", call: text(opCreate, fields(",")), pointer: ""},
	{name: "a comment", call: text(opCreate, fields("/* SENTINEL */")), pointer: ""},
	{name: "single quotes", call: text(opCreate, `{'card_id':'SENTINEL'}`), pointer: ""},
	{name: "a byte order mark", call: text(opCreate, "\ufeff"+fields("")), pointer: ""},
	{name: "UTF-16", call: text(opCreate, "{\x00}\x00"), pointer: ""},
	{name: "nested a million deep", call: text(opCreate, strings.Repeat("[", 1<<20)), pointer: ""},
	{name: "nested deep in an unknown field", call: text(opCreate, fields(`,"x":`+nested(100))), pointer: ""},
	{name: "a key twice", call: text(opCreate, fields(`,"amount":-5`)), pointer: ""},
	{name: "an unknown key twice", call: text(opCreate, fields(`,"SENTINEL":1,"SENTINEL":2`)), pointer: ""},
	{name: "a key twice, once escaped", call: text(opCreate, fields(`,"\u0061mount":1`)), pointer: ""},
	{name: "a key in capitals beside the known one", call: text(opCreate, fields(`,"AMOUNT":-5`)), pointer: ""},
	{name: "a key in capitals in place of the known one", call: text(opCreate, `{"card_id":"a","Amount":1,"currency":"NOK"}`)},
	{name: "a Kelvin sign in a key", call: text(opToken, `{"ref_id":"a","expires_in":1}`).on(object{"card_id": "\u212a"}), code: "not_found", pointer: "-"},
	{name: "a Kelvin sign where a k belongs", call: text(opInfo, "{\"to\u212aen\":\"SENTINEL\",\"token\":\"a\"}"), pointer: ""},
	{name: "a long s where an s belongs", call: text(opCreate, fields(",\"expire\u017f_at\":\"SENTINEL\"")), pointer: ""},
	{name: "a key in capitals inside", call: text(opCreate, fields(`,"pin":{"format":{"LENGTH":4}}`)), pointer: "/pin/format"},
	{name: "invalid UTF-8", call: text(opCreate, fields(",\"name\":\"SENTINEL\xff\"")), pointer: "/name"},
	{name: "overlong UTF-8", call: text(opCreate, fields(",\"name\":\"\xc0\xaf\"")), pointer: "/name"},
	{name: "a surrogate as UTF-8", call: text(opCreate, fields(",\"name\":\"\xed\xa0\x80\"")), pointer: "/name"},
	{name: "invalid UTF-8 in a key", call: text(opCreate, fields(",\"\xff\":1")), pointer: ""},
	{name: "a lone high surrogate", call: text(opCreate, fields(`,"name":"\ud800"`)), pointer: "/name"},
	{name: "a lone low surrogate", call: text(opCreate, fields(`,"name":"\udc00 SENTINEL"`)), pointer: "/name"},
	{name: "surrogates in the wrong order", call: text(opCreate, fields(`,"name":"\udc00\ud800"`)), pointer: "/name"},
	{name: "a lone surrogate in metadata", call: text(opCreate, metadata(`{"a":"\udfff"}`)), pointer: "/metadata"},
	{name: "a NUL", call: text(opCreate, fields(`,"name":"\u0000SENTINEL"`)), pointer: "/name"},
	{name: "a NUL as it is", call: text(opCreate, fields(",\"name\":\"\x00\"")), pointer: "/name"},
	{name: "a line break", call: text(opCreate, fields(`,"name":"a\nb"`)), pointer: "/name"},
	{name: "a delete character", call: text(opCreate, fields(`,"name":"\u007f"`)), pointer: "/name"},
	{name: "a C1 control character", call: text(opCreate, fields(`,"name":"\u0085"`)), pointer: "/name"},
	{name: "a control character in metadata", call: text(opCreate, metadata(`{"a":"\u0007"}`)), pointer: "/metadata"},
	{name: "a control character in a key of metadata", call: text(opCreate, metadata(`{"\u0000":1}`)), pointer: "/metadata"},
	{name: "a control character in an unknown field", call: text(opCreate, fields(`,"x":"\t"`)), pointer: ""},
}

// refusedValues is about the fields of a body.
var refusedValues = []refusedInput{
	{name: "no required field", call: text(opCreate, `{}`), pointer: "/card_id"},
	{name: "no amount", call: text(opCreate, `{"card_id":"a","currency":"NOK"}`), pointer: "/amount"},
	{name: "no currency", call: text(opCreate, `{"card_id":"a","amount":1}`), pointer: "/currency"},
	{name: "a negative amount", call: text(opCreate, amount("-1")), pointer: "/amount"},
	{name: "a fraction", call: text(opCreate, amount("1.5")), pointer: "/amount"},
	{name: "a whole number with a point", call: text(opCreate, amount("1.0")), pointer: "/amount"},
	{name: "an exponent", call: text(opCreate, amount("1e3")), pointer: "/amount"},
	{name: "a capital exponent", call: text(opCreate, amount("1E+3")), pointer: "/amount"},
	{name: "a huge exponent", call: text(opCreate, amount("1e999999999")), pointer: "/amount"},
	{name: "2^53", call: text(opCreate, amount("9007199254740992")), pointer: "/amount"},
	{name: "2^53+1, which a float rounds", call: text(opCreate, amount("9007199254740993")), pointer: "/amount"},
	{name: "2^63", call: text(opCreate, amount("9223372036854775808")), pointer: "/amount"},
	{name: "2^64+1, which wraps to 1", call: text(opCreate, amount("18446744073709551617")), pointer: "/amount"},
	{name: "a thousand digits", call: text(opCreate, amount("1"+strings.Repeat("0", 1000))), pointer: "/amount"},
	{name: "a leading zero", call: text(opCreate, amount("01")), pointer: ""},
	{name: "a leading plus", call: text(opCreate, amount("+1")), pointer: "/amount"},
	{name: "a hexadecimal number", call: text(opCreate, amount("0x1F")), pointer: ""},
	{name: "NaN", call: text(opCreate, amount("NaN")), pointer: "/amount"},
	{name: "an amount as a string", call: text(opCreate, amount(`"10000"`)), pointer: "/amount"},
	{name: "an amount that is true", call: text(opCreate, amount(`true`)), pointer: "/amount"},
	{name: "an amount that is null", call: text(opCreate, amount(`null`)), pointer: "/amount"},
	{name: "an amount that is an object", call: text(opCreate, amount(`{"SENTINEL":1}`)), pointer: "/amount"},
	{name: "null for an optional field", call: text(opCreate, fields(`,"name":null`)), pointer: "/name"},
	{name: "null for an optional object", call: text(opCreate, fields(`,"metadata":null`)), pointer: "/metadata"},
	{name: "null for a flag inside", call: text(opCreate, fields(`,"pin":{"format":{"numbers":null}}`)), pointer: "/pin/format/numbers"},
	{name: "a flag as text", call: text(opCreate, fields(`,"pin":{"format":{"numbers":"true"}}`)), pointer: "/pin/format/numbers"},
	{name: "a number for a text", call: text(opCreate, fields(`,"name":7`)), pointer: "/name"},
	{name: "an array for an object", call: text(opCreate, fields(`,"metadata":["SENTINEL"]`)), pointer: "/metadata"},
	{name: "an unknown currency", call: text(opCreate, `{"card_id":"a","amount":1,"currency":"SENTINEL"}`), pointer: "/currency"},
	{name: "a currency in small letters", call: text(opCreate, `{"card_id":"a","amount":1,"currency":"nok"}`), pointer: "/currency"},
	{name: "an unknown type", call: text(opCreate, fields(`,"type":"SENTINEL"`)), pointer: "/type"},
	{name: "a date without zone", call: text(opCreate, fields(`,"expires_at":"2026-06-30T12:00:00"`)), pointer: "/expires_at"},
	{name: "a date alone", call: text(opCreate, fields(`,"expires_at":"2026-06-30"`)), pointer: "/expires_at"},
	{name: "a day that does not exist", call: text(opCreate, fields(`,"expires_at":"2026-02-30T12:00:00Z"`)), pointer: "/expires_at"},
	{name: "an hour that does not exist", call: text(opCreate, fields(`,"active_from":"2026-06-30T24:00:00Z"`)), pointer: "/active_from"},
	{name: "a nonsense date", call: text(opCreate, fields(`,"active_from":"SENTINEL"`)), pointer: "/active_from"},
	{name: "a date as a number", call: text(opCreate, fields(`,"active_from":1782820800`)), pointer: "/active_from"},
	{name: "an empty name", call: text(opCreate, fields(`,"name":""`)), pointer: "/name"},
	{name: "a name of 256 characters", call: text(opCreate, fields(`,"name":"`+strings.Repeat("é", 256)+`"`)), pointer: "/name"},
	{name: "metadata of nine levels", call: text(opCreate, metadata(nested(9))), pointer: "/metadata"},
	{name: "metadata of 16 KiB and a byte", call: text(opCreate, metadata(`{"a":"`+strings.Repeat("x", 16<<10-7)+`"}`)), pointer: "/metadata"},
	{name: "metadata with a key twice", call: text(opCreate, metadata(`{"SENTINEL":1,"SENTINEL":1}`)), pointer: "/metadata"},
	{name: "a PIN of three characters", call: text(opCreate, fields(`,"pin":{"format":{"length":3}}`)), pointer: "/pin/format/length"},
	{name: "a PIN of 65 characters", call: text(opCreate, fields(`,"pin":{"format":{"length":65}}`)), pointer: "/pin/format/length"},
	{name: "a token of no character", call: text(opCreate, fields(`,"card_token":{"format":{"length":0}}`)), pointer: "/card_token/format/length"},
	{name: "a token of 256 characters", call: text(opCreate, fields(`,"card_token":{"format":{"length":256}}`)), pointer: "/card_token/format/length"},
	{name: "a token from no class", call: text(opCreate, fields(`,"card_token":{"format":{"numbers":false,"symbols":false,"characters":false}}`)), pointer: "/card_token/format"},
	{name: "a PIN from no class", call: text(opCreate, fields(`,"pin":{"format":{"numbers":false,"symbols":false,"characters":false}}`)), pointer: "/pin/format"},
	{name: "a prefix that is not ASCII", call: text(opCreate, fields(`,"card_token":{"format":{"prefix":"Ö"}}`)), pointer: "/card_token/format/prefix"},
	{name: "a prefix of 65 characters", call: text(opCreate, fields(`,"card_token":{"format":{"prefix":"`+strings.Repeat("x", 65)+`"}}`)), pointer: "/card_token/format/prefix"},
	{name: "an empty prefix", call: text(opCreate, fields(`,"card_token":{"format":{"prefix":""}}`)), pointer: "/card_token/format/prefix"},
	{name: "expires_in of 0", call: text(opCreate, fields(`,"card_token":{"expires_in":0}`)), pointer: "/card_token/expires_in"},
	{name: "expires_in above 100 years", call: text(opCreate, fields(`,"card_token":{"expires_in":3153600001}`)), pointer: "/card_token/expires_in"},
	{name: "several at once", call: text(opCreate, `{"card_id":" ","amount":-1,"currency":"SENTINEL"}`), pointer: "/currency"},
	{name: "a batch of none", call: text(opBatch, `{"cards":[]}`), pointer: "/cards"},
	{name: "a batch of 1001", call: createBatch(object{"cards": slices.Repeat([]object{{"card_id": "a"}}, 1001)}), pointer: "/cards"},
	{name: "a wrong card of a batch", call: text(opBatch, `{"cards":[{"card_id":"a"},{"card_id":" SENTINEL"}]}`), pointer: "/cards/1/card_id"},
	{name: "a wrong format of a batch", call: text(opBatch, `{"cards":[{"card_id":"a"}],"options":{"card_token":{"format":{"numbers":false,"symbols":false,"characters":false}}}}`), pointer: "/options/card_token/format"},
	{name: "a wrong PIN format of a batch", call: text(opBatch, `{"cards":[{"card_id":"a"}],"options":{"pin":{"format":{"numbers":false,"symbols":false,"characters":false}}}}`), pointer: "/options/pin/format"},
	{name: "an activation without currency", call: activate("card", object{"amount": 1}), pointer: "/currency"},
	{name: "an activation without a body", call: text("aid_cards_cardid_activate_post", "").on(object{"card_id": "card"}), pointer: ""},
	{name: "a rotation without pin", call: rotatePIN("card", object{}), pointer: "/pin"},
	{name: "a token without ref_id", call: createToken("card", object{"expires_in": 1}), pointer: "/ref_id"},
	{name: "a token without expires_in", call: createToken("card", object{"ref_id": "a"}), pointer: "/expires_in"},
	{name: "a token from no class by itself", call: createToken("card", object{"ref_id": "a", "expires_in": 1, "format": object{"numbers": false, "symbols": false, "characters": false}}), pointer: "/format"},
	{name: "an empty token", call: info(object{"token": ""}), pointer: "/token"},
	{name: "a token of 513 characters", call: info(object{"token": strings.Repeat("x", 513)}), pointer: "/token"},
	{name: "an empty PIN", call: info(object{"token": "a", "pin": ""}), pointer: "/pin"},
	{name: "a PIN of 129 characters in a request", call: info(object{"token": "a", "pin": strings.Repeat("7", 129)}), pointer: "/pin"},
	{name: "a PIN as a number", call: text(opInfo, `{"token":"a","pin":1234}`), pointer: "/pin"},
	{name: "neither token nor card_id", call: transact(with(money(1), object{"ref_id": "a"})), pointer: "/token"},
	{name: "both token and card_id", call: transact(with(money(1), object{"ref_id": "a", "token": "SENTINEL", "card_id": "card"})), pointer: "/card_id"},
	{name: "a pending fund", call: transact(with(money(1), object{"ref_id": "a", "card_id": "card", "type": "fund", "pending": true})), pointer: "/pending"},
	{name: "an empty ref_id", call: transact(with(money(1), object{"ref_id": "", "card_id": "card"})), pointer: "/ref_id"},
	{name: "a ref_id of 256 characters", call: transact(with(money(1), object{"ref_id": strings.Repeat("😀", 256), "card_id": "card"})), pointer: "/ref_id"},
	{name: "a capture as the type", call: transact(with(money(1), object{"ref_id": "a", "card_id": "card", "type": "pending_capture"})), pointer: "/type"},
	{name: "pending as text", call: transact(with(money(1), object{"ref_id": "a", "card_id": "card", "pending": "SENTINEL"})), pointer: "/pending"},
	{name: "a negative capture", call: capture("019a2b50-aaaa-7bbb-8ccc-ddddeeeeffff", object{"ref_id": "a", "amount": -1}), pointer: "/amount"},
	{name: "a void without ref_id", call: void("019a2b50-aaaa-7bbb-8ccc-ddddeeeeffff", object{}), pointer: "/ref_id"},
}

// refusedHeads is about paths, queries and headers.
var refusedHeads = []refusedInput{
	{name: "a transaction_id that is no UUID", call: capture("SENTINEL", object{"ref_id": "a"}), pointer: "transaction_id"},
	{name: "a UUID in braces", call: void("{019a2b50-aaaa-7bbb-8ccc-ddddeeeeffff}", object{"ref_id": "a"}), pointer: "transaction_id"},
	{name: "a NUL in the path", call: getCard("a\x00SENTINEL"), pointer: "card_id"},
	{name: "a control character in the path", call: getCard("a\u0085"), pointer: "card_id"},
	{name: "invalid UTF-8 in the path", call: getCard("\xff"), pointer: "card_id"},
	{name: "invalid UTF-8 in a customer", call: listCustomerCards("\xc3\x28", ""), pointer: "customer_id"},
	{name: "a card of 256 characters in the path", call: getCard(strings.Repeat("é", 256)), pointer: "card_id"},
	{name: "a card with a space at the end in the path", call: getCard("card "), pointer: "card_id"},
	{name: "a card called . in the path", call: getCard("."), pointer: "card_id"},
	{name: "a card called .. in the path", call: deleteCard(".."), pointer: "card_id"},
	{name: "a limit of 0", call: listCards("limit=0"), pointer: "limit"},
	{name: "a limit of 101", call: listCards("limit=101"), pointer: "limit"},
	{name: "a limit of 1e1", call: listCards("limit=1e1"), pointer: "limit"},
	{name: "a limit with a plus", call: listCards("limit=%2B5"), pointer: "limit"},
	{name: "a limit with a zero before it", call: listCards("limit=05"), pointer: "limit"},
	{name: "a limit beyond 64 bits", call: listCards("limit=99999999999999999999"), pointer: "limit"},
	{name: "a limit that is no number", call: listCards("limit=SENTINEL"), pointer: "limit"},
	{name: "an empty limit", call: listCards("limit="), pointer: "limit"},
	{name: "a limit without a value", call: listCards("limit"), pointer: "limit"},
	{name: "a limit twice", call: listCards("limit=5&limit=5"), pointer: "limit"},
	{name: "a limit twice, one empty", call: listCards("limit=&limit=5"), pointer: "limit"},
	{name: "a limit of customer cards", call: listCustomerCards("c", "limit=101"), pointer: "limit"},
	{name: "an unknown cursor", call: listCards("starting_after=019a2b50-aaaa-7bbb-8ccc-ddddeeeeffff"), pointer: "starting_after"},
	{name: "a cursor that is no UUID", call: listCards("starting_after=SENTINEL"), pointer: "starting_after"},
	{name: "the UUID of nothing", call: listCards("starting_after=00000000-0000-0000-0000-000000000000"), pointer: "starting_after"},
	{name: "an empty cursor", call: listCards("starting_after="), pointer: "starting_after"},
	{name: "an unknown cursor of a customer", call: listCustomerCards("c", "starting_after=019a2b50-aaaa-7bbb-8ccc-ddddeeeeffff"), pointer: "starting_after"},
	{name: "an empty search", call: listCards("search="), pointer: "search"},
	{name: "a search of 256 characters", call: listCards("search=" + strings.Repeat("x", 256)), pointer: "search"},
	{name: "a NUL in a search", call: listCards("search=%00SENTINEL"), pointer: "query"},
	{name: "invalid UTF-8 in a query", call: listCards("search=%ff"), pointer: "query"},
	{name: "a broken escape in a query", call: listCards("search=%zzSENTINEL"), pointer: "query"},
	{name: "an unknown status", call: listCards("status=SENTINEL"), pointer: "status"},
	{name: "an empty status", call: listCards("status="), pointer: "status"},
	{name: "a status twice", call: listCards("status=used&status=unused"), pointer: "status"},
	{name: "an unknown type of card", call: listCards("type=SENTINEL"), pointer: "type"},
	{name: "an unknown currency in a list", call: listCards("currency=NOK&currency=SENTINEL"), pointer: "currency"},
	{name: "an empty currency", call: listCards("currency="), pointer: "currency"},
	{name: "currencies with a comma", call: listCards("currency=NOK,SEK"), pointer: "currency"},
	{name: "a balance with a point", call: listCards("amount_balance=1.0"), pointer: "amount_balance"},
	{name: "a negative balance", call: listCards("amount_balance.gte=-1"), pointer: "amount_balance.gte"},
	{name: "a balance above 2^53-1", call: listCards("amount_balance.lte=9007199254740992"), pointer: "amount_balance.lte"},
	{name: "an empty amount", call: listCards("amount_available="), pointer: "amount_available"},
	{name: "an amount in letters", call: listCards("amount_available.gte=SENTINEL"), pointer: "amount_available.gte"},
	{name: "include_deleted=1", call: listCards("include_deleted=1"), pointer: "include_deleted"},
	{name: "include_deleted=TRUE", call: listCards("include_deleted=TRUE"), pointer: "include_deleted"},
	{name: "an empty include_deleted", call: listCards("include_deleted="), pointer: "include_deleted"},
	{name: "a nonsense date in a query", call: listCards("created_at.gte=SENTINEL--"), pointer: "created_at.gte"},
	{name: "a date with a tail", call: listCards("created_at.gte=2026-06-30SENTINEL"), pointer: "created_at.gte"},
	{name: "a day that does not exist in a query", call: listCards("created_at.lte=2026-02-30"), pointer: "created_at.lte"},
	{name: "an empty date", call: listCards("expires_at.gte="), pointer: "expires_at.gte"},
	{name: "a date twice", call: listCards("expires_at.lte=2026-06-30&expires_at.lte=2026-06-30"), pointer: "expires_at.lte"},
	{name: "an empty customer", call: listCards("customer="), pointer: "customer"},
	{name: "a customer with a space before it", call: listCards("customer=%20SENTINEL"), pointer: "customer"},
}

// refusedMedia is about how a body is declared.
func refusedMedia() []refusedInput {
	var all []refusedInput
	for _, declared := range []string{
		"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "application/jsonp",
		"application/problem+json", "application/json; charset=utf-16", "application/json; charset=latin1",
		"application/json;;", "application/json, text/plain", "*/*", "SENTINEL",
	} {
		all = append(all, refusedInput{
			name: "the content type " + declared, code: "unsupported_media_type", pointer: "-",
			call: call{operation: opCreate, body: fields(""), header: http.Header{"Content-Type": {declared}}},
		})
	}
	for _, encoding := range []string{"gzip", "br", "SENTINEL"} {
		all = append(all, refusedInput{
			name: "the content encoding " + encoding, code: "unsupported_media_type", pointer: "-",
			call: call{operation: opCreate, body: fields(""), header: http.Header{
				"Content-Type": {"application/json"}, "Content-Encoding": {encoding},
			}},
		})
	}
	return append(all, refusedInput{
		name: "two content encodings", code: "unsupported_media_type", pointer: "-",
		call: call{operation: opCreate, body: fields(""), header: http.Header{
			"Content-Type": {"application/json"}, "Content-Encoding": {"identity", "gzip"},
		}},
	})
}

// refusedSizes is about bodies that are too large, declared and in chunks.
func refusedSizes() []refusedInput {
	tenMegabytes := fields(`,"x":"` + strings.Repeat("SENTINEL", 10<<20/8) + `"`)
	return []refusedInput{
		{name: "10 MB declared", call: text(opCreate, tenMegabytes), code: "request_too_large", pointer: "-"},
		{name: "10 MB in chunks", call: call{operation: opCreate, body: chunked(tenMegabytes)}, code: "request_too_large", pointer: "-"},
		{name: "10 MB declared for a batch", call: text(opBatch, tenMegabytes), code: "request_too_large", pointer: "-"},
		{name: "10 MB in chunks for a batch", call: call{operation: opBatch, body: chunked(tenMegabytes)}, code: "request_too_large", pointer: "-"},
	}
}

// refusedIDs is about the ids that a client may choose, in a body.
func refusedIDs() []refusedInput {
	var all []refusedInput
	for name, id := range map[string]string{
		"empty": "", "a dot": ".", "two dots": "..", "a space": " ", "a leading space": " a", "a trailing space": "a ",
		"a no-break space": "a\u00a0", "an ideographic space": "\u3000a", "a line separator": "a\u2028", "a tab": "a\tb",
		"256 letters": strings.Repeat("a", 256), "256 emoji": strings.Repeat("😀", 256), "a NUL": "a\x00b",
	} {
		for _, field := range []string{"card_id", "customer_id", "originated_by"} {
			all = append(all, refusedInput{
				name: "the " + field + " of " + name, pointer: "/" + field,
				call: createCard(with(with(money(1), object{"card_id": "a"}), object{field: id})),
			})
		}
	}
	return all
}

// Every request that is not as the contract says gets a clear answer, which repeats
// nothing of it, and leaves no trace.
func TestBadInput(t *testing.T) {
	rows := slices.Concat(refusedJSON, refusedValues, refusedHeads, refusedMedia(), refusedSizes(), refusedIDs())
	each(t, func(t *testing.T, s *server) {
		a := s.account()
		a.card(t, object{"card_id": "card", "customer_id": "c"})
		a.must(t, createToken("card", a.newToken()))
		raw := s.database.Raw(t)
		before := raw.Snapshot(t)
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				code := row.code
				if code == "" {
					code = "invalid_request"
				}
				r := a.want(t, code, row.call)
				if bytes.Contains(r.body, []byte("SENTINEL")) {
					t.Errorf("the answer repeats what was sent: %s", r.body)
				}
				pointers := r.pointers(t)
				if row.pointer == "-" && len(pointers) > 0 || row.pointer != "-" && !slices.Contains(pointers, row.pointer) {
					t.Errorf("the answer points at %q, want %q: %s", pointers, row.pointer, r.body)
				}
				if after := raw.Snapshot(t); !maps.EqualFunc(before, after, func(a, b [][]string) bool {
					return fmt.Sprint(a) == fmt.Sprint(b)
				}) {
					t.Error("something was stored")
				}
			})
		}
	})
}

// Where several things are wrong, all are named.
func TestAllProblemsAreNamed(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		r := s.account().want(t, "invalid_request", createCard(object{
			"card_id": " ", "amount": -1, "currency": "XXX", "name": "", "card_token": object{"expires_in": 0},
		}))
		got := r.pointers(t)
		slices.Sort(got)
		got = slices.Compact(got)
		want := []string{"/amount", "/card_id", "/card_token/expires_in", "/currency", "/name"}
		if !slices.Equal(got, want) {
			t.Errorf("the answer points at %q, want %q", got, want)
		}
	})
}
