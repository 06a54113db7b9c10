package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// update rewrites the golden files.
func update() bool { return flag.Lookup("update").Value.String() == "true" }

var _ = flag.Bool("update", false, "rewrite the golden files")

// What Kort says to wrong input is part of what it is: testdata/refusals.txt reads
// like a terminal.
func TestRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	complete := "--public-url=https://cards.example.com --issuer=https://issuer.example.com/ --data-dir=DIR --addr=localhost:0 "
	commands := []string{
		"sevre",
		"serve",
		"serve --issuer=https://issuer.example.com/ --addr=8080 --rate-limit=-1",
		"serve --dev --jwks=keys.json",
		"serve --dev --log-level=loud",
		"serve --dev --read-timeout=soon",
		"serve --dev --max-batch=many",
		"serve --dev --adr=:8080",
		"serve --dev --addr=TAKEN --data-dir=DIR/dev",
		"serve --dev --addr=localhost:0 --metrics-addr=TAKEN --data-dir=DIR/dev",
		"serve --dev --metrics-addr=localhost:8080",
		"serve --dev --database-url=mysql://kort:hush@db/kort",
		"serve --jwks=http://issuer.example.com/keys --data-key-file=DIR/data-key " + complete,
		"serve --jwks=DIR/none.json --data-key-file=DIR/data-key " + complete,
		"serve --jwks=DIR/broken.json --data-key-file=DIR/data-key " + complete,
		"serve --jwks=DIR/none.json --data-key-file=DIR/none " + complete,
		"serve --jwks=DIR/none.json --data-key-file=DIR/short " + complete,
		strings.Replace("serve --jwks=DIR/none.json --data-key-file=DIR/data-key "+complete, "--data-dir=DIR", "--data-dir=DIR/none", 1),
		"token",
		"token --account=T12345678 --scope=read:cards --data-dir=DIR",
		"token --account=12345678 --scope=read:wallets --ttl=0s --data-dir=DIR",
		"token --account=T12345678 --scope=read:wallets --data-dir=DIR/none",
		"migrate",
		"migrate up --data-dir=DIR/none",
		"migrate status --data-dir=DIR/empty",
		"verify --account=1 --data-dir=DIR",
		"verify --data-dir=DIR/none",
		"rebuild --apply --data-dir=DIR/empty",
		"backup --data-dir=DIR",
		"backup --data-dir=DIR/empty --out=DIR/backup.db",
		"backup --database-url=postgres://kort:hush@db/kort --out=DIR/backup.db",
		"restore --data-dir=DIR",
		"restore --data-dir=DIR --from=DIR/none",
		"restore --database-url=postgres://kort:hush@db/kort --from=DIR/none",
		"data-key new",
		"data-key new --out=DIR/data-key",
	}
	writeFile(t, filepath.Join(dir, "broken.json"), `{"keys":[]}`, 0o600)
	writeFile(t, filepath.Join(dir, "short"), "c2hvcnQ=", 0o600)
	kort(t, "data-key", "new", "--out", filepath.Join(dir, "data-key")).want(t, exitOK)
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	real := strings.NewReplacer("DIR", dir, "TAKEN", taken.Addr().String())
	shown := strings.NewReplacer(dir, "DIR", taken.Addr().String(), "TAKEN")
	var got strings.Builder
	for _, command := range commands {
		result := kort(t, strings.Fields(real.Replace(command))...)
		if strings.Contains(result.stdout+result.stderr, "hush") {
			t.Errorf("kort %s shows a password", command)
		}
		fmt.Fprintf(&got, "$ %s\n%s%s[exit code %d]\n\n", strings.TrimSpace("kort "+command),
			shown.Replace(result.stdout), shown.Replace(result.stderr), result.code)
	}
	golden(t, "refusals.txt", got.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if update() {
		writeFile(t, path, got, 0o644)
	}
	if want := readFile(t, path); got != want {
		t.Errorf("%s differs (go test ./cmd/kort -update rewrites it); got:\n%s", path, got)
	}
}

