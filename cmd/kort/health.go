package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kortwallet/kort/pkg/config"
)

const (
	// healthTimeout bounds the wait for the answer; /readyz bounds its own work to less.
	healthTimeout = 3 * time.Second
	// maxHealthBytes bounds what is shown of an answer.
	maxHealthBytes = 1 << 10
)

// healthCmd is `kort health`.
type healthCmd struct {
	config.Health
}

// Help is the long help.
func (healthCmd) Help() string {
	return `Asks a server on this machine for /readyz. Exit code 0: it can take requests. In a container that has nothing but this program it is what a health check can run.`
}

// Run asks once.
func (c *healthCmd) Run(ctx context.Context, term *terminal) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	base, err := c.base()
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	answer, err := (&http.Client{}).Do(r) // the context has the deadline
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxHealthBytes))
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	said := strings.TrimSpace(string(body))
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server at %s is not ready: %d %s", base, answer.StatusCode, said)
	}
	term.printf("%s\n", said)
	return nil
}

// base is where the server is reached from this machine.
func (c *healthCmd) base() (string, error) {
	_, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return "", fmt.Errorf("health: %w", err) // Validate has seen to it
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return "", fmt.Errorf("health: %w", err)
	}
	return config.Listen{Addr: c.Addr}.BaseURL(number), nil
}
