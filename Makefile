# `make demo` shows the main job; `make test` runs every check. Both install what they need.

CARGO ?= cargo
PYTHON ?= python3
NODE ?= node
NPM ?= npm
TOOLS := $(CURDIR)/target/tools
DENY := $(TOOLS)/bin/cargo-deny
LLVM_COV := $(TOOLS)/bin/cargo-llvm-cov
MUTANTS := $(TOOLS)/bin/cargo-mutants
SEMVER := $(TOOLS)/bin/cargo-semver-checks
VERSION_deny := 0.20.2
VERSION_llvm-cov := 0.9.1
VERSION_mutants := 27.1.0
VERSION_semver-checks := 0.51.0

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## Build, and see a commit go green, one red, and one green through its successor.
	$(CARGO) build --locked -p gitops-brain-cli
	$(CARGO) run --locked --quiet -p gitops-brain-cli --example demo

.PHONY: test
test: format lint unit otlp python node dashboard openapi templates fuzz-smoke docs wasm deny ## Run every check that CI runs.
	@echo "all checks passed"

.PHONY: format
format:
	$(CARGO) fmt --all --check

.PHONY: lint
lint:
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

.PHONY: unit
unit: postgres
	$(CARGO) build --locked -p gitops-brain-cli
	$(CARGO) test --locked --workspace

# What is not built unless it is asked for.
.PHONY: otlp
otlp:
	$(CARGO) clippy --locked -p gitops-brain-cli --features otlp --all-targets -- -D warnings
	$(CARGO) test --locked -p gitops-brain-cli --features otlp --test cli otlp

# The tests start servers of their own: what the package would start by itself is not wanted.
.PHONY: postgres
postgres: ## Install PostgreSQL if it is not there (Debian, as root).
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { \
		mkdir -p /etc/postgresql-common && \
		echo "create_main_cluster = false" >> /etc/postgresql-common/createcluster.conf && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null || { \
			echo "PostgreSQL is needed: install it (initdb on the PATH, or GITOPS_BRAIN_POSTGRES=folder)"; exit 1; }; }

# Each package is built, installed where nothing else is, and tested as its users have it.

VENV := $(CURDIR)/target/venv
WHEELS := $(CURDIR)/target/wheels
NODE_HOME := $(CURDIR)/target/node
PYTHON_EXAMPLE := bindings/python/examples/fastapi
NODE_EXAMPLE := bindings/node/examples/express

