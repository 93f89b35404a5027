# Each target makes .venv when it is missing, and installs again when the dependencies change.

PYTHON ?= python3
PYTEST_ARGS ?= -n 2

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := $(filter-out notebooks/_%.py,$(wildcard notebooks/*.py))

.PHONY: help demo test bench notebooks clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo       run a scenario; its report is in out/'
	@echo 'make test       lint, types, architecture, tests'
	@echo 'make bench      time the simulator'
	@echo 'make notebooks  build and execute notebooks/*.ipynb from their sources'
	@echo 'make clean      remove what the above made'
	@echo 'PYTHON=python3.12 chooses the interpreter of a new .venv'

demo: $(VENV)/.installed
	$(BIN)/swarmsim run scenarios/worker-crash.yaml --out out

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: $(VENV)/.installed
	$(BIN)/python tests/benchmarks/bench.py

notebooks: $(SOURCES:.py=.ipynb)

# A rebuild differs only where it must: --update keeps the ids of unchanged cells, and no times are recorded.
define EXECUTE
import sys, nbclient, nbformat
path = sys.argv[1]
notebook = nbformat.read(path, as_version=4)
resources = {'metadata': {'path': 'notebooks'}}
settings = dict(timeout=600, record_timing=False, coalesce_streams=True, resources=resources)
nbclient.NotebookClient(notebook, **settings).execute()
notebook.metadata.language_info.pop('version', None)
nbformat.write(notebook, path)
endef
export EXECUTE

notebooks/%.ipynb: notebooks/%.py | $(VENV)/.installed-notebooks
	$(BIN)/jupytext --quiet --to ipynb --update --output $@ $<
	$(BIN)/python -c "$$EXECUTE" $@

clean:
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The build backend first and without isolation, so that its version is pinned as all others are.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) hatchling editables
	$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) --no-build-isolation --editable '.[test]'
	@touch $@

$(VENV)/.installed-notebooks: $(VENV)/.installed
	$(INSTALL) --no-build-isolation --editable '.[notebooks]'
	@touch $@
