"""What a run will do, decided before anything is computed: the working grid, its tiles, bands, thresholds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nssa_gis import __version__
from nssa_gis.detect.options import DetectOptions
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.events import Reporter
from nssa_gis.files import masked
from nssa_gis.geo.aoi import Area
from nssa_gis.geo.grid import TileGrid
from nssa_gis.raster.radiometry import Scaling, choose_bands, scaling_for
from nssa_gis.raster.reader import model_grid_size
from nssa_gis.vector.areas import read_area, split_area

if TYPE_CHECKING:
    from nssa_gis.raster.scene import Scene
    from nssa_gis.runtime.package import ModelPackage


#: Boxes down to this share of the threshold enter the seam merge. Which view of an object counts is decided there;
#: were each tile's own score to decide, an object near the threshold that lies in several tiles would have several
#: chances, and smaller tiles would find more.
CANDIDATE_SHARE = 0.7

#: A scene enlarged more than this holds nothing that the model could know; it is done only on demand.
_MOST_ENLARGED = 4

#: Bounds of the working grid: pixels per scene pixel along a side, and pixels a side.
_LARGEST_FACTOR = 64
_LARGEST_SIDE = 2**31 - 1


@dataclass(frozen=True)
class Plan:
    """All decisions of one run.

    Attributes
    ----------
    grid : TileGrid
        Tiles in pixels of the working grid (the scene resampled to the working GSD).
    scale : ndarray of float64, shape (2,)
        Working-grid pixels per scene pixel along x and y.
    gsd : float or None
        Metres per pixel of the working grid; None where the scene has no CRS.
    ids : ndarray of int64, shape (M,)
        The tiles to look at, ascending.
    area : Area or None
        Where objects are wanted; None means everywhere.
    bands : tuple of int
        Bands read, from 1.
    scaling : Scaling
        From pixel values to bytes, the same for the whole scene.
    threshold : float
        Least score.
    labels : ndarray of int16, or None
        Classes kept; None means all.
    """

    grid: TileGrid
    scale: NDArray[np.float64]
    gsd: float | None
    ids: NDArray[np.int64]
    area: Area | None
    bands: tuple[int, ...]
    scaling: Scaling
    threshold: float
    labels: NDArray[np.int16] | None

    @property
    def candidate_threshold(self) -> float:
        """Least score of a box that enters the seam merge."""
        return CANDIDATE_SHARE * self.threshold


def make_plan(scene: Scene, package: ModelPackage, options: DetectOptions, report: Reporter) -> Plan:
    """Decide how to look at a scene.

    Parameters
    ----------
    scene : Scene
        Open.
    package : ModelPackage
        The model.
    options : DetectOptions
        What the user asked for.
    report : Reporter
        Told of everything a user should know before trusting the result.

    Raises
    ------
    UsageError
        Options that do not fit the scene or the model.
    NssaError
        The scene lacks bands, or the area of interest misses it.
    """
    labels = _labels(package, options)
    bands, warnings = choose_bands(scene, options.bands, len(package.info.bands))
    for warning in warnings:
        report.warn(warning)
    width, height, gsd = _working_grid(scene, package, options, report)
    grid = _tile_grid(width, height, package, options)
    scale = np.array([width / scene.frame.width, height / scene.frame.height])
    area = _area(scene, options, report)
    ids = np.arange(len(grid), dtype=np.int64)
    if area is not None:
        ids = ids[area.touches(grid.windows(ids) / np.tile(scale, 2))]
    threshold = package.info.score_threshold if options.confidence is None else options.confidence
    return Plan(grid, scale, gsd, ids, area, bands, scaling_for(scene, bands), threshold, labels)


def fingerprint(scene: Scene, package: ModelPackage, options: DetectOptions) -> dict[str, Any]:
    """Name everything that the records of a run depend on, as JSON values.

    Two runs with equal fingerprints write the same records; a journal is continued only under the same one.
    """
    return {
        "scene": _identity(str(scene.path)),
        "model": {"name": package.info.name, "sha256": package.digest},
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


def _labels(package: ModelPackage, options: DetectOptions) -> NDArray[np.int16] | None:
    if options.classes is None:
        return None
    known = {name.casefold(): number for number, name in enumerate(package.info.classes)}
    unknown = [name for name in options.classes if name.casefold() not in known]
    if unknown:
        raise UsageError(
            f"--classes {','.join(unknown)}: not a class of the model {package.info.name}; "
            f"it knows {', '.join(package.info.classes)}"
        )
    return np.unique(np.array([known[name.casefold()] for name in options.classes], np.int16))


def _working_grid(
    scene: Scene, package: ModelPackage, options: DetectOptions, report: Reporter
) -> tuple[int, int, float | None]:
    """Return width, height and GSD of the working grid."""
    frame, info = scene.frame, package.info
    native = frame.gsd
    if native is None and options.gsd is not None:
        raise UsageError(
            f"--gsd: the scene has no CRS, so its ground size is unknown: {scene.path}; "
            f"use --scale, the scene's GSD divided by the model's ({info.gsd:g} m)"
        )
    if native is None or options.scale is not None:
        factor = options.scale or 1.0
        _check_factor(scene, np.array([factor, factor]), f"--scale {factor:g}")
        width, height = (max(1, round(side * factor)) for side in (frame.width, frame.height))
        gsd = None if native is None else float(np.mean(native)) / factor
    else:
        gsd = options.gsd or info.gsd
        with np.errstate(over="ignore"):
            enlarged = np.array(native) / gsd
        if options.gsd is None and enlarged.mean() > _MOST_ENLARGED * 1.01:
            raise NssaError(_too_coarse(scene, package))
        _check_factor(scene, enlarged, f"--gsd {gsd:g}")
        width, height = model_grid_size(frame, gsd)
    if native is None:
        written = "in its own units" if frame.transform is not None or frame.gcps else "as pixels"
        report.warn(
            f"the scene has no CRS: {scene.path}; coordinates are written {written} and it is looked at "
            + (f"at --scale {options.scale:g}" if options.scale else "at its own pixel size (--scale changes it)")
            + f"; the model expects {info.gsd:g} m per pixel"
        )
    else:
        _check_gsd(float(np.mean(native)), gsd, package, report)
    return width, height, gsd


def _too_coarse(scene: Scene, package: ModelPackage) -> str:
    low, high = package.info.gsd_range
    return (
        f"{scene.path}: its pixels are {float(np.mean(scene.frame.gsd or 0)):.3g} m on the ground, too coarse for the "
        f"model {package.info.name}, made for {low:g} to {high:g} m; use a finer scene or a model for such scenes, "
        "or say with --gsd or --scale what to look at all the same"
    )


def _check_factor(scene: Scene, factor: NDArray[np.float64], option: str) -> None:
    """Refuse a working grid that is absurdly large, or less than a pixel."""
    sides = factor * [scene.frame.width, scene.frame.height]
    if factor.max() > _LARGEST_FACTOR * 1.01 or sides.max() > _LARGEST_SIDE:
        raise UsageError(
            f"{option}: makes the scene {factor.max():.4g} times as large, {sides[0]:.4g} x {sides[1]:.4g} px; "
            f"at most {_LARGEST_FACTOR} times and {_LARGEST_SIDE} px a side: {scene.path}"
        )
    if sides.max() < 1:
        raise UsageError(f"{option}: leaves less than one pixel of the scene: {scene.path}")


def _check_gsd(native: float, working: float | None, package: ModelPackage, report: Reporter) -> None:
    """Warn of a scene too coarse for the model, or of a working GSD it was not made for."""
    low, high = package.info.gsd_range
    span = f"the model {package.info.name} is made for {low:g} to {high:g} m"
    if native > high * 1.001:
        report.warn(f"the scene's pixels are {native:.3g} m on the ground, but {span}; objects will be missed")
    elif working is not None and not low * 0.999 <= working <= high * 1.001:
        report.warn(f"looking at the scene at {working:.3g} m per pixel, but {span}; objects may be missed")


def _tile_grid(width: int, height: int, package: ModelPackage, options: DetectOptions) -> TileGrid:
    tile = options.tile or package.info.tile
    overlap = package.info.overlap if options.overlap is None else options.overlap
    stride = package.stride
    if tile % stride:
        lower = max(stride, tile // stride * stride)
        raise UsageError(f"--tile {tile}: must be a multiple of {stride} for this model, such as {lower}")
    if tile - overlap < stride:
        whose = f"--overlap {overlap}" if options.overlap is not None else f"the model's overlap of {overlap} px"
        raise UsageError(f"{whose}: must be at most {tile - stride} for tiles of {tile} px; give a smaller --overlap")
    return TileGrid(width, height, tile, overlap, stride)


def _area(scene: Scene, options: DetectOptions, report: Reporter) -> Area | None:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if options.aoi is not None:
        geometries, crs = read_area(options.aoi, report.warn)
        try:
            return Area.from_geometries(geometries, crs, scene.frame)
        except NssaError as error:
            raise type(error)(f"--aoi {options.aoi}: {error}") from error
    if options.bounds is None:
        return None
    try:
        crs = None if options.bounds_crs is None else CRS.from_user_input(options.bounds_crs)
    except CRSError:
        raise UsageError(f"--bounds-crs {options.bounds_crs}: not a CRS; use one such as EPSG:4326") from None
    if crs is not None and scene.frame.crs is None:
        raise NssaError(f"--bounds-crs: the scene has no CRS: {scene.path}; give --bounds in pixels")
    return Area.from_bounds(options.bounds, crs, scene.frame)
