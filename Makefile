# SPDX-License-Identifier: MIT
#
#   make demo [STEPS=20000]      install what simulates and analyses into .venv, run the
#                                NaCl(aq) example; longer with more steps
#   make test [PYTEST_ARGS=...]  install everything into .venv, run the tests; then those
#                                of the small installation in .venv-small
#   make docs                    the manual as searchable pages, in docs/_build/html
#   make slow                    the long tests
#   make sanitize                the tests of kernels and plugin, compiled to watch each
#                                access to memory, undefined behaviour and races (GCC);
#                                those for cards on this processor
#   make lint | format           ruff
#   make clean                   remove environments, runs/ and caches
#
#   PYTHON=python3.12            the Python that .venv is made with (3.11 to 3.13)
#   WORKERS=2                    processes that run tests side by side, with a thread
#                                each; 0: in the first one, for a debugger
#   EXTRAS=train,analysis,dev    what to install: this one is without TorchForce, so
#                                it takes any torch >= 2.9, one already in .venv too;
#                                cuda12 has OpenMM's CUDA platform

PYTHON ?= python3
VENV_PYTHON := .venv/bin/python
STAMP := .venv/.installed
INSTALLED := $(shell cat $(STAMP) 2>/dev/null)
comma := ,

ifeq ($(MAKECMDGOALS),demo)
# The small installation, or the one that .venv has, if that can draw figures.
EXTRAS ?= $(if $(findstring all,$(INSTALLED))$(findstring analysis,$(INSTALLED)),$(INSTALLED),analysis)
# One processor's kernels are enough for it.
export OPENMM_ALLEGRO_COMPILE := later
endif
# With an NVIDIA driver present, OpenMM's CUDA platform is worth its download.
EXTRAS ?= all$(if $(shell command -v nvidia-smi 2>/dev/null),$(comma)cuda12)

