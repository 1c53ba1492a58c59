# Every target sets up what it needs first; a second run costs nothing. `make help` lists them.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
SHELL := /bin/sh

CASES ?= 200
EXTERNAL ?=
# The first Python that is new enough; install.py explains what is missing where there is none.
ifndef PYTHON
PYTHON := $(or $(wildcard .venv/bin/python),$(shell \
	for p in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do \
	  "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	  && echo $$p && exit; done; echo python3))
endif
ELSEWHERE = $(if $(filter-out 0 no false,$(EXTERNAL)),--external)
# An option for each variable that is set: --sizes 64 for SIZES=64.
upper = $(shell echo $(1) | tr a-z A-Z)
options = $(foreach name,$(1),$(if $($(call upper,$(name))),--$(name) $($(call upper,$(name)))))
# Colons and spaces in the path of a clone must not matter, so everything is relative to it.
VENV := .venv/bin
INSTALL = @$(PYTHON) -E -s deploy/bootstrap/install.py
SOURCES = $(wildcard composer db handlers server tests deploy docs wsgi.py)

# The tests that depend on the version of Postgres, and those of a NATS cluster, of proxies, of streams over TLS and of a full disk; each session makes a data folder of its own.
MATRIX = tests/integration/test_oracle_words.py tests/integration/test_golden.py tests/integration/test_byte_equal.py \
  tests/integration/test_byte_equal_databases.py \
  tests/integration/test_migrations.py tests/integration/test_ledger_view.py \
  tests/integration/test_ledger_statement.py tests/integration/test_ledger_revision.py \
  tests/integration/test_audit_days.py tests/integration/test_node_pulls.py tests/matrix

.PHONY: help run settings schema test test-fast lint fmt lock bench bench-storm bench-soak bench-flames bench-validation bench-registry bench-clients bench-streams fuzz breaking lint-api clients deploy-lint alerts audit site tools matrix wheel docs-assets pictures ci clean

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

run: ## embedded Postgres and SpiceDB, a sample Domain, the real gunicorn (PORT=8080 NODES=64 HISTORY=3 EXTERNAL=1)
	$(INSTALL) run $(ELSEWHERE)
	@exec $(VENV)/python -m server.dev $(call options,port nodes history seed) $(ELSEWHERE)

test: ## every test but tests/fuzz, on its own stack under .dev/test/ (ARGS='-k name' passes options to pytest)
	$(INSTALL) test
	@unset PYTHONDONTWRITEBYTECODE; exec $(VENV)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: ## unit and contract tests: no Postgres, no SpiceDB, within a minute (ARGS as for make test)
	$(INSTALL) test
	@unset PYTHONDONTWRITEBYTECODE; exec $(VENV)/python -m pytest --numprocesses 2 --dist loadfile tests/unit tests/contract $(ARGS)

lint: ## ruff, its format, mypy --strict composer handlers db, and mypy server
	$(INSTALL) test
	@$(VENV)/ruff check --config deploy/ruff.toml $(SOURCES)
	@$(VENV)/ruff format --check --config deploy/ruff.toml $(SOURCES)
	@$(VENV)/mypy --strict composer handlers db
	@$(VENV)/mypy --cache-dir .dev/cache/mypy-server server

fmt: ## format, and mend what ruff can mend
	$(INSTALL) test
	@$(VENV)/ruff check --fix --config deploy/ruff.toml $(SOURCES)
	@$(VENV)/ruff format --config deploy/ruff.toml $(SOURCES)

lock: ## write the lock files anew from setup.cfg and package.json
	$(INSTALL) test
	@deploy/bootstrap/lock.sh $(VENV)/uv
	@cd tests/e2e/browser && npm install --package-lock-only --ignore-scripts \
		--omit-lockfile-registry-resolved --no-audit --no-fund --loglevel=error

bench: ## what a pull costs beside its floor, and .dev/bench.json (ROWS=1,5 ROUNDS=3 SECONDS=5 CONNECTIONS=16 BASE=HEAD~1)
	$(INSTALL) test
	@command -v wrk >/dev/null || apt-get install --yes --no-install-recommends wrk
	@exec $(VENV)/python -m tests.bench $(call options,rows rounds seconds connections base)

bench-storm: ## first pulls of a whole Domain at once, with heartbeats and /livez beside (NODES=10000)
	$(INSTALL) test
	@exec $(VENV)/python -m tests.bench.storm $(call options,nodes)

bench-soak: ## pulls while Nodes change, and what grows (MINUTES=60 PULLS=0 NODES=1000)
	$(INSTALL) test
	@command -v wrk >/dev/null || apt-get install --yes --no-install-recommends wrk
	@exec $(VENV)/python -m tests.bench.soak $(call options,minutes pulls nodes)

bench-flames: ## flame graphs of a worker at 64 and 10,000 Nodes, into docs/pictures (SIZES=64,10000 SECONDS=30)
	$(INSTALL) test
	@command -v wrk >/dev/null || apt-get install --yes --no-install-recommends wrk
	@exec $(VENV)/python -m tests.bench.flames $(call options,sizes seconds)

bench-validation: ## what validating a pull costs, beside jsonschema (about a minute; SIZES=64,1000,10000)
	$(INSTALL) test
	@exec $(VENV)/python -m tests.bench.validation $(call options,sizes)

bench-registry: ## registrations, heartbeats, sweeps, the relay, fleet status (SIZES=0,10000 CLIENTS=1,32 SECONDS=4)
	$(INSTALL) test
	@exec $(VENV)/python -m tests.bench.registry $(call options,sizes clients seconds)

bench-clients: ## what an honest client sees beside slow ones of each kind (COUNTS=64,256 SECONDS=5)
	$(INSTALL) test
	@exec $(VENV)/python -m tests.bench.clients $(call options,counts seconds)

bench-streams: ## what event streams cost, and how an event reaches all of them (COUNTS=1,100,10000 SECONDS=20)
	$(INSTALL) test
	@exec $(VENV)/python -m tests.bench.streams $(call options,counts seconds)

breaking: ## which edits of the contract since BASE break a client (BASE=<git ref>)
	$(INSTALL) run $(ELSEWHERE)
	@exec $(VENV)/python -m deploy.breaking "$(BASE)"

lint-api: ## the contract's style and correctness: Spectral, Redocly's CLI and the rules of the house
	$(INSTALL) run $(ELSEWHERE)
	@exec $(VENV)/python deploy/lint-api/lint.py

deploy-lint: tools ## the rules of Prometheus, the dashboard, the Helm chart, nginx, Caddy: each by its own linters
	@exec $(VENV)/python -m deploy.lint_deploy.lint

alerts: ## each alert fired by a fault of a real service, under a real Prometheus: docs/alerts.md
	$(INSTALL) test
	@exec $(VENV)/python -m tests.bench.alerts

audit: tools ## an SBOM (CycloneDX) beside the wheel in dist/, and known vulnerabilities of every lock file
	@exec $(VENV)/python deploy/audit/audit.py

site: tools ## the pages of docs/ as a site in .dev/site that asks no other host
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=.dev/tools $(VENV)/python -m mkdocs build --quiet --strict --config-file deploy/site/mkdocs.yml
	@echo "open .dev/site/index.html"

tools:
	$(INSTALL) test
	@$(VENV)/uv pip install --quiet --python $(VENV)/python --require-hashes --upgrade \
	  --target .dev/tools -r requirements-tools.lock

matrix: tools ## the ledger's tests on Debian's Postgres, and tests/matrix; as root it installs the package where it is missing
	@ls -d /usr/lib/postgresql/*/bin >/dev/null 2>&1 || apt-get install --yes --no-install-recommends postgresql
	@POSTGRES_BIN=$$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1) && export POSTGRES_BIN \
	  && "$$POSTGRES_BIN/postgres" --version && exec $(VENV)/python -m pytest $(MATRIX)

.PHONY: faults soak
faults: ## each dependency with each fault, and what callers see: .dev/faults.json, docs/faults.md (DEPENDENCIES=Postgres FAULTS=down,slow SECONDS=3)
	$(INSTALL) test
	@exec $(VENV)/python -m tests.faults $(call options,dependencies faults seconds)

soak: ## random faults for MINUTES=60: memory, descriptors, threads, and a plot in .dev/soak.svg
	$(INSTALL) test
	@exec $(VENV)/python -m tests.faults.soak $(call options,minutes seed)

wheel: ## a wheel in dist/
	$(INSTALL) test
	@rm -rf build
	@$(VENV)/python -m build --wheel --no-isolation --outdir dist

settings: ## docs/settings.md anew from the settings that server/ declares
	$(INSTALL) test
	@$(VENV)/plexsphere-state settings --markdown > docs/settings.md

schema: ## db/schema.sql anew: what the migrations make, as the embedded server's pg_dump prints it
	$(INSTALL) test
	@exec $(VENV)/python -m tests.golden.schema

fuzz: ## tests/fuzz, then Schemathesis and directed cases (CASES=200 an operation, SEED=... SHARES=file; of a deployed service: URL=... TOKEN=...)
	$(INSTALL) test
	@$(if $(URL),:,ORACLE_PROFILE=full DIGEST_EXAMPLES=1000 CRASH_STEPS=all STREAM_EXAMPLES=100 $(VENV)/python -m pytest --numprocesses 2 \
	  --dist loadfile tests/fuzz tests/integration/test_oracle_agrees.py tests/integration/test_current_digests.py \
	  tests/integration/test_events_streamed.py tests/e2e/test_crashes.py)
	@exec $(VENV)/python -m tests.fuzz --cases $(CASES) $(call options,seed url token shares)

clients: ## clients by five generators: each decodes every answer of every operation (CLIENTS=oapi-codegen)
	$(INSTALL) test
	@$(VENV)/uv pip install --quiet --python $(VENV)/python --require-hashes --upgrade \
	  --target .dev/client-packages -r requirements-clients.lock
	@exec $(VENV)/python -m tests.clients $(CLIENTS)

docs-assets: ## the docs page's pinned files from npm into server/http/docs/
	$(INSTALL) test
	@exec $(VENV)/python -m tests.e2e.browser.headless assets

pictures: ## docs/pictures/ anew: the docs page in a real browser, the command line, the way of a pull
	$(INSTALL) test
	@exec $(VENV)/python -m docs.pictures.take

ci: ## what a change must pass
	@exec bash .ci/run

clean: ## remove what make made: .venv, .dev, caches
	@test ! -e .dev/lock || flock --nonblock .dev/lock true || \
	  { echo "plexsphere-state: make run is running in this clone: stop it first." >&2; exit 1; }
	@rm -rf .venv .dev build dist *.egg-info .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
