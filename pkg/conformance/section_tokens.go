package conformance

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/kortwallet/kort/gen/client"
)

// waitStep is how often somebody who waits looks.
const waitStep = 200 * time.Millisecond

// newToken makes a token for a card, valid for an hour unless more says otherwise.
func (t *trial) newToken(card string, more ...object) client.Token {
	return decode[client.Token](t.createToken(card, t.tokenBody(more...)).ok())
}

func (t *trial) tokenBody(more ...object) object {
	return with(object{"ref_id": t.name(), "expires_in": 3600}, more...)
}

// atOnce sends something several times at the same time and returns the statuses. A request
// that gets no answer is a status of 0.
func (t *trial) atOnce(times int, ask func(*trial) answer) []int {
	statuses := make([]int, times)
	var group sync.WaitGroup
	for i := range times {
		own := t.newTrial(t.ctx, t.check)
		group.Go(func() {
			defer own.cancel()
			if own.attempt(func(own *trial) { statuses[i] = ask(own).status }) != nil {
				statuses[i] = 0
			}
		})
	}
	group.Wait()
	return statuses
}

// shaped is a check that a token of a format looks like a pattern.
func shaped(name, sentence, pattern string, format object) Check {
	return rule("tokens/"+name, sentence, func(t *trial) {
		c := t.newCard(object{"card_token": object{"format": format}})
		t.want(regexp.MustCompile(pattern).MatchString(c.CardToken.Token.Value), "a value like "+pattern, "another")
	})
}

// badFormat is a format that must be refused.
func badFormat(name, sentence string, format object) Check {
	return refusal("tokens/"+name, sentence, func(t *trial) answer {
		return t.createCard(t.cardBody(object{"card_token": object{"format": format}}))
	})
}

