"""Find objects of a few pixels in large georeferenced images and write them as a vector layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nssa_gis.detect.detector import Detector, load_model
    from nssa_gis.detect.result import DetectResult
    from nssa_gis.detect.run import detect
    from nssa_gis.errors import NssaError, UsageError
    from nssa_gis.runtime.package import ModelPackage

_ROOMS = {
    "DetectResult": "nssa_gis.detect.result",
    "Detector": "nssa_gis.detect.detector",
    "ModelPackage": "nssa_gis.runtime.package",
    "NssaError": "nssa_gis.errors",
    "UsageError": "nssa_gis.errors",
    "detect": "nssa_gis.detect.run",
    "load_model": "nssa_gis.detect.detector",
}

__all__ = [
    "DetectResult",
    "Detector",
    "ModelPackage",
    "NssaError",
    "UsageError",
    "__version__",
    "detect",
    "load_model",
]


def __getattr__(name: str) -> Any:
    # Importing the package must stay cheap: what needs rasterio or torch is loaded when it is first asked for.
    if name in _ROOMS:
        import importlib

        return getattr(importlib.import_module(_ROOMS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
