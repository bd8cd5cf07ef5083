# Set-up and the main commands; each makes what it needs.
# PYTHON chooses the interpreter (3.10 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help quickstart cifar10 few-labels epochs paper paper-quick report test \
    test-quick benchmark docs lint clean

help:
	@echo "make quickstart   distil a digit classifier on the MNIST in the package"
	@echo "make cifar10      the CIFAR-10 experiment: teacher, student, baseline"
	@echo "make epochs       ResNet-8, 10 to 200 epochs, with and without labels (8 hours)"
	@echo "make few-labels   CIFAR-10 with 500 labels, a teacher from ImageNet (5 hours)"
	@echo "make report       a page about the shipped CIFAR-10 models: runs/report.html"
	@echo "make paper        the paper's experiments, docs/paper.md (hours; resumes)"
	@echo "make paper-quick  the same with one seed, shortened (minutes)"
	@echo "make test         ruff and the test suite"
	@echo "make test-quick   ruff and the tests that take a few seconds at most"
	@echo "make benchmark    speed beside keras.distillation and PyTorch (20 minutes)"
	@echo "make docs         the documentation site: site/index.html"
	@echo "make lint         ruff alone"
	@echo "make clean        remove the environment and the site that make made"

# clean removes an environment with this mark, and none that was there before.
MADE := $(VENV)/.made_by_make

# pip prints errors alone; .installed is written when all went well.
$(VENV)/.installed: pyproject.toml setup.py
	@echo "setting up $(VENV) (once; 2.4 GB with TensorFlow) ..."
	@test -e $(VENV) || { mkdir $(VENV) && touch $(MADE); }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --upgrade pip
	@$(BIN)/python -m pip install -qq --editable '.[test]'
	@touch $@

quickstart: $(VENV)/.installed
	@$(BIN)/python -m kd_keras.train --config=configs/mnist.py \
	    --workdir=runs/mnist --savedmodels=runs/mnist/savedmodels

cifar10: $(VENV)/.installed
	$(BIN)/python -m kd_keras.train --config=configs/cifar10.py \
	    --workdir=runs/cifar10 --savedmodels=runs/cifar10/savedmodels

epochs: $(VENV)/.installed
	@$(BIN)/python -m experiments.epochs

# A PyTorch that is there already, such as its CPU build, is kept.
few-labels: $(VENV)/.installed
	@$(BIN)/python -m pip install -qq --editable '.[few_labels]'
	@$(BIN)/python -m experiments.few_labels

paper paper-quick: $(VENV)/.installed
	$(BIN)/python -m experiments.paper $(if $(findstring quick,$@),--quick)

report: $(VENV)/.installed
	@$(BIN)/python -m kd_keras.report --name=cifar10 --output=runs/report.html

# Each of pytest's processes would rewrite the assertions of all tests (3 s)
# where no bytecode may be kept.
test: lint
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

test-quick: lint
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m "not slow"

# A PyTorch that is there already, such as its CPU build, is kept.
benchmark: $(VENV)/.installed
	@$(BIN)/python -m pip install -qq --editable '.[benchmark]'
	@$(BIN)/python -m benchmarks.speed

$(VENV)/.docs: $(VENV)/.installed
	@$(BIN)/python -m pip install -qq --editable '.[docs]'
	@touch $@

# Strict: a broken link or a missing reference is an error. Not with --quiet,
# which would hide them from this check, too.
docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true \
	    $(BIN)/python -m mkdocs build --strict
	@echo "site/index.html"

lint: $(VENV)/.installed
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

clean:
	@if test -e $(MADE); then rm -rf $(VENV); fi
	@if grep -qs 'generator" content="mkdocs' site/index.html; \
	    then rm -rf site; fi
	@rm -rf kd_keras.egg-info