// tokens is about codes that stand for a card.
var tokens = []Check{
	rule("tokens/with-the-card", "card_token in a request gets the first token in the answer.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		t.want(value(c.CardToken).Token.Value != "", "card_token with a value", "none")
		equal(t, "expires_after_transaction", c.CardToken.ExpiresAfterTransaction, true)
	}).isPublished(),
	rule("tokens/not-unless-asked", "A card that was created without card_token has no token.", func(t *trial) {
		t.want(t.newCard().CardToken == nil, "no card_token", "one")
	}).isPublished(),
	rule("tokens/create", "Creating a token answers its value once, with the fields of the request.", func(t *trial) {
		body := t.tokenBody(object{"metadata": object{"till": "7"}, "expires_after_transaction": false})
		token := decode[client.Token](t.createToken(t.newCard().CardID, body).ok())
		t.want(value(token.Token).Value != "", "a value", "none")
		equal(t, "ref_id", token.RefID, body["ref_id"].(string))
		equal(t, "expires_in", token.ExpiresIn, 3600)
		equal(t, "expires_after_transaction", token.ExpiresAfterTransaction, false)
		equal(t, "metadata", value(token.Metadata)["till"], any("7"))
	}).isPublished(),
	rule("tokens/info", "POST /info finds the card by its token, with its figures and without tokens.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		a := t.info(object{"token": c.CardToken.Token.Value}).ok()
		equal(t, "card_id", decode[client.Card](a).CardID, c.CardID)
		_, there := a.fields()["tokens"]
		t.want(!there, "no field tokens", there)
	}).isPublished(),
	rule("tokens/info-unknown", "An unknown token is 404.", func(t *trial) {
		t.info(object{"token": "DINCARD:" + t.name()}).refused(notFound)
	}).readOnly().isPublished(),
	rule("tokens/info-by-masked-code", "A masked code is no token.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		t.info(object{"token": t.show(c.CardID).Tokens[0].MaskedCode}).refused(notFound)
	}).isPublished(),
	rule("tokens/info-case", "A token in capitals is another token.", func(t *trial) {
		c := t.newCard(object{"card_token": object{"format": object{"prefix": "abc", "length": 20, "numbers": true}}})
		t.info(object{"token": "ABC" + c.CardToken.Token.Value[3:]}).refused(notFound)
	}),
	rule("tokens/pay", "A transaction by token is one on its card.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		t.transact(t.payment(c.CardToken.Token.Value, 100)).ok()
		t.stands(c.CardID, figures{funds: 10000, drawdown: 100})
	}).isPublished(),
	rule("tokens/pay-unknown", "A transaction by an unknown token is 404.", func(t *trial) {
		t.transact(t.payment("DINCARD:"+t.name(), 1)).refused(notFound)
	}).isPublished(),
	rule("tokens/single-use", "By default a token pays once; the second is refused and takes nothing.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		t.transact(t.payment(c.CardToken.Token.Value, 100)).ok()
		t.transact(t.payment(c.CardToken.Token.Value, 100)).refused(tokenUsed)
		t.stands(c.CardID, figures{funds: 10000, drawdown: 100})
	}).isPublished(),
	rule("tokens/pending-spends", "A pending transaction spends a token, and a void does not give it back.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		held := decode[client.Transaction](t.transact(t.payment(c.CardToken.Token.Value, 100, hold)).ok())
		t.void(held.ID, t.ref()).ok()
		t.transact(t.payment(c.CardToken.Token.Value, 100)).refused(tokenUsed)
	}),
	rule("tokens/fund-spends", "A fund by token spends it too.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		t.transact(t.payment(c.CardToken.Token.Value, 100, fund)).ok()
		t.transact(t.payment(c.CardToken.Token.Value, 100)).refused(tokenUsed)
	}),
	rule("tokens/refusal-does-not-spend", "A refused transaction does not spend the token.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		t.transact(t.payment(c.CardToken.Token.Value, 10001)).refused(tooLittle)
		t.transact(t.payment(c.CardToken.Token.Value, 100)).ok()
	}).isPublished(),
	rule("tokens/many-uses", "With expires_after_transaction: false a token pays again.", func(t *trial) {
		c := t.newCard(object{"card_token": object{"expires_after_transaction": false}})
		for range 3 {
			t.transact(t.payment(c.CardToken.Token.Value, 100)).ok()
		}
		t.stands(c.CardID, figures{funds: 10000, drawdown: 300})
	}).isPublished(),
	rule("tokens/spent-still-informs", "A spent token works on in POST /info.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		t.transact(t.payment(c.CardToken.Token.Value, 100)).ok()
		t.info(object{"token": c.CardToken.Token.Value}).ok()
	}),
	rule("tokens/spent-at-once", "A single-use token that is used at the same time pays once.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		t.atOnce(6, func(t *trial) answer { return t.transact(t.payment(c.CardToken.Token.Value, 100)) })
		t.stands(c.CardID, figures{funds: 10000, drawdown: 100})
	}).isPublished(),
	rule("tokens/expiry", "After expires_in a token is 404 for /info and for transactions.", func(t *trial) {
		c := t.newCard()
		token := t.newToken(c.CardID, object{"expires_in": 1}).Token.Value
		for t.info(object{"token": token}).status == http.StatusOK {
			t.pause()
		}
		t.info(object{"token": token}).refused(notFound)
		t.transact(t.payment(token, 1)).refused(notFound)
	}).isPublished(),
	rule("tokens/expired-are-not-listed", "tokens lists every token that has not expired, and no other.", func(t *trial) {
		c := t.newCard()
		t.newToken(c.CardID, object{"expires_in": 1})
		t.newToken(c.CardID)
		equal(t, "tokens", len(t.show(c.CardID).Tokens), 2)
		for len(t.show(c.CardID).Tokens) != 1 {
			t.pause()
		}
	}),
	rule("tokens/spent-are-listed", "A spent token stays in the list.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		t.transact(t.payment(c.CardToken.Token.Value, 100)).ok()
		equal(t, "tokens", len(t.show(c.CardID).Tokens), 1)
	}),
	rule("tokens/no-expiry-of-its-own", "card_token without expires_in has no expires_at of its own.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		listed := t.show(c.CardID).Tokens
		t.want(len(listed) == 1 && listed[0].ExpiresAt == nil, "a token without expires_at", listed)
	}),
	rule("tokens/expires-at", "expires_at of a listed token is its creation and expires_in.", func(t *trial) {
		c := t.newCard()
		token := t.newToken(c.CardID)
		listed := t.show(c.CardID).Tokens
		t.want(len(listed) == 1, "one token", len(listed))
		off := value(listed[0].ExpiresAt).Sub(token.CreatedAt.Add(time.Hour)).Abs()
		t.want(off <= time.Second, "expires_at an hour after created_at", listed[0].ExpiresAt)
	}).isPublished(),
	rule("tokens/masked", "masked_code keeps the prefix, and of the rest at most a third and five characters, at its end.", func(t *trial) {
		c := t.newCard(object{"card_token": object{"format": object{"prefix": "GC-", "length": 9, "numbers": true}}})
		clear, masked := c.CardToken.Token.Value, t.show(c.CardID).Tokens[0].MaskedCode
		rest, found := strings.CutPrefix(masked, "GC-")
		t.want(found && len(rest) == 9, "the prefix and nine characters", masked)
		t.want(strings.Trim(rest[:6], "*") == "", "six characters hidden", masked)
		t.want(strings.HasSuffix(clear, strings.TrimLeft(rest, "*")), "the end of the value", masked)
	}),
	rule("tokens/masked-at-most-five", "Of a long token at most five characters show.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		masked := t.show(c.CardID).Tokens[0].MaskedCode
		shown := strings.NewReplacer("*", "", "-", "").Replace(strings.TrimPrefix(masked, "DINCARD:"))
		t.want(strings.HasPrefix(masked, "DINCARD:") && len(shown) <= 5, "DINCARD: and at most five characters", masked)
	}).isPublished(),
	shaped("default-shape", "Without a format a token is DINCARD: and a lower-case UUID.",
		`^DINCARD:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`, object{}),
	shaped("only-barcode", "A format that names no length, prefix or class keeps the default shape.",
		`^DINCARD:[0-9a-f]{8}-`, object{"barcode": true}),
	shaped("named-class", "The classes that are named true are the ones used.", `^[0-9]{16}$`, object{"length": 16, "numbers": true}),
	shaped("not-named-false", "When none is named true, all that are not named false are used.",
		`^[0-9]{40}$`, object{"length": 40, "characters": false, "symbols": false}),
	shaped("letters", "characters are upper and lower case letters.", `^[A-Za-z]{50}$`, object{"length": 50, "characters": true}),
	shaped("symbols", "symbols are the seven that the contract lists.", `^[!$\-.@_~]{50}$`, object{"length": 50, "symbols": true}),
	shaped("length-without-prefix", "length does not count the prefix; 36 unless sent.", `^shop [0-9]{36}$`,
		object{"prefix": "shop ", "numbers": true}),
	shaped("longest", "A token has up to 255 characters after its prefix.", `^[0-9]{255}$`, object{"length": 255, "numbers": true}),
	badFormat("too-long", "A length of 256 is refused.", object{"length": 256}),
	badFormat("too-short", "A length of 0 is refused.", object{"length": 0}),
	badFormat("no-class-left", "A format in which every class is false is refused.",
		object{"length": 5, "numbers": false, "characters": false, "symbols": false}),
	badFormat("prefix-too-long", "A prefix of 65 characters is refused.", object{"prefix": strings.Repeat("a", 65)}),
	badFormat("prefix-not-ascii", "A prefix that is not printable ASCII is refused.", object{"prefix": "Ø"}),
	rule("tokens/random", "Tokens differ, and use their characters evenly enough.", func(t *trial) {
		c := t.newCard()
		format := object{"format": object{"length": 200, "numbers": true}}
		first, second := t.newToken(c.CardID, format).Token.Value, t.newToken(c.CardID, format).Token.Value
		t.want(first != second, "two values", "one")
		for _, digit := range "0123456789" {
			count := strings.Count(first+second, string(digit))
			t.want(count >= 8 && count <= 90, "about 40 of each digit in 400", count)
		}
	}),
	rule("tokens/space-exhausted", "When a shape has no free value the answer is 409 token_space_exhausted, not a value twice.", func(t *trial) {
		c := t.newCard()
		seen := map[string]bool{}
		for range 12 {
			a := t.createToken(c.CardID, t.tokenBody(object{"format": object{"prefix": c.CardID, "length": 1, "numbers": true}}))
			if a.status != http.StatusOK {
				a.refused(noTokensLeft)
				return
			}
			token := decode[client.Token](a).Token.Value
			t.want(!seen[token], "a value that nobody has", "one twice")
			seen[token] = true
		}
		t.fail("409 token_space_exhausted after ten values of one digit", "twelve tokens")
	}),
	rule("tokens/barcode", "barcode: true adds a PNG as a data URI.", func(t *trial) {
		c := t.newCard(object{"card_token": object{"format": object{"barcode": true}}})
		data, found := strings.CutPrefix(value(c.CardToken.Token.Barcode128), "data:image/png;base64,")
		t.want(found, "a data URI", "something else")
		picture, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			t.fail("base64", err.Error())
		}
		if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
			t.fail("a PNG", err.Error())
		}
	}).isPublished(),
	rule("tokens/no-barcode", "Without barcode there is none.", func(t *trial) {
		t.want(t.newCard(object{"card_token": object{}}).CardToken.Token.Barcode128 == nil, "no barcode_128", "one")
	}).isPublished(),
	rule("tokens/replay", "A token request again answers the first token's data without its clear value.", func(t *trial) {
		c, body := t.newCard(), t.tokenBody(object{"format": object{"barcode": true}})
		first := decode[client.Token](t.createToken(c.CardID, body).fresh())
		second := decode[client.Token](t.createToken(c.CardID, body).replayed())
		equal(t, "id", second.ID, first.ID)
		t.want(second.Token == nil, "no clear value", "one")
		equal(t, "tokens", len(t.show(c.CardID).Tokens), 1)
	}),
	rule("tokens/conflict", "Another token request under the same ref_id is 409 ref_id_conflict.", func(t *trial) {
		c, body := t.newCard(), t.tokenBody()
		t.createToken(c.CardID, body).ok()
		items := value(t.createToken(c.CardID, with(body, object{"expires_in": 60})).refused(refConflict).Errors)
		t.want(len(items) == 1 && items[0].Pointer == "/expires_in" && items[0].ExistingID != nil, "an item at /expires_in with existing_id", items)
	}),
	rule("tokens/unknown-card", "A token for a card that nobody made is 404.", func(t *trial) {
		t.createToken(t.name(), t.tokenBody()).refused(notFound)
	}).isPublished(),
	refusal("tokens/expires-in-missing", "POST tokens needs expires_in.", func(t *trial) answer {
		return t.createToken(t.newCard().CardID, t.tokenBody(object{"expires_in": nil}))
	}).isPublished(),
	refusal("tokens/expires-in-nothing", "expires_in is at least a second.", func(t *trial) answer {
		return t.createToken(t.newCard().CardID, t.tokenBody(object{"expires_in": 0}))
	}).isPublished(),
	refusal("tokens/expires-in-too-long", "expires_in is at most 3 153 600 000 seconds.", func(t *trial) answer {
		return t.createToken(t.newCard().CardID, t.tokenBody(object{"expires_in": 3153600001}))
	}),
	rule("tokens/info-of-expired-card", "At the expiry of its card a token informs that the card has expired.", func(t *trial) {
		c := t.newCard(object{"expires_at": past, "card_token": object{}})
		equal(t, "status", decode[client.Card](t.info(object{"token": c.CardToken.Token.Value}).ok()).Status, client.CardStatusExpired)
	}),
	rule("tokens/card-token-expires", "card_token may have an expires_in, and then expires by itself.", func(t *trial) {
		c := t.newCard(object{"card_token": object{"expires_in": 3600}})
		equal(t, "expires_in", value(c.CardToken.ExpiresIn), 3600)
		t.want(t.show(c.CardID).Tokens[0].ExpiresAt != nil, "expires_at", "none")
	}).isPublished(),
	rule("tokens/listed-format", "tokens shows the format that was asked for.", func(t *trial) {
		c := t.newCard(object{"card_token": object{"format": object{"length": 16, "numbers": true}}})
		equal(t, "length", value(value(t.show(c.CardID).Tokens[0].Format).Length), 16)
	}).isPublished(),
	rule("tokens/for-an-expired-card", "Tokens can be created for an expired card.", func(t *trial) {
		t.newToken(t.newCard(object{"expires_at": past}).CardID)
	}),
	refusal("tokens/longest-in-requests", "A token in a request has at most 512 characters.", func(t *trial) answer {
		return t.info(object{"token": strings.Repeat("a", 513)})
	}).readOnly(),
	unknowable("tokens/stored-as-hashes", "Clear values are stored as keyed hashes only.", "what is stored is not to be seen from outside"),
	unknowable("tokens/in-no-log", "Clear values appear in no log, metric or trace.", "logs are not to be seen from outside"),
	unknowable("tokens/same-time", "Unknown, expired and foreign tokens are answered in the same time.", "it takes thousands of measurements on a quiet machine"),
	unknowable("tokens/barcode-scans-back", "The barcode scans back to the exact value.", "it needs a scanner, which the suite does not have"),
}