TORCH_TAKES := $(if $(findstring all,$(EXTRAS)),(about 8 GB on Linux x86_64, of torch's CUDA libraries))

# Most of what the packages have is never imported, and Python compiles what is.
PIP_INSTALL := pip --quiet --disable-pip-version-check install --no-compile

# A worker begins with its own part of the files and takes over from the other at the
# end, so that most models, trainings and imports are made once.
WORKERS ?= 2
PYTEST := -m pytest -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help venv demo test small docs slow sanitize lint format clean FORCE

help:
	@sed -n '3,/^$$/s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

venv: $(STAMP)

# The stamp holds the extras that were installed, so asking for others installs again.
ifneq ($(strip $(EXTRAS)),$(shell cat $(STAMP) 2>/dev/null))
$(STAMP): FORCE
endif
FORCE:

$(STAMP): pyproject.toml setup.py $(wildcard $(addprefix openmm_allegro/kernels/,builds.py *.h $(addprefix ?pu/,*.h *.cpp */*.h */*.cc)))
	@test -x .venv/bin/pip || command -v $(PYTHON) >/dev/null || { \
	  echo "error: '$(PYTHON)' not found; name a Python 3.11 to 3.13:" \
	    "make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$$(test -x .venv/bin/pip && echo $(VENV_PYTHON) || echo $(PYTHON)) -c 'import sys; \
	  v = sys.version_info; (3, 11) <= v[:2] <= (3, 13) or sys.exit( \
	  f"error: expected Python 3.11 to 3.13, found {v[0]}.{v[1]} ({sys.executable}); " \
	  "name another: make PYTHON=python3.12 $(MAKECMDGOALS), after make clean if " \
	  ".venv exists")'
	@test -x .venv/bin/pip || { echo "creating .venv with $(PYTHON)"; \
	  $(PYTHON) -m venv .venv || { echo "error: could not create .venv" \
	    "(Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }; }
	@echo "installing openmm-allegro[$(strip $(EXTRAS))] into .venv $(TORCH_TAKES)"
	@$(VENV_PYTHON) -m $(PIP_INSTALL) --editable '.[$(strip $(EXTRAS))]'
	@echo '$(strip $(EXTRAS))' > $@

# The folder is the demo's own, so a second run may overwrite the first.
demo: venv
	$(VENV_PYTHON) examples/01_nacl_nvt.py --output runs/demo --force $(if $(STEPS),--steps $(STEPS))

test: venv
	$(VENV_PYTHON) $(PYTEST) $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,$(MAKE) --no-print-directory small)

# What a user without torch has: the latest OpenMM, and the package as its sdist, of
# which the kernels and the plugin are compiled.
SMALL := .venv-small
SMALL_STAMP := $(SMALL)/.installed
SMALL_EXTRAS := analysis,hdf5,ase,openmmml,test
SMALL_OPENMM := 8.6.1
SMALL_PIP := $(SMALL)/bin/$(PIP_INSTALL)
SDIST := build/sdist

small: $(SMALL_STAMP)
	PYTHONSAFEPATH=1 OPENMM_ALLEGRO_CACHE=$(CURDIR)/$(SMALL)/cache \
	  $(SMALL)/bin/python $(PYTEST) -m 'small and not slow and not gpu' $(PYTEST_ARGS)

$(SMALL_STAMP): $(shell git ls-files openmm_allegro 2>/dev/null) pyproject.toml setup.py
	@echo "installing the sdist with openmm $(SMALL_OPENMM), without torch, into $(SMALL)"
	@test -x $(SMALL)/bin/pip || $(PYTHON) -m venv $(SMALL)
	@$(SMALL_PIP) build
	@rm -rf $(SDIST)
	@$(SMALL)/bin/python -m build --sdist --outdir $(SDIST) . >$(SMALL)/sdist.log 2>&1 \
	  || { cat $(SMALL)/sdist.log; exit 1; }
	@$(SMALL_PIP) --force-reinstall --no-deps $(SDIST)/*.tar.gz
	@$(SMALL_PIP) 'openmm-allegro[$(SMALL_EXTRAS)]' openmm==$(SMALL_OPENMM)
	@touch $@

# A link that leads nowhere or a docstring that cannot be read ends it.
docs: venv
	$(VENV_PYTHON) -m sphinx -W --keep-going \
	  -q -c docs -b html . docs/_build/html
	@echo "open docs/_build/html/docs/index.html"

slow: venv
	$(VENV_PYTHON) $(PYTEST) -m slow $(PYTEST_ARGS)

# Packages of their own, beside the ordinary one, from a copy of the sources: setuptools
# would take objects that it finds in build/. The kernels are compiled when a package is
# installed, the plugin on first use, with the same flags. The runtimes of the sanitizers
# have to be in the process before Python is, which never frees all of its memory: no
# leaks. What they write must not be captured, for they end the process.
SANITIZE := build/sanitize
MEMORY := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
THREADS := -fsanitize=thread
SANITIZER_FLAGS := -fno-omit-frame-pointer -g1
NATIVE := $(addprefix tests/potential/test_,committee.py composition.py)
# Kernels for cards, whose lanes each count as a thread.
CARDS := $(addprefix tests/kernels/gpu/test_,host.py list.py network.py packed.py step.py)
sanitize: venv
	$(call sanitized,memory,$(MEMORY),asan)
	$(call watched,memory,$(MEMORY),asan) ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=32 \
	  UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc $(VENV_PYTHON) -P -m pytest \
	  -p no:cacheprovider -s tests/kernels tests/plugin $(NATIVE) \
	  -k 'not torchforce and not pythonforce and not without_sanitizers' $(PYTEST_ARGS)
	$(call sanitized,threads,$(THREADS),tsan)
	$(call watched,threads,$(THREADS),tsan) TSAN_OPTIONS=halt_on_error=1 \
	  OPENMM_CPU_THREADS=2 setarch -R $(VENV_PYTHON) -P -m pytest -p no:cacheprovider -s \
	  tests/plugin/test_contexts.py tests/plugin/test_native_table.py \
	  tests/kernels/test_sparse.py \
	  tests/kernels/test_kernels.py::test_threads_and_blocks_do_not_matter $(CARDS) \
	  -k 'not frees_it and not without_sanitizers' $(PYTEST_ARGS)

# Of a name, flags of the compiler and a runtime: a package that is compiled with them,
define sanitized
	rm -rf $(SANITIZE)/$(1)
	mkdir -p $(SANITIZE)/$(1)/source
	cp -r openmm_allegro setup.py pyproject.toml README.md LICENSE $(SANITIZE)/$(1)/source
	find $(SANITIZE)/$(1) -name '*.so' -delete
	CC=gcc CXX=g++ CFLAGS='$(2) $(SANITIZER_FLAGS)' CXXFLAGS='$(2) $(SANITIZER_FLAGS)' \
	  LDFLAGS='$(2)' $(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check \
	  --no-deps --target $(SANITIZE)/$(1)/package $(SANITIZE)/$(1)/source
	ldd $(SANITIZE)/$(1)/package/openmm_allegro/kernels/cpu/_generic*.so | grep -q lib$(3)
endef

# and the environment in which a process uses it.
watched = OMP_NUM_THREADS=1 CXX=g++ CXXFLAGS='$(2) $(SANITIZER_FLAGS)' \
	  OPENMM_ALLEGRO_CACHE=$(CURDIR)/$(SANITIZE)/$(1)/cache \
	  PYTHONPATH=$(CURDIR)/$(SANITIZE)/$(1)/package \
	  LD_PRELOAD="$$(g++ -print-file-name=lib$(3).so) $$(g++ -print-file-name=libstdc++.so)"

lint: venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: venv
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean:
	rm -rf .venv $(SMALL) runs build dist *.egg-info .pytest_cache .ruff_cache lightning_logs
	rm -f openmm_allegro/kernels/?pu/*.so
	find openmm_allegro tests examples systems benchmarks -name __pycache__ -prune \
	  -exec rm -rf {} + 2>/dev/null || true
