# Every target makes the environment it needs once and reuses it until pyproject.toml changes.
# Nothing but a Python >= 3.11 and a package index is needed.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

# The first interpreter on this machine that is new enough; or say `make PYTHON=/path/to/python test`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# PyTorch goes in first and by version, so that nothing else draws a newer one. Which build that is depends on the
# index: on Linux, PyPI itself has the one with gigabytes of CUDA. For the small one, say where it is:
#   make test TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0

VENV := .venv
ORACLE := .venv-oracle
BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

# Older versions of mace-torch whose files are compared, too: as in parity/cases.py.
OLDER := 0.3.3 0.3.8 0.3.14

WORKERS ?= 2
# All cases instead of a handful, which takes an hour or two: make bench BENCHMARKS="'benchmarks/speed.py --write'"
BENCHMARKS ?= 'benchmarks/speed.py --quick' benchmarks/load_time.py

# Idle OpenMP threads that spin take the processor from the ones that work.
export OMP_WAIT_POLICY := PASSIVE
export GOMP_SPINCOUNT := 1000
# What runs here is what is installed here, not what happens to be on the caller's path.
unexport PYTHONPATH
export PYTHONNOUSERSITE := 1

.PHONY: help demo test coverage lint parity bench experiments clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## train one model on four theories and use it, in six minutes
	$(BIN)/crossfield demo

test: $(VENV)/.installed-dev ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

coverage: $(VENV)/.installed-dev ## run the tests and measure their coverage, which takes half as long again
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term

lint: $(VENV)/.installed-dev ## check style, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

parity: $(VENV)/.installed-dev $(ORACLE)/.installed ## compare every block and whole models with mace-torch
	$(ORACLE)/bin/python -m parity.oracle.together
	OMP_NUM_THREADS=$(WORKERS) $(ORACLE)/bin/python -m parity.oracle
	@set -e; for version in $(OLDER); do \
		PYTHONPATH=$(ORACLE)/older/$$version $(ORACLE)/bin/python -m parity.oracle.older $$version; done
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) parity

bench: $(VENV)/.installed-dev $(ORACLE)/.installed ## run the benchmarks
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script; done

experiments: $(VENV)/.installed-dev $(ORACLE)/.installed ## train and compare on the bundled data, in most of an hour
	@set -e; for script in joint replay mace_finetuning; do $(BIN)/python experiments/$$script.py; done

clean: ## remove environments, caches and results
	rm -rf $(VENV) $(ORACLE) parity/.oracle experiments/.work .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis build dist
	find src tests parity -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; say which: make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11; say which to use: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) $(TORCH)
	$(BIN)/python $(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python $(PIP_INSTALL) -e '.[dev]'
	@touch $@

# mace-torch is only ever installed here: it is what the numbers are compared with, never a dependency. Crossfield
# goes in beside it, as with users who have both.
$(ORACLE)/.installed: parity/requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; say which: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(ORACLE)
	$(ORACLE)/bin/python $(PIP_INSTALL) $(TORCH)
	$(ORACLE)/bin/python $(PIP_INSTALL) -r parity/requirements.txt -e .
	$(ORACLE)/bin/python -m pip check
	@set -e; for version in $(OLDER); do echo "mace-torch $$version"; $(ORACLE)/bin/python $(PIP_INSTALL) \
		--no-deps --upgrade --target $(ORACLE)/older/$$version mace-torch==$$version; done
	@touch $@
