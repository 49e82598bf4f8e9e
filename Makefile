# What the project is built and tested with. `make` alone lists the targets.

# honnef.co/go/tools, pinned so that a new release cannot turn a build red.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Without grpc's tracing, and the templates it needs, the linker can leave out what nobody calls: a quarter of the program and of the memory it starts with.
TAGS := -tags=grpcnotrace
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/meshlark
	go build $(TAGS) -trimpath -o bin/ ./cmd/meshlark

.PHONY: test
test: ## run all tests; those that need an Envoy skip, with the reason, when there is none
	go test ./...

.PHONY: bench
bench: ## measure meshlark beside jq and istioctl; BENCH_DUMPS and ISTIOCTL name other inputs
	go run ./internal/bench -istioctl "$(or $(ISTIOCTL),istioctl)" $(BENCH_DUMPS)

.PHONY: lint
lint: gofmt vet staticcheck ## all of gofmt, vet and staticcheck

.PHONY: gofmt
gofmt: ## name the files that are not formatted
	@files=$$(gofmt -l .) || exit; [ -z "$$files" ] || { echo "run gofmt -w on:"; echo "$$files"; exit 1; }

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: staticcheck
staticcheck: ## honnef.co/go/tools/cmd/staticcheck, at the pinned version
	go run $(STATICCHECK) ./...

.PHONY: cross
cross: ## build for every platform that is released
	@for p in $(PLATFORMS); do \
		echo "build $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build $(TAGS) -o /dev/null ./cmd/meshlark || exit 1; \
	done

.PHONY: envoy
envoy: ## install the Envoy that tests talk to, unless one is on PATH, and print where it is
	@.ci/envoy

.PHONY: e2e
e2e: ## test on the lab: a real mesh on this machine (Linux); the first time its programs are built, for about ten minutes
	@envoy=$$(.ci/envoy) && export MESHLARK_ENVOY=$$envoy CI=true && cd lab && go vet ./... && \
	go run ./cmd/lab -build && go test -count=1 -p 1 -timeout 20m ./...

.PHONY: lab-up
lab-up: ## bring the lab up and leave it up until Ctrl-C; LAB names flags, such as LAB='-scene stale'
	@envoy=$$(.ci/envoy) && export MESHLARK_ENVOY=$$envoy && cd lab && \
	go build -o ../bin/lab ./cmd/lab && exec ../bin/lab $(LAB)

.PHONY: bench-live
bench-live: ## measure meshlark beside istioctl on the lab; BENCH names flags, such as BENCH='-n 15 -services 2000'
	@envoy=$$(.ci/envoy) && export MESHLARK_ENVOY=$$envoy && cd lab && \
	go build -o ../bin/bench-live ./cmd/bench && exec ../bin/bench-live $(BENCH)