.PHONY: python
python: wheels ## Build the Python package, install it in a fresh environment, and test it.
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement bindings/python/requirements-test.txt \
		--requirement $(PYTHON_EXAMPLE)/requirements.txt $(WHEELS)/*.whl
	cd bindings/python && $(VENV)/bin/python -m pytest
	cd $(PYTHON_EXAMPLE) && $(VENV)/bin/python -m pytest
	cd bindings/python && $(VENV)/bin/python -m mypy.stubtest gitops_brain --allowlist stubtest-allowlist.txt
	cd bindings/python && $(VENV)/bin/python -m mypy --strict python tests
	cd $(PYTHON_EXAMPLE) && $(VENV)/bin/python -m mypy --strict .
	cd bindings/python && $(VENV)/bin/python -m pyright --pythonpath $(VENV)/bin/python python tests examples

.PHONY: wheels
wheels: ## Build the Python package: an sdist, and of it a wheel for this platform.
	rm -rf $(WHEELS) $(VENV)-build
	$(PYTHON) -m venv $(VENV)-build
	$(VENV)-build/bin/pip install --quiet maturin==1.16.0
	cd bindings/python && $(VENV)-build/bin/maturin build --quiet --release --sdist \
		--out $(WHEELS) --target-dir $(CURDIR)/target/python

.PHONY: node
node: npm-package ## Build the Node package, install it in an empty folder, and test it.
	rm -rf $(NODE_HOME)/test && mkdir -p $(NODE_HOME)/test
	cd $(NODE_HOME)/test && $(NPM) install --silent --no-audit --no-fund $(NODE_HOME)/*.tgz
	cd bindings/node && GITOPS_BRAIN_PACKAGE=$(NODE_HOME)/test/node_modules/gitops-brain $(NPM) test
	cd bindings/node && $(NPM) run --silent types && $(NPM) run --silent lint
	rm -rf $(NODE_HOME)/example && cp -R $(NODE_EXAMPLE) $(NODE_HOME)/example
	cd $(NODE_HOME)/example && $(NPM) install --silent --no-audit --no-fund $(NODE_HOME)/*.tgz
	cd $(NODE_HOME)/example && $(NODE) --test

# The suite in tests/$(1) against the binary, in a fresh environment with its requirements, and $(2). Arguments of
# pytest are $(3).
define pytest
	$(CARGO) build --locked -p gitops-brain-cli
	rm -rf $(VENV)-$(1)
	$(PYTHON) -m venv $(VENV)-$(1)
	$(VENV)-$(1)/bin/pip install --quiet --requirement tests/$(1)/requirements.txt $(2)
	cd tests/$(1) && GITOPS_BRAIN_BINARY=$(CURDIR)/target/debug/gitops-brain \
		$(VENV)-$(1)/bin/python -m pytest -q -p no:cacheprovider $(3)
endef

# The pages, in the browser of the system.
.PHONY: dashboard
dashboard: chromium wheels
	$(call pytest,dashboard,$(WHEELS)/*.whl)

# The HTTP API against its own description.
.PHONY: openapi
openapi:
	$(call pytest,openapi)

# The GitHub Action and the GitLab component.
.PHONY: templates
templates:
	$(call pytest,ci)

# Programs that are not to be had are named, and the scenarios skipped.
.PHONY: test-flux
test-flux: ## Real Flux controllers against a real API server: some 60 scenarios (the first run builds them: Go).
	@command -v etcd >/dev/null || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq etcd-server >/dev/null; } || true
	$(PYTHON) tests/flux/tools.py
	$(call pytest,flux,,-rs $(if $(TABLE),--table=$(CURDIR)/docs/quality.md))
	cd tests/flux && $(VENV)-flux/bin/python -m mypy --strict .

.PHONY: screenshots
screenshots: dashboard ## Take the pictures of the pages in docs/.
	cd tests/dashboard && GITOPS_BRAIN_BINARY=$(CURDIR)/target/debug/gitops-brain \
		$(VENV)-dashboard/bin/python screenshots.py $(CURDIR)/docs

.PHONY: fuzz-http
fuzz-http: openapi ## Ten minutes of broken requests, head and body, to the running server.
	cd tests/openapi && GITOPS_BRAIN_BINARY=$(CURDIR)/target/debug/gitops-brain GITOPS_BRAIN_TEST_EXAMPLES=1000 \
		$(VENV)-openapi/bin/python -m pytest -q -p no:cacheprovider
	cd tests/openapi && GITOPS_BRAIN_BINARY=$(CURDIR)/target/debug/gitops-brain \
		$(VENV)-openapi/bin/python fuzz.py 600

.PHONY: chromium
chromium: ## Install Chromium if it is not there (Debian, as root).
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || test -n "$$CHROMIUM" || { \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null || { \
			echo "Chromium is needed: install it, or set CHROMIUM to its path"; exit 1; }; }

.PHONY: npm-package
npm-package: ## Build the Node package: a tarball for this platform.
	rm -rf $(NODE_HOME) && mkdir -p $(NODE_HOME)
	cd bindings/node && $(NPM) ci --silent --no-audit --no-fund && $(NPM) run --silent build
	cd bindings/node && $(NPM) pack --silent --pack-destination $(NODE_HOME)

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

# Optimising a tool would take longer than it runs.
$(TOOLS)/bin/cargo-%:
	$(CARGO) install --locked --debug --root $(TOOLS) --version $(VERSION_$*) cargo-$*

.PHONY: test-long
test-long: postgres ## The slow checks: 2,000 cases of each property, 200 crashes, 2 replicas killed 50 times each.
	$(CARGO) build --locked --release -p gitops-brain-cli
	PROPTEST_CASES=2000 $(CARGO) test --locked --release -p gitops-brain --test properties
	GITOPS_BRAIN_TEST_CRASHES=200 $(CARGO) test --locked --release -p gitops-brain-tests --test crashes -- --nocapture
	GITOPS_BRAIN_TEST_KILLS=50 GITOPS_BRAIN_TEST_CUTS=20 \
		$(CARGO) test --locked --release -p gitops-brain-tests --test replicas -- --nocapture

.PHONY: fuzz-smoke
fuzz-smoke:
	$(CARGO) run --locked --quiet -p gitops-brain-fuzz --bin gitops-brain-fuzz 10

.PHONY: fuzz
fuzz: ## Fuzz each target for ten minutes, with a mutating loop that needs no nightly compiler.
	$(CARGO) run --locked --release -p gitops-brain-fuzz --bin gitops-brain-fuzz 600

.PHONY: simulate
simulate: ## Look for a false answer in 100,000 worlds in which the truth is known.
	$(CARGO) run --locked --release -p gitops-brain-tests --bin simulate 0 100000

# Without any of them the simulator must find an answer that is not so. A wrapper leaves it out, and not RUSTFLAGS,
# so that what others wrote is built once for all of them.
RULES := $(shell sed -n 's/^ *[A-Z]* = "\(.*\)";$$/\1/p' crates/gitops-brain/src/rules.rs)

.PHONY: simulate-without
simulate-without: ## Show that the simulator notices if any one of the rules is missing.
	@mkdir -p target/without
	@for rule in $(RULES); do \
		printf '#!/bin/sh\nexec "$$@" --cfg gitops_brain_without=\\"%s\\"\n' $$rule >target/without/$$rule.sh; \
		chmod +x target/without/$$rule.sh; \
		RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/target/without/$$rule.sh $(CARGO) build --quiet --locked --release \
			--target-dir target/without -p gitops-brain-tests --bin simulate || exit 2; \
		if target/without/release/simulate 0 5000 >target/without/$$rule.txt; then \
			echo "without $$rule: nothing was noticed"; exit 1; \
		else \
			echo "without $$rule, worlds with:" \
				$$(sed -n 's/^seed [^:]*: \([A-Z ]*\):.*/\1,/p' target/without/$$rule.txt | sort | uniq -c); \
		fi; \
	done

