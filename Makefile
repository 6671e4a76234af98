# Everything here needs Go and make, and nothing else. On a fresh machine Go
# fetches the modules of go.mod once; `make lint` fetches its linter likewise.

GO       ?= go
CAPTURE  ?= testdata/mix.pcap
FUZZTIME ?= 10s
ARGS     ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo '  make run CAPTURE=file.pcap ARGS="--speed top --vms 8"    another capture, other flags'
	@echo '  make fuzz FUZZTIME=5m                                    longer'

.PHONY: run
run: ## replay testdata/mix.pcap and print the bill
	@$(GO) run -pgo=off ./cmd/ringside replay $(CAPTURE) $(ARGS)

.PHONY: scenarios
scenarios: ## run every story of testdata/scenarios and judge what came of it
	@$(GO) run -pgo=off ./cmd/ringside run testdata/scenarios/*.yaml $(ARGS)

.PHONY: build
build: ## bin/ringside for this machine
	CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/ringside

.PHONY: test
test: ## every test
	$(GO) test -pgo=off ./...

# What the race detector need not see: packages that have one goroutine, which internal/deptest holds them to,
# runs that other tests make likewise, and time.
RACE = $$($(GO) list ./... | grep -vE '/(bridge|bridge/.*|cost|dpdk|internal/bench|internal/differential.*|internal/validate|internal/workload|kernel|load|machine|mem|mmu|nic|offload|sim|trace|vhostuser|virtio|vm|vm/raw|vm/igbvf|vm/virtnet|vmm|vswitch|vxlan|wire|xdp)$$')
NORACE = ^(TestGateEveryScenarioTwice|TestGateEveryScenarioUnderLoad|TestGateWebAssembly|TestABrokenStoryIsFound|TestLargeCapture|TestForeignCapturesEndWell|TestOffloadsDoNotChangeWhatGuestsGet|TestNoKnobLosesAFrame|TestReceiveLivelock|TestEveryBroadcastIsEverywhereOnce|TestPagesFitTheTerminal|TestCompareSetsEveryPathBesideTheOthers|TestWorkloadsAreRunOnAnyMachine)$$|Path|SRIOV|DPDK|AFXDP|Socket|XDP|Program|Sched|Move|Pinned|RFS|Paging|Pages|IOMMU|Virtual|VFs|Alloc

.PHONY: race
race: ## the tests of what has goroutines in another order, under the race detector (wants a C compiler)
	$(GO) test -pgo=off -race -shuffle on -timeout 20m -skip '$(NORACE)' $(RACE)

.PHONY: gate
gate: ## the determinism gate alone, with what it compared
	$(GO) test -count 1 -v -run '^TestGate' .

# The names of the targets come from the tests themselves. An input that fails
# is kept by Go under testdata/fuzz of its package. A run whose time is over in
# the middle of an input may end with "context deadline exceeded" and no input
# (go.dev/issue/75804, before Go 1.27): such a run is done again, twice at most.
.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s)
	@list=$$($(GO) test -pgo=off -list '^Fuzz' ./...) || { echo "$$list"; exit 1; }; \
	log=$$(mktemp); trap 'rm -f "$$log" "$$log.rc"' EXIT; \
	once() { \
		{ $(GO) test -pgo=off "$$1" -run '^$$' -fuzz "^$$2\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x 2>&1; echo $$? >"$$log.rc"; } | tee "$$log"; \
		test "$$(cat "$$log.rc")" = 0; \
	}; \
	late() { grep -q '^ *context deadline exceeded$$' "$$log" && ! grep -q 'Failing input' "$$log"; }; \
	echo "$$list" | awk '/^Fuzz/ { f[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, f[i]; n = 0 }' | \
	{ while read -r pkg name; do \
		echo "== $$name in $$pkg"; \
		once "$$pkg" "$$name" || { late && once "$$pkg" "$$name"; } || { late && once "$$pkg" "$$name"; } || exit 1; \
	done; }

.PHONY: differential
differential: ## this bridge and the Linux kernel's, the same frames on both (Linux, root, QEMU)
	@mkdir -p bin && CGO_ENABLED=0 $(GO) build -pgo=off -o bin/ ./internal/differential/bridgediff
	@bin/bridgediff $(ARGS)

.PHONY: bench
bench: ## what a frame costs in real time on this machine
	@$(GO) run ./cmd/ringside bench $(ARGS)

.PHONY: pgo
pgo: ## renew the profile that bin/ringside is compiled by, from the bench: frames alone, on every path, and TCP
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	$(GO) build -pgo=off -o "$$dir/ringside" ./cmd/ringside && \
	"$$dir/ringside" bench --match native/64 --rounds 40 --round 500ms --cpuprofile "$$dir/native" && \
	"$$dir/ringside" bench --match path/ --rounds 8 --round 200ms --cpuprofile "$$dir/path" && \
	"$$dir/ringside" bench --match tcp/1500 --rounds 40 --round 200ms --cpuprofile "$$dir/tcp" && \
	$(GO) tool pprof -proto "$$dir/native" "$$dir/path" "$$dir/tcp" >"$$dir/both" && \
	cp "$$dir/both" cmd/ringside/default.pgo

STATICCHECK = $(GO) tool -modfile=internal/tools/go.mod staticcheck

.PHONY: lint
lint: ## gofmt, vet, staticcheck, import rules
	@wrong=$$(gofmt -l .); test -z "$$wrong" || { echo "not as gofmt writes it:"; echo "$$wrong"; exit 1; }
	$(GO) vet -pgo=off ./...
	$(GO) test ./internal/deptest
	@if $(GO) tool -modfile=internal/tools/go.mod -n staticcheck >/dev/null; then \
		echo "$(STATICCHECK) ./..."; $(STATICCHECK) ./...; \
	else \
		echo "staticcheck is left out: it could not be fetched or built"; \
	fi

.PHONY: cover
cover: ## how much of each package all tests together reach; cover.out has the lines
	@$(GO) test -pgo=off -coverpkg ./... -coverprofile cover.out ./... >cover.log 2>&1 || { cat cover.log; exit 1; }
	@awk 'NR > 1 { n[$$1] = $$2; if ($$3 > 0) hit[$$1] = 1 } \
	END { for (b in n) { p = b; sub(/\/[^\/]*$$/, "", p); all[p] += n[b]; sum += n[b]; if (hit[b]) { got[p] += n[b]; have += n[b] } } \
	for (p in all) printf "%-30s %5.1f %% of %5d statements\n", p, 100*got[p]/all[p], all[p]; \
	printf "%-30s %5.1f %% of %5d statements\n", "together", 100*have/sum, sum }' cover.out | sort

# Packages whose tests take -update: those with internal/golden, and two that
# keep their golden parts in their own way.
GOLDEN = . ./cost $$($(GO) list -f '{{range .TestImports}}{{if eq . "ringside/internal/golden"}}{{$$.ImportPath}} {{end}}{{end}}{{range .XTestImports}}{{if eq . "ringside/internal/golden"}}{{$$.ImportPath}} {{end}}{{end}}' ./...)

.PHONY: golden
golden: ## write the golden files anew; read the difference before you commit it
	for pkg in $(GOLDEN); do $(GO) test -pgo=off "$$pkg" -update || exit 1; done
	@git --no-pager diff --stat -- '*golden*' docs 2>/dev/null || true

.PHONY: cross
cross: ## build for every platform that is promised, without cgo
	@for platform in linux/amd64 linux/arm64 darwin/arm64 windows/amd64 js/wasm; do \
		echo "== $$platform"; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO) build -pgo=off ./... || exit 1; \
	done

.PHONY: clean
clean: ## remove what was built
	rm -rf bin cover.out cover.log *.test *.prof
