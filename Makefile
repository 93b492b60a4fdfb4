# Each target sets up what it needs, and does again only what changed.
#   make demo    install into .venv and run the main job
#   make test    install into .venv-test and run every check
#   make bench   measure beside the peers, which are set up in .venv-peers (BENCH="--quick gemm" is handed on)
#   make docs    build the documentation site
#   make format  let the formatters decide
PYTHON ?= python3
SWIFT := $(or $(SWIFT_EXEC),swift)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1

DEMO := .venv
TEST := .venv-test
PEERS := .venv-peers
BIN := $(TEST)/bin
RUN := $(BIN)/python
JOBS ?= 2

# What the compiled extensions are made of, and what an installed copy holds.
NATIVE := setup.py pyproject.toml Package.swift $(shell find Sources -type f)
PACKAGE := $(NATIVE) README.md MANIFEST.in $(shell find python/spinetail -name '*.py')
C_FILES = $(shell find Sources Tests/c -name '*.[ch]' -not -path '*/build/*')

.PHONY: help demo test bench docs format clean \
	lint swift native traps c pytest doctest notebooks types

help:
	@sed -n 's/^#   //p' Makefile

# ---- the main job

demo: $(DEMO)/installed
	$(DEMO)/bin/spinetail demo

$(DEMO)/bin/python:
	$(PYTHON) -m venv $(DEMO)

$(DEMO)/installed: $(DEMO)/bin/python $(PACKAGE)
	$(DEMO)/bin/python -m pip install '.[all]'
	@touch $@

# ---- the checks

test: lint swift native traps c types pytest doctest notebooks
	@echo "make test: all checks passed"

$(BIN)/python:
	$(PYTHON) -m venv $(TEST)

$(TEST)/needs: $(BIN)/python pyproject.toml
	$(RUN) -m pip install 'setuptools>=70.1' wheel 'numpy>=2'
	SPINETAIL_CPU_LEVELS=all $(RUN) -m pip install --no-build-isolation -e '.[test]'
	@touch $@ $(TEST)/native

# Every CPU level, beside the Python files.
native: $(TEST)/native
$(TEST)/native: $(TEST)/needs $(NATIVE)
	SPINETAIL_CPU_LEVELS=all $(RUN) setup.py --quiet build_ext --inplace
	@touch $@

lint: $(TEST)/needs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)
	$(SWIFT) format lint --strict --recursive Sources Tests Package.swift

# As ordinary Swift, unoptimised: what the Python build compiles as Embedded Swift must be right here too.
swift:
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build --no-parallel --quiet

traps: native
	$(RUN) tools/check_traps.py

c: native
	$(MAKE) --no-print-directory -C Tests/c

types: native
	$(BIN)/mypy

pytest: native
	$(RUN) -m pytest -n $(JOBS)

doctest: native
	$(RUN) -m pytest --doctest-modules --ignore=python/spinetail/cuda python/spinetail

notebooks: native
	$(RUN) -m pytest --nbmake --nbmake-timeout=300 -W default examples

# ---- the rest

# SPINETAIL_PEER_PYTHON names another interpreter that has the peers. Each of them is optional.
SPINETAIL_PEER_PYTHON ?= $(abspath $(PEERS)/bin/python)
ifeq ($(SPINETAIL_PEER_PYTHON),$(abspath $(PEERS)/bin/python))
bench: $(PEERS)/installed
endif
bench: native
	SPINETAIL_PEER_PYTHON=$(SPINETAIL_PEER_PYTHON) $(RUN) -m spinetail bench $(BENCH)

$(PEERS)/installed:
	$(PYTHON) -m venv $(PEERS)
	for peer in numpy torch "onnxruntime onnx" jax "mlx[cpu]"; do \
	    $(PEERS)/bin/python -m pip install $$peer || echo "bench: $$peer could not be installed, and is left out"; \
	done
	@touch $@

docs: $(TEST)/native
	$(RUN) -m pip install -r docs/requirements.txt
	$(RUN) -m sphinx -W -b html docs docs/_build

format: $(TEST)/needs
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)
	$(SWIFT) format format --in-place --recursive Sources Tests Package.swift

clean:
	rm -rf .build build dist docs/_build Tests/c/build $(DEMO) $(TEST) $(PEERS) python/*.egg-info
	rm -f python/spinetail/_*.so
