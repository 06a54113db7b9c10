package main

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A backup is made beside a server under load and restored elsewhere. All that was
// answered before it began is there, and a server goes on with it.
func TestBackupAndRestoreUnderLoad(t *testing.T) {
	t.Parallel()
	setUp, dir, elsewhere := newProduction(t), t.TempDir(), filepath.Join(t.TempDir(), "new", "data")
	server := serveApart(t, setUp.args([]string{"--data-dir=" + dir})...)
	load := drive(server, setUp.token)
	load.awaitMore()

	answered := load.sales()
	first, second := backUp(t, dir), backUp(t, dir)
	load.awaitMore() // the server has not been stopped by it
	kort(t, "backup", "--data-dir="+dir, "--out="+first).want(t, exitFailure, "exists already", first)
	load.stop()
	server.close()
	wantSales(t, sqliteHistory(t, dir), load.sales())

	kort(t, "restore", "--from="+first, "--data-dir="+elsewhere).want(t, exitOK, "Everything agrees.", elsewhere, "data key")
	kort(t, "verify", "--data-dir="+elsewhere).want(t, exitOK, "6 cards, ", "Everything agrees.")
	wantSales(t, sqliteHistory(t, elsewhere), answered)
	restored := serveHere(t, setUp.args([]string{"--data-dir=" + elsewhere})...)
	load.wantGoesOn(t, restored, answered)
	restored.close()
	kort(t, "verify", "--data-dir="+elsewhere).want(t, exitOK, "Everything agrees.")

	kort(t, "restore", "--from="+second, "--data-dir="+elsewhere).want(t, exitFailure, "there already", "kort.db")
	if before, after := len(sqliteHistory(t, elsewhere)), len(answered); before < after {
		t.Errorf("a refused restore has left %d sales of %d", before, after)
	}
	setUp.dataKeyFile = filepath.Join(t.TempDir(), "other-key")
	kort(t, "data-key", "new", "--out", setUp.dataKeyFile).want(t, exitOK)
	kort(t, serveArgs(setUp.args([]string{"--data-dir=" + elsewhere}))...).want(t, exitFailure, "written with another data key")
}

// backUp makes a backup of a data directory in a directory of its own, and checks that
// nothing else is left there, and that others cannot read it.
func backUp(t *testing.T, dir string, more ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.db")
	kort(t, append([]string{"backup", "--data-dir=" + dir, "--out=" + path}, more...)...).want(t, exitOK, "The backup is in "+path, "data key")
	wantFiles(t, filepath.Dir(path), "backup.db")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != fileMode {
		t.Errorf("the backup has mode %o", info.Mode().Perm())
	}
	return path
}

func wantFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	if strings.Join(found, " ") != strings.Join(names, " ") {
		t.Errorf("%s holds %v, want %v", dir, found, names)
	}
}

// A database whose server was killed is backed up with all that is in its log.
func TestBackupAfterACrash(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	server := serveApart(t, dev([]string{"--data-dir=" + dir})...)
	load := drive(server, server.token())
	load.awaitMore()
	server.signal(syscall.SIGKILL)
	<-server.done
	load.stop()
	path := backUp(t, dir)
	kort(t, "restore", "--from="+path, "--data-dir="+elsewhere).want(t, exitOK)
	wantSales(t, sqliteHistory(t, elsewhere), load.sales())
}

// Whatever ends a backup, there is no half one under its name; and where anything can
// be done about it, nothing under another.
func TestBackupInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serveHere(t, dev([]string{"--data-dir=" + dir})...).close()
	edit(t, filepath.Join(dir, "kort.db"), "CREATE TABLE ballast AS SELECT zeroblob(200000000) AS bytes")
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		to := t.TempDir()
		command := asProcess(t.Context(), "backup", "--data-dir="+dir, "--out="+filepath.Join(to, "backup.db"))
		stderr := &transcript{}
		command.Stderr = stderr
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "begin", func() bool { return len(glob(t, filepath.Join(to, ".backup.db.incomplete-*"))) > 0 })
		if err := command.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		var ended *exec.ExitError
		if err := command.Wait(); !errors.As(err, &ended) {
			t.Fatalf("%v: the backup ends with %v", signal, err)
		}
		if _, err := os.Stat(filepath.Join(to, "backup.db")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v leaves a backup: %v", signal, err)
		}
		if signal == syscall.SIGTERM {
			wantFiles(t, to)
			outcome{code: ended.ExitCode(), stderr: stderr.String()}.want(t, exitFailure, "interrupted")
		}
		kort(t, "backup", "--no-verify", "--data-dir="+dir, "--out="+filepath.Join(to, "backup.db")).want(t, exitOK)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// edit changes a database past any server.
