"""The command line with the planted detector: ``python -m nssa_gis.testing.driver PACKAGE_DIR DELAY COMMAND...``.

Everything but the detector is real. DELAY is in seconds per batch: it makes a run slow enough to be killed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from nssa_gis_cli.main import run

from nssa_gis.detect.detector import Detector
from nssa_gis.detect.options import DetectorOptions
from nssa_gis.runtime.package import load_package
from nssa_gis.testing.planted import PlantedBackend, PlantedDetector, make_package

folder, delay, *arguments = sys.argv[1:]


def _planted(options: DetectorOptions) -> PlantedDetector:
    # Written once, by the caller or the first run: a run must not change its model, and writing one takes torch.
    path = Path(folder) / "planted.safetensors"
    package = load_package(path) if path.exists() else make_package(folder)
    return PlantedDetector(package, PlantedBackend(float(delay)))


Detector.of_options = _planted  # type: ignore[method-assign]
run(arguments)
