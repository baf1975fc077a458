# Needs Python 3.11 or newer and make. Everything goes into .venv; nothing is downloaded while the locks are unchanged.
#   PYTHON=python3.12   the interpreter for .venv, when it is made
#   ARGS="..."          further arguments for the command behind a target

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Tests that start processes mostly wait, so a small machine takes two at a time for each core.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); if [ $$n -lt 4 ]; then echo $$((2 * n)); else echo $$n; fi)

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench peers hops kill-loop trees rate-limit fan-in celery-diff apps-beside-celery playlist-search playlist-figures video-analysis video-load lock clean
.DELETE_ON_ERROR:

help: ## This list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: .venv/.stamp-demo ## A short tour with real work: one process tree, an embedded store, no server
	@$(BIN)/smallage demo $(ARGS)

test: .venv/.stamp ## The whole test suite
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS) tests

check: .venv/.stamp ## Lint, format, types and import rules
	$(BIN)/ruff check --output-format concise
	$(BIN)/ruff format --check --quiet || { $(BIN)/ruff format --check; echo "make format mends this" >&2; exit 1; }
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/.stamp ## Sort imports and lay out all code
	$(BIN)/ruff check --select I --fix --quiet
	$(BIN)/ruff format

bench: .venv/.stamp ## Speed of each store and pool
	$(BIN)/python benchmarks/bench.py $(ARGS)

peers: .venv/.stamp ## The same work done by other task queues
	$(BIN)/python benchmarks/peers/run.py $(ARGS)

hops: .venv/.stamp ## Calls and files on a task's way out and back
	$(BIN)/python benchmarks/hops.py $(ARGS)

kill-loop: .venv/.stamp ## Kill workers at random and count what was lost
	$(BIN)/python benchmarks/kill_loop.py $(ARGS)

trees: .venv/.stamp ## 10,000 random workflows with crashes on every store, beside a reference
	$(BIN)/python -m tests.trees.prove $(ARGS)

apps-beside-celery: .venv/.stamp ## The playlist search's indexing under Smallage and under Celery
	PYTHONPATH=examples/playlist_search $(BIN)/python -m benchmarks.apps_beside_celery.run $(ARGS)

fan-in: .venv/.stamp ## 100,000 results into a chord's body, in pages and as a list
	$(BIN)/python -m benchmarks.fan_in $(ARGS)

rate-limit: .venv/.stamp ## 400 tasks at 20 a second from four workers against a third party that counts
	$(BIN)/python -m benchmarks.rate_limit $(ARGS)

celery-diff: .venv/.stamp ## Small programs written for Celery: what Celery did, what Smallage does
	$(BIN)/python -m tests.celery_diff.run $(ARGS)

playlist-search: .venv/.stamp ## The example application that searches playlists, with nothing set and no network
	@PYTHONPATH=examples/playlist_search $(BIN)/python -m playlist_search.offline $(ARGS)

playlist-figures: .venv/.stamp ## The playlist search's figures: 1,000 videos, 3,000 videos, a worker killed
	@PYTHONPATH=examples/playlist_search $(BIN)/python -m playlist_search.figures $(ARGS)

video-analysis: .venv/.stamp ## The example application that analyses videos, with nothing set and no network
	@PYTHONPATH=examples/video_analysis $(BIN)/python -m video_analysis.offline $(ARGS)

video-load: .venv/.stamp ## 200 users submit to it and poll for a minute, on Redis and on SQLite
	@PYTHONPATH=examples/video_analysis:. $(BIN)/python examples/video_analysis/benchmarks/load.py $(ARGS)

lock: ## Write the hashed locks anew (needs the network)
	PYTHON=$(PYTHON) .ci/lock $(ARGS)

clean: ## Remove the environment and all caches
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find src packages tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# A stamp is newer than the lock it was installed from. The full environment serves the demo as well.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Smallage needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is too old: Smallage needs Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "No virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

.venv/.stamp: requirements-dev.txt pyproject.toml | $(BIN)/python
	$(call install,requirements-dev.txt)
	@touch .venv/.stamp-demo $@

.venv/.stamp-demo: requirements.txt pyproject.toml | $(BIN)/python
	$(call install,requirements.txt)
	@touch $@

define install
	@echo "Installing $(1) into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
endef
