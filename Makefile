# ancora's tasks. `make help` lists them. Nothing here needs root, gcc (but for race), protoc, buf, curl or .NET: tools are
# built by exact version into .bin/ and stay out of go.mod, whose users would inherit their dependencies.

BUF_VERSION         := v1.75.0
GRPC_GEN_VERSION    := v1.6.2
STATICCHECK_VERSION := v0.8.2
H2SPEC_VERSION      := v2.2.1+incompatible
INTEROP_VERSION     := v1.85.0

export CGO_ENABLED ?= 0
TOOLS   := $(CURDIR)/.bin
BIN     := $(CURDIR)/bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
FUZZTIME ?= 10s

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

.PHONY: build
build: ## build both programs into bin/
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./controlplane/cmd/ancora ./agent/cmd/ancora-agent

$(TOOLS)/buf-$(BUF_VERSION):
	GOBIN=$(TOOLS) go install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)
	@mv $(TOOLS)/buf $@ && ln -sf $(notdir $@) $(TOOLS)/buf

$(TOOLS)/protoc-gen-go-grpc-$(GRPC_GEN_VERSION):
	GOBIN=$(TOOLS) go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(GRPC_GEN_VERSION)
	@mv $(TOOLS)/protoc-gen-go-grpc $@ && ln -sf $(notdir $@) $(TOOLS)/protoc-gen-go-grpc

$(TOOLS)/staticcheck-$(STATICCHECK_VERSION):
	GOBIN=$(TOOLS) go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	@mv $(TOOLS)/staticcheck $@ && ln -sf $(notdir $@) $(TOOLS)/staticcheck

$(TOOLS)/h2spec-$(H2SPEC_VERSION):
	GOBIN=$(TOOLS) go install github.com/summerwind/h2spec/cmd/h2spec@$(H2SPEC_VERSION)
	@mv $(TOOLS)/h2spec $@ && ln -sf $(notdir $@) $(TOOLS)/h2spec

$(TOOLS)/grpc-interop-$(INTEROP_VERSION):
	GOBIN=$(TOOLS) go install google.golang.org/grpc/interop/client@$(INTEROP_VERSION)
	@mv $(TOOLS)/client $@

# The version of protoc-gen-go is the one of the protobuf module in go.mod.
$(TOOLS)/protoc-gen-go: go.mod
	GOBIN=$(TOOLS) go install google.golang.org/protobuf/cmd/protoc-gen-go
	@touch $@

BUF := PATH="$(TOOLS):$$PATH" $(TOOLS)/buf-$(BUF_VERSION)

.PHONY: generate
generate: $(TOOLS)/buf-$(BUF_VERSION) $(TOOLS)/protoc-gen-go-grpc-$(GRPC_GEN_VERSION) $(TOOLS)/protoc-gen-go ## make the Go code of the protos
	$(BUF) generate --template proto/buf.gen.yaml

.PHONY: generate-check
generate-check: generate ## fail when the committed Go code is not what the protos give
	@git diff --exit-code -- proto || { echo "proto: generated code is not up to date: run make generate"; exit 1; }

.PHONY: lint
lint: $(TOOLS)/buf-$(BUF_VERSION) $(TOOLS)/staticcheck-$(STATICCHECK_VERSION) ## format, vet, staticcheck, buf lint
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt: these files are not formatted:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	$(TOOLS)/staticcheck-$(STATICCHECK_VERSION) ./...
	$(BUF) lint
	@$(BUF) format -d --exit-code >/dev/null || { echo "buf: run buf format -w"; exit 1; }

.PHONY: breaking
breaking: $(TOOLS)/buf-$(BUF_VERSION) ## compare the protos with what was promised in proto/baseline.binpb
	@if [ -f proto/baseline.binpb ]; then $(BUF) breaking --against proto/baseline.binpb && sh tests/breaking.sh $(TOOLS)/buf-$(BUF_VERSION); \
	else echo "breaking: nothing is promised yet"; fi

# The tests run on binaries that are built once, by go build; -strict makes a skip that tests/skips.txt does not name a failure.
# The rows are a run of their own, which is counted. Under the race detector runs what holds code of ours in the test itself; the
# others start the real programs, in which it would find nothing.
TESTED = $$(go list ./... | grep -v '/tests/rows$$')
STARTING = ./tests/scenario ./tests/h1
RACED = $$(go list ./... | grep -v -e '/tests/rows$$' -e '/tests/scenario$$' -e '/tests/h1$$')
SUMMARY := go run ./tests/summary $(if $(CI),-strict)
$(BIN)/childapp: build
	@go build -trimpath -o $(BIN)/ ./tests/childapp

