# Everything a checkout can do. Environments are made when first needed, and kept.
#
#   make demo TORCH='torch==2.9.1'       another torch
#   make test PYTHON=python3.11          another Python
#   make test WORKERS=4                  so many processes
#   make test-classic PYTEST_ARGS=-x     one stack, and more for pytest
#   make fuzz MINUTES=30             try random input for half an hour
#   make mutants SEED=7 MUTANTS=200      the same small faults each time
#   make zoo ZOO_ARGS=--resume           go on after an interruption
#   PIP_FIND_LINKS=folder make test      take ready wheels (torch, mmcv) from a folder

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
TORCH ?= torch==2.13.0
DEMO ?= demo
SITE ?= build/site
# What the stack has no part in is tried on one of them: texts, pages, settings, random input.
ONEDL_LEFT_OUT := \
  tests/apis/explain/test_fault_files.py tests/apis/explain/test_faults.py \
  tests/cli/test_scan_report.py tests/config/test_source.py \
  tests/core/test_files.py tests/core/test_labels.py tests/core/test_palettes.py \
  tests/core/test_parallel.py tests/core/test_settings.py tests/core/test_text.py \
  tests/demo/test_data.py tests/fuzz tests/test_layering.py
ONEDL_TESTS ?= tests $(ONEDL_LEFT_OUT:%=--ignore=%)
PYTEST_ARGS ?=
WORKERS ?= 2
ZOO_ARGS ?=
# Corners of what people have, see tests/matrix; CORE are the tests of what depends on versions most.
CORNER ?= torch-1.13 torch-2.1 torch-2.6 newest
CORE := tests/checkpoint tests/core tests/config tests/hooks tests/models/test_adapt.py \
  tests/models/test_safe_load.py tests/apis/test_adapt.py tests/apis/test_patch.py
MATRIX_TESTS ?= tests
MINUTES ?= 10
FUZZ_ARGS ?=
MUTANTS ?= 200
MUTANTS_ARGS ?=

ONEDL := onedl-mmcv==2.3.6 onedl-mmengine==0.10.12 onedl-mmsegmentation==1.4.2
MMCV := mmcv==2.1.0
CLASSIC := mmengine==0.10.7 mmsegmentation==1.2.2 mmdet==3.3.0 ftfy regex
# A file at a time: what its tests share is made once.
SPREAD := -n $(WORKERS) --dist loadfile
# mmengine 0.10.7 imports pkg_resources, which setuptools 81 no longer has.
SETUPTOOLS := setuptools<81
WHEELS := .wheels

DEMO_ENV := .venv-demo
TEST_ENV := .venv-test
DOCS_ENV := .venv-docs
MATRIX_ENV := .venv-matrix
MUTANTS_ENV := .venv-mutants
DEMO_PYTHON := $(DEMO_ENV)/bin/python
TEST_PYTHON := $(TEST_ENV)/bin/python
DOCS_PYTHON := $(DOCS_ENV)/bin/python
# Stamps carry the name of torch, so that another one is installed when it is asked for.
empty :=
STAMP := ready-$(subst /,_,$(subst =,-,$(subst $(empty) ,-,$(TORCH))))
DEMO_READY := $(DEMO_ENV)/$(STAMP)
ONEDL_READY := $(DEMO_ENV)/tests-$(STAMP)
TEST_READY := $(TEST_ENV)/$(STAMP)
DOCS_READY := $(DOCS_ENV)/ready
MUTANTS_READY := $(MUTANTS_ENV)/$(STAMP)

# pip talks on a terminal, where its progress bars show; elsewhere a line a step is enough.
PIP := -m pip --disable-pip-version-check install $$([ -t 2 ] || echo --quiet)
say = @printf '%s\n' '==> $(1)' >&2
step = printf '%s\n' '==> $(1)' >&2

.PHONY: help demo test test-classic test-onedl test-slow test-matrix fuzz mutants zoo zoo-findings docs pages lint format bench clean distclean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(DEMO_READY) ## break a config, patch it, train it, and show images (no compiler, 5 min)
	@$(DEMO_ENV)/bin/mmseg-fix demo $(DEMO)

test: ## run the tests on both stacks, and say which one failed
	@failed=; \
	for stack in test-classic test-onedl; do $(MAKE) $$stack || failed="$$failed $$stack"; done; \
	[ -z "$$failed" ] || { printf '==> failed:%s\n' "$$failed" >&2; exit 1; }

test-classic: $(TEST_READY) ## run the tests on mmsegmentation (the first time may compile mmcv)
	$(call say,pytest on mmsegmentation 1.2.2)
	@OMP_NUM_THREADS=1 $(TEST_PYTHON) -m pytest -q -m 'not slow' $(SPREAD) $(PYTEST_ARGS)

