package cardcode

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"math"
	mathrand "math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// seeded gives the same random bytes in every run, so that a statistical test passes always or never.
func seeded(seed byte) io.Reader {
	return mathrand.NewChaCha8([32]byte{seed})
}

func TestGenerateFitsShape(t *testing.T) {
	for name, test := range map[string]struct {
		shape   Shape
		pattern string
	}{
		"default token": {defaultShape(Token, false), `^DINCARD:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`},
		"default PIN":   {defaultShape(PIN, false), `^[0-9]{6}$`},
		"symbols":       {Shape{Length: 9, Symbols: true}, `^[!$.@_~-]{9}$`},
		"characters":    {Shape{Prefix: "a b~", Length: 255, Characters: true}, `^a b~[A-Za-z]{255}$`},
		"all classes":   {Shape{Length: 1, Symbols: true, Numbers: true, Characters: true}, `^[!$.@_~0-9A-Za-z-]$`},
	} {
		t.Run(name, func(t *testing.T) {
			pattern := regexp.MustCompile(test.pattern)
			for range 200 {
				value, err := Generate(rand.Reader, test.shape)
				if err != nil || !pattern.MatchString(value.Reveal()) {
					t.Fatalf("drew %q, %v", value.Reveal(), err)
				}
			}
		})
	}
}

func TestGenerateIsUniform(t *testing.T) {
	for name, shape := range map[string]Shape{
		"numbers":     {Length: 200, Numbers: true},
		"symbols":     {Length: 200, Symbols: true},
		"characters":  {Length: 200, Characters: true},
		"all classes": {Length: 200, Symbols: true, Numbers: true, Characters: true},
	} {
		t.Run(name, func(t *testing.T) {
			random := seeded(1)
			alphabet := shape.alphabet()
			total, counts := 0, map[rune]int{}
			for range 500 {
				value, err := Generate(random, shape)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range value.Reveal() {
					counts[r]++
					total++
				}
			}
			// Chi-square has mean k-1 and variance 2(k-1); six standard deviations above is far beyond chance.
			expected, statistic := float64(total)/float64(len(alphabet)), 0.0
			for _, r := range alphabet {
				statistic += math.Pow(float64(counts[r])-expected, 2) / expected
			}
			freedom := float64(len(alphabet) - 1)
			if bound := freedom + 6*math.Sqrt(2*freedom); statistic > bound || len(counts) != len(alphabet) {
				t.Errorf("chi-square %.1f over %d characters, bound %.1f", statistic, len(counts), bound)
			}
		})
	}
}

func TestPositionsAreIndependent(t *testing.T) {
	random := seeded(2)
	pairs := map[string]int{}
	const draws = 50_000
	for range draws {
		value, err := Generate(random, Shape{Length: 4, Numbers: true})
		if err != nil {
			t.Fatal(err)
		}
		pairs[value.Reveal()[1:3]]++
	}
	for pair, n := range pairs {
		if n < draws/100*7/10 || n > draws/100*13/10 {
			t.Errorf("pair %s drawn %d times of %d", pair, n, draws)
		}
	}
	if len(pairs) != 100 {
		t.Errorf("%d pairs of 100 seen", len(pairs))
	}
}

// Every raw number once: without bias each side comes up exactly equally often.
func TestDiceHasNoBias(t *testing.T) {
	const raws = 1 << 16
	all := make([]byte, 0, 2*raws)
	for raw := range raws {
		all = append(all, byte(raw>>8), byte(raw))
	}
	for _, sides := range []int{1, 2, 10, 20, 52, 62, 72, 1000, 1024, raws} {
		dice, counts := newDice(bytes.NewReader(all)), make([]int, sides)
		for {
			n, err := dice.below(sides)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			counts[n]++
		}
		for n, count := range counts {
			if count != raws/sides {
				t.Fatalf("%d sides: %d came up %d times, want %d", sides, n, count, raws/sides)
			}
		}
	}
}

