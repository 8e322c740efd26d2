"""Made scenes and a planted detector: the whole way without a network, for tests, benchmarks and other backends."""

from nssa_gis.testing.layers import layer_boxes, layer_records, ordered, same_boxes
from nssa_gis.testing.planted import (
    GSD,
    PlantedBackend,
    PlantedDetector,
    make_package,
    make_scene,
    pad,
    planted_info,
    rectangles,
)

#: Arguments of Python that run the command line with the planted detector; see :mod:`nssa_gis.testing.driver`.
DRIVER = ("-m", "nssa_gis.testing.driver")

__all__ = [
    "DRIVER",
    "GSD",
    "PlantedBackend",
    "PlantedDetector",
    "layer_boxes",
    "layer_records",
    "make_package",
    "make_scene",
    "ordered",
    "pad",
    "planted_info",
    "rectangles",
    "same_boxes",
]
