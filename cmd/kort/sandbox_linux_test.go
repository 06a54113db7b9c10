package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// A sandbox starts where there is no network at all: no route, and not even a loopback interface that is up.
func TestSandboxNeedsNoNetwork(t *testing.T) {
	t.Parallel()
	i := &instance{t: t, stdout: &transcript{}, stderr: &transcript{}, done: make(chan struct{})}
	i.process = asProcess(t.Context(), "sandbox", "--addr=127.0.0.1:0", "--log-format=json")
	i.process.Stdout, i.process.Stderr = i.stdout, i.stderr
	i.process.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if err := i.process.Start(); err != nil {
		t.Logf("not tested: this system permits no network namespace: %v", err)
		return
	}
	i.stop = func() { i.signal(syscall.SIGTERM) }
	go func() {
		defer close(i.done)
		_ = i.process.Wait() // the exit code says it all
		i.code = i.process.ProcessState.ExitCode()
	}()
	i.awaitListening()
	s := &sandboxed{instance: i}
	s.awaitReady()
	if !strings.HasPrefix(s.ready.Account, "T") || s.ready.Token == "" {
		t.Errorf("it is ready with %+v", s.ready)
	}
	s.close()
}
