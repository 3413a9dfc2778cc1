# Two commands do all the set-up: `make report` and `make test`. Both make .venv first, once.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Real market data for tests and measurements, where there are any: see README.
ifneq ($(wildcard ../shared/data),)
export WORKBENCH_DATA ?= $(abspath ../shared/data)
endif

.PHONY: report test test-slow check lab system-packages clean

report: $(STAMP)
	$(BIN)/workbench batch reports/quick.toml

# Tests share the cores; what measures waits for the timing lock.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

test: $(STAMP) system-packages
	$(PYTEST)

# What takes too long to wait for: every variant without a probe, bounds checks, long stress.
test-slow: $(STAMP) system-packages
	$(PYTEST) -m slow

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	git ls-files -z '*.ipynb' | xargs -0r $(BIN)/nbstripout --verify

lab: $(STAMP)
	$(BIN)/workbench lab

# uv where it can be had (seconds), pip otherwise (minutes). An unfinished set-up leaves no stamp and is done again.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Kernel Workbench needs Python 3.11 or later: set PYTHON=/path/to/python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3 -m venv failed: on Debian, install python3-venv"; exit 2; }
	@if [ ! -x $(BIN)/uv ] && ! command -v uv >/dev/null; then \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check uv || echo "uv cannot be had: using pip"; fi
	@echo "Installing into $(VENV) ..."
	@uv=$$(command -v uv || ls $(BIN)/uv 2>/dev/null || true); \
	if [ -n "$$uv" ]; then "$$uv" pip install --quiet --python $(BIN)/python -e '.[dev]'; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'; fi
	@touch $(STAMP)

# System packages are optional: what needs an absent one is skipped by name. Installed as root on Debian, or with SYSTEM=1.
SYSTEM_PACKAGES := valgrind chromium g++ strace postgresql=/usr/lib/postgresql/*/bin/initdb libboost-dev=/usr/include/boost/version.hpp
system-packages:
	@tools/system-packages $(SYSTEM_PACKAGES)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
