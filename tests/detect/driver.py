"""A run in its own process, with the planted detector: ``driver.py SCENE OUTPUT PACKAGE_DIR [delay=S] [option=value]``.

It is the real command line; only the model is exchanged.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from nssa_gis_cli.main import run
from planted import PlantedBackend, make_package

from nssa_gis.detect import run as pipeline

folder, delay, *arguments = sys.argv[1:]
pipeline.load_package = lambda *_: make_package(Path(folder))
pipeline.create_backend = lambda *_: PlantedBackend(float(delay))
run(arguments)
