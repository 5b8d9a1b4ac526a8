# `make help` lists the targets. PYTHON is the interpreter that the environment is made with, VENV where it goes.
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install
# A file that marks what is installed, so that a second `make` installs nothing.
RUNTIME := $(VENV)/.installed-runtime
TESTS := $(VENV)/.installed-tests
LINT := $(VENV)/.installed-lint

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help quickstart test lint clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.* ## /\1\t/p' Makefile

# One thread is as fast for so small a model, and two that wait for each other are 60 times slower where a core is busy.
quickstart: $(RUNTIME) data/synthetic/annotations.json ## a base model and its guided twin on the embedded dataset, from nothing, on a CPU
	$(BIN)/python tools/analysis/ablate.py configs/ablations/quickstart.yml --data embedded=data/synthetic --jobs 2 --threads 1
	$(BIN)/python tools/analysis/timeline.py data/synthetic --plan configs/ablations/quickstart.yml --out work_dirs/quickstart/timeline.png

test: $(TESTS) ## all tests except those that take minutes (pytest -m slow)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

lint: $(LINT) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## remove the environment, builds and caches; data/ and work_dirs/ stay
	@if [ -f $(VENV)/pyvenv.cfg ]; then rm -rf $(VENV); fi
	rm -rf build dist mmwtal.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

data/synthetic/annotations.json: | $(RUNTIME)
	$(BIN)/python tools/dataset_converters/synthetic.py data/synthetic

# torch comes first and by its own command: every other package then takes the one that is there.
$(RUNTIME): requirements/runtime.txt setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"mmwtal needs Python >= 3.11, found {sys.version.split()[0]}: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) -r requirements/runtime.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(TESTS): requirements/tests.txt requirements/features.txt requirements/hdf5.txt requirements/text.txt requirements/priors.txt requirements/scale.txt $(RUNTIME)
	$(PIP) -r requirements/runtime.txt -r requirements/tests.txt
	@touch $@

$(LINT): requirements/lint.txt $(RUNTIME)
	$(PIP) -r requirements/runtime.txt -r requirements/lint.txt
	@touch $@
