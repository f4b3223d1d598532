# Everything a developer does here, from a machine with Python 3.11 or newer and nothing else.
# `make help` lists the targets; ARGS="..." reaches the command that a target ends in.

SCENARIO ?= scenarios/market-crash.yaml
ARGS ?=
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
say = @printf '==> %s\n'

# Each candidate is tried, not only looked up: pyenv leaves commands on PATH that do not run.
USABLE := import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))
FIND_PYTHON = $(shell for p in python3.13 python3.12 python3.11 python3; do \
	if "$$p" -c '$(USABLE)' 2>/dev/null; then echo "$$p"; break; fi; done)
PYTHON ?= $(eval PYTHON := $(or $(FIND_PYTHON),python3))$(PYTHON)

# A virtual environment is bound to the path it was made at: in a copied or moved checkout the old
# one would quietly run the original's code, so the marker names the path.
MADE := $(VENV)/.made-$(shell pwd | cksum | cut -d' ' -f1)
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed

.DELETE_ON_ERROR:
.PHONY: help run test e2e images bench docs generate lock format clean FORCE
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: $(RUNTIME) ## Run a scenario and judge it: SCENARIO=scenarios/market-crash.yaml ARGS="--seed 8"
	$(say) 'trading run $(SCENARIO) $(ARGS)'
	@$(BIN)/trading run $(SCENARIO) $(ARGS)

test: $(DEV) ## Check everything: format, lint, types, layers, tests; ARGS="-k crash" for pytest
	$(say) 'format: ruff format --check'
	@$(BIN)/ruff format --check .
	$(say) 'lint: ruff check'
	@$(BIN)/ruff check .
	$(say) 'types: mypy --strict'
	@$(BIN)/mypy --strict
	$(say) 'layers: lint-imports'
	@$(BIN)/lint-imports
	$(say) 'tests: pytest -n auto $(ARGS)'
	@$(BIN)/pytest -n auto -m 'not engine and not cluster' $(ARGS)

images: $(DEV) ## Build the image of all services; ARGS=--stand-ins where no registry is reached
	$(say) 'python -m tools.images $(ARGS)'
	@$(BIN)/python -m tools.images $(ARGS)

# A Docker engine is looked for; as root on Debian one is brought up where there is none, and in it
# a cluster. Both deployments use the fixed ports: one after the other. 5: nothing was selected.
e2e: $(DEV) ## Test the deployments on a real engine and cluster; ARGS="-k scenario" for pytest
	$(say) 'engine: python -m tools.bare_machine.engine start'
	@engine="$$($(BIN)/python -m tools.bare_machine.engine start)" && eval "$$engine" \
	&& $(BIN)/python -m tools.images --stand-ins \
	&& { $(BIN)/pytest -n 0 -s -m engine $(ARGS); one=$$?; \
	     cluster="$$($(BIN)/python -m tools.cluster start)" && eval "$$cluster" \
	     && { $(BIN)/pytest -n 0 -s -m cluster $(ARGS); two=$$?; }; \
	     $(BIN)/python -m tools.cluster stop; \
	     for status in $$one $${two:-1}; do case $$status in 0|5) ;; *) exit $$status;; esac; done; }; \
	status=$$?; $(BIN)/python -m tools.bare_machine.engine stop >/dev/null; exit $$status

bench: $(DEV) ## Measure speed; ARGS are for the benchmark
	$(say) 'python -m bench $(ARGS)'
	@$(BIN)/python -m bench $(ARGS)

docs: $(DEV) ## Build the documentation's site; ARGS are for sphinx-build
	$(say) 'sphinx-build -W --keep-going docs docs/_build'
	@$(BIN)/sphinx-build -W --keep-going --quiet -b html $(ARGS) docs docs/_build
	@printf 'open %s\n' docs/_build/index.html

generate: $(DEV) ## Write every generated file again (docs/, chart tables, Compose)
	$(say) 'python -m tools.generate'
	@$(BIN)/python -m tools.generate

# The dev lock holds everything; the others are cut from it, so that they never disagree.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-config --no-emit-index-url --custom-compile-command 'make lock'

lock: $(DEV) ## Resolve the pinned requirements again; ARGS=--upgrade takes newer versions
	$(say) 'requirements-dev.txt'
	@$(LOCK) $(ARGS) pyproject.toml --extra operator --group dev --group build -o requirements-dev.txt
	$(say) 'requirements.txt'
	@$(LOCK) $(ARGS) pyproject.toml -c requirements-dev.txt -o requirements.txt
	$(say) 'requirements-image.txt'
	@$(LOCK) $(ARGS) pyproject.toml --extra operator -c requirements-dev.txt -o requirements-image.txt
	$(say) 'requirements-build.txt'
	@$(LOCK) $(ARGS) --group pyproject.toml:build -c requirements-dev.txt -o requirements-build.txt
	$(say) 'requirements-pip.txt'
	@$(LOCK) $(ARGS) --group pyproject.toml:image -o requirements-pip.txt

format: $(DEV) ## Format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## Remove the virtual environment, the caches and the built packages
	@if [ -f $(VENV)/pyvenv.cfg ]; then rm -rf $(VENV); fi
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

ifneq ($(shell test -x $(BIN)/python && echo usable),usable)
$(MADE): FORCE
endif

$(MADE):
	@command -v "$(PYTHON)" >/dev/null || { \
		echo 'error: no $(PYTHON) here: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3' >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: $(PYTHON) is $$("$(PYTHON)" --version 2>&1), and 3.11 or newer is needed;" \
			'name another: make PYTHON=/path/to/python3' >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'error: $(PYTHON) cannot make virtual environments.' \
			'On Debian and Ubuntu: sudo apt-get install python3-venv' >&2; \
		exit 1; }
	$(say) "making $(VENV) with $$("$(PYTHON)" --version)"
	@if [ -f $(VENV)/pyvenv.cfg ]; then rm -rf $(VENV); fi
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

$(RUNTIME): $(MADE) requirements.txt requirements-build.txt pyproject.toml
	$(say) 'installing what the project runs on (pinned, in requirements.txt)'
	@$(PIP) install --require-hashes -r requirements.txt -r requirements-build.txt
	$(say) 'installing the project'
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.txt
	$(say) 'installing what its developers use (pinned, in requirements-dev.txt)'
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

FORCE:
