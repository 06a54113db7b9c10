package bench

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor times in procfs: Linux reports hundredths of a second
// to programs, whatever its own clock is.
const tick = 10 * time.Millisecond

// usage is what a process has used since its start. It is zero where the operating
// system has no procfs.
type usage struct {
	cpu       time.Duration // user and system
	peakBytes int64         // the most that was resident
}

// usages are those of both processes.
type usages struct{ server, client usage }

// add turns what was used in a window into figures.
func (f *Figures) add(before, after usages) {
	if f.Requests == 0 {
		return
	}
	f.ServerCPUMicros = micros(after.server.cpu-before.server.cpu) / float64(f.Requests)
	f.ClientCPUMicros = micros(after.client.cpu-before.client.cpu) / float64(f.Requests)
	f.PeakBytes = float64(after.server.peakBytes)
}

// usageOf asks the operating system about a process.
func usageOf(pid int) (u usage, err error) {
	if runtime.GOOS != "linux" {
		return u, nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil {
		u.cpu, err = parseCPU(stat)
	}
	if err != nil {
		return u, fmt.Errorf("processor time of a process: %w", err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err == nil {
		u.peakBytes, err = parsePeak(string(status))
	}
	if err != nil {
		return u, fmt.Errorf("memory of a process: %w", err)
	}
	return u, nil
}

// parseCPU adds user and system time, the 14th and 15th field of stat. The second is
// a name in parentheses that may hold spaces and parentheses itself.
func parseCPU(stat []byte) (time.Duration, error) {
	const user, system = 14 - 3, 15 - 3 // counted from the third field
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= system {
		return 0, fmt.Errorf("stat has %d fields after the name", len(fields))
	}
	var ticks int64
	for _, field := range [...]int{user, system} {
		n, err := strconv.ParseInt(string(fields[field]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// parsePeak finds the line "VmHWM:   1888 kB" of status.
func parsePeak(status string) (int64, error) {
	_, rest, found := strings.Cut(status, "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	number, unit, _ := strings.Cut(strings.TrimSpace(line), " ")
	kilobytes, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil || unit != "kB" {
		return 0, fmt.Errorf("status has no peak of memory")
	}
	return kilobytes << 10, nil
}
