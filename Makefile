# Everything happens in .venv here; nothing but packages is downloaded.
#   make setup    install          make demo   design backbones and peptides
#   make test     all tests        make lint   format, lint, types
#   make bench    benchmarks       make clean  remove what this file made
#   make test-oracles   the fold network against OpenFold3's and Protenix's own packages (.venv-oracles)
# PYTHON=python3.12 chooses the interpreter; PIP_TORCH_ARGS is passed to pip for torch alone, for an
# index of its CPU builds on Linux for instance, which are smaller than the default ones.

SHELL := /bin/bash
CANDIDATES := python3.11 python3.12 python3.13 python3
RIGHT_VERSION := import sys; raise SystemExit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p -c "$(RIGHT_VERSION)" 2>/dev/null && echo $$p && break; done)
PIP_TORCH_ARGS ?=
TEST_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q
# One thread per process: two test processes with two threads each wait for one another.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: setup test test-oracles demo lint bench clean
.DELETE_ON_ERROR:

setup: $(STAMP)

# torch first and pinned, so that the second line finds it satisfied and does not fetch another build.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11, 3.12 or 3.13 found; install one or write PYTHON=/path/to/python" >&2; exit 2; }
	@echo "setting up $(VENV) with $(PYTHON); this happens once and takes minutes" >&2
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(PIP_TORCH_ARGS) -c constraints.txt torch==2.13.0
	$(PIP) -c constraints.txt -e ".[dev]"
	@touch $@

test: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile $(TEST_ARGS)

# The packages ask for versions and kernels that their networks do not need on a CPU, so they come
# without dependencies; torch and the rest are those of .venv. One of them brings a package `tests`.
ORACLES := .venv-oracles
ORACLE_NEEDS := absl-py biopython func-timeout gemmi jmespath lmdb memory-profiler ml-collections optree \
    pandas python-dateutil "rdkit<2026" requests scipy urllib3
ORACLE_PACKAGES := boto3 botocore s3transfer openfold3==0.5.0 pdbeccdutils==2.0.1 protenix==2.0.0

$(ORACLES)/installed: $(STAMP) Makefile
	rm -rf $(ORACLES)
	$(BIN)/python -m venv $(ORACLES)
	site=$$($(ORACLES)/bin/python -c "import site; print(site.getsitepackages()[0])") && \
	$(BIN)/python -c "import site; print(*site.getsitepackages(), sep='\n')" > $$site/shared.pth && \
	$(ORACLES)/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt $(ORACLE_NEEDS) && \
	$(ORACLES)/bin/python -m pip --disable-pip-version-check install -q --no-deps $(ORACLE_PACKAGES) && \
	rm -rf $$site/tests
	@touch $@

test-oracles: $(ORACLES)/installed
	$(ONE_THREAD) $(ORACLES)/bin/python -m pytest tests/oracles $(TEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

demo: $(STAMP)
	$(BIN)/foldwright design --length 64-96 --num 4 --seed 7 --out demo/
	$(BIN)/foldwright evaluate demo/
	$(BIN)/foldwright report demo/
	$(BIN)/foldwright peptide --activity antimicrobial --length 12-30 --num 10 --seed 7 --out demo/peptides
	$(BIN)/foldwright evaluate demo/peptides/peptides.fasta
	@echo "designs, peptides, their scores and the report are in $(CURDIR)/demo"

# These read data that is not in the repository; run them by hand.
DATA_BENCHMARKS := benchmarks/geometry_reconstruction.py benchmarks/peptide_quality.py

bench: $(STAMP)
	@for script in $(filter-out $(DATA_BENCHMARKS),$(wildcard benchmarks/*.py)); do \
	    echo "== $$script"; $(BIN)/python $$script || exit 1; done
	@echo "these need data, see their --help: $(DATA_BENCHMARKS)"

clean:
	rm -rf $(VENV) $(ORACLES) demo build dist .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