test-slow: $(TEST_READY) ## run the tests that take minutes
	$(call say,pytest on mmsegmentation 1.2.2: slow tests)
	@OMP_NUM_THREADS=1 $(TEST_PYTHON) -m pytest -q -m slow $(PYTEST_ARGS)

test-onedl: $(ONEDL_READY) ## run the tests on onedl-mmsegmentation, the maintained fork
	$(call say,pytest on onedl-mmsegmentation 1.4.2)
	@OMP_NUM_THREADS=1 $(DEMO_PYTHON) -m pytest -q -m 'not slow' $(SPREAD) $(PYTEST_ARGS) $(ONEDL_TESTS)

test-matrix: ## run the tests on old and new versions: CORNER=torch-2.1 for one
	@failed=; \
	for corner in $(CORNER); do $(MAKE) test-$$corner || failed="$$failed $$corner"; done; \
	[ -z "$$failed" ] || { printf '==> failed:%s\n' "$$failed" >&2; exit 1; }

test-%: $(MATRIX_ENV)/%/ready
	$(call say,pytest on the versions of tests/matrix/$*.txt)
	@OMP_NUM_THREADS=1 $(MATRIX_ENV)/$*/bin/python -m pytest -q -m 'not slow' $(SPREAD) $(PYTEST_ARGS) $(MATRIX_TESTS)

fuzz: $(TEST_READY) ## try random input for MINUTES=10
	@OMP_NUM_THREADS=1 $(TEST_PYTHON) -m tests.fuzz --minutes $(MINUTES) $(FUZZ_ARGS)

mutants: $(MUTANTS_READY) ## which of MUTANTS=200 small faults does no test see? (an hour)
	@$(MUTANTS_ENV)/bin/python -m tests.mutants --mutants $(MUTANTS) --workers $(WORKERS) \
	  $(if $(SEED),--seed $(SEED)) $(MUTANTS_ARGS)

zoo: $(TEST_READY) ## prove every config of the zoo and write docs/zoo.md (half an hour)
	$(call say,the zoo of mmsegmentation 1.2.2)
	@OMP_NUM_THREADS=1 $(TEST_PYTHON) -m tests.zoo -o docs/zoo.md $(ZOO_ARGS)

zoo-findings: $(TEST_READY) ## write what check says of the zoo into docs/zoo.md (half a minute)
	@OMP_NUM_THREADS=1 $(TEST_PYTHON) -m tests.zoo --findings -o docs/zoo.md

docs: $(DOCS_READY) ## build the site; every link and anchor in it is checked
	$(call say,the site)
	@$(DOCS_ENV)/bin/sphinx-build -q -n -W --keep-going -b html -d $(SITE)/.doctrees docs $(SITE)
	$(call say,open $(SITE)/index.html)

pages: $(TEST_READY) ## write the generated pages and images of docs/ again
	@$(TEST_ENV)/bin/mmseg-fix rule --all > docs/rules.md
	@$(TEST_PYTHON) -m docs.generate.pages cli > docs/cli.md
	@$(TEST_PYTHON) -m docs.generate.pages api > docs/api.md
	@$(TEST_PYTHON) -m docs.generate.pictures docs/pictures

lint: $(TEST_READY) ## check style, format and types
	@$(TEST_PYTHON) -m ruff check .
	@$(TEST_PYTHON) -m ruff format --check .
	@$(TEST_PYTHON) -m mypy

format: $(TEST_READY) ## format the sources and sort the imports
	@$(TEST_PYTHON) -m ruff check --fix .
	@$(TEST_PYTHON) -m ruff format .

