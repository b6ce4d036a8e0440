# make demo: set up and run the main job on real bars.  make test: everything CI checks.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS := ops/constraints.txt
TORCH := torch==2.13.0
DEMO ?= demo

.PHONY: help setup demo test format soak bench clean

help: ## Say what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# torch first: the CPU build, from a local wheel where there is one, else from PyTorch's own index
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	@echo "Setting up $(VENV) (once, about a minute and a half) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "Stairways needs Python 3.11 or newer: make PYTHON=python3.11" >&2; exit 2; }
	@$(BIN)/pip install -q --disable-pip-version-check --no-index --no-deps $(TORCH) 2>/dev/null || \
	  { $(BIN)/pip install -q --disable-pip-version-check uv && \
	    VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --torch-backend=cpu --no-deps $(TORCH); }
	@set -o pipefail; $(BIN)/pip install -q --disable-pip-version-check -e ".[demo]" -c $(CONSTRAINTS) 2>&1 | \
	  { grep -v '^WARNING: Location' || true; }
	@$(BIN)/python -c "import torch, stable_baselines3, numba, stairways"
	@touch $@

# what only tests need, among it ledgers and statistics of others to compare with
$(VENV)/.tested: $(VENV)/.installed
	@echo "Setting up what the tests need (once) …"
	@set -o pipefail; $(BIN)/pip install -q --disable-pip-version-check -e ".[test]" -c $(CONSTRAINTS) 2>&1 | \
	  { grep -v '^WARNING: Location' || true; }
	@touch $@

setup: $(VENV)/.installed ## Make the virtual environment with the locked versions

demo: setup ## Train the stairway on AAPL and MSFT, replay the ledger, verify the log
	@$(BIN)/stairways demo --folder $(DEMO)

test: $(VENV)/.tested ## Lint, types and tests, as CI runs them
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pytest -m "not soak" -n 2 --dist loadfile --no-loadscope-reorder

format: $(VENV)/.tested ## Format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

soak: $(VENV)/.tested ## The long checks, also against ledgers of others
	@$(BIN)/pip install -q --disable-pip-version-check -e ".[oracle,soak]" -c $(CONSTRAINTS)
	@$(BIN)/pytest -m soak

bench: $(VENV)/.tested ## Measure, each figure a ratio taken in one run; BENCH=--quick takes small sizes
	@$(BIN)/pip install -q --disable-pip-version-check -e ".[bench]" -c $(CONSTRAINTS)
	@$(BIN)/python -m ops.bench $(BENCH)

clean: ## Remove what setup and demo made
	rm -rf $(VENV) $(DEMO) .mypy_cache .pytest_cache .ruff_cache
