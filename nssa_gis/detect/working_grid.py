"""The working grid of a run: the scene at the GSD that the network sees, cut into tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nssa_gis.detect.options import DetectOptions
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.geo.grid import TileGrid

if TYPE_CHECKING:
    from nssa_gis.raster.scene import Scene
    from nssa_gis.runtime.package import ModelInfo

#: A scene that is enlarged more than this shows nothing that the model could know; it is done only on demand.
_MOST_ENLARGED = 4

#: Bounds of the working grid: pixels per scene pixel along a side, and pixels a side.
_LARGEST_FACTOR = 64
_LARGEST_SIDE = 2**31 - 1

#: Relative difference of pixel sizes that is not worth resampling: a projection's scale factor alone makes 0.2501 m of
#: 0.25 m, and resampling would cost time and sharpness for nothing.
_SAME_SIZE = 0.01


def working_grid(
    scene: Scene, info: ModelInfo, options: DetectOptions, native_gsd: float | None, warn: Callable[[str], None]
) -> tuple[int, int, float | None]:
    """Choose the size of the working grid.

    Parameters
    ----------
    scene : Scene
    info : ModelInfo
    options : DetectOptions
        ``gsd`` and ``scale`` count.
    native_gsd : float or None
        Metres per pixel of the scene where they are known from elsewhere.
    warn : callable
        Told of a GSD that the model is not made for, and of a scene without a CRS.

    Returns
    -------
    width, height : int
        Pixels of the working grid.
    gsd : float or None
        Metres per pixel of it; None where the scene's is not known.

    Raises
    ------
    UsageError
        ``gsd`` or ``scale`` make no sense for the scene.
    NssaError
        The scene is far too coarse for the model.
    """
    frame = scene.frame
    native = frame.gsd if native_gsd is None else (native_gsd, native_gsd)
    if native is None and options.gsd is not None:
        raise UsageError(
            f"--gsd: the scene has no CRS, so its GSD is unknown: {scene.path}; "
            f"use --scale, the scene's GSD divided by the model's ({info.gsd:g} m)"
        )
    if native is None or options.scale is not None:
        factor = np.full(2, options.scale or 1.0)
        _check_factor(scene, factor, f"--scale {factor[0]:g}")
        gsd = None if native is None else float(np.mean(native)) / factor[0]
    else:
        gsd = options.gsd or info.gsd
        with np.errstate(over="ignore"):
            factor = np.array(native) / gsd
        if options.gsd is None and factor.mean() > _MOST_ENLARGED * 1.01:
            raise NssaError(_too_coarse(scene, float(np.mean(native)), info))
        _check_factor(scene, factor, f"--gsd {gsd:g}")
        if (abs(factor - 1) <= _SAME_SIZE).all():
            factor = np.ones(2)
    width, height = (max(1, round(side * f)) for side, f in zip((frame.width, frame.height), factor, strict=True))
    if native is None:
        _warn_of_no_crs(scene, info, options, warn)
    else:
        _check_gsd(float(np.mean(native)), gsd, info, warn)
    return width, height, gsd


def tile_grid(width: int, height: int, info: ModelInfo, options: DetectOptions) -> TileGrid:
    """Cut the working grid into tiles.

    A scene that is smaller than the model's tile gets one tile of its own size: padding would cost time only.

    Raises
    ------
    UsageError
        ``tile`` is no multiple of the network's stride, or ``overlap`` leaves no step.
    """
    tile = options.tile or info.tile
    overlap = info.overlap if options.overlap is None else options.overlap
    stride = info.stride
    if tile % stride:
        lower = max(stride, tile // stride * stride)
        raise UsageError(f"--tile {tile}: must be a multiple of {stride} for this model, such as {lower}")
    if tile - overlap < stride:
        whose = f"--overlap {overlap}" if options.overlap is not None else f"the model's overlap of {overlap} px"
        raise UsageError(f"{whose}: must be at most {tile - stride} for tiles of {tile} px; give a smaller --overlap")
    whole = -(-max(width, height) // stride) * stride
    if options.tile is None and whole < tile:
        return TileGrid(width, height, whole, 0, stride)
    return TileGrid(width, height, tile, overlap, stride)


def _warn_of_no_crs(scene: Scene, info: ModelInfo, options: DetectOptions, warn: Callable[[str], None]) -> None:
    written = "in its own units" if scene.frame.transform is not None or scene.frame.gcps else "as pixels"
    how = f"with --scale {options.scale:g}" if options.scale else "at native resolution (--scale changes it)"
    warn(
        f"the scene has no CRS: {scene.path}; coordinates are written {written} and it is processed {how}; "
        f"the model expects {info.gsd:g} m per pixel"
    )


def _too_coarse(scene: Scene, native: float, info: ModelInfo) -> str:
    low, high = info.gsd_range
    return (
        f"{scene.path}: its pixels are {native:.3g} m on the ground, too coarse for the model {info.name}, made for "
        f"{low:g} to {high:g} m; use a finer scene or a model for such scenes, or choose a working GSD with --gsd "
        "or --scale"
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


def _check_gsd(native: float, working: float | None, info: ModelInfo, warn: Callable[[str], None]) -> None:
    """Warn of a scene too coarse for the model, or of a working GSD it was not made for."""
    low, high = info.gsd_range
    span = f"the model {info.name} is made for {low:g} to {high:g} m"
    if native > high * 1.001:
        warn(f"the scene's pixels are {native:.3g} m on the ground, but {span}; objects will be missed")
    elif working is not None and not low * 0.999 <= working <= high * 1.001:
        warn(f"processing the scene at {working:.3g} m per pixel, but {span}; objects may be missed")
