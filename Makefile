# The environment is .venv in the checkout. PYTHON picks the interpreter that makes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint bench picture clean

# below 2.14 plain pip can take a small CPU build of torch where one is at hand; see README for CUDA
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[dev]"
	touch $@

demo: $(STAMP)
	mkdir -p demo_output
	$(BIN)/nssa-gis detect sample_data/town.tif -o demo_output/cars.gpkg --overwrite
	$(BIN)/nssa-gis preview sample_data/town.tif demo_output/cars.gpkg -o demo_output/preview.png

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks.merge --quick
	$(BIN)/python -m benchmarks.seams --quick

picture: demo
	$(BIN)/python docs/picture.py

clean:
	rm -rf $(VENV) demo_output runs
