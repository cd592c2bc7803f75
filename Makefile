# Everything runs in a .venv made here; nothing but Python 3.11, make and pip is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test test-slow test-kits reproduce-nano lint format clean

# torch is installed first and by version: this takes the CPU build where that is the one at hand
$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --editable ".[train,scenes,judge,dev]"
	touch $@

demo: $(VENV)/.ready ## answer a spatial question about a held-out scene; writes demo/page.html
	$(BIN)/cooper ask src/cooper/assets/demo/room.png "$$(head -n 1 src/cooper/assets/demo/questions.txt)" --out $(DEMO)

test: $(VENV)/.ready-dev ## all tests but the slow ones
	$(BIN)/python -m pytest -q -n 2

test-slow: $(VENV)/.ready-dev ## the slow tests: whole training runs, two processes
	$(BIN)/python -m pytest -q -m slow

test-kits: ## our plugins inside the installed evaluation kits, in environments of their own
	PYTHON=$(PYTHON) sh scripts/test_kits.sh

reproduce-nano: $(VENV)/.ready-dev ## five models from the same data and steps, two seeds: an evening on two cores; goes on where it stopped
	$(MAKE) -f recipes/nano/reproduce.mk study COOPER=$(BIN)/cooper

lint: $(VENV)/.ready-dev ## ruff and pyright
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/pyright

format: $(VENV)/.ready-dev
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

clean:
	rm -rf $(VENV) .venv-vlmeval .venv-lmms $(DEMO) build *.egg-info src/*.egg-info
