package proof

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"

	"github.com/jackc/pgx/v5"
)

const (
	// leastSecretBytes keeps out values that are somewhere by chance.
	leastSecretBytes = 12
	// mostSecrets bounds for how many values of a kind is searched.
	mostSecrets = 1500
	// keyBytes is how much of a form finds it.
	keyBytes = 8
)

// secrets are the clear values that must be nowhere but in the answers that gave them.
type secrets struct {
	mu    sync.Mutex
	known map[string]string // what it is, by its value
	kinds map[string]int    // how many are known
}

func noSecrets() *secrets { return &secrets{known: map[string]string{}, kinds: map[string]int{}} }

// newSecrets knows the data keys and the keys that sign tokens.
func newSecrets(s *site) (*secrets, error) {
	all := noSecrets()
	ring, err := os.ReadFile(s.ringFile())
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	var signing struct{ D string } // there is one
	if err := json.Unmarshal(ring, &signing); err != nil || signing.D == "" {
		return nil, fmt.Errorf("read the signing keys: %w", errors.Join(err, errNoKey))
	}
	all.keep("a signing key", signing.D)
	dataKey, err := os.ReadFile(s.dataKeyFile())
	if err != nil {
		return nil, fmt.Errorf("read the data key: %w", err)
	}
	for _, word := range strings.Fields(string(dataKey)) {
		all.keep("a data key", word)
	}
	return all, nil
}

func (s *secrets) keep(what, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.known[value]; !known && len(value) >= leastSecretBytes && s.kinds[what] < mostSecrets {
		s.known[value] = what
		s.kinds[what]++
	}
}

var errNoKey = errors.New("there is none")

// secretNames say what is secret wherever it stands under a name.
var secretNames = map[string]string{
	"secret": "the secret of a subscription", "client_secret": "the secret of an API client", "access_token": "an access token",
}

// learn keeps the clear values of an answer.
func (s *secrets) learn(got answer) {
	var body any
	if got.status == http.StatusOK && mayHoldSecrets(got.body) && json.Unmarshal(got.body, &body) == nil {
		s.walk("", body)
	}
}

// mayHoldSecrets spares most answers to be read.
func mayHoldSecrets(body []byte) bool {
	if bytes.Contains(body, []byte(`"value"`)) {
		return true
	}
	for name := range secretNames {
		if bytes.Contains(body, []byte(`"`+name+`"`)) {
			return true
		}
	}
	return false
}

func (s *secrets) walk(name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		if clearValue, ok := v["value"].(string); ok && (name == "token" || name == "pin") {
			s.keep("a "+name, clearValue)
		}
		for inner, member := range v {
			if text, ok := member.(string); ok && secretNames[inner] != "" {
				s.keep(secretNames[inner], text)
				s.keepKey(text)
			}
			s.walk(inner, member)
		}
	case []any:
		for _, item := range v {
			s.walk(name, item)
		}
	}
}

// keepKey keeps the key that a secret of a subscription writes in base64.
func (s *secrets) keepKey(secret string) {
	encoded, written := strings.CutPrefix(secret, "whsec_")
	if key, err := base64.StdEncoding.DecodeString(encoded); written && err == nil {
		s.keep("the key of a subscription", string(key))
	}
}

