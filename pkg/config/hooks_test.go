package config

import (
	"strings"
	"testing"
)

func TestHooksListen(t *testing.T) {
	t.Parallel()
	usual := HooksListen{URL: "http://localhost:8080", Token: "hush", Addr: "localhost:0"}
	for name, test := range map[string]struct {
		change func(*HooksListen)
		want   string // the setting at fault; empty for none
	}{
		"usual":              {func(*HooksListen) {}, ""},
		"all of it":          {func(h *HooksListen) { h.Account, h.Forward = "T12345678", "http://localhost:3000/x?y=1" }, ""},
		"no token":           {func(h *HooksListen) { h.Token = "" }, "--token (KORT_LISTEN_TOKEN)"},
		"no URL":             {func(h *HooksListen) { h.URL = "localhost:8080" }, "--url"},
		"no account":         {func(h *HooksListen) { h.Account = "12345678" }, "--account"},
		"every address":      {func(h *HooksListen) { h.Addr = ":0" }, "--addr"},
		"no port":            {func(h *HooksListen) { h.Addr = "localhost" }, "--addr"},
		"nowhere to pass on": {func(h *HooksListen) { h.Forward = "localhost:3000" }, "--forward"},
	} {
		settings := usual
		test.change(&settings)
		err := settings.Validate()
		if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want) || err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
