# The environment is .venv in the checkout. PYTHON picks the interpreter that makes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-fast lint bench picture plugin test-qgis install-qgis clean

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

# Without the tests that are marked slow: within 90 s on two cores.
test-fast: $(STAMP)
	$(BIN)/python -m pytest -m "not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks.merge --quick
	$(BIN)/python -m benchmarks.seams --quick

picture: demo
	$(BIN)/python docs/picture.py

# The QGIS plugin as a zip to install by hand or to upload.
plugin: $(STAMP)
	$(BIN)/python qgis_plugin/generate_options.py
	$(BIN)/python qgis_plugin/build_zip.py

# Needs a QGIS whose Python is QGIS_PYTHON (make install-qgis on Debian and Ubuntu, as root); left out without one.
QGIS_PYTHON ?= /usr/bin/python3
test-qgis: $(STAMP)
	@if $(QGIS_PYTHON) -c "import qgis.core, pytest" 2>/dev/null; then \
	  QT_QPA_PLATFORM=offscreen NSSA_GIS=$(abspath $(BIN)/nssa-gis) \
	  $(QGIS_PYTHON) -m pytest -q -p no:cacheprovider qgis_plugin/tests; \
	else echo "test-qgis: left out, $(QGIS_PYTHON) has no QGIS with pytest (make install-qgis)"; fi

install-qgis:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	  qgis python3-qgis xvfb xauth openbox imagemagick xdotool python3-pytest

clean:
	rm -rf $(VENV) demo_output runs
