package pgtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// committed is how pgx names a prepared COMMIT where a statement is executed. (Where one
// is prepared or described, another byte comes before the name.)
var committed = func() []byte {
	digest := sha256.Sum256([]byte("COMMIT"))
	const named = 24 // bytes of the digest
	return []byte("\x00stmtcache_" + hex.EncodeToString(digest[:named]) + "\x00")
}()

// Commits tells whether what pgx sends to a server has a prepared COMMIT in it.
func Commits(sent []byte) bool { return bytes.Contains(sent, committed) }