func TestCandidates(t *testing.T) {
	for name, test := range map[string]struct {
		shape Shape
		want  int
	}{
		"UUID":               {defaultShape(Token, true), 2},
		"36 of all classes":  {Shape{Length: 36, Symbols: true, Numbers: true, Characters: true}, 2},
		"64.6 bits":          {Shape{Length: 23, Symbols: true}, 2},
		"40.9 bits":          {Shape{Length: 10, Symbols: true, Numbers: true}, 4},
		"16 digits":          {Shape{Length: 16, Numbers: true}, 4},
		"6 digits":           {Shape{Length: 6, Numbers: true}, 32},
		"4 digits":           {Shape{Length: 4, Numbers: true}, 32},
		"2 digits":           {Shape{Prefix: "GC", Length: 2, Numbers: true}, 32},
		"1 letter":           {Shape{Length: 1, Characters: true}, 32},
		"1 digit":            {Shape{Length: 1, Numbers: true}, 10},
		"1 symbol, a prefix": {Shape{Prefix: "@", Length: 1, Symbols: true}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			candidates, err := Candidates(rand.Reader, test.shape)
			if err != nil || len(candidates) != test.want {
				t.Fatalf("%d candidates, %v; want %d", len(candidates), err, test.want)
			}
			seen := map[Secret]bool{}
			for _, value := range candidates {
				text, hasPrefix := strings.CutPrefix(value.Reveal(), test.shape.Prefix)
				if seen[value] || !hasPrefix || len(text) != test.shape.Length {
					t.Errorf("candidate %q is double or misshapen", value.Reveal())
				}
				if !test.shape.UUID && strings.Trim(text, test.shape.alphabet()) != "" {
					t.Errorf("candidate %q leaves its classes", value.Reveal())
				}
				seen[value] = true
			}
		})
	}
}

// Of 32 draws out of 10 000 two are equal in every twentieth round.
func TestCandidatesAreDistinct(t *testing.T) {
	random := seeded(7)
	for range 300 {
		candidates, err := Candidates(random, Shape{Length: 4, Numbers: true})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[Secret]bool{}
		for _, value := range candidates {
			if seen[value] {
				t.Fatalf("%q comes twice", value.Reveal())
			}
			seen[value] = true
		}
	}
}

func TestDealtCandidatesAreUniform(t *testing.T) {
	random := seeded(3)
	first, dealt := map[Secret]int{}, map[Secret]int{}
	const rounds = 10_000
	for range rounds {
		candidates, err := Candidates(random, Shape{Length: 2, Numbers: true})
		if err != nil {
			t.Fatal(err)
		}
		first[candidates[0]]++
		for _, value := range candidates {
			dealt[value]++
		}
	}
	for value, n := range dealt {
		if n < rounds*32/100*9/10 || n > rounds*32/100*11/10 {
			t.Errorf("%q dealt %d times of %d", value.Reveal(), n, rounds)
		}
		if n := first[value]; n < rounds/100*6/10 || n > rounds/100*14/10 {
			t.Errorf("%q dealt first %d times of %d", value.Reveal(), n, rounds)
		}
	}
	if len(dealt) != 100 {
		t.Errorf("%d of 100 values dealt", len(dealt))
	}
}

func TestDrawingFails(t *testing.T) {
	noRandom := bytes.NewReader(nil)
	for name, test := range map[string]struct {
		random io.Reader
		shape  Shape
	}{
		"no random, UUID":   {noRandom, defaultShape(Token, false)},
		"no random, digits": {noRandom, defaultShape(PIN, false)},
		"no random, dealt":  {noRandom, Shape{Length: 1, Numbers: true}},
		"zero shape":        {rand.Reader, Shape{}},
		"no class":          {rand.Reader, Shape{Length: 5}},
		"no length":         {rand.Reader, Shape{Numbers: true}},
		"negative length":   {rand.Reader, Shape{Numbers: true, Length: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			if value, err := Generate(test.random, test.shape); err == nil || value != "" {
				t.Errorf("Generate gave %q, %v", value.Reveal(), err)
			}
			if values, err := Candidates(test.random, test.shape); err == nil || values != nil {
				t.Errorf("Candidates gave %d values, %v", len(values), err)
			}
		})
	}
}
