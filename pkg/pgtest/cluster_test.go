package pgtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// What was committed outlives a crash; the rest does not, and nobody says goodbye.
func TestClusterOutlivesACrash(t *testing.T) {
	t.Parallel()
	c := NewCluster(t, "application_name = 'configured'")
	c.Start()
	if got := c.Query("SELECT current_setting('application_name') || current_setting('fsync') || current_setting('synchronous_commit')"); got != "configuredonon" {
		t.Errorf("the settings are %s", got)
	}
	conn := connect(t, c.URL())
	mustExec(t, conn, "CREATE TABLE kept (n int)")
	mustExec(t, conn, "INSERT INTO kept VALUES (1)")
	mustExec(t, conn, "BEGIN; INSERT INTO kept VALUES (2)")
	c.Kill()
	if _, err := conn.Exec(t.Context(), "COMMIT"); err == nil {
		t.Error("a killed server commits")
	}
	c.Start()
	if !strings.Contains(string(c.lastWords()), "automatic recovery in progress") {
		t.Errorf("it did not crash:\n%s", c.lastWords())
	}
	if got := c.Query("SELECT string_agg(n::text, ',') FROM kept"); got != "1" {
		t.Errorf("after the crash there are the rows %s, want 1", got)
	}
	c.Stop()
	c.Start()
	if got := c.Query("SELECT count(*)::text FROM kept"); got != "1" {
		t.Errorf("after an orderly stop there are %s rows, want 1", got)
	}
}

func TestClusterFollowsAndIsPromoted(t *testing.T) {
	t.Parallel()
	primary := NewCluster(t)
	primary.Start()
	conn := connect(t, primary.URL())
	mustExec(t, conn, "CREATE TABLE kept (n int)")
	standby := primary.BaseBackup()
	standby.Follow(primary)
	standby.Start()
	mustExec(t, conn, "INSERT INTO kept VALUES (1)")
	standby.await("follow", func() bool { return standby.Query("SELECT count(*)::text FROM kept") == "1" })
	if _, err := connect(t, standby.URL()).Exec(t.Context(), "INSERT INTO kept VALUES (2)"); err == nil {
		t.Error("a standby takes writes")
	}
	primary.Kill()
	standby.Promote()
	mustExec(t, connect(t, standby.URL()), "INSERT INTO kept VALUES (2)")
}

// A base backup and the archive of the log lead to any moment after the backup.
func TestClusterRecoversToAMoment(t *testing.T) {
	t.Parallel()
	origin := NewCluster(t, "archive_mode = on")
	archive := origin.MakeDir("archive")
	origin.Configure(fmt.Sprintf("archive_command = 'cp %%p %s/%%f'", archive))
	origin.Start()
	conn := connect(t, origin.URL())
	mustExec(t, conn, "CREATE TABLE kept (n int)")
	copied := origin.BaseBackup("archive_mode = off")
	mustExec(t, conn, "INSERT INTO kept VALUES (1)")
	origin.Query("SELECT pg_create_restore_point('before')::text")
	mustExec(t, conn, "INSERT INTO kept VALUES (2)")
	origin.Stop() // which archives the rest of the log
	copied.Recover(fmt.Sprintf("restore_command = 'cp %s/%%f %%p'", archive), "recovery_target_name = 'before'", "recovery_target_action = 'promote'")
	copied.Start()
	copied.AwaitPrimary()
	if got := copied.Query("SELECT string_agg(n::text, ',') FROM kept"); got != "1" {
		t.Errorf("at that moment there were the rows %s, want 1", got)
	}
	if got := copied.Query("SELECT current_setting('archive_mode')"); got != "off" {
		t.Errorf("the copy has archive_mode %s, want what was said last", got)
	}
}

// envCluster makes TestClusterOwnerProcess start a cluster and wait to be killed.
const envCluster = "KORT_TEST_PGTEST_CLUSTER"

func TestClusterEndsWithItsOwner(t *testing.T) {
	t.Parallel()
	NewCluster(t) // leaves the test out where there is none
	owner := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestClusterOwnerProcess$")
	owner.Env = append(os.Environ(), envCluster+"=yes")
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the owner started no cluster: %v", err)
	}
	serverURL := strings.TrimSpace(line)
	connect(t, serverURL)
	if err := owner.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := owner.Wait(); err == nil {
		t.Error("the owner ended well, want killed")
	}
	config, err := pgx.ParseConfig(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(clusterTimeout); ; time.Sleep(clusterPause) {
		if _, err := os.Stat(config.Host); os.IsNotExist(err) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the cluster's directory is still there")
		}
	}
}

func TestClusterOwnerProcess(t *testing.T) {
	if os.Getenv(envCluster) == "" {
		t.Log("only for TestClusterEndsWithItsOwner")
		return
	}
	c := NewCluster(t)
	c.Start()
	fmt.Println(c.URL())
	select {} // until killed: its own cleanup must not matter
}

func TestClusterKeepsToThePolicy(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]error{"off": ErrLeftOut, "": nil} {
		_, err := installed(t.Context(), func(name string) string { return map[string]string{EnvPolicy: value}[name] })
		if want != nil && !strings.Contains(fmt.Sprint(err), want.Error()) {
			t.Errorf("%s=%s gives %v, want %v", EnvPolicy, value, err, want)
		}
	}
}
