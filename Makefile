# make venv   the environment: .venv with the pinned packages
# make demo   convert the shipped model, accuracy at each time step, a plot
# make test   all tests but the slow ones on TensorFlow; the laws on JAX
# make test-slow   the slow ones
# make test-overnight   ten thousand random networks: an hour or two
# make fuzz   damaged files and files that attack, hundreds of every kind
# make kills   kills trainings, comparisons, reports and exports two hundred times
# make test-torch   the laws on PyTorch, in an environment without TensorFlow
# make test-versions   the laws on the oldest Keras that setup.cfg allows, and the newest
# make test-compiled   all but the slow ones, every network compiled: see tests/conftest.py
# make reproduce ROW=digits_adaptor_if   a row of docs/results.md from nothing
# make microcontroller   C on an emulated Cortex-M4: see docs/export.md
# make bench  how fast it runs, beside its source and, where installed, SpikingJelly
# make docs   the documentation's site, in build/docs
# make lint   ruff and mypy
PYTHON ?= python3
BIN := .venv/bin
QUICK := "not slow and not overnight and not fuzz"
OLDEST_KERAS := $(shell sed -n "s/^ *keras>=//p" setup.cfg)
PINNED_KERAS := $(shell sed -n "s/^keras==//p" constraints.txt)
LAWS := $(shell cat tests/laws.txt)
TEST_LAWS := -m pytest -q -m $(QUICK) $(LAWS:%=tests/test_%.py)
# JAX compiles fast, not well, and keeps what it compiled for the next run.
JAX_TESTS := KERAS_BACKEND=jax XLA_FLAGS=--xla_backend_optimization_level=0 \
  JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.venv/compiled \
  JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: venv demo test test-slow test-overnight fuzz kills test-torch test-versions test-compiled reproduce microcontroller bench docs lint clean

venv: .venv/.installed

.venv/.installed: setup.cfg constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is needed: make PYTHON=python3.11'"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable ".[dev,jax]"
	touch $@

demo: venv
	$(BIN)/python -m apps.demo

test: venv
	KERAS_BACKEND=tensorflow $(BIN)/python -m tests.run -m $(QUICK)
	$(JAX_TESTS) $(BIN)/python -m tests.run -m $(QUICK)

test-slow: venv
	KERAS_BACKEND=tensorflow $(BIN)/python -m tests.run --parts=8 -m slow
	KERAS_BACKEND=jax $(BIN)/python -m tests.run --parts=8 -m slow

test-overnight: venv
	KERAS_BACKEND=tensorflow $(BIN)/python -m tests.run --parts=8 -m overnight

fuzz: venv
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -q -m fuzz tests/test_fuzz.py

kills: venv
	KERAS_BACKEND=tensorflow $(BIN)/python -m tests.kills

test-torch: .venv-torch/.installed
	KERAS_BACKEND=torch .venv-torch/bin/python $(TEST_LAWS)

test-versions: .venv-oldest/.installed .venv-newest/.installed
	KERAS_BACKEND=jax .venv-oldest/bin/python $(TEST_LAWS)
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check \
	  --upgrade keras
	KERAS_BACKEND=jax .venv-newest/bin/python $(TEST_LAWS)

# Environments without TensorFlow, each with a backend and a Keras.
.venv-torch/.installed: OWN := torch keras==$(PINNED_KERAS)
.venv-oldest/.installed: OWN := jax keras==$(OLDEST_KERAS)
.venv-newest/.installed: OWN := jax keras

.venv-%/.installed: setup.cfg constraints.txt
	$(PYTHON) -m venv $(@D)
	grep -v "^keras==" constraints.txt > $(@D)/constraints.txt
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint $(@D)/constraints.txt $(OWN) numpy absl-py pytest hypothesis matplotlib
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --editable .
	touch $@

test-compiled: venv
	KERAS_BACKEND=tensorflow $(BIN)/python -m tests.run -m $(QUICK) --compiled

# ROW: TABLE_SOURCE_NEURON, as digits_adaptor_if; DATA_DIR: prepared TFDS data sets;
# SEED: of the source network, 0 where not given.
reproduce: venv
	$(BIN)/python -m apps.reproduce --row=$(ROW) $(if $(DATA_DIR),--data_dir=$(DATA_DIR)) \
	  $(if $(SEED),--seed=$(SEED))

# MODEL, NEURON: the network, of Fashion-MNIST, and its neurons.
microcontroller: MODEL ?= saved_models/fashion_mnist_sparse.keras
microcontroller: NEURON ?= bit_serial
microcontroller: venv
	$(BIN)/python -m apps.microcontroller --model=$(MODEL) --dataset=fashion_mnist \
	  --neuron=$(NEURON) --timesteps=4 --output=build/microcontroller

bench: venv
	$(BIN)/python -m apps.benchmark

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file docs/site/mkdocs.yml
	@echo "build/docs/index.html"

.venv/.docs: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable ".[docs]"
	touch $@

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy snn_keras

clean:
	rm -rf .venv .venv-* build dist *.egg-info demo
