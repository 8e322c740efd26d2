"""What is installed here, and what a run would use."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nssa_gis import __version__
from nssa_gis.environment import ignored
from nssa_gis.errors import NssaError


@dataclass(frozen=True)
class Diagnosis:
    """The findings.

    Attributes
    ----------
    facts : dict
        Section to ``{name: value}``, JSON values.
    problems : tuple of str
        What keeps ``detect`` from working, each with what to do.
    """

    facts: dict[str, dict[str, Any]]
    problems: tuple[str, ...]


def diagnose() -> Diagnosis:
    """Check everything that ``detect`` needs; imports torch."""
    problems: list[str] = []
    facts = {}
    for section, look in _SECTIONS.items():
        try:
            facts[section] = look()
        except NssaError as error:
            facts[section] = {}
            problems.append(f"{section}: {error}")
        except Exception as error:  # whatever a broken installation raises is the finding
            facts[section] = {}
            problems.append(
                f"{section}: {type(error).__name__}: {error}; install nssa-gis again in a fresh environment"
            )
    missing = [driver for driver, mode in facts["vector formats"].items() if mode == "missing" and driver == "GPKG"]
    if missing:
        problems.append("vector formats: GDAL cannot write GeoPackages; install the pyogrio wheel from PyPI")
    return Diagnosis(facts, tuple(problems))


def _program() -> dict[str, Any]:
    return {
        "nssa-gis": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
    }


def _libraries() -> dict[str, Any]:
    versions: dict[str, Any] = {}
    for name in ("numpy", "torch", "safetensors", "rasterio", "pyproj", "shapely", "pyogrio", "pyarrow"):
        versions[name] = str(importlib.import_module(name).__version__)
    import pyogrio
    import pyproj
    import rasterio

    versions["GDAL (rasterio)"] = rasterio.__gdal_version__
    versions["GDAL (pyogrio)"] = pyogrio.__gdal_version_string__
    versions["PROJ (pyproj)"] = pyproj.proj_version_str
    return versions


#: Easting and northing in UTM 33 N (EPSG:32633), and their longitude and latitude.
_KNOWN_PLACE = (500000.0, 5000000.0), (15.0, 45.1534772)
#: How far a right transformation may be from it, degrees (0.1 m).
_NEAR = 1e-6


def _coordinates() -> dict[str, Any]:
    """Transform a known place with the PROJ of each library; each has a database of its own."""
    facts: dict[str, Any] = {}
    for library, transform in _TRANSFORMS.items():
        try:
            longitude, latitude = transform(*_KNOWN_PLACE[0])
        except Exception as error:  # whatever a broken installation raises is the finding
            raise NssaError(
                f"{library} cannot use its PROJ database ({type(error).__name__}: {' '.join(str(error).split())}); "
                f"unset PROJ_DATA and PROJ_LIB, or install {library} again"
            ) from error
        if max(abs(longitude - _KNOWN_PLACE[1][0]), abs(latitude - _KNOWN_PLACE[1][1])) > _NEAR:
            raise NssaError(
                f"{library} puts a known place at {longitude:.6f} {latitude:.6f} instead of {_KNOWN_PLACE[1][0]:.6f} "
                f"{_KNOWN_PLACE[1][1]:.6f}; install {library} again"
            )
        facts[library] = "transforms a known place rightly"
    facts["not used from the environment"] = ", ".join(f"{k}={v}" for k, v in sorted(ignored.items()))
    return {name: value for name, value in facts.items() if value}


def _by_rasterio(x: float, y: float) -> tuple[float, float]:
    import rasterio
    from rasterio.warp import transform

    with rasterio.Env():
        xs, ys = transform(rasterio.CRS.from_epsg(32633), rasterio.CRS.from_epsg(4326), [x], [y])[:2]
    return xs[0], ys[0]


def _by_pyproj(x: float, y: float) -> tuple[float, float]:
    import pyproj

    longitude, latitude = pyproj.Transformer.from_crs(32633, 4326, always_xy=True).transform(x, y)
    return longitude, latitude


def _by_pyogrio(x: float, y: float) -> tuple[float, float]:
    """Pyogrio has no transformation to call, but GDAL makes one when it writes GeoJSON."""
    import numpy as np
    import pyogrio.raw
    import shapely

    file = io.BytesIO()
    point = np.array([shapely.to_wkb(shapely.Point(x, y))], object)
    pyogrio.raw.write(
        file, point, [], np.array([], object), driver="GeoJSON", geometry_type="Point", crs="EPSG:32633", RFC7946="YES"
    )
    longitude, latitude = json.loads(file.getvalue())["features"][0]["geometry"]["coordinates"][:2]
    return longitude, latitude


_TRANSFORMS: dict[str, Callable[[float, float], tuple[float, float]]] = {
    "rasterio": _by_rasterio,
    "pyproj": _by_pyproj,
    "pyogrio": _by_pyogrio,
}


def _formats() -> dict[str, Any]:
    import pyogrio

    from nssa_gis.vector.target import DRIVERS

    known = {**pyogrio.list_drivers(write=True), "Parquet": "w"}  # GeoParquet is written by pyarrow
    return {driver: "writable" if driver in known else "missing" for driver in dict.fromkeys(DRIVERS.values())}


def _machine() -> dict[str, Any]:
    import torch

    from nssa_gis.runtime.backends.torch import cpu_has_bf16

    facts: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "cpu_bf16": cpu_has_bf16(),
        "cuda": torch.version.cuda or "this torch is built without CUDA",
    }
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        facts[f"cuda:{index}"] = f"{device.name}, {device.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        facts["mps"] = "Apple GPU"
    return facts


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def _model() -> dict[str, Any]:
    from nssa_gis.runtime.backends.protocol import create_backend
    from nssa_gis.runtime.package import built_in_models, load_package

    package = load_package()
    backend = create_backend(package)
    return {
        "built_in": ", ".join(built_in_models()),
        "default": f"{package.info.name} {package.info.version}",
        "classes": ", ".join(package.info.classes),
        "gsd_m": package.info.gsd,
        "would_run_with": backend.description,
    }


_SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "program": _program,
    "libraries": _libraries,
    "coordinates": _coordinates,
    "vector formats": _formats,
    "machine": _machine,
    "model": _model,
}
