# Each target installs what it needs in .venv. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo serve mcp test pictures check format docs html bench consumers tox dist clean

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):.*##/\1	/p' $(MAKEFILE_LIST)

$(VENV)/pip: $(firstword $(MAKEFILE_LIST))
	@echo "== Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --upgrade 'pip>=25.1'
	@touch $@

# One stamp per dependency group in pyproject.toml.
$(VENV)/group-%: pyproject.toml $(VENV)/pip
	@echo "== Installing django-at-jwt and its '$*' tools"
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --editable '.[toolkit]' --group $*
	@touch $@

demo: $(VENV)/group-example  ## Run every flow end to end over HTTP, on SQLite
	@$(BIN)/python -m example_project.demo

serve: $(VENV)/group-example  ## Run the example site, and print where to log in
	@$(BIN)/python -m example_project.serve

mcp: $(VENV)/group-mcp  ## Run a Model Context Protocol client against the example
	@$(BIN)/python -m example_project.mcp_client

test: $(VENV)/group-test  ## Run the tests; those for unavailable services are skipped by name
	@$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal -m "not ci" $(PYTEST_ARGUMENTS)

pictures: $(VENV)/group-test $(VENV)/group-browser  ## Take the documentation's pictures of the admin site again
	@npm install --silent --no-audit --no-fund --prefix .cache/npm axe-core@4
	@$(BIN)/python -m pytest -p no:randomly -m ci tests/browser/test_flows.py
	@cp .cache/screenshots/docs/*.png docs/images/

check: $(VENV)/group-check  ## Lint, types, import contracts, migrations, spelling
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== mypy"
	@$(BIN)/mypy
	@echo "== import contracts"
	@$(BIN)/lint-imports
	@echo "== migrations"
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m django makemigrations --check --dry-run
	@echo "== spelling"
	@$(BIN)/codespell
	@echo "make check: passed"

format: $(VENV)/group-check  ## Format the code
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

docs: $(VENV)/group-docs $(VENV)/group-test  ## Build the documentation, and the compliance page from the tests
	@$(BIN)/python -m tests.compliance docs/reference/compliance.md
	@$(MAKE) --no-print-directory html

html: $(VENV)/group-docs  ## Build the documentation with the compliance page that is there
	@test -f docs/reference/compliance.md || { echo "docs/reference/compliance.md is missing: run make docs once"; exit 1; }
	@$(BIN)/python -m sphinx -W --keep-going -q -b doctest docs docs/_build/doctest
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

bench: $(VENV)/group-test  ## Compare the speed with other libraries
	@$(BIN)/python -m benchmarks

consumers: $(VENV)/group-test  ## Verify tokens with other packages, and write the page about them
	@$(BIN)/python -m tests.consumers

tox: $(VENV)/group-test  ## Run the tests on all supported versions that are installed
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install tox
	@$(BIN)/tox run
	@if [ -n "$$DOT_TRUNK" ]; then $(BIN)/tox run -e py311-django52-dottrunk; \
	else echo "py311-django52-dottrunk: skipped, because DOT_TRUNK names no checkout of django-oauth-toolkit"; fi

dist:  ## Build the wheel and the sdist reproducibly, and test them in empty environments
	@PYTHON=$(PYTHON) .ci/dist

clean:  ## Remove everything that the targets created
	@rm -rf $(VENV) .tox .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis docs/_build build dist
