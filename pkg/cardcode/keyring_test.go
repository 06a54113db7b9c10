package cardcode

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseKeyring(t *testing.T) {
	a, b, c := testKey(t, 1), testKey(t, 2), testKey(t, 3)
	A, B, C := a.Reveal(), b.Reveal(), c.Reveal()
	for name, test := range map[string]struct {
		text   string
		want   []Key
		coming bool
	}{
		"one":                   {A, []Key{a}, false},
		"a line end":            {A + "\n", []Key{a}, false},
		"two":                   {A + "\n" + B + "\n", []Key{a, b}, false},
		"Windows":               {A + "\r\n" + B + "\r\n", []Key{a, b}, false},
		"comments and blanks":   {"# keys\n\n" + A + "\n  # old\n\t\n  " + B + "  \n#" + C, []Key{a, b}, false},
		"one to come":           {A + "\nnext:" + B, []Key{a, b}, true},
		"one to come, in front": {"next: " + B + "\n" + A + "\n" + C, []Key{a, c, b}, true},
	} {
		t.Run(name, func(t *testing.T) {
			ring, err := ParseKeyring(test.text)
			if err != nil {
				t.Fatal(err)
			}
			got := ring.All()
			if len(got) != len(test.want) || ring.Current().ID() != a.ID() || len(ring.Others()) != len(got)-1 {
				t.Fatalf("%d keys, want %d", len(got), len(test.want))
			}
			for i := range got {
				if found, has := ring.Key(test.want[i].ID()); got[i].ID() != test.want[i].ID() || !has || found.ID() != got[i].ID() {
					t.Errorf("key %d is another one", i)
				}
			}
			coming, is := ring.Coming()
			if is != test.coming || is && coming.ID() != got[len(got)-1].ID() {
				t.Errorf("to come: %v", is)
			}
			if _, has := ring.Key(testKey(t, 9).ID()); has {
				t.Error("it has a key that nobody gave it")
			}
		})
	}
	if ring, err := ParseKeyList(" " + A + " , " + B + ",next:" + C + "\n"); err != nil || len(ring.All()) != 3 {
		t.Errorf("a list: %v", err)
	}
}

func TestParseKeyringRefuses(t *testing.T) {
	a, b := testKey(t, 1), testKey(t, 2)
	lines := func(n int) string {
		var text strings.Builder
		for i := range n {
			text.WriteString(testKey(t, byte(i+1)).Reveal() + "\n")
		}
		return text.String()
	}
	for name, test := range map[string]struct {
		text string
		want error
		says string
	}{
		"empty":             {"", ErrKeyText, ""},
		"comments":          {"# none\n\n", ErrKeyText, ""},
		"no key":            {"correct horse", ErrKeyText, ""},
		"no key behind one": {a.Reveal() + "\ncorrect horse", ErrKeyText, "line 2"},
		"a mark alone":      {a.Reveal() + "\nnext:\n", ErrKeyText, "line 2"},
		"two on a line":     {a.Reveal() + " " + b.Reveal(), ErrKeyText, ""},
		"commas in a file":  {a.Reveal() + "," + b.Reveal(), ErrKeyText, ""},
		"twice":             {a.Reveal() + "\n" + b.Reveal() + "\n" + a.Reveal(), ErrSameKey, "lines 1 and 3"},
		"twice, to come":    {a.Reveal() + "\nnext:" + a.Reveal(), ErrSameKey, "lines 1 and 2"},
		"twice, in hex":     {a.Reveal() + "\n" + strings.Repeat("01", KeyBytes), ErrSameKey, ""},
		"only one to come":  {"next:" + a.Reveal(), ErrNoKey, ""},
		"two to come":       {lines(1) + "next:" + b.Reveal() + "\nnext:" + testKey(t, 3).Reveal(), ErrTwoComing, ""},
		"too many":          {lines(MaxKeys + 1), ErrTooMany, "16"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseKeyring(test.text)
			if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Fatalf("got %v, want %v and %q", err, test.want, test.says)
			}
			for _, secret := range []string{a.Reveal(), a.Reveal()[:8], b.Reveal(), "horse", "0101"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error quotes the text: %v", err)
				}
			}
		})
	}
	if _, err := ParseKeyring("correct horse"); strings.Contains(fmt.Sprint(err), "line") {
		t.Errorf("there is one line, and its number is told: %v", err)
	}
	if _, err := ParseKeyring(lines(MaxKeys)); err != nil {
		t.Errorf("%d keys: %v", MaxKeys, err)
	}
}

// A change of the text leaves every other line as it is.
func TestKeyringText(t *testing.T) {
	a, b, c := testKey(t, 1), testKey(t, 2), testKey(t, 3)
	const comment = "# since 2024\n"
	text := comment + a.Reveal() + "\n"
	if got, want := WithNewKey(text, b), b.Reveal()+"\n"+text; got != want {
		t.Errorf("a new key: %q", got)
	}
	coming := WithComingKey(text, b)
	if want := text + "next:" + b.Reveal() + "\n"; coming != want {
		t.Errorf("a key to come: %q", coming)
	}
	if got := WithComingKey(a.Reveal(), b); got != a.Reveal()+"\nnext:"+b.Reveal()+"\n" {
		t.Errorf("a key to come behind a line without an end: %q", got)
	}
	promoted, err := WithPromotedKey(coming + c.Reveal() + "\n")
	if want := b.Reveal() + "\n" + text + c.Reveal() + "\n"; err != nil || promoted != want {
		t.Errorf("promoted: %q, %v", promoted, err)
	}
	if _, err := WithPromotedKey(promoted); !errors.Is(err, ErrNoneComing) {
		t.Errorf("promoted twice: %v", err)
	}
}
