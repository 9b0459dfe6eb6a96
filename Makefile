# The same commands on a desk and in CI. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCE ?= complete-journey
TERCET_HOME ?= .tercet
HOST ?= 127.0.0.1
PORT ?= 3000
MLFLOW_PORT ?= 5000
CODE := features serving training tests
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
PYTEST := $(BIN)/python -m pytest

export TERCET_HOME
# Without it two threads of LightGBM wait for each other at full speed on a busy machine: six times the CPU, the same trees.
export OMP_WAIT_POLICY ?= passive

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F '\t' '{ printf "  %-12s %s\n", $$1, $$2 }'
	@echo "Variables: SOURCE=$(SOURCE) TERCET_HOME=$(TERCET_HOME) HOST=$(HOST) PORT=$(PORT) MLFLOW_PORT=$(MLFLOW_PORT)"

# --- environment -----------------------------------------------------------------------------------------------------

# Runs again only when the lock changes. Hashes are checked; nothing outside the lock comes in. uv, itself from the lock,
# is six times as fast as pip; pip steps in where uv can't reach what pip is set up to reach.
$(STAMP): requirements/all.lock
	@python=; for each in python3 python3.11 python3.12 python3.13 python3.14; do \
	    if $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$each; break; fi; done; \
	if [ -z "$$python" ]; then echo "tercet needs Python 3.11 or newer; python3 here is older or missing" >&2; exit 1; fi; \
	[ -x $(BIN)/python ] || "$$python" -m venv $(VENV) || \
	    { echo "could not create $(VENV): on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
	@echo "installing the environment into $(VENV) (some 200 packages: a few minutes the first time)" >&2
	@awk '/^uv==/ { on = 1 } on { print } on && !/\\$$/ { exit }' requirements/all.lock > $(VENV)/uv.lock
	@$(PIP) --require-hashes -r $(VENV)/uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/all.lock || \
	    $(PIP) --require-hashes -r requirements/all.lock
	@$(PIP) --no-build-isolation --no-index -e .
	@touch $@

.PHONY: setup
setup: $(STAMP) ## create .venv from the lock file (needs Python 3.11 or newer, and make)

.PHONY: lock
lock: $(STAMP) ## resolve the three lock files anew; UPGRADE=1 takes newer releases
	@compile="$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header --universal \
	    --python-version 3.11 $(if $(UPGRADE),--upgrade) pyproject.toml"; \
	$$compile --all-extras --output-file requirements/all.lock; \
	$$compile --constraints requirements/all.lock --output-file requirements/serving.lock; \
	$$compile --constraints requirements/all.lock --extra train --extra postgres --output-file requirements/training.lock; \
	sed -i.indented 's/^ *--hash/--hash/' requirements/*.lock && rm requirements/*.indented

# --- the way of the data ---------------------------------------------------------------------------------------------

.PHONY: data
data: $(STAMP) ## read and check the tables of SOURCE, and print what was kept
	@$(BIN)/tercet check $(SOURCE)

.PHONY: features
features: $(STAMP) ## build the feature tables of SOURCE as of its last day
	@$(BIN)/tercet features $(SOURCE)

.PHONY: train
train: $(STAMP) ## features, models, judgement, bundle; every run in MLflow (QUICK=1 judges on one cutoff)
	@$(BIN)/tercet train $(SOURCE) $(if $(QUICK),--quick)

.PHONY: evaluate
evaluate: $(STAMP) ## the backtest beside tuned peers, goes on where it stopped (QUICK=1: one cutoff, a sample; ONLY=stretch)
	@$(BIN)/tercet evaluate $(SOURCE) $(if $(QUICK),--quick) $(foreach task,$(ONLY),--only $(task))

.PHONY: thin
thin: $(STAMP) ## the backtest on poor versions of SOURCE, and on a catalogue of 200,000 products (QUICK=1: without that)
	@$(BIN)/tercet evaluate $(SOURCE) --thin $(if $(QUICK),--quick)

.PHONY: tune
tune: $(STAMP) ## search better settings of MODEL=churn (or all) on earlier days (TRIALS=40 MINUTES=10)
	@$(BIN)/tercet tune $(SOURCE) $(or $(MODEL),all) $(if $(TRIALS),--trials $(TRIALS)) $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: promote
promote: $(STAMP) ## make a bundle that passed the gate the champion (VERSION=...)
	@$(BIN)/tercet promote $(VERSION)

.PHONY: retrain
retrain: $(STAMP) ## for cron: train, judge, promote through the gate, or leave all as it was (SERVER=http://127.0.0.1:3000)
	@$(BIN)/tercet retrain $(SOURCE) $(if $(QUICK),--quick) $(if $(SERVER),--server $(SERVER)) $(if $(KEEP),--keep $(KEEP))

.PHONY: serve
serve: $(STAMP) ## the server with the champion (NOW=T runs its clock from T)
	@$(BIN)/tercet serve --host $(HOST) --port $(PORT) $(if $(NOW),--now $(NOW))

.PHONY: mlflow
mlflow: $(STAMP) ## the MLflow UI on the store that training writes
	@echo "MLflow: http://$(HOST):$(MLFLOW_PORT) (Ctrl-C ends it)"
	@mkdir -p $(TERCET_HOME)/mlartifacts
	@MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server --workers 1 \
	    --host $(HOST) --port $(MLFLOW_PORT) --artifacts-destination $(TERCET_HOME)/mlartifacts \
	    --backend-store-uri $${MLFLOW_TRACKING_URI:-sqlite:///$(abspath $(TERCET_HOME))/mlflow.db}

.PHONY: bento
bento: $(STAMP) ## a Bento of what serves, in BentoML's store: docs/deployment.md
	@BENTOML_DO_NOT_TRACK=True PATH="$(abspath $(BIN)):$$PATH" $(BIN)/bentoml build --output tag .

.PHONY: wheel
wheel: $(STAMP) ## the wheel that the container images and a serving-only installation are made of, in dist/
	@rm -f dist/tercet-*.whl && $(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python -o dist

.PHONY: demo
demo: $(STAMP) ## from nothing to a personal challenge over HTTP, on real data (ONCE=1 ends after the print)
	@$(BIN)/python -m training.demo $(SOURCE) --host $(HOST) --port $(PORT) $(if $(ONCE),--once)

.PHONY: batch
batch: $(STAMP) ## every customer's challenge as Parquet (KIND=scores OUT=scores.parquet and so on)
	@$(BIN)/tercet batch $(or $(KIND),challenge) --out $(or $(OUT),$(TERCET_HOME)/$(or $(KIND),challenge).parquet)

.PHONY: notebooks
notebooks: $(STAMP) ## run the notebooks on the synthetic shop
	@$(PYTEST) -q tests/test_notebooks.py -m slow

# --- the code --------------------------------------------------------------------------------------------------------

.PHONY: fmt
fmt: $(STAMP) ## format, and fix what ruff can fix
	@$(BIN)/ruff check --quiet --fix-only $(CODE)
	@$(BIN)/ruff format $(CODE)

.PHONY: lint
lint: $(STAMP) ## ruff: format and rules
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)

.PHONY: types
types: $(STAMP) ## mypy, strict
	@$(BIN)/mypy

.PHONY: arch
arch: $(STAMP) ## import-linter: features <- serving <- training, and one door for each library
	@$(BIN)/lint-imports --no-logo

.PHONY: test
test: $(STAMP) ## the fast tests
	@$(PYTEST) -q -n 2

.PHONY: test-slow
test-slow: $(STAMP) ## Spark, PostgreSQL, schemathesis, notebooks and whole runs (what a machine lacks is skipped, not in CI)
	@$(PYTEST) -q -m "(slow or e2e) and not long and not faults" -n 2 --dist loadfile

.PHONY: test-long
test-long: $(STAMP) ## trainings on odd sources and on Spark, memory of long lists: half an hour, not in CI
	@$(PYTEST) -q -m long -n 2 --dist loadfile

.PHONY: test-faults
test-faults: $(STAMP) ## faults, load and swaps done to a real server with two workers: a few minutes
	@$(PYTEST) -q tests/faults -m "e2e or faults or not slow"

.PHONY: bench
bench: $(STAMP) ## parts, and the server beside its peers; what became slower (QUICK=1, RECORD=1, BENCH_HOME=FOLDER)
	@$(BIN)/python -m tests.benchmarks.bench --home $(or $(BENCH_HOME),$(TERCET_HOME)) $(if $(QUICK),--quick) $(if $(RECORD),--record)

.PHONY: audit
audit: $(STAMP) ## bills of materials (CycloneDX, in dist/sbom), and what pip-audit knows against what the locks name
	@$(BIN)/python -m tests.audit

.PHONY: fuzz
fuzz: $(STAMP) ## atheris on decoders and table readers, schemathesis over the API's document, MINUTES=30 in all (ONLY=csv)
	@$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),30) $(foreach target,$(ONLY),--only $(target))

.PHONY: bench-big
bench-big: $(STAMP) ## a bundle of 1,000,000 customers and 100,000 products, and how all grows (2 GB of disk; FOLDER=…, RECORD=1)
	@$(BIN)/python -m tests.benchmarks.bench_big $(if $(FOLDER),--folder $(FOLDER)) $(if $(RECORD),--record)

.PHONY: bench-floods
bench-floods: $(STAMP) ## how long a kept challenge takes beside clients that ask without pause (two minutes; BENCH_HOME=FOLDER)
	@$(BIN)/python -m tests.benchmarks.bench_floods --home $(or $(BENCH_HOME),$(TERCET_HOME))

.PHONY: soak
soak: $(STAMP) ## a steady load on a real server for MINUTES=10: memory stays flat, files follow what is kept (STATE=redis)
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10) --state $(or $(STATE),file)

.PHONY: simulate
simulate: $(STAMP) ## 200 campaigns with effect and 200 without on simulated customers, and policies compared (CAMPAIGNS=10)
	@$(BIN)/python -m training.campaigns $(SOURCE) $(if $(CAMPAIGNS),--campaigns $(CAMPAIGNS))

.PHONY: docs
docs: $(STAMP) ## write docs/features.md from the catalogue
	@$(BIN)/python -m features.catalogue > docs/features.md

.PHONY: check
check: lint types arch test ## lint, types, arch and test: what CI runs first

.PHONY: clean
clean: ## remove caches and what was built (not .venv, nor TERCET_HOME)
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis .benchmarks
	@find features serving training tests -name __pycache__ -type d -prune -exec rm -rf {} +
