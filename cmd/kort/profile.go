package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

// profileDirMode keeps profiles to their owner: they show what the program did.
const profileDirMode = 0o700

// mutexProfileFraction is how many waits for a lock there are for each that is noted.
const mutexProfileFraction = 10

// profiles collects where a process spends its time, from its start to its end, and
// writes files. There is no address to ask for them: that would be one to attack.
type profiles struct {
	dir, prefix string
	cpu         *os.File
}

// startProfiles begins. Without a directory there is nothing to do, and no profiles.
func startProfiles(dir, name string) (*profiles, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // nothing to do is no failure
	}
	if err := os.MkdirAll(dir, profileDirMode); err != nil {
		return nil, fmt.Errorf("make the directory for profiles: %w", err)
	}
	// A benchmark starts several servers; each has files of its own.
	p := &profiles{dir: dir, prefix: fmt.Sprintf("%s-%d-", name, os.Getpid())}
	var err error
	if p.cpu, err = p.create("cpu"); err != nil {
		return nil, err
	}
	runtime.SetMutexProfileFraction(mutexProfileFraction)
	if err := pprof.StartCPUProfile(p.cpu); err != nil {
		return nil, errors.Join(fmt.Errorf("profile the processor: %w", err), p.cpu.Close())
	}
	return p, nil
}

func (p *profiles) create(kind string) (*os.File, error) {
	file, err := os.Create(filepath.Join(p.dir, p.prefix+kind+".pprof"))
	if err != nil {
		return nil, fmt.Errorf("make a file for a profile: %w", err)
	}
	return file, nil
}

// finish writes what was collected.
func (p *profiles) finish() error {
	if p == nil {
		return nil
	}
	pprof.StopCPUProfile()
	err := p.cpu.Close()
	for _, kind := range []string{"allocs", "mutex"} {
		err = errors.Join(err, p.write(kind))
	}
	return err
}

func (p *profiles) write(kind string) (err error) {
	file, err := p.create(kind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := pprof.Lookup(kind).WriteTo(file, 0); err != nil {
		return fmt.Errorf("write the profile %s: %w", kind, err)
	}
	return nil
}

// serverArgs start the server that is measured.
func (c *benchCmd) serverArgs() []string {
	args := []string{"bench-server"}
	if c.ProfileDir != "" {
		args = append(args, "--profile-dir", c.ProfileDir)
	}
	return args
}

// profiles starts those of the server that is measured.
func (c *benchServerCmd) profiles() (*profiles, error) {
	engine := "sqlite"
	if c.Postgres() {
		engine = "postgres"
	}
	return startProfiles(c.ProfileDir, engine+"-"+c.Kind)
}
