# `make demo` shows the main job; `make test` runs every check. Both install what they need.

CARGO ?= cargo
TOOLS := $(CURDIR)/target/tools
DENY := $(TOOLS)/bin/cargo-deny
DENY_VERSION := 0.20.2

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## Build, and see a commit go green, one red, and one green through its successor.
	$(CARGO) build --locked -p gitops-brain-cli
	$(CARGO) run --locked --quiet -p gitops-brain-cli --example demo

.PHONY: test
test: format lint unit docs wasm deny ## Run every check that CI runs.
	@echo "all checks passed"

.PHONY: format
format:
	$(CARGO) fmt --all --check

.PHONY: lint
lint:
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

.PHONY: unit
unit:
	$(CARGO) build --locked -p gitops-brain-cli
	$(CARGO) test --locked --workspace

.PHONY: docs
docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

# The core runs where there is no operating system: that it builds there shows that it asks for none.
.PHONY: wasm
wasm:
	@if rustc --print target-libdir --target wasm32-unknown-unknown 2>/dev/null | xargs test -d; then \
		$(CARGO) build --locked -p gitops-brain --target wasm32-unknown-unknown; \
	else \
		echo "skipped: the target wasm32-unknown-unknown is not installed (rustup target add wasm32-unknown-unknown)"; \
	fi

.PHONY: deny
deny: $(DENY)
	$(DENY) --locked check bans licenses sources

.PHONY: audit
audit: $(DENY) ## Check the dependencies against the advisory database (needs the network).
	$(DENY) --locked check advisories

# Optimising the tool would take longer than it runs.
$(DENY):
	$(CARGO) install --locked --debug --root $(TOOLS) --version $(DENY_VERSION) cargo-deny

.PHONY: test-long
test-long: ## The slow checks: 2,000 cases of each property, 200 crashes of the server.
	$(CARGO) build --locked --release -p gitops-brain-cli
	PROPTEST_CASES=2000 $(CARGO) test --locked --release -p gitops-brain --test properties
	GITOPS_BRAIN_TEST_CRASHES=200 $(CARGO) test --locked --release -p gitops-brain-tests --test crashes -- --nocapture

.PHONY: bench
bench: ## Print the benchmarks.
	$(CARGO) build --locked --release -p gitops-brain-cli
	$(CARGO) bench --locked -p gitops-brain-benches

.PHONY: clean
clean: ## Remove everything that was built.
	$(CARGO) clean
