"""Find objects of a few pixels in large georeferenced images and write them as a vector layer."""

from __future__ import annotations

import importlib
import logging
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nssa_gis.environment import use_own_databases

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nssa_gis.detect.detector import Detector, load_model
    from nssa_gis.detect.export import ExportResult, export
    from nssa_gis.detect.result import DetectResult
    from nssa_gis.detect.run import detect
    from nssa_gis.errors import NssaError, UsageError
    from nssa_gis.evaluate.evaluation import Evaluation, evaluate
    from nssa_gis.pictures.preview import preview
    from nssa_gis.runtime.package import ModelPackage
    from nssa_gis.scenes.batch import BatchResult, batch
    from nssa_gis.train.pseudo_labels import Suggestions, suggest
    from nssa_gis.train.training import TrainResult, train

#: Where each public name is defined: a module is imported when its name is first used, because rasterio and torch take
#: seconds.
_MODULES = {
    "BatchResult": "nssa_gis.scenes.batch",
    "DetectResult": "nssa_gis.detect.result",
    "Detector": "nssa_gis.detect.detector",
    "Evaluation": "nssa_gis.evaluate.evaluation",
    "ExportResult": "nssa_gis.detect.export",
    "ModelPackage": "nssa_gis.runtime.package",
    "NssaError": "nssa_gis.errors",
    "Suggestions": "nssa_gis.train.pseudo_labels",
    "TrainResult": "nssa_gis.train.training",
    "UsageError": "nssa_gis.errors",
    "batch": "nssa_gis.scenes.batch",
    "detect": "nssa_gis.detect.run",
    "evaluate": "nssa_gis.evaluate.evaluation",
    "export": "nssa_gis.detect.export",
    "load_model": "nssa_gis.detect.detector",
    "preview": "nssa_gis.pictures.preview",
    "suggest": "nssa_gis.train.pseudo_labels",
    "train": "nssa_gis.train.training",
}

__all__ = [
    "BatchResult",
    "DetectResult",
    "Detector",
    "Evaluation",
    "ExportResult",
    "ModelPackage",
    "NssaError",
    "Suggestions",
    "TrainResult",
    "UsageError",
    "__version__",
    "batch",
    "detect",
    "evaluate",
    "export",
    "load_model",
    "preview",
    "suggest",
    "train",
]

use_own_databases()  # before rasterio is imported: GDAL looks for drivers once
logging.getLogger(__name__).addHandler(logging.NullHandler())  # a program that uses the library decides what is shown


class _CallableRoom(ModuleType):
    """A subpackage that is called like the public function of its name: ``nssa_gis.detect(scene, output)``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(importlib.import_module(_MODULES[name]), name)(*args, **kwargs)


class _Package(ModuleType):
    """The package ``nssa_gis``; it makes subpackages callable that have the name of a public function.

    ``nssa_gis.detect`` is both a subpackage and a function. When the subpackage is imported, from wherever, Python
    binds its name here and would hide the function. So the subpackage itself becomes callable at that moment, and the
    name means the same before and after the import.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _MODULES and isinstance(value, ModuleType):
            value.__class__ = _CallableRoom
        super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _MODULES[name]
    if home.startswith(f"{__name__}.{name}."):
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)


sys.modules[__name__].__class__ = _Package
