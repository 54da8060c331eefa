# make demo   the main job on an embedded network      make check  everything that is not a test
# make test   every test                               make site   leaderboard/ from submissions/
# make ci     check and test, as the pipeline does     make test-peer, test-matrix, test-soak, test-gpu, bench-attacks, bench-sweep
#             slow, or for an accelerator: on their own
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(shell cat pyproject.toml requirements.lock | cksum | cut -d' ' -f1)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-peer test-matrix test-soak test-gpu bench-attacks bench-sweep check ci site setup lock clean
.DEFAULT_GOAL := demo

setup: $(READY)

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (torch is large; this is done once) …"
	$(BIN)/python -m pip install --quiet --require-virtualenv --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --require-virtualenv --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.ready-*
	@touch $@

# small networks gain nothing from threads, and those that wait for each other starve the site that is built beside
demo: export OMP_NUM_THREADS = 1
demo: $(READY)
	$(BIN)/bench demo

# Shapes are checked at every call where all components run through the whole of their contracts: everywhere it would
# double the time. Two workers with one thread each: more threads than cores would wait for each other.
SHAPES := --jaxtyping-packages=bench,beartype.beartype
SHAPED := tests/conformance tests/e2e/test_evaluate.py
SHORT := -q -n 2 --dist worksteal -m "not timing and not peer and not soak and not matrix and not gpu"
test: export OMP_NUM_THREADS = 1
test: $(READY)
	$(BIN)/python -m pytest $(SHORT) $(SHAPES) $(SHAPED)
	$(BIN)/python -m pytest $(SHORT) tests $(SHAPED:%=--ignore=%)
	$(BIN)/python -m pytest -q -m timing tests/browser tests/e2e

test-peer: $(READY)
	$(BIN)/python -m pytest -q -m peer tests/peer

test-matrix: $(READY)
	$(BIN)/python -m pytest -q -m matrix tests/matrix

test-soak: $(READY)
	$(BIN)/python -m pytest -q -m soak tests

test-gpu: $(READY)
	$(BIN)/python -m pytest -q -m gpu tests/gpu

bench-attacks: $(READY)
	$(BIN)/python tests/benchmarks/bench_attacks.py

bench-sweep: $(READY)
	$(BIN)/python tests/benchmarks/bench_sweep.py

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports --no-cache
	$(BIN)/typos
	$(BIN)/actionlint -shellcheck $(BIN)/shellcheck
	$(BIN)/shellcheck .ci/*
	$(BIN)/zizmor --quiet --offline --persona=pedantic .github
	$(BIN)/bench submission check submissions/*/*
	$(BIN)/bench site build --check
	$(BIN)/bench site check

ci: check test

site: $(READY)
	$(BIN)/bench site build

# Exact versions of everything, from the ranges in pyproject.toml.
lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --universal --python-version 3.11 \
	  --extra measure --extra ray --group dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info
