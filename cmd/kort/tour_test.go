package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// tourPatience bounds the whole tour; two of its commands compile the binary.
const tourPatience = 4 * time.Minute

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The tour of the README runs exactly as it is printed. The address in it is that
// of make run; curl's own configuration leads it to a server on a free port.
func TestTour(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the tour of the README needs %s: %v", tool, err)
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	home, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	server := serveHere(t, "--dev", "--data-dir="+data, "--public-url=http://localhost:8080")
	_, port, err := net.SplitHostPort(server.addr)
	if err != nil {
		t.Fatal(err)
	}
	redirect := "connect-to = \"localhost:8080:127.0.0.1:" + port + "\"\n"
	if err := os.WriteFile(filepath.Join(home, ".curlrc"), []byte(redirect), 0o600); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), tourPatience)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail")
	shell.Dir = root
	shell.Env = append(os.Environ(), "CURL_HOME="+home, "KORT_DATA_DIR="+data)
	shell.Stdin = strings.NewReader(tourOf(t, root))
	printed, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	checkTour(t, string(printed))
	server.close()
}

// tourOf reads the commands of the tour.
func tourOf(t *testing.T, root string) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, tour, begun := strings.Cut(string(readme), "<!-- tour:begin -->")
	tour, _, ended := strings.Cut(tour, "<!-- tour:end -->")
	var script strings.Builder
	for _, block := range shellBlock.FindAllStringSubmatch(tour, -1) {
		script.WriteString(block[1])
	}
	if !begun || !ended || script.Len() == 0 {
		t.Fatal("the README has no tour between its markers")
	}
	return script.String()
}

// checkTour looks for what the text around the commands promises.
func checkTour(t *testing.T, printed string) {
	t.Helper()
	for text, want := range map[string]int{
		`"error"`:                0,
		`"ref_id":"sale-1"`:      3, // the sale, its replay, and the list
		`"type":"voided"`:        2,
		`"amount_balance":12700`: 4,
		`"deleted_by":"dev"`:     2,
		"Everything agrees.":     1,
	} {
		if got := strings.Count(printed, text); got != want {
			t.Errorf("%s is printed %d times, want %d", text, got, want)
		}
	}
	if t.Failed() {
		t.Log(printed)
	}
}
