"""What is installed here, and what a run would use."""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import json
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
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
    """Check everything that ``detect`` needs; imports torch and runs the default model on an empty tile."""
    facts: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for section, look in _SECTIONS.items():
        found: dict[str, Any] = {}
        facts[section] = found
        try:
            for name, value in look():
                if isinstance(value, _Problem):
                    problems.append(f"{section}: {value}")
                else:
                    found[name] = value
        except NssaError as error:
            problems.append(f"{section}: {error}")
        except ImportError as error:
            if not any(problem.startswith("libraries: ") for problem in problems):  # else that is what is missing here
                problems.append(f"{section}: {error}; {_ANEW}")
        except Exception as error:  # whatever a broken installation raises is the finding
            problems.append(f"{section}: {type(error).__name__}: {' '.join(str(error).split())}; {_ANEW}")
    return Diagnosis(facts, tuple(problems))


_ANEW = "install nssa-gis again in a fresh environment"
#: Name of each library and of its distribution.
_LIBRARIES = {
    **{n: n for n in ("numpy", "torch", "safetensors", "rasterio", "pyproj", "shapely", "pyogrio", "pyarrow")},
    **{n: n for n in ("filelock", "pydantic")},
    "PIL": "pillow",
}
#: What must be there for scenes and layers, and what may be missing.
_RASTER_FORMATS = {"GTiff": True, "VRT": False, "JP2OpenJPEG": False, "PNG": False, "JPEG": False, "ECW": False}


class _Problem(str):
    """What keeps ``detect`` from working, in the place of a fact."""


Facts = Iterator[tuple[str, Any]]


def _program() -> Facts:
    yield "nssa-gis", __version__
    yield "python", platform.python_version()
    yield "executable", sys.executable
    yield "system", platform.platform()
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"0")
        yield "temporary files", tempfile.gettempdir()
    except OSError as error:
        yield "", _Problem(f"no folder takes temporary files ({error.strerror}); free space, or set TMPDIR to a folder")
    wanted = next((os.environ[n] for n in ("TMPDIR", "TEMP", "TMP") if os.environ.get(n)), None)
    if wanted and not os.access(wanted, os.W_OK | os.X_OK):
        yield "not usable for temporary files", wanted


def _libraries() -> Facts:
    wanted = _requirements()
    for name, distribution in _LIBRARIES.items():
        try:
            module = importlib.import_module(name)
            version = str(module.__version__)
        except Exception as error:  # a library for another Python fails in many ways
            text = " ".join(str(error).split())[:200]
            yield name, _Problem(f"{distribution} cannot be loaded ({text}); {_ANEW}{_foreign_path()}")
            continue
        yield name, version
        if not _fits(version, wanted.get(distribution, "")):
            place = os.path.dirname(os.path.dirname(module.__file__ or ""))
            yield (
                name,
                _Problem(
                    f"{distribution} {version} in {place} does not fit, {wanted[distribution]} is needed; "
                    f"{_ANEW}{_foreign_path()}"
                ),
            )
    for name, package, attribute in (
        ("GDAL (rasterio)", "rasterio", "__gdal_version__"),
        ("GDAL (pyogrio)", "pyogrio", "__gdal_version_string__"),
        ("PROJ (pyproj)", "pyproj", "proj_version_str"),
    ):
        if package in sys.modules:
            yield name, getattr(sys.modules[package], attribute)


def _requirements() -> dict[str, str]:
    """Version bounds of the libraries as nssa-gis states them; empty if it runs without being installed."""
    try:
        stated = importlib.metadata.requires("nssa-gis") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    parts = (re.match(r"([\w.-]+)([^;\[]*)$", text) for text in stated)
    return {part[1].lower(): part[2].strip() for part in parts if part}


def _fits(version: str, bounds: str) -> bool:
    """Whether a version is within bounds such as ``>=2.6,<2.14``."""
    have = _numbers(version)
    for sign, limit in re.findall(r"(>=|<)\s*([\d.]+)", bounds):
        if (have >= _numbers(limit)) != (sign == ">="):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(n) for n in re.findall(r"\d+", re.match(r"[\d.]*", version)[0])]  # type: ignore[index]
    while numbers and numbers[-1] == 0:  # 3.0 is 3
        numbers.pop()
    return tuple(numbers)


