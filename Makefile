# Two commands set everything up: `make quickstart` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install quickstart test test-all lint types contracts check clean

install: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

quickstart: $(STAMP)  ## the main job, end to end, on two cores
	PATH="$(CURDIR)/$(BIN):$$PATH" bash launchers/quickstart.sh

test: $(STAMP)  ## all tests but the long ones
	$(BIN)/python -m pytest

test-all: $(STAMP)  ## the long ones too
	$(BIN)/python -m pytest -m "not gpu"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

check: lint types contracts  ## everything that is not a test

clean:
	rm -rf $(VENV) quickstart build dist *.egg-info
