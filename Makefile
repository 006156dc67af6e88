# make test | demo | lint | types | docs | doctest: each makes the environment it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BUILT_FROM := pyproject.toml $(wildcard setup.py src/croton/runtime/native/*.[ch])
WORKERS ?= auto

.PHONY: help test slow demo lint format types docs doctest develop clean

help:
	@echo "make demo      train a convolutional network on handwritten digits (writes digits.png)"
	@echo "make test      run the tests"
	@echo "make slow      run the tests that are marked slow"
	@echo "make lint      ruff and the import contracts"
	@echo "make format    let ruff format the sources"
	@echo "make types     mypy"
	@echo "make doctest   run the examples in docstrings and documents"
	@echo "make docs      build the documentation into docs/_build/html"
	@echo "make develop   everything for working on the project, with the commit hooks"
	@echo "make clean     remove the environment and what was built"

# What an environment is ready for is a stamp file in it; dev includes the others.
WITH_dev := demo test docs
WITH_test := demo
$(VENV)/ready-%: $(BUILT_FROM)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	@touch $@ $(addprefix $(VENV)/ready-,$(WITH_$*))

.PRECIOUS: $(VENV)/ready-%

test: $(VENV)/ready-test
	$(BIN)/python -m pytest -n $(WORKERS)

slow: $(VENV)/ready-test
	$(BIN)/python -m pytest -n $(WORKERS) -m slow

demo: $(VENV)/ready-demo
	$(BIN)/python examples/convnet.py

lint: $(VENV)/ready-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

format: $(VENV)/ready-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/ready-dev
	$(BIN)/mypy

doctest: $(VENV)/ready-test
	$(BIN)/python -m pytest --doctest-modules --doctest-glob="*.md" src docs README.md

docs: $(VENV)/ready-docs
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html

develop: $(VENV)/ready-dev
	$(BIN)/pre-commit install

clean:
	rm -rf $(VENV) build docs/_build src/*.egg-info src/croton/runtime/_native*.so
