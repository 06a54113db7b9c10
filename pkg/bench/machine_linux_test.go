package bench

import (
	"bytes"
	"os/exec"
	"runtime"
	"testing"
)

// The peak of a child is its own: a parent that has more does not count.
func TestPeakOfAChild(t *testing.T) {
	t.Parallel()
	const size = 256 << 20
	held := bytes.Repeat([]byte{1}, size)
	command := exec.CommandContext(t.Context(), "sleep", "0.2")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	peak := watchPeak(command.Process.Pid)
	if err := command.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := peak(); got <= 0 || got >= size {
		t.Errorf("the child had %d bytes resident", got)
	}
	runtime.KeepAlive(held)
}