.PHONY: test
test: build $(BIN)/childapp ## everything a change must pass; what the machine lacks is skipped by name
	@ANCORA_BIN=$(BIN) go test -count=1 -timeout 20m -json $(TESTED) 2>&1 | $(SUMMARY)

.PHONY: race
race: build $(BIN)/childapp ## what does not start the real programs, under the race detector; needs gcc
	@ANCORA_BIN=$(BIN) CGO_ENABLED=1 go test -race -count=1 -timeout 20m -json $(RACED) 2>&1 | $(SUMMARY)

.PHONY: scenario
scenario: build $(BIN)/childapp ## the stories of operators alone, with the real programs
	@ANCORA_BIN=$(BIN) go test -count=1 -timeout 20m -json $(STARTING) 2>&1 | $(SUMMARY)

.PHONY: rows
rows: build $(BIN)/childapp ## the behaviours of the ASP.NET Core Module, counted; ROWS=A13 runs some alone, uncounted
ifdef ROWS
	@ANCORA_BIN=$(BIN) go test -count=1 -timeout 10m -v -run '/($(ROWS))' ./tests/rows
else
	@ANCORA_BIN=$(BIN) go test -count=1 -parallel 3 -timeout 15m -json ./tests/rows 2>&1 | go run ./tests/rows/report $(if $(CI),-strict)
endif

.PHONY: demo
demo: build ## the main job, each step checked from outside
	@go run ./tests/demo $(BIN)

.PHONY: readme
readme: build ## execute the console blocks of the README
	@go run ./tests/readme README.md

.PHONY: figures
figures: build ## measure what is promised: 5 runs, median and spread
	@go run ./tests/figures $(BIN)

.PHONY: bench
bench: build ## compare CPU time per request with nginx, haproxy and caddy; installs them and wrk on Debian, as root
	@PATH="$$PATH:/usr/sbin:/sbin" && sh tests/bench/tools.sh && go build -trimpath -o $(BIN)/ ./tests/bench && $(BIN)/bench $(BENCHFLAGS) $(BIN)

.PHONY: bench-quick
bench-quick: ## the most important workloads, in less than two minutes
	@$(MAKE) -s bench BENCHFLAGS="-quick $(BENCHFLAGS)"

.PHONY: gate
gate: build ## count the agent's system calls a request; needs perf or strace, and root
	@go build -trimpath -o $(BIN)/ ./tests/bench && $(BIN)/bench -gate $(BIN)

.PHONY: attack
attack: build $(BIN)/childapp ## measure what the agent does for others under attack, in six minutes; see ATTACKFLAGS
	@go build -trimpath -o $(BIN)/ ./tests/attack && $(BIN)/attack $(ATTACKFLAGS) $(BIN)

.PHONY: mutants
mutants: ## plant bugs and see that a named test fails for each
	@go run ./tests/mutants

.PHONY: rows-mutants
rows-mutants: ## plant bugs and see that exactly the rows named fail for each; needs ANCORA_DOTNET; BUGS=NAME plants some alone
	@go run ./tests/mutants -bugs tests/rows/bugs $(BUGS)
	@$(if $(BUGS),,go run ./tests/mutants -bugs tests/rows/bugs -together)

.PHONY: h2spec
h2spec: $(TOOLS)/h2spec-$(H2SPEC_VERSION) ## h2spec against the listener; what may fail is in tests/h2/known.txt
	go vet -tags h2spec ./tests/h2
	H2SPEC=$(TOOLS)/h2spec-$(H2SPEC_VERSION) go test -count=1 -tags h2spec -run TestSpecification ./tests/h2

.PHONY: interop
interop: $(TOOLS)/grpc-interop-$(INTEROP_VERSION) ## the interop client of gRPC through the listener to a gRPC server
	go vet -tags interop ./tests/h2
	GRPC_INTEROP=$(TOOLS)/grpc-interop-$(INTEROP_VERSION) go test -count=1 -tags interop -run TestInterop ./tests/h2

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (10s)
	@sh tests/fuzz.sh $(FUZZTIME)

.PHONY: units
units: build ## check the systemd units, where systemd-analyze is installed
	@sh tests/units.sh $(BIN)

.PHONY: check
check: lint generate-check breaking units race scenario rows h2spec interop readme fuzz ## the one gate
