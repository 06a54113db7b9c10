package bench

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Machine is what figures were measured on.
type Machine struct {
	Cores      int    `json:"cores"`
	CPU        string `json:"cpu,omitempty"`        // empty where the operating system does not say
	Filesystem string `json:"filesystem,omitempty"` // of the temporary data; likewise
	Platform   string `json:"platform"`
	Go         string `json:"go"`
}

// thisMachine describes the machine; dir is where the data will be.
func thisMachine(dir string) (Machine, error) {
	m := Machine{Cores: runtime.NumCPU(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if runtime.GOOS != "linux" {
		return m, nil
	}
	if dir == "" {
		dir = os.TempDir()
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return m, fmt.Errorf("find the directory of the data: %w", err)
	}
	cpus, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, fmt.Errorf("describe the machine: %w", err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return m, fmt.Errorf("describe the machine: %w", err)
	}
	m.CPU, m.Filesystem = cpuModel(string(cpus)), filesystemOf(dir, string(mounts))
	return m, nil
}

// cpuModel is the first "model name" of cpuinfo. Not every architecture has one.
func cpuModel(cpuinfo string) string {
	lines := bufio.NewScanner(strings.NewReader(cpuinfo))
	for lines.Scan() {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// filesystemOf finds the type of the filesystem that a directory is on: the last mount
// among those with the longest path above it.
func filesystemOf(dir, mounts string) (kind string) {
	longest := -1
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line) // device, path, type
		if len(fields) < 3 {
			continue
		}
		path := unescapeMount(fields[1])
		if length := len(path); length >= longest && isBelow(dir, path) {
			longest, kind = length, fields[2]
		}
	}
	return kind
}

// unescapeMount undoes how the kernel writes a space in a path; other characters that
// it escapes are too rare in directories to matter here.
func unescapeMount(path string) string { return strings.ReplaceAll(path, `\040`, " ") }

func isBelow(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
