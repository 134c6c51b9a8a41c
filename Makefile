# Every target sets up what it needs: a fresh machine needs only Python 3.11 or newer and make.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The first of these that is new enough makes the environment. Another one: make PYTHON=/path/to/python3 test
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# How many tests run side by side.
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1)))
# uv would otherwise fetch an interpreter of its own.
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start many processes, and each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-a2a demo-mcp first-run test test-slow kills check format docs recording bench bench-quick bench-served constraints clean distclean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "agentflow needs Python 3.11 or newer; none was found. Try: make PYTHON=/path/to/python3"; exit 1; }
	@echo "setting up $(VENV) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv || echo "no uv here: going on with pip, which is slower"
	@{ test -x $(BIN)/uv && $(BIN)/uv pip install --quiet -p $(BIN)/python -c constraints.txt -e '.[dev]'; } \
		|| $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## run a workflow over this repository's files; it asks you something
	@$(BIN)/python examples/demo/run.py

demo-a2a: $(STAMP)  ## serve the demo, and let an official A2A client send, answer and read the result
	@$(BIN)/python examples/demo/by_a2a.py

demo-mcp: $(STAMP)  ## let an official MCP client start the demo over stdio, call it, answer and read the result
	@$(BIN)/python examples/demo/by_mcp.py

first-run:  ## time a new user's way in a fresh environment: pip install, init, the first finished run
	@$(PYTHON) benchmarks/first_run.py

test: $(STAMP)  ## run the tests, one more at a time than there are processors: many wait for processes
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal

test-slow: $(STAMP)  ## run the long tests: many kills, big graphs, all variants
	@$(BIN)/python -m pytest -q -m slow --timeout 1800 -n $(JOBS) --dist worksteal

kills: $(STAMP)  ## kill two hosts and a client 500 times at random moments; tells what it came to
	@$(BIN)/python -m pytest -q -m slow --timeout 1800 tests/crash/test_storm.py

check: $(STAMP)  ## lint, format, types, layers, generated pages, samples of the docs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/basedpyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python docs/generate.py --check
	@$(BIN)/python docs/build.py
	@$(BIN)/python -m pytest -q tests/docs

format: $(STAMP)  ## put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(STAMP)  ## write the generated pages of docs/reference, and build the site: build/site/index.html
	@$(BIN)/python docs/generate.py
	@$(BIN)/python docs/build.py

recording: $(STAMP)  ## record the README's example anew: docs/assets/run.svg
	@$(BIN)/python docs/record.py

bench: $(STAMP)  ## measure beside other engines; takes an hour, writes docs/explanation/benchmarks.md
	@$(BIN)/python benchmarks/bench.py --publish

bench-quick: $(STAMP)  ## measure beside the raw limit and LangGraph, in two minutes
	@$(BIN)/python benchmarks/bench.py --quick

bench-served: $(STAMP)  ## measure A2A and MCP beside the SDKs' own servers, in ten minutes
	@$(BIN)/python benchmarks/served.py

constraints: $(STAMP)  ## pin the newest versions that pyproject.toml allows
	@$(BIN)/uv pip compile pyproject.toml -p $(BIN)/python --extra dev --universal --no-annotate --no-header \
		--upgrade --quiet -o constraints.txt

clean:  ## remove caches and build output
	@rm -rf build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache examples/demo/.agentflow
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean  ## remove the environment too, and the JavaScript that tests use
	@rm -rf $(VENV) tests/node/node_modules tests/node/.installing
