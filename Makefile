# make demo    the door with a sample application behind it, until Ctrl-C
# make test    all tests            make check   format, lint and types
# make bench   against nginx        make fuzz    inputs by chance, for minutes       make docs    the site
# make help    this list
#
# Each command installs what it needs into .venv first; a file per set of packages (.venv/.demo ...) remembers that it
# is there, so a second run starts at once, and a change of pyproject.toml installs again.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Seconds for each target of `make fuzz`, and how many lives of the machine of states (by dice ten times as many). CI sets
# FUZZ_SECONDS to nothing and FRONTGATE_FUZZ_RUNS to a number, and fewer lives than 1000: then they are the same each time.
FUZZ_SECONDS ?= 60
FUZZ_EXAMPLES ?= 5000
# How many tests run at a time; many of them only wait. ARGS="-n 0" for one after the other. See tests/turns.py.
AT_A_TIME ?= 4
# A Makefile elsewhere on the way may export this; our packages belong into our own environment.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-built test-root fuzz check bench docs format clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 18

demo: $(VENV)/.demo ## start backends and the door in front of them, until Ctrl-C
	@exec $(BIN)/python -m backends.demo

test: $(VENV)/.test ## run all tests
	$(BIN)/python -m pytest -n $(AT_A_TIME) --dist loadscope $(ARGS)

check: $(VENV)/.test ## look at format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test-built: $(VENV)/.test $(VENV)/built/.done ## run the tests of whole programs on what pip builds
	FRONTGATE_UNDER_TEST=$(CURDIR)/$(VENV)/built $(BIN)/python -m pytest -n $(AT_A_TIME) --dist loadscope \
	  tests/live tests/abuse tests/side $(ARGS)

test-root: $(VENV)/.test ## run what only root may do: sudo make test-root
	$(BIN)/python -B -m pytest -p no:cacheprovider -m root $(ARGS)

fuzz: $(VENV)/.fuzz ## try inputs and lives by chance, different ones each time, for some minutes
	FRONTGATE_FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest tests/fuzz/test_atheris.py $(ARGS)
	FRONTGATE_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest tests/fuzz/test_machine.py $(ARGS)

bench: $(VENV)/.bench $(VENV)/built/.done ## measure against nginx, HAProxy, Caddy and aiohttp (first: apt-get install nginx haproxy wrk)
	$(BIN)/python -m bench $(ARGS)
	$(BIN)/python -m bench.workers

docs: $(VENV)/.docs ## write the documentation as a site into site/
	$(BIN)/frontgate schema --markdown > docs/reference.md
	$(BIN)/zensical build

format: $(VENV)/.test ## format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what was made: the environment, caches and the demo's files
	rm -rf $(VENV) var dist build site .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "There is no $(PYTHON) here: install Python 3.11 or later, or say which: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), and frontgate needs Python 3.11 or later:" \
	    "say which one to use, for example make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make a virtual environment (on Debian: apt-get install python3-venv)"; exit 1; }

# What each set of packages is called in pyproject.toml.
$(VENV)/.demo: EXTRAS := demo
$(VENV)/.test: EXTRAS := test
$(VENV)/.fuzz: EXTRAS := fuzz
$(VENV)/.bench: EXTRAS := demo,bench
$(VENV)/.docs: EXTRAS := docs

$(VENV)/.demo $(VENV)/.test $(VENV)/.fuzz $(VENV)/.bench $(VENV)/.docs: pyproject.toml | $(BIN)/python
	@echo "Installing what 'make $(subst $(VENV)/.,,$@)' needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	@touch $@

# Checks TLS by Mozilla's guidelines. It wants an older `cryptography` than `acme` does, so it has an environment of its own.
$(VENV)/sslyze/.done: | $(BIN)/python
	@$(BIN)/python -m venv $(VENV)/sslyze
	@$(VENV)/sslyze/bin/python -m pip install --quiet --disable-pip-version-check 'sslyze>=6.3,<7'
	@touch $@

# The package as a user's pip builds it; what is installed into .venv is the source itself.
$(VENV)/built/.done: $(shell find proxy -name '*.py') setup.py pyproject.toml | $(BIN)/python
	@echo "Building frontgate into $(VENV)/built ..."
	@rm -rf $(VENV)/built build
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/built .
	@touch $@
