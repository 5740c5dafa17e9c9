# Every target sets up what it needs; a second run installs nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS_STAMP := $(VENV)/.peers
SUITES := smoke solar counterfactual injection grounding chat

PROMPT_SETS := aws_aliens piped_pa_bdp01_tl piped_pa_brg01_rl piped_pa_brg03_tl piped_pa_btn01_rl piped_pa_flr01_tl \
	piped_pa_fvn02_rl

.DEFAULT_GOAL := help
.PHONY: help setup demo test slow kills check format lint types floors smoke evals chat bench peers prompts figures installation clean

help:           ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## virtual environment and packages

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV), once: some minutes, and two gigabytes with the CPU build of torch"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[demo,test,dev]'
	@touch $(STAMP)

demo: setup     ## learn real solar cells, inspect eight, write the reports
	@$(BIN)/anomalyst demo

test: setup     ## the default tests, five to six minutes on two cores
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

slow: setup     ## the slow tests
	@$(BIN)/python -m pytest -q -n 2 -m slow

kills: setup    ## of the slow tests those that kill an inspection or a conversation in the middle
	@$(BIN)/python -m pytest -q -n 2 -m slow tests/agent/test_graph.py tests/agent/test_session.py

format: setup
	@$(BIN)/ruff format --check .

lint: setup
	@$(BIN)/ruff check .

types: setup
	@$(BIN)/mypy

floors: setup
	@$(BIN)/lint-imports

check: format lint types floors test ## everything that must hold before a change lands

smoke: setup    ## a few parts of every modality through the agent, and the gate that they must pass
	@rm -rf out/evals/smoke
	@$(BIN)/anomalyst eval smoke --out out/evals/smoke --gate evals/suites/smoke_gate.yaml

evals: setup    ## the suites of reasoning traces that ship, with the embedded model
	@for suite in $(SUITES); do $(BIN)/anomalyst eval $$suite --out out/evals/$$suite || exit 1; done

chat: setup     ## the recorded conversation of the README
	@$(BIN)/python -m evals.recorded_chat evals/gallery/chat.svg

bench: setup    ## detection on real solar cells, and on MVTec-style folders with DIR=...
	@$(BIN)/anomalyst bench $(or $(DIR),solar_cells)

peers: $(PEERS_STAMP) ## anomalib, stumpy and pyod, whose detectors this one can be compared with

$(PEERS_STAMP): $(STAMP) peers.txt constraints.txt
	@echo "adding anomalib, stumpy and pyod to $(VENV), once: some five hundred megabytes"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -c constraints.txt -r peers.txt
	@touch $(PEERS_STAMP)

prompts: setup  ## the prompts that are shipped, learned on DIR's six papers of PIPED and AWS's aliens
	@rm -rf out/prompts && mkdir -p out/prompts
	@for set in $(PROMPT_SETS); do \
		ANOMALYST_HOME=out/prompts $(BIN)/anomalyst enroll $$set --good $(DIR)/$$set/train/good --prompts none || exit 1; \
	done
	@ANOMALYST_HOME=out/prompts $(BIN)/anomalyst adapt
	@cp out/prompts/prompts/efficientnet_lite0-* tools/localization/prompts_shipped/

figures: setup  ## durability under SIGKILL, overhead of the agent, cost of starting
	@$(BIN)/python -m evals.durability
	@$(BIN)/python -m evals.overhead

installation: setup ## seconds and megabytes of an install into an empty environment
	@$(BIN)/python -m evals.installation

clean:          ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
