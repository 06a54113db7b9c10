package auth

import (
	"testing"
)

const otherIssuer = "https://other.example/"

// Several issuers: each token is verified with the keys of the issuer that it names, and with no others.
func TestIssuersKeepToTheirKeys(t *testing.T) {
	first, second := newEdSigner(t, "same-id"), newEdSigner(t, "same-id")
	verifier, err := NewVerifier(VerifierConfig{
		Issuers:   []Issuer{{testIssuer, staticKeys(t, first)}, {otherIssuer, staticKeys(t, second)}},
		Audiences: audiences(t, testBase), Now: testNow,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time they are remembered
		for _, good := range []string{first.token(t, nil), second.token(t, members{"iss": otherIssuer})} {
			if _, err := verifier.Verify(t.Context(), good); err != nil {
				t.Errorf("a good token: %v", err)
			}
		}
		_, err = verifier.Verify(t.Context(), first.token(t, members{"iss": otherIssuer}))
		requireRefusal(t, err, ReasonWrongSignature)
		_, err = verifier.Verify(t.Context(), second.token(t, nil))
		requireRefusal(t, err, ReasonWrongSignature)
		_, err = verifier.Verify(t.Context(), first.token(t, members{"iss": testIssuer + "/"}))
		requireRefusal(t, err, ReasonIssuer)
	}
	for i := range verifier.issuers {
		if n := verifier.issuers[i].verified.verdicts.Len(); n != 1 {
			t.Errorf("issuer %d: %d tokens are remembered, want 1", i, n)
		}
	}
}

// When the keys of one issuer change, only its tokens are verified anew.
func TestMemoryOfEachIssuer(t *testing.T) {
	first, second := newEdSigner(t, "a"), newEdSigner(t, "b")
	keys := []*KeySource{staticKeys(t, first), staticKeys(t, second)}
	verifier, err := NewVerifier(VerifierConfig{
		Issuers: []Issuer{{testIssuer, keys[0]}, {otherIssuer, keys[1]}}, Audiences: audiences(t, testBase), Now: testNow,
	})
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := first.token(t, nil), second.token(t, members{"iss": otherIssuer})
	for _, token := range []string{mine, theirs} {
		if _, err := verifier.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	keys[0].current.Store(staticKeys(t, newEdSigner(t, "c")).current.Load())
	_, err = verifier.Verify(t.Context(), mine)
	requireRefusal(t, err, ReasonUnknownKey)
	if _, err := verifier.Verify(t.Context(), theirs); err != nil {
		t.Errorf("the token of the other issuer: %v", err)
	}
}

// One issuer out of reach keeps nobody else's tokens out.
func TestIssuerOutOfReach(t *testing.T) {
	down := newIssuer(t)
	down.fail()
	signer := newEdSigner(t, "a")
	missing := urlKeys(t, down.URL, SourceOptions{})
	if v := newTestVerifier(t, missing); v.Ready() {
		t.Error("ready without any key")
	}
	verifier, err := NewVerifier(VerifierConfig{
		Issuers:   []Issuer{{otherIssuer, missing}, {testIssuer, staticKeys(t, signer)}},
		Audiences: audiences(t, testBase), Now: testNow,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !verifier.Ready() {
		t.Error("not ready, though one issuer has keys")
	}
	if _, err := verifier.Verify(t.Context(), signer.token(t, nil)); err != nil {
		t.Error(err)
	}
}

func TestAudiences(t *testing.T) {
	some := audiences(t, testBase+"/", "http://localhost:8080/kort")
	for _, test := range []struct {
		audience, base, account string
		accepted, acceptedByAny bool
	}{
		{testBase + "/v1/accounts/T12345678", testBase, "T12345678", true, true},
		{"http://localhost:8080/kort/v1/accounts/P00000000", "http://localhost:8080/kort", "P00000000", true, true},
		{"https://api.example/v1/accounts/T12345678", "https://api.example", "T12345678", false, true},
		{testBase + "/v1/accounts/T1234567", "", "", false, false},
		{testBase + "/v1/accounts/T123456789", "", "", false, false},
		{testBase + "/v1/accounts/T12345678/", "", "", false, false},
		{testBase + "/v1/accounts/", "", "", false, false},
		{testBase, "", "", false, false},
		{"/v1/accounts/T12345678", "", "", false, false},
		{"", "", "", false, false},
	} {
		for _, accept := range []struct {
			audiences Audiences
			want      bool
		}{{some, test.accepted}, {some.WithAnyBase(), test.acceptedByAny}} {
			base, account, ok := accept.audiences.Split(test.audience)
			if ok != accept.want || ok && (base != test.base || account != test.account) {
				t.Errorf("%q: %q, %q, %t", test.audience, base, account, ok)
			}
		}
	}
	if got := some.Of("T12345678"); got != testBase+"/v1/accounts/T12345678" {
		t.Errorf("the audience is %q", got)
	}
}