bench: $(TEST_READY) ## run the benchmarks
	@for file in benchmarks/*.py; do \
	  $(call step,$$file); OMP_NUM_THREADS=1 $(TEST_PYTHON) "$$file"; \
	done

clean: ## remove environments and caches; built wheels stay
	rm -rf $(DEMO_ENV) $(TEST_ENV) $(DOCS_ENV) $(MUTANTS_ENV) $(MATRIX_ENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## also remove the built wheels (compiling mmcv again takes eleven minutes)
	rm -rf $(WHEELS)

# --- environments ------------------------------------------------------------------------------

$(DEMO_READY): pyproject.toml Makefile
	$(call say,1/4 virtual environment $(DEMO_ENV))
	@[ -x $(DEMO_PYTHON) ] || $(PYTHON) -m venv $(DEMO_ENV)
	$(call say,2/4 $(TORCH) (a CPU build has about 200 MB))
	@$(DEMO_PYTHON) $(PIP) '$(TORCH)'
	$(call say,3/4 $(ONEDL) (pure Python: no compiler))
	@$(DEMO_PYTHON) $(PIP) '$(TORCH)' $(ONEDL)
	$(call say,4/4 mmseg-fixkit)
	@$(DEMO_PYTHON) $(PIP) -e .
	@touch $@

$(ONEDL_READY): $(DEMO_READY)
	$(call say,test tools in $(DEMO_ENV))
	@$(DEMO_PYTHON) $(PIP) -e '.[test]'
	@touch $@

$(TEST_READY): pyproject.toml Makefile
	$(call say,1/5 virtual environment $(TEST_ENV))
	@[ -x $(TEST_PYTHON) ] || $(PYTHON) -m venv $(TEST_ENV)
	$(call say,2/5 $(TORCH) (a CPU build has about 200 MB))
	@$(TEST_PYTHON) $(PIP) '$(SETUPTOOLS)' wheel ninja '$(TORCH)'
	$(call say,3/5 $(CLASSIC))
	@$(TEST_PYTHON) $(PIP) '$(SETUPTOOLS)' '$(TORCH)' $(CLASSIC)
	$(call say,4/5 $(MMCV) with its compiled ops)
	@$(call mmcv_works) || $(call mmcv_ready_wheel) || $(call mmcv_build)
	$(call say,5/5 mmseg-fixkit and the test tools)
	@$(TEST_PYTHON) $(PIP) '$(SETUPTOOLS)' '$(TORCH)' -e '.[test]'
	@touch $@

# Of mmcv only the names of its compiled ops are there, so that none of the corners needs a compiler.
.PRECIOUS: $(MATRIX_ENV)/%/ready
$(MATRIX_ENV)/%/ready: tests/matrix/%.txt tests/matrix/tools.txt tests/matrix/mmcv_ext.py pyproject.toml
	$(call say,virtual environment $(MATRIX_ENV)/$* (with CUDA$(comma) torch has 3 to 5 GB))
	@$(python_of) -m venv $(MATRIX_ENV)/$*
	@$(MATRIX_ENV)/$*/bin/python $(PIP) -r tests/matrix/tools.txt -r $< -e .
	@cp tests/matrix/mmcv_ext.py "$$($(MATRIX_ENV)/$*/bin/python -c "$(mmcv_place)")/_ext.py"
	@touch $@

# On PATH or of pyenv; -m follows.
python_of = version="$$(sed -n 's/^\# Python //p' $<)"; \
  for python in "python$$version" ~/.pyenv/versions/"$$version".*/bin/python none; do \
    "$$python" -c '' 2>/dev/null && break; \
  done; \
  [ "$$python" != none ] || { echo "Python $$version is needed for $<" >&2; exit 1; }; \
  "$$python"
mmcv_place = from importlib.util import find_spec; print(find_spec('mmcv').submodule_search_locations[0])

$(MUTANTS_READY): $(TEST_READY)
	$(call say,what makes mutants in $(MUTANTS_ENV)$(comma) which sees the packages of $(TEST_ENV))
	@$(TEST_PYTHON) -m venv $(MUTANTS_ENV)
	@packages='import site; print(site.getsitepackages()[0])'; $(TEST_PYTHON) -c "$$packages" \
	  > "$$($(MUTANTS_ENV)/bin/python -c "$$packages")/test-environment.pth"
	@$(MUTANTS_ENV)/bin/python $(PIP) 'cosmic-ray>=8.4' 'coverage>=7.10'
	@touch $@

$(DOCS_READY): pyproject.toml Makefile
	$(call say,1/2 virtual environment $(DOCS_ENV))
	@[ -x $(DOCS_PYTHON) ] || $(PYTHON) -m venv $(DOCS_ENV)
	$(call say,2/2 what builds the site (220 MB))
	@$(DOCS_PYTHON) $(PIP) -e '.[docs]'
	@touch $@

mmcv_works = $(TEST_PYTHON) -c 'import mmcv.ops' 2>/dev/null

# A wheel that was built against another torch installs but does not import.
mmcv_ready_wheel = { $(TEST_PYTHON) $(PIP) --no-deps --only-binary mmcv --find-links $(WHEELS) \
  $(MMCV) 2>/dev/null && $(mmcv_works); }

# Without the cache: pip would keep a wheel under the same name whatever torch it was built for.
mmcv_build = { \
  $(call step,    no wheel of $(MMCV) fits: compiling it$(comma) once$(comma) about 11 minutes on two cores); \
  $(call step,    the wheel is kept in $(WHEELS)); \
  MMCV_WITH_OPS=1 $(TEST_PYTHON) -m pip --disable-pip-version-check wheel --no-cache-dir \
    --no-build-isolation --no-binary mmcv --no-deps $(MMCV) -w $(WHEELS) $$([ -t 2 ] || echo --quiet); \
  $(TEST_PYTHON) $(PIP) --no-deps --force-reinstall --no-index --find-links $(WHEELS) $(MMCV); \
  $(TEST_PYTHON) -c 'import mmcv.ops'; }
comma := ,
