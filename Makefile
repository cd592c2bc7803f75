# Everything runs in a .venv made here; nothing but Python 3.11, make and pip is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: check check-tests demo serve docs docs-reference format lint reproduce-nano test test-kits test-slow clean

# torch is installed first and by version: this takes the CPU build where that is the one at hand
$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --editable ".[train,scenes,judge,serve,cluster,dev]"
	touch $@

$(VENV)/.ready-docs: $(VENV)/.ready-dev
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

check: $(VENV)/.ready-dev ## before every commit, under two minutes: linters, types, architecture, and the quick tests of what others rest on
	$(MAKE) --jobs=2 --output-sync=target lint check-tests

QUICK := tests/test_architecture.py tests/docs/test_links.py tests/docs/test_reference.py tests/files tests/parity tests/perception tests/sequence
check-tests: $(VENV)/.ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 $(QUICK)

docs: docs-reference $(VENV)/.ready-docs ## the site, in site/; a link or an anchor that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-reference: $(VENV)/.ready-dev ## the pages of docs/reference that come from the code
	$(BIN)/python scripts/reference.py

demo: $(VENV)/.ready ## answer a spatial question about a held-out scene; writes demo/page.html
	$(BIN)/cooper ask src/cooper/assets/demo/room.png "$$(head -n 1 src/cooper/assets/demo/questions.txt)" --out $(DEMO)

serve: $(VENV)/.ready ## the web page and OpenAI's endpoints on the bundled model, at http://127.0.0.1:8000 until Ctrl-C
	$(BIN)/python -m pip install --quiet --editable ".[serve]"
	$(BIN)/cooper serve

test: $(VENV)/.ready-dev ## all tests but the slow ones
	$(BIN)/python -m pytest -q -n 2

# one shard after the other, two tests at a time; `make slow-evaluation` runs one of them
SLOW := slow-reinforcement slow-training slow-evaluation slow-commands
.PHONY: $(SLOW)
slow-reinforcement: SHARD := tests/training/rl
slow-training: SHARD := tests/training --ignore=tests/training/rl
slow-evaluation: SHARD := tests/evaluation
slow-commands: SHARD := tests --ignore=tests/training --ignore=tests/evaluation --ignore=tests/kits
$(SLOW): $(VENV)/.ready-dev
	@began=$$(date +%s); OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m slow --durations=5 $(SHARD); code=$$?; \
	echo "$@: $$(($$(date +%s) - began)) s"; exit $$code

test-slow: ## the slow tests in shards, each with its time: whole training runs, several processes, all tutorials
	@failed=0; for shard in $(SLOW); do $(MAKE) --no-print-directory $$shard || failed=1; done; exit $$failed

test-kits: ## our plugins inside the installed evaluation kits, in environments of their own
	PYTHON=$(PYTHON) sh scripts/test_kits.sh

reproduce-nano: $(VENV)/.ready-dev ## the study of docs/explanation/study.md from nothing: a day or more on two cores, by estimate; goes on where it stopped
	OMP_NUM_THREADS=1 $(MAKE) -j2 -f recipes/study/study.mk tower gates study COOPER=$(BIN)/cooper

lint: $(VENV)/.ready-dev ## ruff and pyright
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/pyright

format: $(VENV)/.ready-dev
	$(BIN)/ruff format src tests benchmarks scripts
	$(BIN)/ruff check --fix src tests benchmarks scripts

clean:
	rm -rf $(VENV) .venv-vlmeval .venv-lmms $(DEMO) build site *.egg-info src/*.egg-info
