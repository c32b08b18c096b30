# Needs Go, git, make and a C compiler; everything else is built from tools/go.mod into .tools/.

TOOLS    := $(CURDIR)/.tools
PACKAGES := ./... ./proto/...
# How long `make fuzz` tries each target, how often `make soak` runs the crash test, how many lives of grants it kills, how
# many bursts of alerts it tells, and how many requests it compares.
FUZZTIME ?= 30s
SOAK     ?= 10
CRASHES  ?= 10000
STORMS   ?= 100
REQUESTS ?= 10000000
# What `make check` compares the contract with: a commit. Empty = where this branch left main, or the commit before.
BASE     ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build, then play the demo: one morning of an invented shop, with no account anywhere
	bin/curfew demo

.PHONY: build
build: ## Build bin/curfew
	go build -o bin/curfew ./cmd/curfew

.PHONY: test
test: ## Run every test of both modules
	go test $(PACKAGES)

.PHONY: check
check: check-gen check-proto check-format lint check-modules check-race ## Run everything that CI runs (needs a few minutes)
	@echo "check: all good"

.PHONY: gen
gen: $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc ## Generate Go from proto/
	PATH="$(TOOLS):$$PATH" buf generate

.PHONY: fmt
fmt: $(TOOLS)/buf $(TOOLS)/golangci-lint ## Format Go and proto files
	$(TOOLS)/golangci-lint fmt $(PACKAGES)
	$(TOOLS)/buf format -w

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## Run the linters of .golangci.yml, and go vet
	go vet $(PACKAGES)
	$(TOOLS)/golangci-lint run $(PACKAGES)

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME (30s)
	@list=$$(go test -list '^Fuzz' $(PACKAGES)) || { echo "$$list"; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/ {t[n++] = $$1} /^ok/ {for (i = 0; i < n; i++) print $$2, t[i]; n = 0}' | \
	while read -r package target; do \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	done

.PHONY: soak
soak: ## Kill the real process at random points, SOAK (10) times over, and CRASHES (10,000) grants; tell STORMS (100) bursts of alerts; ask Casbin REQUESTS (10,000,000) times
	go test -run '^TestKilledAtEveryStep' -timeout 0 -v ./cmd/curfew -crashes $(CRASHES)
	go test -run '^TestABurstIsShownOnce' -timeout 0 -v ./cmd/curfew -storms $(STORMS)
	go test -run '^TestKilledAnywhere' -count $(SOAK) -timeout 0 -v ./cmd/curfew
	go test ./services/evaluator/enforcer -run '^TestDifferential$$' -timeout 0 -v -requests $(REQUESTS)

.PHONY: bench
bench: ## Run the benchmarks and write docs/benchmarks.md (the first run downloads the peers)
	go run ./internal/benchdoc

.PHONY: image
image: ## Build the container image
	docker build -f deploy/Dockerfile -t curfew .

.PHONY: clean
clean: ## Remove what was built, tools included
	rm -rf bin dist .tools

# What `make check` is made of.

.PHONY: check-gen
check-gen: $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc
	@aside=$$(mktemp -d) && trap 'rm -rf "$$aside"' EXIT && \
	PATH="$(TOOLS):$$PATH" buf generate -o "$$aside" && \
	diff -ru -x '*.proto' proto/curfew "$$aside/proto/curfew" || { echo "generated code is not up to date; run: make gen"; exit 1; }

# The earlier contract is taken from git's own store, so that this works in a worktree and in a shallow clone alike.
.PHONY: check-proto
check-proto: $(TOOLS)/buf
	$(TOOLS)/buf lint
	$(TOOLS)/buf format -d --exit-code
	@head=$$(git rev-parse -q --verify HEAD || true); base="$(BASE)"; \
	for main in origin/main main; do \
		[ -n "$$base" ] || base=$$(git merge-base HEAD "$$main" 2>/dev/null || true); \
		[ "$$base" != "$$head" ] || base=; \
	done; \
	[ -n "$$base" ] || base=$$(git rev-parse -q --verify HEAD~1 || true); \
	if [ -z "$$base" ] || [ -z "$$(git ls-tree "$$base" proto/curfew)" ]; then echo "no earlier contract to compare with"; exit 0; fi; \
	aside=$$(mktemp -d) && trap 'rm -rf "$$aside"' EXIT && \
	git archive "$$base" proto buf.yaml | tar -x -C "$$aside" && \
	echo "buf breaking --against $$base" && $(TOOLS)/buf breaking --against "$$aside"

.PHONY: check-format
check-format:
	@unformatted=$$(gofmt -l *.go cmd deploy internal proto services); \
	[ -z "$$unformatted" ] || { echo "not formatted; run make fmt:"; echo "$$unformatted"; exit 1; }

# A user's build has no go.work: each module must stand alone.
.PHONY: check-modules
check-modules:
	GOWORK=off go mod tidy -diff
	cd proto && GOWORK=off go mod tidy -diff
	GOWORK=off go build ./...

.PHONY: check-race
check-race:
	go test -race -short -timeout 15m $(PACKAGES)

# Pinned tools. The generator of messages comes from the module the product runs on, so that the two always match.

$(TOOLS)/protoc-gen-go: go.mod
	GOWORK=off go build -o $@ google.golang.org/protobuf/cmd/protoc-gen-go

$(TOOLS)/protoc-gen-go-grpc: tools/go.mod
	cd tools && GOWORK=off go build -o $@ google.golang.org/grpc/cmd/protoc-gen-go-grpc

$(TOOLS)/buf: tools/go.mod
	cd tools && GOWORK=off go build -o $@ github.com/bufbuild/buf/cmd/buf

$(TOOLS)/golangci-lint: tools/go.mod
	cd tools && GOWORK=off go build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(TOOLS)/benchstat: tools/go.mod
	cd tools && GOWORK=off go build -o $@ golang.org/x/perf/cmd/benchstat