// hideAndSeek puts secrets where they do not belong, and searches while the servers run.
func (i *intruder) hideAndSeek(ctx context.Context) error {
	g, err := i.newGuesser(ctx)
	if err != nil {
		return err
	}
	w := i.wire(0)
	defer w.close()
	client, err := i.newClient(ctx, w, victim)
	if err != nil {
		return err
	}
	chosen, err := i.chosenSecret(ctx, w, g.bearer)
	if err != nil {
		return err
	}
	for _, secret := range []string{g.card.pin, g.card.token, g.bearer, client.secret, chosen} {
		i.secrets.keep("a secret in the wrong place", secret) // of whose kind there may have been too many
		escaped := url.QueryEscape(secret)
		for _, r := range []wireRequest{
			get(victim, "/cards/"+escaped), get(victim, "/cards?search="+escaped), get(victim, "/cards?limit="+escaped),
			get(victim, "/cards?starting_after="+escaped), get(victim, "/"+escaped), {method: "GET", target: "/" + escaped},
			get(victim, "/cards").with("X-Request-Id: !" + secret), get(victim, "/cards").with("User-Agent: " + secret),
			{method: "POST", target: wallets(victim) + "/info", body: []byte(`{"token":"` + secret + `","pin":["` + secret + `"]}`)},
			{method: "POST", target: wallets(victim) + "/info", body: []byte(`{"` + secret + `":`)},
			{method: "POST", target: wallets(victim) + "/info", body: []byte(`{"token":"` + secret + `","pin":"` + secret + `"}`)},
			{method: "POST", target: wallets(victim) + "/transactions", body: []byte(`{"token":"` + secret + `","amount":"` + secret + `"}`)},
			{method: "POST", target: wallets(victim) + "/cards", body: []byte(`{"card_id":7,"amount":"` + secret + `"}`)},
			{method: "POST", target: accountPath(victim) + "/hooks/subscriptions", body: []byte(`{"config":{"url":"` + secret + `","secret":"` + secret + ` "},"events":["` + secret + `"]}`)},
			{method: "POST", target: accountPath(victim) + "/auth/clients", body: []byte(`{"name":["` + secret + `"]}`)},
			{method: "DELETE", target: accountPath(victim) + "/auth/client-grants/" + escaped},
		} {
			i.tampered.Add(1)
			r.marks = []string{secret}
			if _, err := i.ask(ctx, w, r.by(g.bearer)); err != nil {
				return err
			}
		}
		for _, r := range []wireRequest{
			apiClient{victim, secret, secret}.request(), tokenRequest(victim, secret, basic(client.id, client.secret)),
		} {
			r.marks = []string{secret}
			if _, err := i.ask(ctx, w, r); err != nil {
				return err
			}
		}
	}
	if err := i.disconnect(ctx, w, victim); err != nil {
		return err
	}
	return i.search([]string{i.site.dir})
}

// chosenSecret makes a subscription with a secret that its owner has chosen, which is in
// no other form than the one it was sent in.
func (i *intruder) chosenSecret(ctx context.Context, w *wire, bearer string) (string, error) {
	secret := i.name("chosen-by-its-owner")
	return secret, i.perform(ctx, w, bearer, http.MethodPost, accountPath(victim)+"/hooks/subscriptions", members{
		"config": members{"url": i.receiver.url() + "/" + victim, "secret": secret}, "events": []string{"wallet_card"},
	}, nil)
}

// searchAtRest searches once more when all servers have ended, and in what PostgreSQL
// keeps: beside its data and its write-ahead log also its own log.
func (i *intruder) searchAtRest(ctx context.Context) error {
	if err := i.checkLog(); err != nil {
		return err
	}
	dirs := []string{i.site.dir}
	if i.engine == Postgres {
		dir, err := i.checkpoint(ctx)
		if err != nil {
			return err
		}
		dirs = append(dirs, dir)
	}
	if err := i.search(dirs); err != nil {
		return err
	}
	events, err := i.receiver.received()
	i.note("%d secrets searched for, also in %d deliveries", len(i.secrets.known), events)
	return err
}

