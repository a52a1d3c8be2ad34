# `make test-cluster` and `make test-mesh` need Go besides.  `make demo` and `make test` need Python 3.11 or later with venv, make, curl, util-linux, and a Python package index.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
# Each process of a lab would compile its modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-cluster test-mesh test-packages release lint format docs bench clean requirements

help:
	@echo "make demo   show the whole task on a local lab with a real Envoy"
	@echo "make test   run the default tests"
	@echo "make test-cluster  run those that need a real kube-apiserver, which Go builds once in 10 minutes"
	@echo "make test-mesh  run those that need a real istiod, which Go builds as well"
	@echo "make release  make wheel, sdist and single file, and check them"
	@echo "make test-packages  install them as users do, and build the image"
	@echo "make lint   ruff and mypy, over src, tests and bench"
	@echo "make docs   build the documentation's site into build/site"
	@echo "make bench  compare speeds, on a lab of its own"
	@echo "make clean  remove what the others made"

demo: $(VENV)/.installed
	@$(BIN)/egressctl demo

test: $(VENV)/.installed-dev
	@$(BIN)/pytest -n 4 --dist worksteal

test-cluster: $(VENV)/.installed-dev
	@$(BIN)/python tests/cluster/binaries.py
	@EGRESSCTL_TEST_CLUSTER=required $(BIN)/pytest -n 4 --dist worksteal -m kubernetes

test-mesh: $(VENV)/.installed-dev
	@$(BIN)/python tests/cluster/binaries.py
	@EGRESSCTL_TEST_CLUSTER=required $(BIN)/pytest -n 4 --dist worksteal -m mesh

release: build/release/.installed
	@build/release/bin/python tools/release.py build

# Installs from the package index; without buildah, mmdebstrap or ruby some are left out.
test-packages: $(VENV)/.installed-dev build/release/.installed
	@PYTHONPATH=tests $(BIN)/python tests/packages/programs.py
	@EGRESSCTL_TEST_PACKAGES=$${EGRESSCTL_TEST_PACKAGES:-1} $(BIN)/pytest tests/packages

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check src tests bench tools
	$(BIN)/ruff format --check src tests bench tools
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix src tests bench tools
	$(BIN)/ruff format src tests bench tools

docs: $(VENV)/.installed-docs
	@$(BIN)/python tools/proof_picture.py docs/pictures/proof.svg
	@$(BIN)/python tools/pictures.py build/pictures
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.installed
	@$(BIN)/python bench/bench.py

$(VENV)/.installed: pyproject.toml requirements-lab.txt tools/preflight.sh
	@sh tools/preflight.sh "$(PYTHON)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-lab.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed requirements-docs.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.txt
	@touch $@

# The tools of a release have an environment of their own: nothing of theirs is among what the tests run with.
build/release/.installed: requirements-release.txt
	@sh tools/preflight.sh "$(PYTHON)"
	@test -x build/release/bin/python || "$(PYTHON)" -m venv build/release
	@build/release/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-release.txt
	@touch $@

# Pins everything anew, with hashes and without any index's address; the documentation's packages as they are for the tests.
requirements:
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --extra build -o requirements.txt pyproject.toml
	$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --extra lab --extra build -o requirements-lab.txt pyproject.toml
	$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --extra lab --extra build --extra dev -o requirements-dev.txt pyproject.toml
	$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --constraint requirements-dev.txt --extra build --extra docs -o requirements-docs.txt pyproject.toml
	$(BIN)/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --extra build --extra release -o requirements-release.txt pyproject.toml

clean:
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
