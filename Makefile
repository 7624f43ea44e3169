# Each target makes its own virtual environment if there is none; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST := $(VENV)-oldest

# Every experiment of docs/evidence.md, in the order of its sections. Finished fits are kept, so that a run can be
# stopped and started again. DATA is the folder of the data; without it they are downloaded.
EVIDENCE := e4_newsgroups_tiny e4_ptbxl e4_digits e4_mnist_tiny e4_breast_cancer e4_wine e4_newsgroups_pool e4_cifar10_tiny \
	e4_mnist_vgg e4_newsgroups_gru e1_digits e2_digits e3_digits e5_digits e1_newsgroups e2_newsgroups e3_newsgroups \
	e5_newsgroups auto_digits auto_mnist_tiny auto_newsgroups_tiny auto_newsgroups_pool auto_ptbxl auto_cifar10_tiny

.PHONY: demo test test-oldest lint evidence clean

demo: $(VENV)/.installed
	$(BIN)/skaba demo

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term --cov-fail-under=95

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python .ci/check_rooms.py

test-oldest: $(OLDEST)/.installed
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -n auto --dist worksteal -m "not slow"

evidence: $(VENV)/.installed
	for name in $(EVIDENCE); do \
		OMP_NUM_THREADS=1 $(BIN)/skaba experiment run $$name $(if $(DATA),--data $(DATA)) || exit; \
	done

clean:
	rm -rf $(VENV) $(OLDEST) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage

$(VENV)/bin/python $(OLDEST)/bin/python:
	$(PYTHON) -m venv $(@:%/bin/python=%)

# The constraints hold torch to a build of known size; pip would else take the newest with all of CUDA.
$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[command]"
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@ $(VENV)/.installed

# An environment of its own, with the oldest releases that pyproject.toml allows.
$(OLDEST)/.installed: $(OLDEST)/bin/python pyproject.toml constraints-oldest.txt
	$(OLDEST)/bin/python -m pip install --quiet --constraint constraints-oldest.txt --editable ".[test]"
	touch $@
