PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# Without the warnings of build backends, which pip prints even if it is quiet.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check
COMPILE := $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib
SAMPLE ?= 60
SEED ?= 0
SOURCES := densepred hydra_plugins tests scripts docs/site

.PHONY: train test units types test-gpu test-slow test-mutants test-floors lint format docs site clean

train: $(INSTALLED)
	$(BIN)/densepred-train experiment=shapes_unet

# Two jobs: the tests collect, on one core, while style and types are checked on the other.
test: $(INSTALLED)
	$(MAKE) --no-print-directory --jobs 2 lint units

# One thread per process: tests are small, and two processes share the machine. Rewriting all assertions takes each
# process 8 s, so only tests that failed run again with the values of their assertions explained.
units: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --assert=plain || \
		{ OMP_NUM_THREADS=1 $(BIN)/python -m pytest --last-failed --last-failed-no-failures=none; exit 1; }

# On a machine with a CUDA device; without one every test of it is skipped.
test-gpu: $(INSTALLED)
	$(BIN)/python -m pytest tests/gpu -m "slow or not slow" -rs

test-slow: $(INSTALLED)
	$(MAKE) --no-print-directory types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow
	$(MAKE) --no-print-directory test-mutants SAMPLE=20
	$(MAKE) --no-print-directory test-floors

# Changes of one sign, comparison or number, of which tests must notice most.
test-mutants: $(INSTALLED)
	$(BIN)/python scripts/mutation_check.py --sample $(SAMPLE) --seed $(SEED)

# The oldest and the newest versions of every dependency; installs gigabytes into temporary folders.
test-floors: $(INSTALLED)
	$(BIN)/python scripts/floors_check.py lowest newest

lint: $(INSTALLED)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python --min-severity error

# A second opinion on types, of the checker in many editors; it takes twelve times the processor time of pyrefly.
types: $(INSTALLED)
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(INSTALLED)
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# The tables of options and keys, from the comments in configs/.
docs: $(INSTALLED)
	$(BIN)/python scripts/write_reference.py

# The website in build/site, with its own packages; a warning, such as a link that leads nowhere, is an error.
site: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -c docs/site . build/site

# An editable install into a fresh environment; repeated only when pyproject.toml has changed. A newer pip resolves in half
# the time. pip compiles thousands of files one by one, a third of its time: all cores do it, those of torch while pip
# looks for the rest. What is compiled half written is compiled again. Some packages hold templates that do not compile.
$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv --upgrade-deps $(VENV)
	$(PIP) torch torchvision
	$(COMPILE) & $(PIP) -e ".[dev]"; status=$$?; wait; exit $$status
	$(COMPILE) || true
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) build dist *.egg-info
