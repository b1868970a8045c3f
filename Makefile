# Every target does its own set-up first; on a machine that has it, that takes a moment.
#
#   make demo [KEEP=1]     the whole way of a tape on this machine, as a timeline; KEEP=1 leaves it up
#   make demo-down         ends a demonstration that was kept
#   make test [ARGS=...]   all tests, or those that ARGS (pytest arguments) select
#   make lint              format, style, types, import contracts
#   make bench [ONLY=overlay,transfer,ems,scale] [JSON=file] [PROFILE=1]
#   make packages          a Debian package and an RPM of what is committed, in dist/
#   make test-packages     installs, upgrades, operates and removes them in fresh systems; needs root
#   make lock              resolves the locked versions anew
#   make lock-sources      locks the newest sources of what packages are compiled from
#   make clean             removes what the targets above left in this directory

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-fuse setup-bench lint test demo demo-down bench packages test-packages lock lock-sources clean

PY := .venv/bin/python
ARGS ?=
KEEP ?=
ONLY ?=
JSON ?=
PROFILE ?=

help:
	@sed -n 's/^#  \{0,1\}//p' Makefile

setup:
	@packaging/setup/prepare

setup-fuse:
	@packaging/setup/prepare --fuse

setup-bench:
	@packaging/setup/prepare --fuse --bench

lint: setup
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache

# Three processes for two processors: half of the time is waiting. In the order of the folders, so that
# the last files are short ones. The tests start our programs some hundred times, and each would
# compile all of its modules where the environment lets no byte-code be kept.
test: export PYTHONDONTWRITEBYTECODE =
test: setup-fuse
	$(PY) -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

demo: setup-fuse
	@KEEP=$(KEEP) $(PY) -m tests.demo

demo-down: setup
	@$(PY) -m tests.demo down

bench: setup-bench
	@$(PY) -m tests.bench $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON)) $(if $(PROFILE),--profile)

packages:
	@packaging/setup/prepare --packages
	@packaging/build

test-packages:
	@[ "$$(id -u)" = 0 ] || { echo "test-packages: makes systems of its own to install in: run it as root" >&2; exit 1; }
	@packaging/setup/prepare --fuse --packages
	@$(PY) -m tests.packages.built
	$(PY) -m pytest -v -o faulthandler_timeout=300 --durations 10 $(if $(ARGS),$(ARGS),tests/packages)

lock:
	@packaging/setup/lock

lock-sources:
	@packaging/setup/prepare --packages
	@$(PY) -B packaging/runtime/lock-sources

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find vtsfs copyagent tests -name __pycache__ -type d -prune -exec rm -rf {} +
