# Two commands do everything, set-up included: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PEERS := $(VENV)/.peers
# Independent programs that the tests hold loadctl against; without one its tests are skipped, and say so.
DEBIAN := chromium faketime mbpoll prometheus shellcheck systemd
ARGS ?=

.PHONY: help demo test check lint types layers bench faults screenshots slow schema clean

help:            ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(PEERS): Makefile | $(STAMP)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(DEBIAN) >/dev/null; \
	then touch $@; \
	else echo "*** $(DEBIAN) could not be installed here: tests that need them are SKIPPED. On Debian, as root:" \
	    "apt-get install $(DEBIAN)"; fi

demo: $(STAMP)   ## the main job on an embedded home, no hardware needed; ARGS='--for 20s'
	$(BIN)/loadctl demo $(ARGS)

# Four workers on two cores: much of the time a test waits for a real process or a real second.
test: check $(PEERS)  ## lint, type and test everything (this is what CI runs)
	$(BIN)/python -m pytest -n 4 --dist worksteal -rs $(ARGS)

check: lint types layers

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

bench: $(STAMP)  ## measure; prints a table
	$(BIN)/python -m pytest -m bench -s tests/bench $(ARGS)

faults: $(STAMP) ## what happens when things break: the whole matrix on real sockets, as a table (minutes)
	$(BIN)/python -m tests.faults $(ARGS)

screenshots: $(PEERS) ## pictures of the page, as they stand in the README
	$(BIN)/python -m tests.e2e.browser.screenshots

slow: $(PEERS)   ## the tests that take minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

schema: $(STAMP) ## publish the JSON Schema of rule files anew
	$(BIN)/loadctl schema > rules/loadctl.schema.json
	$(BIN)/loadctl schema --page rules/README.md

clean:           ## remove the environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
