PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
SOURCES := densepred hydra_plugins tests scripts

.PHONY: train test test-slow lint format docs clean

train: $(INSTALLED)
	$(BIN)/densepred-train experiment=shapes_unet

# One thread a process: tests are small, and two processes share the machine.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test-slow: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

lint: $(INSTALLED)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(INSTALLED)
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# The tables of options and keys, from the comments in configs/.
docs: $(INSTALLED)
	$(BIN)/python scripts/write_reference.py

# An editable install into a fresh environment; repeated only when pyproject.toml has changed.
$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) build dist *.egg-info
