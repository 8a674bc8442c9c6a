# Everything a developer needs, with nothing before it but Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
RUNTIME := .venv/runtime-is-installed
DEV := .venv/dev-is-installed

.PHONY: demo test check bench soak format pins clean

demo: $(RUNTIME)  ## Take one prompt through the whole pipeline and show image, record and cost.
	$(BIN)/python examples/demo.py

test: $(DEV)  ## Every test but the slow ones; four at a time, since many of them wait for a lease or a server.
	$(BIN)/pytest -n 4 -m "not slow" $(ARGS)

check: $(DEV)  ## Format, lint, types, imports.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q -p no:cacheprovider tests/acceptance/test_docs.py

bench: $(DEV)  ## The numbers, beside an ideal and a plain script.
	$(BIN)/python -m bench $(ARGS)

soak: $(DEV)  ## Three workers under kills, refusals and outages for SOAK_S seconds (600), then the books are compared.
	$(BIN)/python -m tests.soak

format: $(DEV)  ## Format and mend what can be mended.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pins: $(DEV)  ## Compile the requirements files anew from pyproject.toml.
	$(PIP) uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--group build pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--group dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean:  ## Remove what the targets above made, but not pressroom-data: what was paid for is in it.
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit("pressroom needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

$(RUNTIME): .venv/bin/pip requirements.txt pyproject.toml
	$(PIP) --require-hashes -r requirements.txt
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(DEV): .venv/bin/pip requirements-dev.txt pyproject.toml
	$(PIP) --require-hashes -r requirements-dev.txt
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@ $(RUNTIME)
