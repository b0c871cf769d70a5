# `make reproduce` on a machine with Python 3.11 or newer is all that is needed; everything else lives in .venv.

# The first of these that runs, is new enough and can make a virtual environment is taken; `make PYTHON=...` chooses another.
PYTHON ?= python3.13 python3.12 python3.11 python3
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL = $(PY) -m pip install -q --disable-pip-version-check -c constraints.txt
LOCK := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: bench-revisions help install reproduce test test-versions lint bench workarounds clean

help:
	@echo "make install     set up .venv with rankfall in it"
	@echo "make reproduce   redo every figure and its claims into out/ (ARGS=... go to 'rankfall reproduce')"
	@echo "make test        tests and documentation examples"
	@echo "make test-versions  a part of the tests with the lowest and the highest JAX that pyproject.toml allows"
	@echo "make lint        style, types and the direction of imports"
	@echo "make bench       compare speed with the published training loop (fetches PyTorch)"
	@echo "make workarounds   which workarounds for the run time the installed versions still need"
	@echo "make bench-revisions   compare speed with another revision (ARGS=REVISION)"
	@echo "make clean       remove .venv, out/ and caches"

install: $(VENV)/.installed

reproduce: $(VENV)/.installed
	@$(VENV)/bin/rankfall reproduce --out out $(ARGS)

test: $(VENV)/.installed-test
	@# Two processes: threads of their own would only wait for each other.
	OPENBLAS_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile $(ARGS)

test-versions:
	@PYTHON="$(PYTHON)" sh tests/versions.sh $(ARGS)

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	$(PY) .ci/annotations.py

bench: $(VENV)/.installed-bench
	$(PY) benchmarks/run.py $(ARGS)

workarounds: $(VENV)/.installed
	$(PY) benchmarks/workarounds.py $(ARGS)

bench-revisions: $(VENV)/.installed
	$(PY) benchmarks/revisions.py $(ARGS)

clean:
	rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A name on the path proves nothing (it may be a shim without an interpreter behind it), so each candidate is run.
$(PY):
	@for python in $(PYTHON); do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        exec "$$python" -m venv --clear $(VENV); \
	    fi; \
	done; \
	echo "error: no Python >= 3.11 with the venv module among: $(PYTHON) (choose one with: make PYTHON=/path/to/python)" >&2; \
	exit 1

$(VENV)/.installed: $(LOCK) | $(PY)
	@echo "setting up .venv (once, about a minute)"
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: $(LOCK) | $(PY)
	@echo "setting up .venv for tests (once, about a minute)"
	@$(PIP_INSTALL) -e '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(LOCK) | $(PY)
	@echo "setting up .venv for benchmarks (once, a few minutes: PyTorch is large)"
	@$(PIP_INSTALL) -e '.[bench]'
	@touch $@ $(VENV)/.installed
