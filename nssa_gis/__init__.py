"""Find objects of a few pixels in large georeferenced images and hand them over as a vector layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nssa_gis.detect.detector import Detector, DetectResult, ModelPackage, NssaError, detect, load_model

__all__ = ["DetectResult", "Detector", "ModelPackage", "NssaError", "__version__", "detect", "load_model"]


def __getattr__(name: str) -> Any:
    # Importing the package must stay cheap: what needs rasterio or torch is loaded when it is first asked for.
    if name in __all__:
        from nssa_gis.detect import detector

        return getattr(detector, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
