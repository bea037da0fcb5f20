# The index of what can be done here. Each target sets up what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo serve mcp test check format docs bench tox clean

help:  ## Say what there is
	@sed -n 's/^\([a-z]*\):.*##/\1	/p' $(MAKEFILE_LIST)

$(VENV)/pip: $(firstword $(MAKEFILE_LIST))
	@echo "== Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --upgrade 'pip>=25.1'
	@touch $@

# One stamp for each dependency group of pyproject.toml.
$(VENV)/group-%: pyproject.toml $(VENV)/pip
	@echo "== Installing django-at-jwt and its '$*' tools"
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --editable '.[toolkit]' --group $*
	@touch $@

demo: $(VENV)/group-example  ## Run the main job end to end on SQLite, over HTTP
	@$(BIN)/python -m example_project.demo

serve: $(VENV)/group-example  ## Leave the example running, and say where to log in
	@$(BIN)/python -m example_project.serve

mcp: $(VENV)/group-mcp  ## Let a client of the Model Context Protocol find its way to the example's API
	@$(BIN)/python -m example_project.mcp_client

test: $(VENV)/group-test  ## Run the tests; those that need a service that is not there are skipped by name
	@$(BIN)/python -m pytest --numprocesses=auto

check: $(VENV)/group-check  ## Lint, types, import contracts, migrations
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== mypy"
	@$(BIN)/mypy
	@echo "== import contracts"
	@$(BIN)/lint-imports
	@echo "== migrations"
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m django makemigrations --check --dry-run
	@echo "make check: all is well"

format: $(VENV)/group-check  ## Format the code
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

docs: $(VENV)/group-docs $(VENV)/group-test  ## Build the documentation, and the compliance page from the tests
	@$(BIN)/python -m tests.compliance docs/compliance.md
	@$(BIN)/python -m sphinx -W --keep-going -q -b doctest docs docs/_build/doctest
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "make docs: open docs/_build/html/index.html"

bench: $(VENV)/group-test  ## Measure speed against the peers, as ratios of one run
	@$(BIN)/python -m benchmarks

tox: $(VENV)/group-test  ## Run the tests on all supported versions that are installed here
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install tox
	@$(BIN)/tox run

clean:  ## Remove what the targets made
	@rm -rf $(VENV) .tox .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis docs/_build build dist
