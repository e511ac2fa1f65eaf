# Two commands do everything on a fresh machine: `make reproduce` and `make test`.
PYTHON ?= python3
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
# Where pip is told to look for wheels of the machine's own (a CPU build of torch, say), uv is told as well.
UV_ENV = $(if $(PIP_FIND_LINKS),UV_FIND_LINKS="$(PIP_FIND_LINKS)")
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install reproduce test check lock clean
help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## make .venv and install the exact versions of requirements.lock

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "error: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed; name one with PYTHON=python3.11" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	$(UV_ENV) $(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

reproduce: install ## run the whole pipeline; PRESET=config/ci.yaml lays a preset over params.yaml
	@start=$$(date +%s); snakemake --cores $(CORES) $(if $(PRESET),--configfile $(PRESET)) && \
	  echo "done in $$(( $$(date +%s) - start )) s; open reports/html/benchmark.html and reports/html/cross_domain.html"

test: install check ## check style, types and workflow, then run every test
	pytest -n 2 --dist loadfile

check: install ## style, types, workflow: no test is run
	ruff check .
	ruff format --check .
	mypy
	codespell
	snakefmt --check Snakefile workflow
	snakemake --lint
	nbstripout --verify workflow/notebooks/*.ipynb
	causaliqa config schema --check
	causaliqa workflow dvc --check

lock: install ## write requirements.lock anew from pyproject.toml
	$(UV_ENV) $(BIN)/uv pip compile --quiet --upgrade --python $(BIN)/python --python-version 3.11 --extra dev --no-header --no-annotate \
	  pyproject.toml | sed -E '/^(nvidia-|cuda-|triton)/d; s/^(torch==[0-9.]+)\+.*/\1/' > requirements.new
	mv requirements.new requirements.lock

clean: ## delete what a run made (not .venv)
	rm -rf data/raw data/degraded results reports/html reports/notebooks reports/figures reports/tables logs .snakemake .causaliqa
