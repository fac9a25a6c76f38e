# `make` alone says what there is. Every target does its own set-up.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo-lakehouse
CHROMIUM := chromium-headless-shell
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup browser demo screenshots test test-long bench dictionary docs lint check clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## Make .venv with the locked packages and fetch the Delta jar

.venv/ready: requirements.lock pyproject.toml conf/spark.properties
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 to 3.12 is needed: call make with PYTHON=python3.11") if not (3, 10) <= sys.version_info[:2] <= (3, 12) else 0'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	ln -sf $(CURDIR)/conf/spark.properties "$$($(BIN)/python -c 'import os, pyspark; d = os.path.join(pyspark.__path__[0], "conf"); os.makedirs(d, exist_ok=True); print(d)')/spark-defaults.conf"
	$(BIN)/classwaves prepare
	touch .venv/ready

browser: .venv/browser ## Get Chromium for the tests of the report, from Debian's packages

# Root gets it installed, anybody else unpacked in .venv with those of its libraries that the machine lacks. Where neither
# works there is no .venv/browser: the tests that need it fail and say so, all others run.
.venv/browser: .venv/ready
	@if $(BIN)/python -m tests.report.browser || ( \
	  if [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(CHROMIUM); \
	  else \
	    mkdir -p .venv/chromium/debs && cd .venv/chromium/debs && \
	    apt-get download $$(apt-get install --simulate --no-install-recommends $(CHROMIUM) | awk '/^Inst/ {print $$2}') && \
	    for deb in *.deb; do dpkg -x "$$deb" ..; done && rm -rf ../debs; \
	  fi ); then touch $@; \
	else echo "Chromium could not be installed: set CLASSWAVES_NO_BROWSER=1 to leave out the tests that need it." >&2; fi

demo: setup ## Make a sample lakehouse, run all jobs on it and show their results
	$(BIN)/classwaves sample --lakehouse $(DEMO) --overwrite
	$(BIN)/classwaves run dashboard_metrics_hourly --lakehouse $(DEMO)
	$(BIN)/classwaves run teacher_analytics_summary --lakehouse $(DEMO)
	$(BIN)/classwaves run teacher_prompt_effectiveness --lakehouse $(DEMO)
	$(BIN)/classwaves show analytics.dashboard_metrics_hourly --lakehouse $(DEMO)
	$(BIN)/classwaves show users.teacher_analytics_summary --lakehouse $(DEMO) --columns teacher_id,summary_date,total_sessions,total_prompts_shown,total_prompts_used,avg_session_score,vs_peer_average,improvement_trend
	$(BIN)/classwaves show ai_insights.teacher_prompt_effectiveness --lakehouse $(DEMO) --columns prompt_category,subject_area,calculation_period_start,total_generated,usage_rate,avg_effectiveness_score,confidence_interval_lower,confidence_interval_upper
	$(BIN)/classwaves quarantine --lakehouse $(DEMO)
	@echo "A second run over the month finds that nothing changed:"
	$(BIN)/classwaves run dashboard_metrics_hourly --lakehouse $(DEMO) --start 2025-09-01 --end 2025-10-01
	$(BIN)/classwaves report --lakehouse $(DEMO) --out $(DEMO)/report.html
	@echo "The report, for a browser: $(CURDIR)/$(DEMO)/report.html"

screenshots: browser ## Make the pictures of docs/images anew from the report of the demo
	test -f $(DEMO)/report.html || $(MAKE) demo
	$(BIN)/python -m tests.report.screenshots $(DEMO)/report.html docs/images

# Without Chromium the report's tests fail, unless CLASSWAVES_NO_BROWSER says that this is meant.
TESTED_WITH := $(if $(CLASSWAVES_NO_BROWSER),setup,browser)

# In the order of their names many short files come last, so that both workers end together; by default the long ones do.
test: $(TESTED_WITH) ## Run the tests, with the coverage that they must reach
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-long: setup ## Run the tests that take hours
	$(BIN)/python -m pytest --no-cov -m long -n 2 --durations=20

# SIZES are numbers of sessions; BENCH takes further options of benchmarks.run: --skew, --days 90, --repeats 5, --new-hour, --work DIR.
SIZES := 1000 10000 100000
JOBS := dashboard_metrics_hourly teacher_analytics_summary teacher_prompt_effectiveness

bench: setup ## Measure the jobs beside their references: SIZES="1000 10000" JOBS=…
	$(BIN)/python -m benchmarks.run --sizes $(SIZES) --jobs $(JOBS) $(BENCH)

dictionary: setup ## Write the generated pages anew: data dictionary and commands
	$(BIN)/python -m expectations.data_dictionary > docs/data-dictionary.md
	$(BIN)/python -m jobs.commands.page > docs/commands.md

docs: setup ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lint: setup ## Run the linters and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

check: lint docs test ## All that CI runs

clean: ## Remove what set-up, demo and tests made
	rm -rf .venv $(DEMO) site benchmark-lakehouses spark-warehouse .pytest_cache .mypy_cache .ruff_cache .coverage
