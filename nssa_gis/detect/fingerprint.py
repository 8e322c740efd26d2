"""The fingerprint of a run: all that its records depend on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nssa_gis import __version__
from nssa_gis.detect.options import DetectOptions
from nssa_gis.files import masked
from nssa_gis.vector.areas import split_area

if TYPE_CHECKING:
    from nssa_gis.detect.detector import Detector
    from nssa_gis.raster.scene import Scene


def fingerprint(scene: Scene, detector: Detector, options: DetectOptions) -> dict[str, Any]:
    """Name everything that the records of a run depend on, as JSON values.

    Two runs with equal fingerprints write the same records; a journal is continued only under the same one.
    """
    return {
        "scene": _identity(str(scene.path)),
        "model": {"name": detector.info.name, "sha256": detector.digest, "tta": detector.tta},
        "options": options.fingerprint(),
        "aoi file": None if options.aoi is None else _area_identity(options.aoi),
        "nssa-gis version": __version__,
    }


def _identity(path: str) -> dict[str, Any]:
    """Path, size and time of change; only the path for what is not a local file (URLs, /vsi paths).

    A password in it is no part of the identity: a run goes on under a new one.
    """
    if not os.path.exists(path):
        return {"path": masked(path)}
    stat = os.stat(path)
    return {"path": os.path.realpath(path), "bytes": stat.st_size, "changed": stat.st_mtime_ns}


def _area_identity(source: str) -> dict[str, Any]:
    path, layer = split_area(source)
    return {**_identity(path), "layer": layer}
