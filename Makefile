# `make demo` shows the main job; `make test` and `make check` are what CI runs. All install what they need.

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

# The demo needs the program and its example, and nothing else of the workspace.
.PHONY: demo
demo: ## Build, and see a commit go green, one red, and one green through its successor.
	$(CARGO) build --locked -p gitops-brain-cli --bins --example demo
	target/debug/examples/demo

# --- What CI runs: `make test`, then `make check` ---------------------------------------------------------------------
#
# A stage is a target of this file that checks one thing. The stages of a list run side by side, each as soon as those it
# needs have passed. tests/checks/stage.py keeps their output apart and notes what they take. A stage alone, as
# `make python`, first makes what it needs.

STAGE := $(PYTHON) tests/checks/stage.py
SIDE_BY_SIDE := 4
TEST_STAGES := build debian venv npm-ci format unit lint dashboard openapi templates node python doctest fuzz-smoke
CHECK_STAGES := wheels venv npm-ci deny npm-package python-package node-package types otlp docs wasm

# --keep-going: one run shows all that is wrong.
define stages
	@$(STAGE) begin $(1)
	@$(MAKE) --no-print-directory --keep-going --jobs=$(SIDE_BY_SIDE) $(1)-stages; \
		status=$$?; $(STAGE) table $(1); exit $$status
endef

.PHONY: test
test: ## Run all tests, and what else shows whether the code is correct.
	$(call stages,test)
	@echo "all tests passed"

.PHONY: check
check: ## Build and test the packages as they are released; types, documentation, licences, other targets.
	$(call stages,check)
	@echo "all checks passed"

.PHONY: quick
quick: ## Check the crates that changed since a revision (SINCE=HEAD), and the conformance vectors.
	$(PYTHON) tests/checks/quick.py $(or $(SINCE),HEAD)

.PHONY: test-stages check-stages $(TEST_STAGES:%=test/%) $(CHECK_STAGES:%=check/%)
test-stages: $(TEST_STAGES:%=test/%)
check-stages: $(CHECK_STAGES:%=check/%)

$(TEST_STAGES:%=test/%) $(CHECK_STAGES:%=check/%):
	@$(STAGE) run $(@D) $(@F) $(MAKE) --no-print-directory STAGED=1 $(@F)

test/unit: test/build test/debian
test/python: test/build test/venv
test/node: test/build test/npm-ci
test/dashboard: test/build test/venv test/debian
test/openapi test/templates: test/build test/venv
# By the clock: it waits for what would take the processor from it.
test/fuzz-smoke: test/unit
# Cargo locks the target folder: what compiles follows one another.
test/lint: test/build
test/doctest: test/lint

check/wheels: check/venv
check/npm-package: check/wheels check/npm-ci
check/python-package: check/wheels
check/node-package: check/npm-package
check/types: check/python-package check/npm-ci
check/otlp: check/npm-package
check/docs: check/otlp
check/wasm: check/docs

# What a target needs when it is made alone.
alone = $(if $(STAGED),,$(1))

# --- Stages of `make test` ---

# Everything in one call and with one set of features, so that each dependency is built once. The tests use the program,
# the fuzz targets and the native parts of the Python and Node packages from this build. Benchmarks are left to clippy.
BUILT := target/built.jsonl
PACKAGES := $(CURDIR)/target/packages
.PHONY: build
build:
	$(CARGO) build --locked --workspace --lib --bins --examples --tests
	$(CARGO) test --locked --workspace --no-run --message-format=json-render-diagnostics >$(BUILT)
	rm -rf $(PACKAGES) && mkdir -p $(PACKAGES)/python $(PACKAGES)/node
	cp -R bindings/python/python/gitops_brain $(PACKAGES)/python
	cp target/debug/lib_core.so $(PACKAGES)/python/gitops_brain/_core.abi3.so
	cp -R bindings/node/package.json bindings/node/lib $(PACKAGES)/node
	cp target/debug/libgitops_brain_node.so $(PACKAGES)/node/gitops-brain.node
	echo "module.exports = require('./gitops-brain.node')" >$(PACKAGES)/node/native.js

# PostgreSQL and Chromium. The tests start servers of their own: what the package would start by itself is not wanted.
.PHONY: debian
debian: ## Install PostgreSQL and Chromium if they are not there (Debian, as root).
	@need=; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || need="postgresql"; \
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || test -n "$$CHROMIUM" || \
		need="$$need chromium"; \
	test -z "$$need" || { \
		mkdir -p /etc/postgresql-common && \
		echo "create_main_cluster = false" >> /etc/postgresql-common/createcluster.conf && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$need >/dev/null || { \
			echo "$$need is needed: install it (initdb on the PATH, or GITOPS_BRAIN_POSTGRES=folder;" \
				"CHROMIUM=path)"; exit 1; }; }

