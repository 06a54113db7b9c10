package repotest_test

import (
	"strings"
	"testing"

	"github.com/kortwallet/kort/pkg/repository/repotest"
)

// A disk that is full ends a backup.
func TestBackupOntoAFullDisk(t *testing.T) {
	t.Parallel()
	d := repotest.Migrated(t, repotest.SQLite(t))
	if err := d.Backup(t.Context(), "/dev/full", nil); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("got %v, want that the disk is full", err)
	}
}
