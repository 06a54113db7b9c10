package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/kortwallet/kort/pkg/auth"
	"github.com/kortwallet/kort/pkg/conformance"
)

const (
	account      = "T12345678"
	otherAccount = "T87654321"
	issuer       = "https://issuer.example.com"
	audience     = "https://cards.example.com"

	// startTimeout bounds the start of a server.
	startTimeout = time.Minute
	// askAgain is how often somebody who waits looks.
	askAgain = 50 * time.Millisecond
	// checkTimeout bounds a check: one that waits for what a fault keeps from coming ends then.
	checkTimeout = 20 * time.Second
	// parallel is how many checks run at once.
	parallel = 8
	// serverGrace is how long a server may take to end.
	serverGrace = 10 * time.Second
)

// try runs the suite, or some of it, against a server with one fault, or with none.
func try(ctx context.Context, program, name string, only *regexp.Regexp) (report conformance.Report, err error) {
	dir, err := os.MkdirTemp("", "kort-broken-")
	if err != nil {
		return conformance.Report{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancel(ctx)
	address, err := freeAddress(ctx)
	if err != nil {
		cancel()
		return conformance.Report{}, err
	}
	command := exec.CommandContext(ctx, program, "serve", "--dev", "--data-dir", dir, "--addr", address, //nolint:gosec // built here
		"--issuer", issuer, "--public-url", audience, "--log-level", "error")
	command.Env = append(command.Environ(), envFault+"="+name)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = serverGrace
	if err := command.Start(); err != nil {
		cancel()
		return conformance.Report{}, fmt.Errorf("start a wrong server: %w", err)
	}
	defer func() {
		cancel()
		_ = command.Wait() // it was told to end, and what it says about that is of no interest
	}()
	if err := awaitReady(ctx, address); err != nil {
		return conformance.Report{}, fmt.Errorf("%s: %w", name, err)
	}
	options, err := optionsFor(dir, address)
	if err != nil {
		return conformance.Report{}, err
	}
	options.Only = only
	report, err = conformance.Run(ctx, options)
	if err != nil {
		return report, fmt.Errorf("%s: %w", name, err)
	}
	return report, nil
}

// optionsFor is a run that can decide everything.
func optionsFor(dir, address string) (conformance.Options, error) {
	key, err := auth.LoadLocalKey(filepath.Join(dir, "signing-key.json"))
	if err != nil {
		return conformance.Options{}, err
	}
	var failed error
	mint := func(account, subject, scope string, from time.Time) string {
		token, err := key.Mint(auth.Claims{
			Account: account, Issuer: issuer, AudienceBase: audience, Subject: subject, Scopes: []string{scope}, TTL: time.Hour,
		}, from)
		failed = errors.Join(failed, err)
		return token
	}
	now := time.Now()
	return conformance.Options{
		URL: "http://" + address, Token: mint(account, "admin", auth.ScopeAdmin, now),
		Others: conformance.Others{
			Reader: mint(account, "reader", auth.ScopeRead, now), Writer: mint(account, "writer", auth.ScopeWrite, now),
			Till: mint(account, "till", auth.ScopeWriteTransactions, now), Info: mint(account, "info", auth.ScopeWriteInfo, now),
			Customer: mint(account, "customer", auth.ScopeUser, now), Other: mint(otherAccount, "other", auth.ScopeAdmin, now),
			Expired: mint(account, "late", auth.ScopeAdmin, now.Add(-2*time.Hour)),
		},
		AllowWrites: true, Parallel: parallel, Timeout: checkTimeout,
	}, failed
}

// awaitReady waits until the server says that it is ready.
func awaitReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		if answer, err := client.Do(request); err == nil {
			if err := answer.Body.Close(); err != nil {
				return err
			}
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w", ctx.Err())
		case <-time.After(askAgain):
		}
	}
}

// freeAddress is one that nothing listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
