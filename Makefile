# make demo: from a fresh clone to a verdict table. make test: the whole test suite. make check: what CI checks besides.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One thread per process and no busy waiting: several processes share the cores.
export OMP_NUM_THREADS := 1
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test test-all check bench recordings compat clean install

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# pip compiles no editable package; where no bytecode may be written, each of many processes would do it again.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@$(BIN)/python -m compileall -q pytest_mecheval
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m compileall -q pytest_mecheval
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed-dev

demo: $(VENV)/.installed
	$(BIN)/python -m pytest --mecheval examples/induction_heads -n 2

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2

# The same, with the longest comparisons made on every bundle instead of some.
test-all: $(VENV)/.installed-dev
	MECHEVAL_TEST_EXHAUSTIVE=1 $(BIN)/python -m pytest -n 2

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/lint-imports
	$(BIN)/python -m pip check

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/idle_tax.py
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/session.py
	$(BIN)/python benchmarks/sandbox_startup.py
	$(BIN)/python benchmarks/tracer_overhead.py

# Recorded answers of examples and fixtures: again after a change of prompts, kinds or bundles.
recordings: $(VENV)/.installed-dev
	$(BIN)/python fixtures/record_answers.py

# The harness against three generations of transformer-lens, each in an environment of its own.
compat: .venv-compat-2.18.0/.done .venv-compat-3.9.0/.done .venv-compat-4.3.0/.done

.venv-compat-%/.done: pytest_mecheval/harness/*.py tests/unit/harness/*.py tests/contract/test_adapters.py
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 "transformer-lens==$*" \
		$(if $(filter 2.18.0,$*),"pyarrow<23" "datasets<5") "pytest>=8.2" hypothesis safetensors pydantic pyyaml scipy filelock
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	$(@D)/bin/python -m pytest -q tests/unit/harness tests/contract/test_adapters.py
	touch $@

clean:
	rm -rf mecheval-out .mecheval build dist