.PHONY: bench
bench: postgres ## Print the benchmarks.
	$(CARGO) build --locked --release -p gitops-brain-cli
	$(CARGO) bench --locked -p gitops-brain-benches

.PHONY: bench-load
bench-load: ## Measure the server under load, and many who wait (docs/load.md).
	$(CARGO) bench --locked -p gitops-brain-benches --bench load
	$(CARGO) bench --locked -p gitops-brain-benches --bench waiters

.PHONY: bench-peers
bench-peers: wheels npm-package ## Measure beside what one would write in Go, Python and Node (SECTIONS=ingest).
	$(CARGO) build --locked --release -p gitops-brain-benches --bin bench_ingest
	rm -rf $(VENV)-bench $(NODE_HOME)/bench && mkdir -p $(NODE_HOME)/bench
	cd benches/peers/go && go build -o $(NODE_HOME)/bench/ingest ./ingest
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/pip install --quiet --requirement benches/peers/requirements.txt $(WHEELS)/*.whl
	cd $(NODE_HOME)/bench && $(NPM) install --silent --no-audit --no-fund $(NODE_HOME)/*.tgz
	NODE_PATH=$(NODE_HOME)/bench/node_modules GITOPS_BRAIN_BENCH_GO=$(NODE_HOME)/bench/ingest \
		$(VENV)-bench/bin/python benches/peers/run.py $(SECTIONS)

# What looks at the core: its own tests, and the vectors.
CORE_TESTS := --lib --tests

# Which of the shards, as 0/8, and how many mutants at a time.
SHARD ?= 0/1
JOBS ?= 2

# Some of the tests notice most of them, and take a third of the time; all see what they let through.
define mutants
	CARGO_PROFILE_DEV_DEBUG=none PATH=$(TOOLS)/bin:$$PATH $(1) $(CARGO) mutants -p gitops-brain --jobs $(JOBS) \
		--shard $(SHARD) --sharding round-robin --shuffle --output target/mutants $(CORE_TESTS:%=-C=%) $(2)
endef

.PHONY: mutants
mutants: $(MUTANTS) ## Change the core in 2,000 places, one at a time, and see whether a test notices (SHARD=0/8).
	rm -rf target/mutants
	$(call mutants,PROPTEST_CASES=32,--timeout 30 -- --locked -- --skip every_healthy_is_true --skip facts_in_any_order \
		--skip effects_add_up) || true
	$(call mutants,,--timeout 60 --iterate -- --locked)

# The version of the compiler's LLVM; rustup's component llvm-tools would do as well.
LLVM = $(shell rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')

.PHONY: coverage
coverage: $(LLVM_COV) ## Which lines of the core its tests and the vectors reach.
	@command -v llvm-cov-$(LLVM) >/dev/null || { \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq llvm-$(LLVM) >/dev/null; }
	LLVM_COV=$$(command -v llvm-cov-$(LLVM)) LLVM_PROFDATA=$$(command -v llvm-profdata-$(LLVM)) PATH=$(TOOLS)/bin:$$PATH \
		$(CARGO) llvm-cov --locked -p gitops-brain \
		$(CORE_TESTS) --summary-only \
		--ignore-filename-regex '/(tests|bindings|fuzz|benches)/|gitops-brain-(journal|server|cli|release)/'

.PHONY: semver
semver: $(SEMVER) ## Whether the core's API is what it was at a revision (SINCE=v0.1.0), or the version says so.
	PATH=$(TOOLS)/bin:$$PATH $(CARGO) semver-checks -p gitops-brain --baseline-rev $(SINCE)

.PHONY: archive
archive: ## Pack the program as a release has it, for this machine's target.
	$(CARGO) build --locked --release -p gitops-brain-cli
	deploy/archive.sh target/release/gitops-brain v$$(sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1) \
		$$(rustc -vV | sed -n 's/^host: //p') target/archive

.PHONY: clean
clean: ## Remove everything that was built.
	$(CARGO) clean