# One environment for all suites in Python.
VENV := $(CURDIR)/target/venv
PYTHON_EXAMPLE := bindings/python/examples/fastapi
REQUIREMENTS := bindings/python/requirements-build.txt bindings/python/requirements-test.txt $(PYTHON_EXAMPLE)/requirements.txt \
	$(foreach suite,ci dashboard flux openapi,tests/$(suite)/requirements.txt)
.PHONY: venv
venv: $(VENV)/ready
$(VENV)/ready: $(REQUIREMENTS)
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet $(REQUIREMENTS:%=--requirement %)
	touch $@

# The tools of the Node package, and the dependencies of its example.
NODE_EXAMPLE := bindings/node/examples/express
.PHONY: npm-ci
npm-ci:
	cd bindings/node && $(NPM) ci --silent --no-audit --no-fund

.PHONY: format
format:
	$(CARGO) fmt --all --check

.PHONY: lint
lint:
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

.PHONY: unit
unit: $(call alone,build debian)
	$(PYTHON) tests/checks/rust.py $(BUILT)

.PHONY: doctest
doctest:
	$(CARGO) test --locked --workspace --doc

# The packages as folders, with the native part of the debug build.

# What calls the packages some hundred thousand times is too slow with a debug build: the conformance vectors in many
# orders, and the tests that no call leaves memory behind. `make check` runs these with the packages as they are released.
PYTHON_RELEASE_TESTS := tests/conformance tests/test_memory.py
NODE_RELEASE_TESTS := test/memory.test.js $(patsubst bindings/node/%,%,$(wildcard bindings/node/test/conformance/*.test.js))
NODE_TESTS := $(filter-out $(NODE_RELEASE_TESTS),$(patsubst bindings/node/%,%,$(wildcard bindings/node/test/*.test.js)))

.PHONY: python
python: $(call alone,build venv) ## Test the Python package.
	cd bindings/python && $(SUITE) -m pytest -q -p no:cacheprovider $(PYTHON_RELEASE_TESTS:%=--ignore=%)

.PHONY: node
node: $(call alone,build npm-ci) ## Test the Node package.
	cd bindings/node && GITOPS_BRAIN_PACKAGE=$(PACKAGES)/node $(NODE) --test $(NODE_TESTS)

# Python with the Python package and the program, both of the debug build.
SUITE := GITOPS_BRAIN_BINARY=$(CURDIR)/target/debug/gitops-brain PYTHONPATH=$(PACKAGES)/python $(VENV)/bin/python

# The suite in tests/$(1) against the program. Arguments of pytest are $(2).
pytest = cd tests/$(1) && $(SUITE) -m pytest -q -p no:cacheprovider $(2)

# The pages, in the browser of the system.
.PHONY: dashboard
dashboard: $(call alone,build venv debian)
	$(call pytest,dashboard)

# The HTTP API against its own description.
.PHONY: openapi
openapi: $(call alone,build venv)
	$(call pytest,openapi)

# The GitHub Action and the GitLab component.
.PHONY: templates
templates: $(call alone,build venv)
	$(call pytest,ci)

.PHONY: fuzz-smoke
fuzz-smoke: $(call alone,build)
	target/debug/gitops-brain-fuzz 10

# --- Stages of `make check` ---
#
# Each package is built as it is released, installed where nothing else is, and tested there: the conformance vectors,
# memory, and its example. `make test` runs its other tests.

WHEELS := $(CURDIR)/target/wheels
NODE_HOME := $(CURDIR)/target/node

# The Node package's tool builds for a target by name. With the same for the wheel, both share what others wrote.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

# Files of an sdist carry one and the same old time, so that Cargo would take its last build for fresh.
OURS := gitops-brain gitops-brain-bindings gitops-brain-python

.PHONY: wheels
wheels: $(call alone,venv) ## Build the Python package: an sdist, and of it a wheel for this platform.
	rm -rf $(WHEELS)
	$(CARGO) clean --quiet --locked --release --target $(HOST) $(OURS:%=--package %)
	cd bindings/python && $(VENV)/bin/maturin build --quiet --release --sdist --out $(WHEELS) \
		--target $(HOST) --target-dir $(CURDIR)/target

# The wheel is installed without dependencies and imported: it needs none. Then the tests' tools are put beside it.
.PHONY: python-package
python-package: $(call alone,wheels) ## Test the Python package from its wheel, in a fresh environment.
	rm -rf $(VENV)-wheel
	$(PYTHON) -m venv --without-pip $(VENV)-wheel
	$(VENV)/bin/pip --quiet --python $(VENV)-wheel/bin/python install --no-deps $(WHEELS)/*.whl
	$(VENV)-wheel/bin/python -c 'import gitops_brain'
	ls -d $(VENV)/lib/python3*/site-packages >"$$(echo $(VENV)-wheel/lib/python3*/site-packages)/tools.pth"
	cd bindings/python && $(VENV)-wheel/bin/python -m pytest -q -p no:cacheprovider $(PYTHON_RELEASE_TESTS)
	cd $(PYTHON_EXAMPLE) && $(VENV)-wheel/bin/python -m pytest -q -p no:cacheprovider

.PHONY: npm-package
npm-package: $(call alone,npm-ci) ## Build the Node package: a tarball for this platform.
	rm -rf $(NODE_HOME) && mkdir -p $(NODE_HOME)
	cd bindings/node && $(NPM) run --silent build
	cd bindings/node && $(NPM) pack --silent --pack-destination $(NODE_HOME)

.PHONY: node-package
node-package: $(call alone,npm-package) ## Test the Node package from its tarball, in an empty folder.
	rm -rf $(NODE_HOME)/test && mkdir -p $(NODE_HOME)/test
	cd $(NODE_HOME)/test && $(NPM) install --silent --no-audit --no-fund $(NODE_HOME)/*.tgz
	cd bindings/node && GITOPS_BRAIN_PACKAGE=$(NODE_HOME)/test/node_modules/gitops-brain \
		$(NODE) --test test/exports.test.js $(NODE_RELEASE_TESTS)
	rm -rf $(NODE_HOME)/example && cp -R $(NODE_EXAMPLE) $(NODE_HOME)/example
	cd $(NODE_HOME)/example && $(NPM) install --silent --no-audit --no-fund $(NODE_HOME)/*.tgz
	cd $(NODE_HOME)/example && $(NODE) --test

.PHONY: types
types: $(call alone,python-package npm-package) ## Check the types of both packages, as strictly as it goes.
	cd bindings/python && $(VENV)-wheel/bin/python -m mypy.stubtest gitops_brain --allowlist stubtest-allowlist.txt
	cd bindings/python && $(VENV)-wheel/bin/python -m mypy --strict python tests
	cd $(PYTHON_EXAMPLE) && $(VENV)-wheel/bin/python -m mypy --strict .
	cd bindings/python && $(VENV)-wheel/bin/python -m pyright --pythonpath $(VENV)-wheel/bin/python python tests examples
	$(VENV)/bin/python -m mypy --strict tests/checks
	cd tests/flux && $(VENV)/bin/python -m mypy --strict .
	cd bindings/node && $(NPM) run --silent types && $(NPM) run --silent lint

# What is not built unless it is asked for.
OTLP := --locked --workspace --features gitops-brain-cli/otlp
.PHONY: otlp
otlp:
	$(CARGO) clippy $(OTLP) --all-targets -- -D warnings
	$(CARGO) test $(OTLP) --test cli otlp

# With the examples, so that the features are those of `lint`, and its dependencies serve here too.
.PHONY: docs
docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --lib --bins --examples

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

# Programs that are not to be had are named, and the scenarios skipped.
.PHONY: test-flux
test-flux: build venv ## Real Flux controllers against a real API server: some 60 scenarios (the first run builds them: Go).
	@command -v etcd >/dev/null || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq etcd-server >/dev/null; } || true
	$(PYTHON) tests/flux/tools.py
	$(call pytest,flux,-rs $(if $(TABLE),--table=$(CURDIR)/docs/quality.md))

.PHONY: screenshots
screenshots: build venv debian ## Take the pictures of the pages in docs/.
	cd tests/dashboard && $(SUITE) screenshots.py $(CURDIR)/docs

.PHONY: fuzz-http
fuzz-http: build venv ## Ten minutes of broken requests, head and body, to the running server.
	cd tests/openapi && GITOPS_BRAIN_TEST_EXAMPLES=1000 $(SUITE) -m pytest -q -p no:cacheprovider
	cd tests/openapi && $(SUITE) fuzz.py 600

.PHONY: audit
audit: $(DENY) ## Check the dependencies against the advisory database (needs the network).
	$(DENY) --locked check advisories

# Optimising a tool, or describing it for a debugger, would take longer than it runs.
$(TOOLS)/bin/cargo-%:
	CARGO_PROFILE_DEV_DEBUG=none $(CARGO) install --locked --debug --root $(TOOLS) --version $(VERSION_$*) cargo-$*

.PHONY: test-long
test-long: debian ## The slow checks: 2,000 cases of each property, 200 crashes, 2 replicas killed 50 times each.
	$(CARGO) build --locked --release -p gitops-brain-cli
	PROPTEST_CASES=2000 $(CARGO) test --locked --release -p gitops-brain --test properties
	GITOPS_BRAIN_TEST_CRASHES=200 $(CARGO) test --locked --release -p gitops-brain-tests --test crashes -- --nocapture
	GITOPS_BRAIN_TEST_KILLS=50 GITOPS_BRAIN_TEST_CUTS=20 \
		$(CARGO) test --locked --release -p gitops-brain-tests --test replicas -- --nocapture

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
bench: debian ## Print the benchmarks.
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