func TestRefusedEnvironment(t *testing.T) {
	dir := "--data-dir=" + t.TempDir()
	t.Run("data key", func(t *testing.T) {
		t.Setenv("KORT_DATA_KEY", "hush-hush")
		result := kort(t, serveArgs(dev([]string{dir}))...)
		result.want(t, exitFailure, "KORT_DATA_KEY: a data key is 32 bytes")
		if strings.Contains(result.stderr, "hush") {
			t.Errorf("it shows the key: %s", result.stderr)
		}
	})
	t.Run("both data keys", func(t *testing.T) {
		t.Setenv("KORT_DATA_KEY", "hush-hush")
		kort(t, serveArgs(dev([]string{dir}, "--data-key-file=x"))...).want(t, exitUsage, "--data-key-file (KORT_DATA_KEY_FILE)", "KORT_DATA_KEY")
	})
	t.Run("number", func(t *testing.T) {
		t.Setenv("KORT_MAX_QUEUE", "0")
		kort(t, serveArgs(dev([]string{dir}))...).want(t, exitUsage, "--max-queue (KORT_MAX_QUEUE)")
	})
	t.Run("flag before environment", func(t *testing.T) {
		t.Setenv("KORT_DATA_DIR", "/nowhere")
		kort(t, "verify", dir).want(t, exitFailure, "there is no database "+strings.TrimPrefix(dir, "--data-dir="))
		kort(t, "verify").want(t, exitFailure, "/nowhere")
	})
}

func TestDataKeyInEnvironment(t *testing.T) {
	setUp := newProduction(t)
	database := []string{"--data-dir=" + t.TempDir()}
	t.Setenv("KORT_DATA_KEY", readFile(t, setUp.dataKeyFile))
	args := setUp.args(database)
	serveHere(t, args[:len(args)-1]...).close() // without --data-key-file
	t.Setenv("KORT_DATA_KEY", "")
	serveHere(t, args...).close() // it was the same key
}

// A command that is interrupted says so, and does not pretend that it has finished.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database []string) {
		serveHere(t, dev(database)...).close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var stdout, stderr strings.Builder
		code := run(ctx, &terminal{stdout: &stdout, stderr: &stderr}, append([]string{"verify"}, database...))
		outcome{code, stdout.String(), stderr.String()}.want(t, exitFailure, "interrupted")
		if strings.Contains(stdout.String(), "agrees") {
			t.Errorf("it says %s", stdout.String())
		}
	})
}

func TestDataKeysInEnvironment(t *testing.T) {
	setUp := newProduction(t)
	database := []string{"--data-dir=" + t.TempDir()}
	args := setUp.args(database)
	serveHere(t, args...).close()
	first := strings.TrimSpace(readFile(t, setUp.dataKeyFile))
	kort(t, "keys", "rotate", "--data-key-file="+setUp.dataKeyFile).want(t, exitOK)
	second := strings.Fields(readFile(t, setUp.dataKeyFile))[0]
	alone := args[:len(args)-1] // without --data-key-file
	t.Setenv("KORT_DATA_KEY", second+","+first)
	serveHere(t, alone...).close()
	for list, says := range map[string]string{
		first:                        "a data key that is missing here",
		second:                       "a data key that is missing here",
		first + "," + first:          "KORT_DATA_KEY: keys 1 and 2: the same data key stands there twice",
		second + "," + first + ",hu": "KORT_DATA_KEY: key 3: a data key is 32 bytes",
	} {
		t.Setenv("KORT_DATA_KEY", list)
		refused := kort(t, serveArgs(alone)...)
		refused.want(t, exitFailure, says)
		if strings.Contains(refused.stderr, first) || strings.Contains(refused.stderr, second) {
			t.Error("a key is shown")
		}
	}
	t.Setenv("KORT_DATA_KEY", "")
	serveHere(t, args...).close()
}
