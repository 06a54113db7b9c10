package httpapi

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kortwallet/kort/gen/api"
	"github.com/kortwallet/kort/pkg/cardcode"
	"github.com/kortwallet/kort/pkg/ledger"
)

// codeFormat is a format as the client sent it, and what it means.
type codeFormat struct {
	stored string // canonical JSON text of what was sent; empty when nothing was
	shape  cardcode.Shape
}

// formatOf resolves a format. The pointer says where it stands in the request.
func formatOf(purpose cardcode.Purpose, sent *api.Format, pointer string) (codeFormat, error) {
	var f codeFormat
	var asked cardcode.Format
	if sent != nil {
		asked = cardcode.Format{
			Length: sent.Length, Prefix: sent.Prefix, Symbols: sent.Symbols, Numbers: sent.Numbers,
			Characters: sent.Characters, Barcode: sent.Barcode,
		}
		text, err := json.Marshal(sent)
		if err != nil {
			return f, fmt.Errorf("encode format: %w", err)
		}
		f.stored = string(text)
	}
	shape, err := cardcode.ShapeOf(purpose, asked)
	var wrong *cardcode.FormatError
	if errors.As(err, &wrong) {
		if wrong.Field != "" {
			pointer += "/" + wrong.Field
		}
		return f, invalid(pointer, wrong.Reason)
	}
	f.shape = shape
	return f, err
}

// storedFormat reads what formatOf stored. Nil means that no format was sent.
func storedFormat[F api.Format | api.PinFormat](text string) *F {
	if text == "" {
		return nil
	}
	f := new(F)
	if json.Unmarshal([]byte(text), f) != nil {
		return nil
	}
	return f
}

// clearValue is the one answer that shows a value.
func clearValue(value cardcode.Secret, shape cardcode.Shape) (api.ClearValue, error) {
	clear := api.ClearValue{Value: value.Reveal()}
	if shape.Barcode {
		barcode, err := cardcode.Barcode128(value)
		if err != nil {
			return clear, fmt.Errorf("draw barcode: %w", err)
		}
		clear.Barcode128 = &barcode
	}
	return clear, nil
}

// newPIN is a PIN that was drawn for a card and is not stored yet.
type newPIN struct {
	format codeFormat
	value  cardcode.Secret
}

func drawPIN(sent *api.PinGenerator, pointer string) (newPIN, error) {
	format, err := formatOf(cardcode.PIN, (*api.Format)(sent.Format), pointer+"/format")
	if err != nil {
		return newPIN{}, err
	}
	value, err := cardcode.Generate(rand.Reader, format.shape)
	if err != nil {
		return newPIN{}, fmt.Errorf("draw PIN: %w", err)
	}
	return newPIN{format: format, value: value}, nil
}

// generated is the answer that shows the PIN.
func (p newPIN) generated() (*api.PinGenerated, error) {
	clear, err := clearValue(p.value, p.format.shape)
	if err != nil {
		return nil, err
	}
	return &api.PinGenerated{Format: storedFormat[api.PinFormat](p.format.stored), Pin: clear}, nil
}

// newToken is a token that was drawn and is not stored yet: some candidates, of
// which the writer takes the first that is free.
type newToken struct {
	format codeFormat
	values []cardcode.Secret
	ledger.NewToken
}

// drawToken draws a token's candidates. The caller completes the rest.
func (h *handlers) drawToken(account string, sent *api.Format, pointer string) (*newToken, error) {
	format, err := formatOf(cardcode.Token, sent, pointer)
	if err != nil {
		return nil, err
	}
	values, err := cardcode.Candidates(rand.Reader, format.shape)
	if err != nil {
		return nil, fmt.Errorf("draw token: %w", err)
	}
	shape, err := json.Marshal(format.shape)
	if err != nil {
		return nil, fmt.Errorf("encode shape: %w", err)
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	t := &newToken{format: format, values: values}
	t.Token = ledger.Token{
		ID: id, KeyID: h.DataKeys.Current().ID(), Format: format.stored, Shape: string(shape), SingleUse: true,
	}
	for _, value := range values {
		hash, others := h.tokenHashes(account, value)
		t.Candidates = append(t.Candidates, ledger.TokenCandidate{Hash: hash, Masked: cardcode.Mask(format.shape, value), Others: others})
	}
	return t, nil
}
