# A newcomer's commands. `make demo` shows the whole job; `make test` and `make lint` are what CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test lint contract clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[reduce,dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/tinysight demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

# The full matrices: every reduction with every family of networks. Rows done are kept, so an interrupted run goes on.
contract: $(STAMP)
	$(BIN)/python benchmarks/contract.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
