package cardcode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretsAndKeysHideThemselves(t *testing.T) {
	const clear = "DINCARD:clear-value"
	key := testKey(t, 7)
	for name, hidden := range map[string]struct {
		value any
		clear []string
	}{
		"secret": {Secret(clear), []string{clear, fmt.Sprintf("%x", clear), fmt.Sprintf("%X", clear)}},
		"keyring": {NewKeyring(key, testKey(t, 8)), []string{
			key.Reveal(), testKey(t, 8).Reveal(), strings.Repeat("7", 8), strings.Repeat("07", 8), strings.Repeat("7 ", 8), strings.Repeat("8 ", 8),
		}},
		"key": {key, []string{key.Reveal(), strings.Repeat("7", 8), strings.Repeat("07", 8), strings.Repeat("7 ", 8)}},
	} {
		t.Run(name, func(t *testing.T) {
			printed := map[string]string{}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
				printed[verb] = fmt.Sprintf(verb, hidden.value)
				printed["in a struct "+verb] = fmt.Sprintf(verb, struct{ Value any }{hidden.value})
				printed["error "+verb] = fmt.Errorf("reading "+verb, hidden.value).Error()
			}
			encoded, err := json.Marshal(map[string]any{"value": hidden.value})
			if err != nil {
				t.Fatal(err)
			}
			printed["json"] = string(encoded)
			for kind, handler := range map[string]func(*bytes.Buffer) slog.Handler{
				"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
				"slog json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
			} {
				var log bytes.Buffer
				slog.New(handler(&log)).Info("note", "value", hidden.value, "nested", struct{ Value any }{hidden.value})
				printed[kind] = log.String()
			}
			for where, text := range printed {
				for _, secret := range hidden.clear {
					if strings.Contains(text, secret) {
						t.Errorf("%s shows the value: %s", where, text)
					}
				}
				if where != "%T" && !strings.Contains(where, "%T") && !strings.Contains(text, redacted) {
					t.Errorf("%s does not say that something is hidden: %s", where, text)
				}
			}
		})
	}
	if got := Secret(clear).Reveal(); got != clear {
		t.Errorf("Reveal = %q", got)
	}
}

func TestKeyHidesInUnexportedField(t *testing.T) {
	key := testKey(t, 7)
	printed := fmt.Sprintf("%+v %#v", struct{ key Key }{key}, struct{ key Key }{key})
	for _, leak := range []string{"7 7 7", "0x7, 0x7", key.Reveal()} {
		if strings.Contains(printed, leak) {
			t.Errorf("the key shows: %s", printed)
		}
	}
}

func TestSecretIsNoQueryArgument(t *testing.T) {
	value, err := Secret("1234").Value()
	if err == nil || value != nil {
		t.Errorf("Value = %v, %v; want an error", value, err)
	}
	if err != nil && strings.Contains(err.Error(), "1234") {
		t.Errorf("the error shows the value: %v", err)
	}
}

func TestSecretReadsFromJSON(t *testing.T) {
	var body struct{ PIN Secret }
	if err := json.Unmarshal([]byte(`{"PIN":"0042"}`), &body); err != nil || body.PIN.Reveal() != "0042" {
		t.Errorf("read %q, %v", body.PIN.Reveal(), err)
	}
}
