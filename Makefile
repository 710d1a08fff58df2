# `make demo` and `make test` work alone on a machine that has Python 3.11 or later.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-pure coverage check bench format clean

# The tests that need no socket, no process and no thread: those of the pure layers, and of what is pure above them.
PURE := tests/wire tests/conventions tests/datastructures tests/peer tests/exchange/core
PURE += tests/gateways/web/translation $(wildcard tests/gateways/web/test_*.py tests/gateways/netport/test_*.py)
PURE += tests/gateways/console/test_console_sampling.py tests/gateways/console/test_console_texts.py
PURE += tests/gateways/web/server/test_http_counts.py tests/telemetry/test_small_promises.py
PURE += tests/cluster/test_supervision.py tests/cluster/test_histories.py tests/cluster/test_file.py
PURE += tests/cli/test_words_and_output.py
PURE += tests/exchange/test_command_line.py tests/exchange/test_probing.py tests/test_errors.py tests/test_layers.py

demo: $(VENV)/shown
	@$(BIN)/python examples/demo.py

test: $(VENV)/installed
	$(BIN)/python -m pytest -n 2

test-pure: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --hypothesis-profile quick $(PURE)

coverage: $(VENV)/checked
	$(BIN)/python -m pytest -n 2 --cov --cov-report term $(PURE)

check: $(VENV)/checked
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python docs/check.py

bench: $(VENV)/benched
	$(BIN)/python -m benchmarks

format: $(VENV)/checked
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

# Each stamp says what is installed: what the demo needs is a few megabytes, what the tests need is hundreds.

$(VENV)/made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/shown: $(VENV)/made setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .[uvloop]
	touch $@

$(VENV)/installed: $(VENV)/made setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .[test]
	touch $@

$(VENV)/checked: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .[check]
	touch $@

$(VENV)/benched: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .[bench]
	touch $@
