# make demo   install, and run the main job on data made here
# make test   install, and run the tests (those of minutes: make test-slow)
# make lint   format, style and types
# make kipoi  install Kipoi's tools beside, and check every published model with them
# make galaxy  start a Galaxy server on this machine with the tools; Ctrl-C stops it. Options:
#              GENOMES="hg38=/data/hg38.fa ..." to offer, PORT=8080 (otherwise a free one)
# make test-galaxy  test every tool and workflow on such a server and in a browser
# make attribution  install captum and tangermeme beside, and test DeepLIFT and the like with them
# make models train all published models anew from DATA, and publish them: twenty minutes
# make bench  install the peers beside, and run every benchmark: benchmarks/RESULTS.md, half an hour
# make defaults  hold what train does by default beside simple models on DATA: docs/defaults.tsv, hours
# make study  the paper's experiments on simulated data and DATA: paper/report.html, about an hour;
#              STUDY_OPTIONS=--quick looks at the whole path in minutes, --resume goes on
# make saturation  hold the human models against measured effects in DATA: docs/saturation.html

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
DEMO ?= demo
DATA ?= ../shared/data
KIPOI ?= .venv-kipoi
ATTRIBUTION ?= .venv-attribution
GALAXY ?= .venv-galaxy
GALAXY_DATA ?= galaxy-data
GALAXY_RESULTS ?= galaxy-results
BENCH ?= .venv-bench
STUDY ?= paper
STUDY_OPTIONS ?=

BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadgroup

.PHONY: demo test test-slow lint kipoi attribution galaxy test-galaxy models bench defaults study saturation install debian clean

demo: install
	@$(BIN)/python training/demo.py $(DEMO)

test: install
	$(PYTEST) -m "not slow" --durations 10

test-slow: install
	$(PYTEST) -m slow --durations 10

lint: $(VENV)/.linters
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

kipoi: debian $(KIPOI)/.installed
	@$(KIPOI)/bin/python kipoi_models/check.py

attribution: $(ATTRIBUTION)/.installed
	$(ATTRIBUTION)/bin/python -m pytest --durations 5 tests/attribution

galaxy: install $(GALAXY)/.installed
	@$(GALAXY)/bin/python galaxy_tools/serve.py $(GALAXY_DATA) --command $(BIN)/enhancer-core \
	  $(addprefix --port ,$(PORT)) $(addprefix --genome ,$(GENOMES))

test-galaxy: PROGRAMS += chromium
test-galaxy: install $(GALAXY)/.installed
	@$(GALAXY)/bin/python galaxy_tools/check.py $(GALAXY_RESULTS) --command $(BIN)/enhancer-core

models: install
	$(BIN)/python training/models.py $(DATA) kipoi_models

bench: debian $(BENCH)/.installed $(KIPOI)/.installed
	$(BENCH)/bin/python benchmarks/run.py

study: install
	$(BIN)/enhancer-core study training/recipes/paper.toml --data $(DATA) -o $(STUDY) $(STUDY_OPTIONS)

HUMAN = human_liver_best human_liver_background human_liver_4shuffle human_promoters human_mouse_promoters
saturation: install
	$(BIN)/python training/saturation.py $(DATA) \
	  $(foreach row,$(HUMAN),$(wildcard kipoi_models/EnhancerCNN/weights/$(row)-*.safetensors)) \
	  -o docs/saturation.html

DEFAULTS ?= defaults-folds
defaults: install
	$(BIN)/python training/defaults.py $(DATA) -o $(DEFAULTS)
	cp $(DEFAULTS)/table.tsv docs/defaults.tsv

install: debian $(INSTALLED)

# torch first and by itself: pip would otherwise choose a newer one.
$(INSTALLED): setup.cfg pyproject.toml
	@$(PYTHON) -c "import ensurepip" || { echo "to install:  apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet "$(TORCH)" --editable ".[test]"
	@touch $@

# An environment of its own, since Kipoi's tools need old releases of others.
$(KIPOI)/.installed: setup.cfg pyproject.toml kipoi_models/requirements.txt
	$(PYTHON) -m venv $(KIPOI)
	$(KIPOI)/bin/pip install --quiet --upgrade pip
	$(KIPOI)/bin/pip install --quiet "$(TORCH)"
	$(KIPOI)/bin/pip install --quiet "$(TORCH)" --requirement kipoi_models/requirements.txt --editable .
	$(KIPOI)/bin/pip install --quiet --no-deps kipoi_veff==0.3.1
	@touch $@

$(ATTRIBUTION)/.installed: setup.cfg pyproject.toml tests/attribution/requirements.txt
	$(PYTHON) -m venv $(ATTRIBUTION)
	$(ATTRIBUTION)/bin/pip install --quiet --upgrade pip
	$(ATTRIBUTION)/bin/pip install --quiet "$(TORCH)"
	$(ATTRIBUTION)/bin/pip install --quiet "$(TORCH)" --requirement tests/attribution/requirements.txt --editable .
	@touch $@

$(BENCH)/.installed: setup.cfg pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --upgrade pip
	$(BENCH)/bin/pip install --quiet "$(TORCH)"
	$(BENCH)/bin/pip install --quiet "$(TORCH)" --requirement benchmarks/requirements.txt --editable .
	@touch $@

# Galaxy's three hundred packages stay apart from ours.
$(GALAXY)/.installed: galaxy_tools/requirements.txt galaxy_tools/constraints.txt
	$(PYTHON) -m venv $(GALAXY)
	$(GALAXY)/bin/pip install --quiet --upgrade pip
	$(GALAXY)/bin/pip install --quiet --requirement galaxy_tools/requirements.txt
	@touch $@

$(VENV)/.linters: $(INSTALLED)
	$(BIN)/pip install --quiet "$(TORCH)" --editable ".[lint]"
	@touch $@

# bedtools draws background windows; tabix indexes variants. All else runs without them.
PROGRAMS = bedtools tabix
debian:
	@missing=; \
	for program in $(PROGRAMS); do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	else echo "to install:  sudo apt-get install$$missing"; fi

clean:
	rm -rf $(VENV) $(KIPOI) $(ATTRIBUTION) $(GALAXY) $(GALAXY_RESULTS) $(BENCH) $(DEMO) $(DEFAULTS) $(STUDY) build *.egg-info