// search looks for all secrets in all files of directories but those of the keys. What has to
// be in there is searched for as well: a search that finds nothing at all is blind.
func (i *intruder) search(dirs []string) error {
	h := newHaystack()
	for value, what := range i.secrets.known {
		for form, text := range forms(value) {
			h.seek(what+", "+form, text)
		}
	}
	const control = "a customer's id"
	h.seek(control, []byte("private customer-"))
	h.seek(control, []byte("injected customer-"))
	files, err := i.files(dirs)
	if err != nil {
		return err
	}
	seen := false
	for _, file := range files {
		content, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a server that runs removes files
		}
		if err != nil {
			return fmt.Errorf("search: %w", err)
		}
		for _, found := range h.find(content) {
			if found == control {
				seen = true
			} else {
				i.violate("%s is in %s", found, filepath.Base(file))
			}
		}
	}
	if !seen && (i.engine == SQLite || len(dirs) > 1) {
		return fmt.Errorf("search: nothing was found in %d files, not even what has to be there", len(files))
	}
	return nil
}

// files are all in the directories but those of the keys.
func (i *intruder) files(dirs []string) ([]string, error) {
	keys := []string{i.site.dataKeyFile(), i.site.ringFile(), filepath.Join(i.site.dir, "signing-key.json")}
	var files []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && entry.Type().IsRegular() && !slices.Contains(keys, path) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list the files: %w", err)
		}
	}
	return files, nil
}

// checkpoint has PostgreSQL write what it has in memory, and returns where its files are:
// beside its socket.
func (i *intruder) checkpoint(ctx context.Context) (dir string, err error) {
	conn, err := pgx.Connect(ctx, i.site.databaseURL)
	if err != nil {
		return "", fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, "CHECKPOINT"); err != nil {
		return "", fmt.Errorf("write PostgreSQL's files: %w", err)
	}
	err = conn.QueryRow(ctx, "SHOW data_directory").Scan(&dir)
	return filepath.Dir(dir), err
}

// forms are the ways to write a value that keep it as it is, or that who has a guess can
// recognise: a digest without a key.
func forms(value string) map[string][]byte {
	raw := []byte(value)
	short, long := sha256.Sum256(raw), sha512.Sum512(raw)
	wide := make([]byte, 0, 2*len(raw))
	for _, unit := range utf16.Encode([]rune(value)) {
		wide = binary.LittleEndian.AppendUint16(wide, unit)
	}
	return map[string][]byte{
		"clear": raw, "backwards": reversed(raw), "UTF-16": wide,
		"hex": []byte(hex.EncodeToString(raw)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(raw))),
		"base64":          []byte(base64.RawStdEncoding.EncodeToString(raw)),
		"base64 in a URL": []byte(base64.RawURLEncoding.EncodeToString(raw)), "escaped": []byte(url.QueryEscape(value)),
		"SHA-256": short[:], "SHA-256 in hex": []byte(hex.EncodeToString(short[:])), "SHA-256 in base64": []byte(base64.RawStdEncoding.EncodeToString(short[:])),
		"SHA-512": long[:], "SHA-512 in hex": []byte(hex.EncodeToString(long[:])),
	}
}

func reversed(raw []byte) []byte {
	turned := slices.Clone(raw)
	slices.Reverse(turned)
	return turned
}

// haystack searches for many texts at once, each of at least keyBytes.
type haystack struct {
	maybe   [1 << 16]bool // by a hash of the first bytes: most places are passed by this alone
	needles map[uint64][]needle
}

type needle struct {
	name string
	text []byte
}

func newHaystack() *haystack { return &haystack{needles: map[uint64][]needle{}} }

func (h *haystack) seek(name string, text []byte) {
	key := binary.BigEndian.Uint64(text[:keyBytes])
	h.maybe[slot(key)] = true
	h.needles[key] = append(h.needles[key], needle{name, text})
}

// find returns the names of what is in a content, each once.
func (h *haystack) find(content []byte) []string {
	var found []string
	var key uint64
	for end, b := range content {
		key = key<<8 | uint64(b)
		if end < keyBytes-1 || !h.maybe[slot(key)] {
			continue
		}
		for _, n := range h.needles[key] {
			if bytes.HasPrefix(content[end-keyBytes+1:], n.text) && !slices.Contains(found, n.name) {
				found = append(found, n.name)
			}
		}
	}
	return found
}

func slot(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> 48 }
