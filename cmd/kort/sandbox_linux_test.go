package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// envNoNetwork tells a process of this test that it is the one without a network.
const envNoNetwork = "KORT_TEST_NO_NETWORK"

// A sandbox does all its work where there is no network: no route, and no interface but the loopback.
func TestSandboxNeedsNoNetwork(t *testing.T) {
	if os.Getenv(envNoNetwork) != "" {
		sellWithoutNetwork(t)
		return
	}
	t.Parallel()
	inside := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSandboxNeedsNoNetwork$", "-test.v")
	inside.Env = append(os.Environ(), envNoNetwork+"=1")
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	said := &transcript{}
	inside.Stdout, inside.Stderr = said, said
	if err := inside.Start(); err != nil {
		t.Logf("not tested: this system permits no network namespace: %v", err)
		return
	}
	if err := inside.Wait(); err != nil {
		t.Errorf("without a network: %v\n%s", err, said)
	}
}

// sellWithoutNetwork gives a card away and sells, in a process that reaches nobody.
func sellWithoutNetwork(t *testing.T) {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil || len(interfaces) != 1 {
		t.Fatalf("there are the interfaces %v: %v", interfaces, err)
	}
	bringUp(t, interfaces[0].Name)
	if _, err := net.Dial("udp", "192.0.2.1:53"); err == nil {
		t.Fatal("there is a route to elsewhere")
	}
	s := sandboxHere(t)
	u := tester{s, s.ready.Account, s.ready.Token}
	token := u.card("gift", "").field(t, "card_token.token.value")
	u.want("ok", http.MethodPost, "/transactions", `{"ref_id":"r","token":"`+token+`","amount":100,"currency":"NOK"}`)
	if got := u.balance(); got != "400" {
		t.Errorf("the balance is %s", got)
	}
	other := s.newTester()
	other.advance(day)
	other.card("gift", "")
	s.close()
}

// bringUp turns an interface on.
func bringUp(t *testing.T, name string) {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(socket) }()
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request); err != nil {
		t.Fatalf("turn %s on: %v", name, err)
	}
}