def _foreign_path() -> str:
    given = os.environ.get("PYTHONPATH")
    return f"; PYTHONPATH={given} brings libraries of another program, unset it" if given else ""


#: Easting and northing in UTM 33 N (EPSG:32633), and their longitude and latitude.
_KNOWN_PLACE = (500000.0, 5000000.0), (15.0, 45.1534772)
#: How far a right transformation may be from it, degrees (0.1 m).
_NEAR = 1e-6


def _coordinates() -> Facts:
    """Transform a known place with the PROJ of each library; each has a database of its own."""
    for library, transform in _TRANSFORMS.items():
        try:
            longitude, latitude = transform(*_KNOWN_PLACE[0])
        except ImportError:  # told before
            continue
        except Exception as error:  # whatever a broken installation raises is the finding
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            advice = f"unset PROJ_DATA and PROJ_LIB, or install {library} again"
            yield library, _Problem(f"{library} cannot use its PROJ database ({text}); {advice}")
            continue
        wanted = _KNOWN_PLACE[1]
        if max(abs(longitude - wanted[0]), abs(latitude - wanted[1])) > _NEAR:
            found = f"{longitude:.6f} {latitude:.6f} instead of {wanted[0]:.6f} {wanted[1]:.6f}"
            yield library, _Problem(f"{library} puts a known place at {found}; install {library} again")
        else:
            yield library, "transforms a known place rightly"
    if ignored:
        yield "not used from the environment", ", ".join(f"{k}={v}" for k, v in sorted(ignored.items()))


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


def _images() -> Facts:
    import rasterio

    with rasterio.Env() as env:
        known = env.drivers()
    for driver, needed in _RASTER_FORMATS.items():
        if needed and driver not in known:
            yield driver, _Problem(f"GDAL cannot read {driver}; install the rasterio wheel from PyPI")
        else:
            yield driver, "readable" if driver in known else "missing"


def _formats() -> Facts:
    import pyogrio

    from nssa_gis.vector.target import DRIVERS

    known = {**pyogrio.list_drivers(write=True), "Parquet": "w"}  # GeoParquet is written by pyarrow
    for driver in dict.fromkeys(DRIVERS.values()):
        yield driver, "writable" if driver in known else "missing"
    if "GPKG" not in known:
        yield "", _Problem("GDAL cannot write GeoPackages; install the pyogrio wheel from PyPI")


def _machine() -> Facts:
    import torch

    from nssa_gis.runtime.backends.torch import cpu_has_bf16

    yield "cores", len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "memory_gib", _memory_gib()
    yield "cpu", torch.backends.cpu.get_cpu_capability()
    yield "cpu_bf16", cpu_has_bf16()
    yield "cuda", torch.version.cuda or "this torch is built without CUDA"
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        yield f"cuda:{index}", f"{device.name}, {device.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        yield "mps", "Apple GPU"


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def _model() -> Facts:
    import numpy as np

    from nssa_gis.runtime.backends.protocol import create_backend
    from nssa_gis.runtime.package import built_in_models, load_package

    yield "built_in", ", ".join(built_in_models())
    package = load_package()
    info = package.info
    yield "default", f"{info.name} {info.version}"
    yield "classes", ", ".join(info.classes)
    yield "gsd_m", info.gsd
    backend = create_backend(package)
    yield "would_run_with", backend.description
    started = time.monotonic()
    backend.predict(np.zeros((1, len(info.bands), info.tile, info.tile), np.uint8), info.score_threshold)
    yield "seconds_first_tile", round(time.monotonic() - started, 2)


_SECTIONS: dict[str, Callable[[], Facts]] = {
    "program": _program,
    "libraries": _libraries,
    "coordinates": _coordinates,
    "images": _images,
    "vector formats": _formats,
    "machine": _machine,
    "model": _model,
}
