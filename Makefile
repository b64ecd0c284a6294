# `make help` lists the commands. The first one that needs it builds .venv from requirements.lock.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
READY := $(VENV)/.ready
SOURCES := sparnet flows serving tests benchmarks

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run test serve ui schedule bench bench-serving lint format lock clean
.DEFAULT_GOAL := help

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY) ## run the whole pipeline: data, training, evaluation, packaging
	@python -m flows.pipeline
	@sparnet results

test: $(READY) ## run every test
	python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

serve: $(READY) ## serve the packaged models with TorchServe on loopback, until Ctrl-C
	@serving up --store build

ui: $(READY) ## open the MLflow pages on loopback, until Ctrl-C
	@sparnet ui

schedule: $(READY) ## repeat the pipeline by the cron line of its deployment, until Ctrl-C
	@python -m flows.schedule

bench: $(READY) ## run the benchmarks, or those of BENCH="NAME..."
	python -m benchmarks $(BENCH)

bench-serving: $(READY) ## measure what serving costs beside the bare networks
	python -m benchmarks serving

lint: $(READY) ## check style and types
	ruff check $(SOURCES)
	ruff format --check $(SOURCES)
	mypy

format: $(READY) ## format the code
	ruff check --fix $(SOURCES)
	ruff format $(SOURCES)

lock: ## resolve requirements.in anew into requirements.lock
	rm -rf $(VENV).lock
	$(PYTHON) -m venv $(VENV).lock
	$(VENV).lock/bin/python -m pip install -q -r requirements.in
	$(VENV).lock/bin/python -m pip freeze --all | sed -e '/^pip==/d' -e 's/+cpu$$//' > requirements.lock
	rm -rf $(VENV).lock

clean: ## remove .venv and caches; data, models and reports stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "error: Python 3.11 is needed; name it with make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "Installing the packages of requirements.lock into $(VENV) (a few minutes, once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install -q --no-build-isolation $$(grep -E '^(setuptools|wheel)==' requirements.lock)
	@$(VENV)/bin/python -m pip install -q --no-build-isolation -r requirements.lock
	@$(VENV)/bin/python -m pip install -q --no-build-isolation --no-deps -e .
	@touch $@
