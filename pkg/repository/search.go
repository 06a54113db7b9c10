package repository

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/text/cases"
)

// fold makes text comparable without regard to case, the same on every engine:
// SQLite would fold ASCII only, PostgreSQL by its locale. It is Unicode case
// folding without normalisation.
func fold(text string) string { return cases.Fold().String(text) }

// searchSeparator stands between the two ids of the search column. A search text
// cannot contain it, since the API refuses control characters.
const searchSeparator = "\x1f"

// searchText is the column that searches look into.
func searchText(cardID, customerID string) string {
	return fold(cardID) + searchSeparator + fold(customerID)
}

// likePattern matches rows that contain the text; its wildcards are literal.
func likePattern(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(fold(text)) + "%"
}

// gramRunes is the length of the pieces by which the search index knows a text.
const gramRunes = 3

// gramsOf cuts a text into all its pieces, each once. A text that is shorter than
// one has none, and is looked for by reading along the cards.
func gramsOf(search string) []string {
	var grams []string
	for text := []rune(fold(search)); len(text) >= gramRunes; text = text[1:] {
		if gram := string(text[:gramRunes]); !slices.Contains(grams, gram) {
			grams = append(grams, gram)
		}
	}
	return grams
}

const (
	// searchSample is how many search texts are looked at to tell rare grams from
	// frequent ones.
	searchSample = 64
	// rareInSample is in how many of them a rare gram is at most.
	rareInSample = 4
	// mostGrams are asked for at once: more would hardly exclude another card.
	mostGrams = 4
)

// grams is a source of the cards that have all grams of a search, in any
// order, each at any place.
func (l *listing) grams(all []string) source {
	var chosen []string
	var rare bool
	of := func(read func(source) error) error {
		if chosen == nil {
			var err error
			if chosen, rare, err = l.rarest(all); err != nil {
				return err
			}
		}
		from, column, condition, args := l.dialect.withGrams(l.account, chosen, likePattern(l.filter.Search))
		return read(l.unordered(from, column, "", condition, args...))
	}
	return source{
		least: l.limits.wholeBatch(),
		ids: func(within span, n int) (ids []uuid.UUID, err error) {
			err = of(func(s source) (err error) { ids, err = s.ids(within, n); return err })
			return ids, err
		},
		size: func(within span, most int) (n int, err error) {
			err = of(func(s source) (err error) {
				if n = most; rare { // to count frequent ones would take as long as to read them
					n, err = s.size(within, most)
				}
				return err
			})
			return n, err
		},
	}
}

// rarest picks grams that few cards have, and tells whether it found such. What all cards of an account begin with
// would cost more to look up than it excludes.
func (l *listing) rarest(grams []string) (chosen []string, rare bool, err error) {
	sample, err := l.searchSample()
	if err != nil {
		return nil, false, err
	}
	seen := map[string]int{}
	for _, gram := range grams {
		for _, text := range sample {
			if strings.Contains(text, gram) {
				seen[gram]++
			}
		}
	}
	grams = slices.Clone(grams)
	slices.SortStableFunc(grams, func(a, b string) int { return seen[a] - seen[b] })
	n := 1
	for n < min(len(grams), mostGrams) && seen[grams[n]] <= rareInSample {
		n++
	}
	return grams[:n], seen[grams[0]] <= rareInSample, nil
}

// searchSample reads search texts of cards of all ages, evenly spread over the ids.
func (l *listing) searchSample() ([]string, error) {
	const ends = `SELECT (SELECT s.id FROM card_search AS s WHERE s.account_id = ? ORDER BY s.id LIMIT 1) AS id
		UNION ALL SELECT (SELECT s.id FROM card_search AS s WHERE s.account_id = ? ORDER BY s.id DESC LIMIT 1)`
	bounds, err := l.query(ends, l.account, l.account)
	if err != nil || len(bounds) != 2 || bounds[0] == uuid.Nil {
		return nil, err
	}
	first, last := binary.BigEndian.Uint64(bounds[0][:]), binary.BigEndian.Uint64(bounds[1][:])
	places := make([]uuid.UUID, searchSample)
	for i := range places {
		binary.BigEndian.PutUint64(places[i][:], first+(last-first)/searchSample*uint64(i)) //nolint:gosec // not negative
	}
	from, list := l.dialect.idList(places)
	text := fmt.Sprintf(`SELECT t.found FROM (SELECT (SELECT s.search_text FROM card_search AS s
		WHERE s.account_id = ? AND s.id >= p.id ORDER BY s.id LIMIT 1) AS found FROM %s) AS t WHERE t.found IS NOT NULL`, from)
	var sample []string
	err = l.tx.NewRaw(text, l.account, list).Scan(l.ctx, &sample)
	return sample, err
}
