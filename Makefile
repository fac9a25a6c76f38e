# `make` alone says what there is. Every target does its own set-up.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo-lakehouse
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint check clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## Make .venv with the locked packages and fetch the Delta jar

.venv/ready: requirements.lock pyproject.toml conf/spark.properties
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 to 3.12 is needed: call make with PYTHON=python3.11") if not (3, 10) <= sys.version_info[:2] <= (3, 12) else 0'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	ln -sf $(CURDIR)/conf/spark.properties "$$($(BIN)/python -c 'import os, pyspark; d = os.path.join(pyspark.__path__[0], "conf"); os.makedirs(d, exist_ok=True); print(d)')/spark-defaults.conf"
	$(BIN)/classwaves prepare
	touch .venv/ready

demo: setup ## Make a sample lakehouse, run the main job twice on it and show the result
	$(BIN)/classwaves sample --lakehouse $(DEMO) --overwrite
	$(BIN)/classwaves run dashboard_metrics_hourly --lakehouse $(DEMO)
	$(BIN)/classwaves show analytics.dashboard_metrics_hourly --lakehouse $(DEMO)
	$(BIN)/classwaves quarantine --lakehouse $(DEMO)
	@echo "A second run over the month finds that nothing changed:"
	$(BIN)/classwaves run dashboard_metrics_hourly --lakehouse $(DEMO) --start 2025-09-01 --end 2025-10-01

test: setup ## Run the tests, with the coverage that they must reach
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: setup ## Run the linters and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

check: lint test ## All that CI runs

clean: ## Remove what set-up, demo and tests made
	rm -rf .venv $(DEMO) spark-warehouse .pytest_cache .mypy_cache .ruff_cache .coverage
