# `make` alone lists the targets. `make run` and `make test` need git, make and python3 with venv.

PYTHON ?= python3
WORKERS ?= 2
NOTEBOOKS ?= $(sort $(wildcard notebooks/*.ipynb notebooks/solutions/*.ipynb))
COURSE = $(or $(filter-out notebooks/solutions/%,$(NOTEBOOKS)),$(NOTEBOOKS))

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CELL_TIMEOUT := 300

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=$(CELL_TIMEOUT) \
	--nbval-sanitize-with=tests/nbval_sanitise.cfg

.DEFAULT_GOAL := help
.PHONY: help setup run lab test compare lint format refresh weights recipe calibration fuzz kill \
	results lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## create .venv and install what requirements.lock names (the others do it too)

# The stamp stands only while the environment is whole. Without one, a half-written environment
# may be lying there (an install was interrupted), so it is made anew; with an older one, pip
# installs only what changed. setuptools comes with the lock: the build downloads nothing.
$(STAMP): pyproject.toml requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.11," \
		"3.12 or 3.13, or name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c '$(SUPPORTED)' || { echo "echolib needs Python 3.11, 3.12 or 3.13, but" \
		"$(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12"; exit 1; }
	@if [ ! -f $@ ]; then \
		echo "Installing into $(VENV): minutes the first time, about 7 GB, most of it torch."; \
		$(PYTHON) -m venv --clear $(VENV); \
	fi
	@rm -f $@
	@$(BIN)/python -m pip install --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(STAMP)  ## execute the course into build/notebooks and say where to look
	@$(BIN)/python -m tools.notebooks run $(COURSE)

# Copies, because git tracks the notebooks with their outputs, and outputs of an own clip show it.
lab: $(STAMP)  ## open JupyterLab on your own copies of the notebooks, in my_notebooks
	@$(BIN)/python -m tools.notebooks copy $(NOTEBOOKS)
	@$(BIN)/python -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/my_notebooks \
		$(if $(filter 0,$(shell id -u)),--allow-root)

# One pytest call, so that one summary counts everything; nbval finds what the notebooks must give in
# tests/notebooks/fast. A module or a notebook stays on one worker (loadscope), and each has an empty
# data folder of its own (tests/conftest.py). A test that hangs takes its worker with it
# (pyproject.toml); a new worker would begin the module again, for ever.
test: $(STAMP)  ## run the tests, then compare all notebooks with their stored outputs
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --max-worker-restart=0 $(NBVAL) tests

# conftest.py is named because pytest would not look for it above the notebooks: it has the settings.
compare: $(STAMP)  ## compare the notebooks only; one with NOTEBOOKS=notebooks/NAME.ipynb
	@$(BIN)/python -m pytest $(NBVAL) tests/conftest.py \
		$(addprefix tests/notebooks/fast/,$(notdir $(NOTEBOOKS)))

lint: $(STAMP)  ## check style, types and spelling
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/codespell

format: $(STAMP)  ## let ruff rewrite code and notebooks
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

refresh: $(STAMP)  ## execute the notebooks in place on the phantom and store their outputs
	@$(BIN)/python -m tools.notebooks refresh $(NOTEBOOKS)

# All weights, of one version of the phantom, from nothing: 44,000 hearts for the networks of single frames and
# 22,000 valves, each seen twice, and 24,000 beats for the two networks of the beat, each seen once. The
# networks of single frames keep their learning rate, and the average over 2,000 steps is what is kept: CAMUS
# training patients are outlined better so. (The networks of the beat are, too, but their EF is worse.)
# Each network is a target of its own, and two of them are trained at a time, on one core each. What lies in
# build/weights is taken up again, so begin with `make clean` when the phantom or the training has changed.
# Last, the interval of the ejection fraction is calibrated on clips of their own.
WEIGHTS := build/weights
DRAW := $(BIN)/python -m echolib phantom --seed 1 --out $(WEIGHTS)
TRAIN := OMP_NUM_THREADS=1 $(BIN)/python -m echolib train --resume
SINGLE := lv lv_landmarks lv_robust lv_landmarks_robust
NETWORKS := lv_cycle lv_cycle_landmarks $(SINGLE) valve_close valve_whole
weights: $(STAMP)  ## train the weights that come with the package anew, on the phantom alone
	@$(MAKE) --jobs 2 $(NETWORKS:%=$(WEIGHTS)/%/trained)
	@for name in $(NETWORKS); do \
		$(BIN)/python -m tools.ship_weights $(WEIGHTS)/$$name $$name || exit 1; done
	@$(MAKE) calibration

$(WEIGHTS)/frames/frames.csv:
	@$(DRAW)/frames --frames 44000
$(WEIGHTS)/valves/close/frames.csv:
	@$(DRAW)/valves --valves 22000
$(WEIGHTS)/cycles/frames.csv:
	@$(DRAW)/cycles --cycles 24000

$(WEIGHTS)/lv_landmarks/trained $(WEIGHTS)/lv_landmarks_robust/trained: TARGET := --target landmarks
$(WEIGHTS)/lv_robust/trained $(WEIGHTS)/lv_landmarks_robust/trained: CORRUPTED := --corrupted 0.5
$(SINGLE:%=$(WEIGHTS)/%/trained): $(WEIGHTS)/frames/frames.csv
	@$(TRAIN) $(WEIGHTS)/frames --epochs 2 --average 2000 $(TARGET) $(CORRUPTED) --out $(@D)
	@touch $@
$(WEIGHTS)/lv_cycle_landmarks/trained: $(WEIGHTS)/cycles/frames.csv
	@$(TRAIN) $(WEIGHTS)/cycles --epochs 1 --target landmarks --out $(@D)
	@touch $@
$(WEIGHTS)/lv_cycle/trained: $(WEIGHTS)/cycles/frames.csv
	@$(TRAIN) $(WEIGHTS)/cycles --epochs 1 --loss bce_dice_area --out $(@D)
	@touch $@
$(WEIGHTS)/valve_%/trained: $(WEIGHTS)/valves/close/frames.csv
	@$(TRAIN) $(WEIGHTS)/valves/$* --size $(if $(filter close,$*),128,112) --epochs 2 --loss bce_iou \
		--out $(@D)
	@touch $@

# Both stages of the course's recipe for the mitral valve, in full, on the phantom study that notebook 05
# opens. A run that was interrupted goes on.
recipe: $(STAMP)  ## train the mitral recipe that notebook 05 loads, on the phantom alone
	@$(BIN)/python -m echolib phantom --mitral 0.3 --videos 1 --out $(WEIGHTS)/recipe/study
	@OMP_NUM_THREADS=1 $(BIN)/python -m echolib mitral train $(WEIGHTS)/recipe/study --recipe \
		--out $(WEIGHTS)/recipe
	@$(BIN)/python -m tools.ship_weights $(WEIGHTS)/recipe/stage-1 recipe_one --source phantom
	@$(BIN)/python -m tools.ship_weights $(WEIGHTS)/recipe/stage-2 recipe_two --source phantom

# Decided on CAMUS training patients: a line; and that the intervals hold there as they are (--also finds 1)
CALIBRATE := --correction line

calibration: $(STAMP)  ## learn anew what interval an ejection fraction needs, on phantom clips
	@$(BIN)/python -m echolib phantom --out $(WEIGHTS)/calibration --clips 800 --seed 101
	@$(BIN)/python -m echolib calibrate $(WEIGHTS)/calibration --split all $(CALIBRATE) \
		--out $(WEIGHTS)/function.json --force
	@cp $(WEIGHTS)/function.json echolib/weights/function.json

# Readers are tested with damaged files of all formats (four to twenty minutes), and commands by killing
# them (about half an hour). Files and moments are the same each time; findings lie in build/fuzz.
fuzz: $(STAMP)  ## read 10,000 damaged files and list what is neither read nor refused
	@$(BIN)/python -m tools.fuzz --files 10000 --workers $(WORKERS)

kill: $(STAMP)  ## kill each long command 20 times, run it again, and compare the results
	@$(BIN)/python -m tools.kill --kills 20

results: $(STAMP)  ## measure anew what notebook 06 shows (half an hour and more); CAMUS=FOLDER adds CAMUS
	@$(BIN)/python -m benchmarks.results $(if $(CAMUS),--camus $(CAMUS))

# Keeps the locked versions where pyproject.toml still allows them; `make lock UPGRADE=1` does not.
lock: | $(BIN)/uv  ## write requirements.lock anew from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--no-header --quiet $(if $(UPGRADE),--upgrade) --output-file requirements.lock

$(BIN)/uv:
	@$(MAKE) $(STAMP)

clean:  ## remove what was built and cached, but not .venv and not data
	@rm -rf build .pytest_cache .ruff_cache .hypothesis echolib.egg-info
	@find echolib tests tools notebooks benchmarks \( -name __pycache__ -o -name .ipynb_checkpoints \) \
		-prune -exec rm -rf {} + 2>/dev/null || true
