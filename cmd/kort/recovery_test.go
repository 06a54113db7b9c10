package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kortwallet/kort/pkg/pgtest"
)

// postgresLoad is a server under load on a PostgreSQL of its own.
func postgresLoad(t *testing.T, cluster *pgtest.Cluster) (setUp *production, server *instance, load *traffic) {
	t.Helper()
	cluster.Start()
	setUp = newProduction(t)
	database := []string{"--database-url=" + cluster.URL(), "--data-dir=" + t.TempDir()}
	kort(t, append([]string{"migrate", "up"}, database...)...).want(t, exitOK)
	server = serveApart(t, setUp.args(database)...)
	load = drive(server, setUp.token)
	load.awaitMore()
	return setUp, server, load
}

// wantRestored checks a PostgreSQL that was restored: its books, what was answered
// before the copy was made, and that a server goes on.
func wantRestored(t *testing.T, restored *pgtest.Cluster, setUp *production, load *traffic, answered map[string]string) {
	t.Helper()
	database := []string{"--database-url=" + restored.URL(), "--data-dir=" + t.TempDir()}
	verify := append([]string{"verify"}, database...)
	kort(t, verify...).want(t, exitOK, "6 cards, ", "Everything agrees.")
	wantSales(t, history(t, "pgx", restored.URL()), answered)
	server := serveHere(t, setUp.args(database)...)
	load.wantGoesOn(t, server, answered)
	server.close()
	kort(t, verify...).want(t, exitOK, "Everything agrees.")
}

// A dump is made under load and restored into another server.
func TestDumpAndRestoreUnderLoad(t *testing.T) {
	t.Parallel()
	origin := pgtest.NewCluster(t)
	dump := filepath.Join(origin.MakeDir("dumps"), "kort.dump")
	setUp, server, load := postgresLoad(t, origin)

	answered := load.sales()
	origin.Run("pg_dump", "--format=custom", "--file="+dump, origin.URL())
	load.awaitMore()
	load.stop()
	server.close()
	origin.Kill()

	restored := pgtest.NewCluster(t)
	restored.Start()
	restored.Run("pg_restore", "--exit-on-error", "--no-owner", "--dbname="+restored.URL(), dump)
	restored.Run("vacuumdb", "--analyze-only", "--dbname="+restored.URL())
	wantRestored(t, restored, setUp, load, answered)
}

// A base backup and the archive of the write-ahead log lead back to a moment that has
// a name: all that was answered before it is there, and nothing that was sent after it.
func TestPointInTimeRecovery(t *testing.T) {
	t.Parallel()
	origin := pgtest.NewCluster(t, "archive_mode = on")
	archive := origin.MakeDir("archive")
	origin.Configure(fmt.Sprintf("archive_command = 'test ! -f %[1]s/%%f && cp %%p %[1]s/%%f'", archive))
	setUp, server, load := postgresLoad(t, origin)
	copied := origin.BaseBackup("archive_mode = off")
	load.awaitMore()

	answered := load.sales()
	origin.Query("SELECT pg_create_restore_point('before-the-mistake')::text")
	load.begin("after")
	load.awaitMore()
	load.stop()
	server.close()
	segment := origin.Query("SELECT pg_walfile_name(pg_switch_wal())")
	eventually(t, "archive the log", func() bool {
		return origin.Query("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") >= segment
	})
	origin.Kill()

	copied.Recover(fmt.Sprintf("restore_command = 'cp %s/%%f %%p'", archive),
		"recovery_target_name = 'before-the-mistake'", "recovery_target_action = 'promote'")
	copied.Start()
	copied.AwaitPrimary()
	if found := chapter("after", history(t, "pgx", copied.URL())); found > 0 {
		t.Errorf("%d sales were sent after the moment, and are there", found)
	}
	if chapter("after", load.sales()) < enoughSales/2 {
		t.Error("there was no load after the moment")
	}
	wantRestored(t, copied, setUp, load, answered)
}

// chapter counts the sales of a chapter.
func chapter(name string, sales map[string]string) int {
	found := 0
	for ref := range sales {
		if strings.HasPrefix(ref, name+":") {
			found++
		}
	}
	return found
}
