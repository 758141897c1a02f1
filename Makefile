# From a machine with Python 3.11 or newer and nothing else to a trained network: `make run`.
# `make` alone lists what there is to do.

PYTHON ?=
EXPERIMENT ?= experiment_settings/lst_stereo.py
ARGS ?=
SIZE ?= $(or $(GAMMALEARN_STUDY),small)
PYTEST_ARGS ?=
# Which tests run, by their markers: MARKS= on the command line runs all.
MARKS ?= not slow

# Another folder by VENV=... on the command line.
VENV = .venv
PIP_INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt

# A stamp stands for a step that was carried out to its end, and is touched by that step's last line.
CREATED = $(VENV)/.created
INSTALLED = $(VENV)/.installed
TESTABLE = $(VENV)/.testable
DOCUMENTABLE = $(VENV)/.documentable

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run study observation test cluster lint docs dist clean

help: ## list these targets
	@echo "GammaLearn: deep-learning event reconstruction for Cherenkov telescopes"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	while IFS='|' read -r target what; do printf '  make %-11s %s\n' "$$target" "$$what"; done
	@echo
	@echo "Variables: EXPERIMENT=$(EXPERIMENT) ARGS= SIZE=$(SIZE) MARKS='$(MARKS)' PYTEST_ARGS= PYTHON="

install: $(INSTALLED) ## install GammaLearn and what it needs into .venv

run: $(INSTALLED) ## run EXPERIMENT, with ARGS for the gammalearn command
	$(VENV)/bin/gammalearn $(EXPERIMENT) $(ARGS)

study: $(INSTALLED) ## train and compare stereo, mono and others, in the SIZE small or full, with ARGS
	GAMMALEARN_STUDY=$(SIZE) $(VENV)/bin/python benchmarks/study.py run $(ARGS)
	GAMMALEARN_STUDY=$(SIZE) $(VENV)/bin/python benchmarks/study.py page

# gammapy comes with what the tests need.
observation: $(TESTABLE) ## simulate a flare, reconstruct it, measure its spectrum, in the SIZE small or full, with ARGS
	$(VENV)/bin/python benchmarks/observation.py -o runs/observation/results --data runs/observation --size $(SIZE) $(ARGS)

# One process a core, each on one thread: threads of several processes would wait for each other.
# Each begins with a share of neighbours: what is made once for the tests of a file is made once.
test: $(TESTABLE) ## run the tests but those marked as slow (MARKS= runs all), with PYTEST_ARGS for pytest
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses auto --dist worksteal \
		--ignore tests/cluster -m "$(MARKS)" $(PYTEST_ARGS)

cluster: $(TESTABLE) ## run the tests that need SLURM, with PYTEST_ARGS for pytest
	$(VENV)/bin/python -m pytest -v tests/cluster $(PYTEST_ARGS)

lint: $(TESTABLE) ## check style, format and types, changing nothing
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: $(DOCUMENTABLE) ## build the site into docs/_build; a warning is an error
# Pages of modules that are no longer there would stay.
	rm -rf docs/reference/_api
	$(VENV)/bin/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo "Open docs/_build/index.html"

# Where the wheel is tried; nothing but it and what it needs is there.
EMPTY = build/empty

dist: $(CREATED) ## build wheel and sdist into dist, check them, and try the wheel in an empty environment
	rm -rf build dist
	$(PIP_INSTALL) build twine
	$(VENV)/bin/python -m build --outdir dist .
	$(VENV)/bin/python -m twine check --strict dist/*
	$(VENV)/bin/python -m venv $(EMPTY)
	$(subst $(VENV)/bin,$(EMPTY)/bin,$(PIP_INSTALL)) torch
	$(subst $(VENV)/bin,$(EMPTY)/bin,$(PIP_INSTALL)) dist/*.whl
# From another folder, so that the package is the one that was installed.
	cd $(EMPTY) && bin/gammalearn models
	cd $(EMPTY) && bin/gammalearn info lst4-stereo
	rm -rf build
	@echo "Checked: $$(echo dist/*)"

clean: ## remove .venv, builds and caches; data/ and runs/ stay
	rm -rf $(VENV) build dist docs/_build docs/jupyter_execute docs/reference/_api *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each candidate is run, not looked up: a version manager's stand-in may be found and still not work.
$(CREATED):
	@for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
		if "$$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' \
			>/dev/null 2>&1; then \
			echo "Making $(VENV) with $$python"; \
			"$$python" -m venv $(VENV) && touch $@; exit; \
		fi; \
	done; \
	echo "GammaLearn needs Python 3.11 or newer with its venv module: install one," \
		"or name it with 'make install PYTHON=/path/to/python'." >&2; \
	exit 2

# PyTorch comes first, alone and pinned: looked up as a dependency of others, pip may fetch
# gigabytes of a GPU build where a CPU build of the pinned version is to be had.
$(INSTALLED): $(CREATED) setup.py pyproject.toml constraints.txt Makefile
	@rm -f $@
	@echo "Installing PyTorch"
	@$(PIP_INSTALL) torch
	@echo "Installing GammaLearn and its other dependencies (a few minutes the first time)"
	@$(PIP_INSTALL) --editable .
	@$(PIP_INSTALL) --no-deps IndexedConv h5py
# What numba compiles on import is kept beside ctapipe. Two processes that import it for the first
# time together may leave there what crashes all that come after.
	@$(VENV)/bin/python -c "import ctapipe.image"
	@echo "Compiling the simulation (a minute or two the first time)"
	@$(VENV)/bin/python -c "from gammalearn.simulation.production import compile_simulation as c; c(False)"
	@touch $@

$(TESTABLE): $(INSTALLED)
	@rm -f $@
	@echo "Installing what the tests need"
	@$(PIP_INSTALL) --editable '.[test]'
	@touch $@

$(DOCUMENTABLE): $(INSTALLED)
	@rm -f $@
	@echo "Installing what the documentation needs"
	@$(PIP_INSTALL) --editable '.[docs]'
	@touch $@
