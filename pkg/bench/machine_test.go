package bench

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestParseCPU(t *testing.T) {
	t.Parallel()
	const rest = " S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20"
	for _, name := range []string{"kort", "a b", ") S 1 ("} {
		got, err := parseCPU([]byte("123 (" + name + ")" + rest))
		if want := 1750 * time.Millisecond; got != want || err != nil {
			t.Errorf("name %q: %s, %v; want %s", name, got, err, want)
		}
	}
	for _, broken := range []string{"", "1 (kort) S 1 2", "1 (kort) S 1 2 3 4 5 6 7 8 9 10 x 25"} {
		if got, err := parseCPU([]byte(broken)); err == nil {
			t.Errorf("%q: %s and no error", broken, got)
		}
	}
}

func TestParsePeak(t *testing.T) {
	t.Parallel()
	if got, err := parsePeak("VmSize:\t 9 kB\nVmHWM:\t    1888 kB\nVmRSS:\t 7 kB\n"); got != 1888<<10 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	for _, broken := range []string{"", "VmRSS:\t 7 kB\n", "VmHWM:\t many kB\n", "VmHWM:\t 7 MB\n"} {
		if got, err := parsePeak(broken); err == nil {
			t.Errorf("%q: %d and no error", broken, got)
		}
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	t.Parallel()
	u, err := usageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && u.peakBytes < 1<<20 {
		t.Errorf("a Go program in %d bytes", u.peakBytes)
	}
}

func TestCPUModel(t *testing.T) {
	t.Parallel()
	if got := cpuModel("processor\t: 0\nmodel\t\t: 1\nmodel name\t: EPYC: the second\nprocessor\t: 1\nmodel name\t: other\n"); got != "EPYC: the second" {
		t.Errorf("got %q", got)
	}
	if got := cpuModel("processor\t: 0\nBogoMIPS\t: 50.00\n"); got != "" {
		t.Errorf("where there is none: %q", got)
	}
}

func TestFilesystemOf(t *testing.T) {
	t.Parallel()
	const mounts = `overlay / overlay rw 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/vdb /tmp/disk ext4 rw 0 0
/dev/vdc /with\040space xfs rw 0 0
/dev/vdd /twice ext4 rw 0 0
tmpfs /twice tmpfs rw 0 0
`
	tests := map[string]string{
		"/home/x": "overlay", "/": "overlay", "/tmp": "tmpfs", "/tmp/x": "tmpfs", "/tmpx": "overlay",
		"/tmp/disk/y": "ext4", "/with space/z": "xfs", "/twice/a": "tmpfs",
	}
	for dir, want := range tests {
		if got := filesystemOf(dir, mounts); got != want {
			t.Errorf("%s is on %q, want %q", dir, got, want)
		}
	}
}