// wrongPIN is a PIN of the same shape that is not the card's.
func wrongPIN(c client.CardCreated) string {
	first, size := utf8.DecodeRuneInString(c.Pin.Pin.Value)
	return string('0'+(first-'0'+1)%10) + c.Pin.Pin.Value[size:]
}

// withPIN is a card with a PIN and a token that pays more than once.
func (t *trial) withPIN(more ...object) (c client.CardCreated, token string) {
	c = t.newCard(append([]object{{"pin": object{}, "card_token": object{"expires_after_transaction": false}}}, more...)...)
	return c, c.CardToken.Token.Value
}

// guess sends a wrong PIN several times.
func (t *trial) guess(c client.CardCreated, times int) {
	for range times {
		t.info(object{"token": c.CardToken.Token.Value, "pin": wrongPIN(c)}).refused(invalidPIN)
	}
}

// pinShaped is a check that a PIN of a format looks like a pattern.
func pinShaped(name, sentence, pattern string, pin object) Check {
	return rule("pins/"+name, sentence, func(t *trial) {
		c := t.newCard(object{"pin": pin})
		t.want(regexp.MustCompile(pattern).MatchString(c.Pin.Pin.Value), "a value like "+pattern, "another")
	})
}

// pins is about the PINs of cards.
var pins = []Check{
	pinShaped("default-shape", "A PIN without a format is six digits.", `^[0-9]{6}$`, object{}).isPublished(),
	pinShaped("four-digits", "A PIN may have four digits.", `^[0-9]{4}$`, object{"format": object{"length": 4, "numbers": true}}).isPublished(),
	pinShaped("longest", "A PIN may have 64 characters.", `^[A-Za-z]{64}$`, object{"format": object{"length": 64, "characters": true}}),
	refusal("pins/too-short", "A PIN of three digits is refused.", func(t *trial) answer {
		return t.createCard(t.cardBody(object{"pin": object{"format": object{"length": 3}}}))
	}).isPublished(),
	refusal("pins/too-long", "A PIN of 65 characters is refused.", func(t *trial) answer {
		return t.createCard(t.cardBody(object{"pin": object{"format": object{"length": 65}}}))
	}),
	rule("pins/right", "The right PIN opens /info and pays.", func(t *trial) {
		c, token := t.withPIN()
		t.info(object{"token": token, "pin": c.Pin.Pin.Value}).ok()
		t.transact(t.payment(token, 100, object{"pin": c.Pin.Pin.Value})).ok()
	}).isPublished(),
	rule("pins/wrong-info", "A wrong PIN is 403 invalid_pin in /info.", func(t *trial) {
		c, token := t.withPIN()
		t.info(object{"token": token, "pin": wrongPIN(c)}).refused(invalidPIN)
	}).isPublished(),
	rule("pins/wrong-transaction", "A wrong PIN is 403 invalid_pin in a transaction, which takes nothing.", func(t *trial) {
		c, token := t.withPIN()
		t.transact(t.payment(token, 100, object{"pin": wrongPIN(c)})).refused(invalidPIN)
		t.transact(t.txn(c.CardID, 100, object{"pin": wrongPIN(c)})).refused(invalidPIN)
		t.stands(c.CardID, figures{funds: 10000})
	}),
	rule("pins/wrong-keeps-token-and-ref", "A wrong PIN neither spends the token nor uses up the ref_id.", func(t *trial) {
		c := t.newCard(object{"pin": object{}, "card_token": object{}})
		body := t.payment(c.CardToken.Token.Value, 100, object{"pin": wrongPIN(c)})
		t.transact(body).refused(invalidPIN)
		t.transact(with(body, object{"pin": c.Pin.Pin.Value})).fresh()
	}),
	rule("pins/card-without-one", "A pin for a card that has none is 403 invalid_pin, uncounted.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		for range 7 {
			t.info(object{"token": c.CardToken.Token.Value, "pin": "123456"}).refused(invalidPIN)
		}
		t.info(object{"token": c.CardToken.Token.Value}).ok()
	}),
	rule("pins/locked", "After five wrong PINs in a row the next is 429 pin_locked with Retry-After, the right one too.", func(t *trial) {
		c, token := t.withPIN()
		t.guess(c, 5)
		a := t.info(object{"token": token, "pin": c.Pin.Pin.Value})
		a.refused(pinLocked)
		after, err := time.ParseDuration(a.header.Get("Retry-After") + "s")
		t.want(err == nil && after > 0 && after <= 15*time.Minute, "Retry-After of at most 900 seconds", a.header.Get("Retry-After"))
	}),
	rule("pins/locked-for-transactions", "A locked PIN refuses transactions that send one, and takes nothing.", func(t *trial) {
		c, token := t.withPIN()
		t.guess(c, 5)
		t.transact(t.payment(token, 100, object{"pin": c.Pin.Pin.Value})).refused(pinLocked)
		t.stands(c.CardID, figures{funds: 10000})
	}),
	rule("pins/count-over-both", "Wrong PINs in /info and in transactions count together.", func(t *trial) {
		c, token := t.withPIN()
		t.guess(c, 3)
		for range 2 {
			t.transact(t.payment(token, 100, object{"pin": wrongPIN(c)})).refused(invalidPIN)
		}
		t.info(object{"token": token, "pin": c.Pin.Pin.Value}).refused(pinLocked)
	}),
	rule("pins/count-per-card", "The count is the card's: another token of it is locked too.", func(t *trial) {
		c, _ := t.withPIN()
		t.guess(c, 5)
		token := t.newToken(c.CardID).Token.Value
		t.info(object{"token": token, "pin": c.Pin.Pin.Value}).refused(pinLocked)
	}),
	rule("pins/right-one-resets", "A right PIN sets the count back to 0.", func(t *trial) {
		c, token := t.withPIN()
		t.guess(c, 4)
		t.info(object{"token": token, "pin": c.Pin.Pin.Value}).ok()
		t.guess(c, 4)
		t.info(object{"token": token, "pin": c.Pin.Pin.Value}).ok()
	}),
	rule("pins/parallel-guesses", "Guesses at the same time get no more than five tries.", func(t *trial) {
		c, token := t.withPIN()
		wrong := 0
		for _, status := range t.atOnce(12, func(t *trial) answer { return t.info(object{"token": token, "pin": wrongPIN(c)}) }) {
			if status == http.StatusForbidden {
				wrong++
			}
		}
		equal(t, "wrong PINs that were looked at", wrong, 5)
	}),
	rule("pins/rotate", "Rotating gives a new PIN; the old one is wrong.", func(t *trial) {
		c, token := t.withPIN(object{"pin": object{"format": object{"length": 20}}})
		rotated := decode[client.PinRotated](t.rotatePIN(c.CardID, object{"pin": object{"format": object{"length": 12, "numbers": true}}}).ok())
		t.want(regexp.MustCompile(`^[0-9]{12}$`).MatchString(rotated.Pin.Pin.Value), "twelve digits", "something else")
		t.info(object{"token": token, "pin": c.Pin.Pin.Value}).refused(invalidPIN)
		t.info(object{"token": token, "pin": rotated.Pin.Pin.Value}).ok()
	}),
	rule("pins/rotate-unlocks", "Rotating ends the lock.", func(t *trial) {
		c, token := t.withPIN()
		t.guess(c, 5)
		rotated := decode[client.PinRotated](t.rotatePIN(c.CardID, object{"pin": object{}}).ok())
		t.info(object{"token": token, "pin": rotated.Pin.Pin.Value}).ok()
	}),
	rule("pins/rotate-gives-the-first", "Rotating gives a PIN to a card that had none.", func(t *trial) {
		c := t.newCard(object{"card_token": object{}})
		rotated := decode[client.PinRotated](t.rotatePIN(c.CardID, object{"pin": object{}}).ok())
		t.info(object{"token": c.CardToken.Token.Value, "pin": rotated.Pin.Pin.Value}).ok()
	}),
	rule("pins/rotate-unknown-card", "Rotating the PIN of a card that nobody made is 404.", func(t *trial) {
		t.rotatePIN(t.name(), object{"pin": object{}}).refused(notFound)
	}),
	rule("pins/rotate-on-expired", "The PIN of an expired card can be rotated.", func(t *trial) {
		t.rotatePIN(t.newCard(object{"expires_at": past}).CardID, object{"pin": object{}}).ok()
	}),
	rule("pins/missing-is-not-counted", "A request without a PIN does not change the count.", func(t *trial) {
		c, token := t.withPIN()
		t.guess(c, 4)
		t.info(object{"token": token})
		t.info(object{"token": token, "pin": c.Pin.Pin.Value}).ok()
	}),
	refusal("pins/rotate-without-pin", "Rotating needs pin.", func(t *trial) answer {
		return t.rotatePIN(t.newCard().CardID, object{})
	}),
	rule("pins/format-shows", "Card details show the format of the PIN and never its value.", func(t *trial) {
		c := t.newCard(object{"pin": object{"format": object{"length": 5, "numbers": true}}})
		pin, _ := t.getCard(c.CardID).ok().fields()["pin"].(object)
		_, there := pin["pin"]
		t.want(pin != nil && !there, "a pin with its format only", pin)
		equal(t, "length", value(value(t.show(c.CardID).Pin.Format).Length), 5)
	}),
	rule("pins/barcode", "barcode: true adds a barcode of the PIN.", func(t *trial) {
		c := t.newCard(object{"pin": object{"format": object{"barcode": true}}})
		t.want(strings.HasPrefix(value(c.Pin.Pin.Barcode128), "data:image/png;base64,"), "a data URI", "something else")
	}).isPublished(),
	rule("pins/not-demanded", "A card with a PIN does not demand it, unless the operator set the server to.", func(t *trial) {
		_, token := t.withPIN()
		if a := t.info(object{"token": token}); a.status != http.StatusOK {
			a.refused(invalidPIN)
			t.undecide("this server demands PINs, as its operator may decide")
		}
		t.transact(t.payment(token, 100)).ok()
	}),
	unknowable("pins/lock-ends", "After 15 minutes the lock is over and the count 0.", "it takes 15 minutes"),
	unknowable("pins/lock-outlives-a-restart", "Restarts and several servers do not reset the count.", "the suite cannot restart the server"),
	unknowable("pins/demanded", "With require-pin a token without the PIN is 403 invalid_pin, uncounted.", "it is a setting of the server"),
}
