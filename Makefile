# Two commands set everything up: `make quickstart` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

DOCS_STAMP := $(VENV)/.installed-docs

.PHONY: install quickstart test test-all lint types contracts figures check audit docs clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

quickstart: $(STAMP)  ## the main job, end to end, on two cores
	PATH="$(CURDIR)/$(BIN):$$PATH" bash launchers/quickstart.sh

test: $(STAMP)  ## all tests but the long ones
	$(BIN)/python -m pytest --numprocesses auto --dist loadgroup

test-all: $(STAMP)  ## the long ones too
	$(BIN)/python -m pytest -m "not gpu and not docs"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

figures: $(STAMP)  ## do README, documentation and studies say what their records do?
	$(BIN)/python docs/figures.py

check: lint types contracts figures  ## everything that is not a test

audit: $(STAMP)  ## known weaknesses of what is pinned, where an index of them answers
	$(BIN)/python .ci/audit

$(DOCS_STAMP): $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

docs: $(DOCS_STAMP)  ## run the notebook, build the site into build/site, check it
	mkdir -p build
	$(BIN)/jupyter execute --timeout=600 docs/forecast.ipynb --output=../build/forecast.ipynb
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --config-file docs/mkdocs.yml
	$(BIN)/python -m pytest -m docs tests/docs

clean:
	rm -rf $(VENV) quickstart build dist *.egg-info
