# Every job of the project is a target here; .ci/run and the GitHub workflow call
# the same ones. Only Go and make are needed for run, build and test.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The tools that are not part of go.mod, pinned. `go run` builds each once and
# keeps it in Go's build cache.
GOLANGCI_LINT := go run -ldflags='-s -w' github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT    := go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
OASDIFF       := go run github.com/oasdiff/oasdiff@v1.36.0
BENCHSTAT     := go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
GOVULNCHECK   := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0
CYCLONEDX     := go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
GO_LICENSES   := go run github.com/google/go-licenses@v1.6.0

# One PostgreSQL for all test binaries; says at the end if there was none.
WITH_POSTGRES := go run ./pkg/pgtest/withpostgres

# What has goroutines of its own or is called from many.
RACE_PACKAGES := ./pkg/posting/... ./pkg/repository/... ./pkg/httpapi/... ./pkg/auth/... ./pkg/hooks/... ./pkg/identity/... ./pkg/sandbox/... ./pkg/observe/...

# To be set on the command line: make test TESTFLAGS=-v, make run ARGS="--addr :9000".
TESTFLAGS ?=
FUZZTIME  ?= 30s
COUNT     ?= 6
# Where the picture of the reference goes that integrators takes.
SCREENSHOT ?= bin/docs.png
# Divided among the attacks and fuzzing.
PROOF_SECONDS ?= 1800
ARGS      ?=

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Serve the API on a local SQLite file, and print a token to try it with.
	@go build -o bin/kort ./cmd/kort
	@exec bin/kort serve --dev $(ARGS)

.PHONY: build
build: ## Build the static binary bin/kort.
	@CGO_ENABLED=0 go build -trimpath -o bin/kort ./cmd/kort

.PHONY: test
test: ## Run all tests; those on PostgreSQL too where it is installed.
	@$(WITH_POSTGRES) go test $(TESTFLAGS) ./...

.PHONY: race
race: ## Run the packages with concurrency under the race detector (needs a C compiler).
	@$(WITH_POSTGRES) env CGO_ENABLED=1 go test -race -timeout 45m $(TESTFLAGS) $(RACE_PACKAGES)

.PHONY: mutation
mutation: ## Change the core in small ways and count what the tests notice (hours).
	@$(WITH_POSTGRES) go run ./pkg/house/mutate --short --accepted pkg/house/mutate/survivors.txt ./pkg/ledger ./pkg/posting ./pkg/auth ./pkg/cardcode

.PHONY: conformance
conformance: ## Check the server on both engines against the contract, and that wrong servers are noticed.
	@.ci/conformance $(WITH_POSTGRES)

.PHONY: integrators
integrators: build ## Use generated clients, Postman, Prism and a browser on a sandbox, then check conformance (needs npm).
	@.ci/integrators $(SCREENSHOT)
	@.ci/conformance $(WITH_POSTGRES)

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (30s) each.
	@.ci/fuzz $(FUZZTIME)

.PHONY: proof
proof: build ## Attack the server for PROOF_SECONDS (1800) and check that nothing is lost.
	@.ci/proof $(PROOF_SECONDS) $(ARGS)

.PHONY: bench
bench: ## Measure every speed target on this machine (about 20 minutes).
	@$(MAKE) --no-print-directory build
	@exec bin/kort bench $(ARGS)

.PHONY: bench-overload
bench-overload: ## Measure what the server does with three times what it can take.
	@$(MAKE) --no-print-directory build
	@exec bin/kort bench --only overload $(ARGS)

# What a database of this size is given in production; see README.
GROWTH_POSTGRES := $(foreach s,shared_buffers=2GB max_wal_size=16GB checkpoint_timeout=15min wal_compression=lz4,--postgres-setting $(s))

.PHONY: bench-growth
bench-growth: ## Measure and plot how throughput changes as the data grows (30 GB of disk).
	@$(MAKE) --no-print-directory build
	@exec bin/kort bench --only growth --plot .github/bench-growth.svg --duration 10s $(GROWTH_POSTGRES) $(ARGS)

.PHONY: bench-micro
bench-micro: ## Run the Go benchmarks COUNT (6) times; compare with the newest release.
	@$(WITH_POSTGRES) .ci/bench-micro $(COUNT) $(BENCHSTAT)

.PHONY: profile
profile: ## Profile the server under load: CPU, allocations, mutexes (files in profiles/).
	@$(MAKE) --no-print-directory build
	@.ci/profile $(ARGS)

.PHONY: generate
generate: ## Generate everything that is generated (gen/ from openapi/, and more).
	@go generate ./...

.PHONY: generate-check
generate-check: ## Generate, and fail if that changes anything.
	@.ci/unchanged $(MAKE) --no-print-directory generate

.PHONY: modules
modules: ## Check that go.mod lists what is imported, and that the modules are what go.sum says.
	@go mod tidy -diff
	@go mod verify

.PHONY: lint
lint: ## Lint the Go code and the GitHub workflows.
	@$(GOLANGCI_LINT) run
	@$(ACTIONLINT)

.PHONY: lint-tools
lint-tools: ## Build the linters (a minute or two, the first time).
	@$(GOLANGCI_LINT) version >/dev/null
	@$(ACTIONLINT) -version >/dev/null

.PHONY: lint-spec
lint-spec: ## Lint the contracts in openapi with Redocly and Spectral (needs npm).
	@npm ci --prefix openapi/lint --no-audit --no-fund --loglevel=error
	@npm run --silent --prefix openapi/lint lint

.PHONY: breaking
breaking: ## Fail if openapi/kort.yaml breaks clients of the newest release.
	@.ci/breaking $(OASDIFF)

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what is called (needs vuln.go.dev).
	@.ci/vuln $(GOVULNCHECK)

.PHONY: sbom
sbom: build ## List all that is in the binary, in CycloneDX form (bin/kort.cdx.json).
	@$(CYCLONEDX) bin -json -std -output bin/kort.cdx.json bin/kort
	@echo "sbom: $$(grep -c '"bom-ref"' bin/kort.cdx.json) components (in bin/kort.cdx.json)"

.PHONY: licences
licences: ## Check that only allowed licences are in the binary (bin/licences.csv).
	@.ci/licences $(GO_LICENSES)

.PHONY: check
check: modules generate-check lint-spec breaking lint test race ## Run what every change has to pass (CI also looks at vulnerabilities and licences).

.PHONY: clean
clean: ## Remove what was built.
	@rm -rf bin profiles openapi/lint/node_modules pkg/integrators/{node_modules,build,*/generated} pkg/sdk-typescript/{node_modules,build,dist}
