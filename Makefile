# Every target works in a fresh clone: what is missing is set up first, in .venv, and again when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# Two workers: most tests wait for processes and disks as often as they compute.
PYTEST := $(BIN)/pytest -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo serve check format-check format lint types imports test full full-rules full-documents bench mutants docs wheel clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv, with syncd and the tools of its development

demo: $(READY) ## Play a real match on two phones without signal, and hold it against the record
	$(BIN)/syncd demo

serve: $(READY) ## Start a server with the football app on http://127.0.0.1:8000
	$(BIN)/syncd serve syncd.apps.grassroots:app

check: format-check lint types imports test ## Everything that CI checks: format, lint, types, import direction, tests

format-check: $(READY) ## Is everything formatted?
	$(BIN)/ruff format --check .

lint: $(READY) ## Look for mistakes in the source
	$(BIN)/ruff check .

types: $(READY) ## Check types, strictly, in all three packages
	$(BIN)/mypy

imports: $(READY) ## Do imports point one way? (docs/architecture.md)
	$(BIN)/lint-imports

test: $(READY) ## Run the tests; warnings are errors
	$(PYTEST)

# The seed is printed with the command; SEED=... plays a run again. The seeds of the histories are their numbers.
SEED ?= $(shell date +%s)
# What was cut off goes on where it was, at the same commit: what has passed is noted in .full-passed.
FULL := SYNCD_TEST_SIZES=full $(PYTEST) -p tests.going_on --go-on .full-passed --timeout 7200 --hypothesis-seed=$(SEED)
DOCUMENT_SUITES := tests/documents tests/yjs tests/reference/test_documents_agree.py \
	tests/client_sdk/test_document_traces.py tests/client_sdk/test_document_histories.py

full: full-rules full-documents ## Run the tests with many more examples (tests/sizes.py); over two hours, in two parts

full-rules: $(READY) ## The part of `full` without the suites of documents
	$(FULL) $(DOCUMENT_SUITES:%=--ignore=%)

full-documents: $(READY) ## The other part: hostile bytes, editing traces, histories with documents, yjs
	$(FULL) $(DOCUMENT_SUITES)

bench: $(READY) ## Measure syncd beside ceilings and peers, and record the ratios; takes long. BENCH="W1 --quick" for less
	$(BIN)/python -m benchmarks $(BENCH)

mutants: $(READY) ## Break each merge rule in several ways; fails if the tests do not notice one
	$(BIN)/python -m tests.mutations

format: $(READY) ## Format the source, and put right what can be put right by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## Write docs/cli.md and docs/rules.md anew from the declarations
	$(BIN)/python -m docs.generate_cli
	$(BIN)/python -m docs.generate_rules

wheel: $(READY) ## Build the wheel into dist/
	$(BIN)/python -m build --wheel --outdir dist .

clean: ## Remove what was made here, .venv too; databases are left alone
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "syncd needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
