"""The process that the library finds itself in: environment variables of other programs, and forks.

Variables of other programs would change what GDAL and PROJ read and write. The wheels of rasterio, pyproj and pyogrio
bring their own databases. A terminal of another GIS (OSGeo4W, conda, PostGIS) names those of its own PROJ and GDAL,
which have another layout: coordinate systems become unknown, and sizes wrong.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from fnmatch import fnmatchcase
from pathlib import Path

#: Where another installation has its databases and drivers, and drivers that are left out.
_INSTALLATION = (
    "PROJ_LIB",
    "PROJ_DATA",
    "PROJ_AUX_DB",
    "GDAL_DATA",
    "GEOTIFF_CSV",
    "GDAL_DRIVER_PATH",
    "OGR_DRIVER_PATH",
    "GDAL_PYTHON_DRIVER_PATH",
    "GDAL_SKIP",
    "OGR_SKIP",
)
#: Settings by which the same files give another result. Access to a network, memory and threads are none of these.
_SETTINGS = (
    "GDAL_PAM_*",
    "ESRI_XML_PAM",
    "GDAL_TIFF_*",
    "GTIFF_*",
    "GDAL_GEOREF_SOURCES",
    "GDAL_RASTERIO_RESAMPLING",
    "GDAL_JPEG_TO_RGB",
    "OSR_*",
    "OGR_*",
    "SHAPE_*",
    "PROJ_ONLY_BEST_DEFAULT",
)

#: What was found and is not used, by name.
ignored: dict[str, str] = {}


class _Process:
    torch_was_loaded = False


def forked_with_torch() -> bool:
    """Whether this process was forked from one that had loaded PyTorch, whose threads do not survive a fork."""
    return _Process.torch_was_loaded


def _after_fork() -> None:
    _Process.torch_was_loaded = _Process.torch_was_loaded or "torch" in sys.modules


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_after_fork)


def use_own_databases() -> None:
    """Take the databases and drivers of other installations out of the environment of this process.

    Where the installed rasterio has no databases of its own (conda, Debian) they stay: it needs them.
    """
    if _has_own_databases():
        _ignore(_INSTALLATION)


def use_own_settings() -> None:
    """Take settings of GDAL out of the environment by which the same files give another result.

    For a process that is ours; a program that uses the library keeps its settings.
    """
    _ignore(_SETTINGS)
    # "EMPTY_DIR" makes GDAL miss world files, masks and overviews beside a scene; "TRUE" looks for them by name.
    if os.environ.get("GDAL_DISABLE_READDIR_ON_OPEN", "").upper() == "EMPTY_DIR":
        os.environ["GDAL_DISABLE_READDIR_ON_OPEN"] = "TRUE"


def ignored_settings() -> list[str]:
    """Name the settings that were taken out; the user may have meant them."""
    return sorted(name for name in ignored if name not in _INSTALLATION)


@functools.cache
def _has_own_databases() -> bool:
    found = importlib.util.find_spec("rasterio")
    return found is not None and found.origin is not None and (Path(found.origin).parent / "proj_data").is_dir()


def _ignore(patterns: tuple[str, ...]) -> None:
    for name in list(os.environ):
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            ignored[name] = os.environ.pop(name)