func edit(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// stocked is a data directory with a card in its database, and no server on it.
func stocked(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	server := serveHere(t, dev([]string{"--data-dir=" + dir})...)
	server.createCard(server.token(), `{"card_id":"a","amount":500,"currency":"NOK"}`)
	server.close()
	return dir
}

// Nothing is replaced, and nothing that would not work is put in place.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	source := stocked(t)
	sound := backUp(t, source)
	prepared := func(name, from string, change func(path string)) string {
		path := filepath.Join(t.TempDir(), name)
		writeFile(t, path, from, fileMode)
		change(path)
		return path
	}
	tests := map[string]struct {
		from string
		dir  func(t *testing.T) string
		want []string
	}{
		"a log beside the file": {
			from: prepared("raw.db", readFile(t, sound), func(path string) { writeFile(t, path+"-wal", "x", fileMode) }),
			want: []string{"is not all of a database", "raw.db-wal", "kort backup"},
		},
		"a stale log in the directory": {from: sound, want: []string{"kort.db-wal", "Move it away"}, dir: func(t *testing.T) string {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "kort.db-wal"), "another database's", fileMode)
			return dir
		}},
		"a newer schema": {
			from: prepared("newer.db", readFile(t, sound), func(path string) {
				edit(t, path, "INSERT INTO bun_migrations (name, group_id) VALUES ('20991231000000', 9)")
			}),
			want: []string{"newer version of Kort", "20991231000000"},
		},
		"no database":         {from: prepared("text.db", "Dear diary, "+strings.Repeat("no", 5000), func(string) {}), want: []string{"not a database"}},
		"another's database":  {from: prepared("other.db", "", func(path string) { edit(t, path, "CREATE TABLE t (n)") }), want: []string{"no database of Kort"}},
		"a directory":         {from: t.TempDir(), want: []string{"is no file"}},
		"a file that is torn": {from: prepared("torn.db", readFile(t, sound)[:20<<10], func(string) {}), want: []string{"malformed"}},
		"a figure that is edited": {
			from: prepared("edited.db", readFile(t, sound), func(path string) { edit(t, path, "UPDATE cards SET amount_funds = 501") }),
			want: []string{"amount_funds", "found 1 disagreement", "--no-verify"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if test.dir != nil {
				dir = test.dir(t)
			}
			before := glob(t, filepath.Join(dir, "kort.db*"))
			kort(t, "restore", "--from="+test.from, "--data-dir="+dir).want(t, exitFailure, test.want...)
			if after := glob(t, filepath.Join(dir, "*kort.db*")); strings.Join(before, " ") != strings.Join(after, " ") {
				t.Errorf("it leaves %v behind", after)
			}
		})
	}
}

// Where a server runs, nothing is restored, whatever is there.
func TestRestoreBesideAServer(t *testing.T) {
	t.Parallel()
	path := backUp(t, stocked(t))
	dir := t.TempDir()
	server := serveHere(t, dev([]string{"--data-dir=" + dir})...)
	kort(t, "restore", "--from="+path, "--data-dir="+dir).want(t, exitFailure, "a server runs on "+dir)
	server.close()
}

// What is wrong with a database is no reason to have no backup of it.
func TestBackupOfADisagreement(t *testing.T) {
	t.Parallel()
	dir, elsewhere := stocked(t), t.TempDir()
	edit(t, filepath.Join(dir, "kort.db"), "UPDATE cards SET amount_funds = 501")
	path := filepath.Join(t.TempDir(), "backup.db")
	kort(t, "backup", "--data-dir="+dir, "--out="+path).want(t, exitFailure,
		"amount_funds", "The backup is in "+path, "found 1 disagreement, in the database as in its backup, which is kept")
	kort(t, "restore", "--no-verify", "--from="+path, "--data-dir="+elsewhere).want(t, exitOK)
	kort(t, "rebuild", "--apply", "--data-dir="+elsewhere).want(t, exitOK, "Corrected 1 of 1 card.")
}

// A backup that cannot be written says why.
func TestBackupNowhere(t *testing.T) {
	t.Parallel()
	dir := stocked(t)
	nowhere := filepath.Join(t.TempDir(), "none", "backup.db")
	kort(t, "backup", "--data-dir="+dir, "--out="+nowhere).want(t, exitFailure, "no such file or directory", nowhere[:len(nowhere)-len("backup.db")])
	kort(t, "backup", "--data-dir="+dir, "--out="+filepath.Join(dir, "kort.db")).want(t, exitFailure, "exists already")
}
