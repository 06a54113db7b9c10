package auth

import (
	"net/http"
	"testing"
)

func TestPrincipal(t *testing.T) {
	principal := Principal{Subject: "a", Accounts: []string{"T12345678"}, Scopes: []string{ScopeWriteInfo, ScopeUser}}
	for _, test := range []struct {
		alternatives []string
		want         bool
	}{
		{[]string{ScopeUser}, true},
		{[]string{ScopeAdmin, ScopeWrite, ScopeWriteInfo}, true},
		{[]string{ScopeAdmin, ScopeWrite}, false},
		{[]string{"write:wallets:/INFO"}, false},
		{nil, false},
	} {
		if got := principal.HasScope(test.alternatives...); got != test.want {
			t.Errorf("HasScope(%v) = %v", test.alternatives, got)
		}
	}
	if !principal.OpensAccount("T12345678") || principal.OpensAccount("P12345678") || principal.OpensAccount("") {
		t.Error("OpensAccount opens the wrong accounts")
	}
	if (Principal{}).HasScope(WalletScopes()...) {
		t.Error("nobody has a scope")
	}
}

func TestBearerToken(t *testing.T) {
	for name, test := range map[string]struct {
		values []string
		want   string
	}{
		"plain":        {[]string{"Bearer a.b.c"}, "a.b.c"},
		"lower case":   {[]string{"bearer a.b.c"}, "a.b.c"},
		"two spaces":   {[]string{"Bearer  a.b.c"}, "a.b.c"},
		"none":         {nil, ""},
		"empty":        {[]string{""}, ""},
		"only scheme":  {[]string{"Bearer"}, ""},
		"blank":        {[]string{"Bearer  "}, ""},
		"other scheme": {[]string{"Basic a.b.c"}, ""},
		"no scheme":    {[]string{"a.b.c"}, ""},
		"two headers":  {[]string{"Bearer a.b.c", "Bearer a.b.c"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := BearerToken(http.Header{"Authorization": test.values})
			if got != test.want {
				t.Errorf("token %q, want %q", got, test.want)
			}
			if test.want == "" {
				requireRefusal(t, err, ReasonMissing)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
