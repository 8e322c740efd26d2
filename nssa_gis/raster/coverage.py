"""Which parts of a scene have pixels at all, without reading the scene."""

from __future__ import annotations

import logging

import numpy as np
import rasterio
from numpy.typing import NDArray

from nssa_gis.geo.grid import TileGrid
from nssa_gis.raster.overviews import overview_fault
from nssa_gis.raster.scene import READ_ERRORS, Scene, damaged

_log = logging.getLogger(__name__)

#: The coarse validity map is read from an overview with at most this many pixels.
_MAP_PIXELS = 1 << 24
#: Larger block tables are not read (it takes about a microsecond for each block).
_MOST_BLOCKS = 4_000_000
#: What an overview or a block table calls empty is probed at this many places, in windows of this side.
_PROBES, _PROBE_SIDE = 256, 64

Bools = NDArray[np.bool_]


def written_blocks(scene: Scene, bands: tuple[int, ...]) -> Bools | None:
    """Blocks that are stored in a sparse TIFF.

    Parameters
    ----------
    scene : Scene
    bands : tuple of int
        A block counts when one of these bands has it.

    Returns
    -------
    ndarray of bool, shape (rows, cols), or None
        None if all blocks are there, or if it cannot be known cheaply and surely: not a local TIFF, a tall strip that
        GDAL shows as many blocks, or pixels in blocks that are not in the table.

    Raises
    ------
    NssaError
        The block table is damaged.
    """
    data = scene.dataset
    if data.driver != "GTiff" or not scene.local:
        return None
    width, height = scene.block
    cols, rows = -(-data.width // width), -(-data.height // height)
    separate = data.interleaving is not None and data.interleaving.name == "band"
    asked = sorted(set(bands)) if separate else [1]
    if cols * rows * len(asked) > _MOST_BLOCKS:
        return None
    found = np.zeros((rows, cols), np.bool_)
    try:
        with rasterio.Env():  # outside of one GDAL prints its complaints itself
            if _shown_in_parts(scene):
                return None
            for band in asked:
                for row in range(rows):
                    names = (f"BLOCK_OFFSET_{col}_{row}" for col in range(cols))
                    found[row] |= [data.get_tag_item(n, "TIFF", bidx=band) is not None for n in names]
    except READ_ERRORS as error:
        raise damaged(scene.path, error) from error
    if found.all():
        return None
    probed = _spread(np.flatnonzero(~found))
    missing_rows, missing_cols = np.divmod(probed, cols)
    for x, y in zip((missing_cols * width).tolist(), (missing_rows * height).tolist(), strict=True):
        box = (x, y, min(x + width, data.width), min(y + height, data.height))
        pixels, valid = scene.read(data, bands, box)
        if (pixels if valid is None else pixels[:, valid]).any():
            return None
    return found


def _shown_in_parts(scene: Scene) -> bool:
    """Whether GDAL shows one stored strip as several blocks: all but the first have no place in the file."""
    data = scene.dataset
    stored = data.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1)
    width, height = scene.block
    samples = 1 if data.interleaving is not None and data.interleaving.name == "band" else data.count
    shown = width * height * samples * scene.dtype.itemsize
    # a compressed block may be a little larger than its pixels, never twice as large
    return stored is not None and int(stored) > 2 * shown


def empty_tiles(scene: Scene, grid: TileGrid, bands: tuple[int, ...]) -> tuple[Bools, tuple[str, ...]]:
    """Tiles that need not be read: no valid pixel, or nothing ever written to the file.

    Never-written blocks of a sparse TIFF read as nodata, or as 0 where none is declared; a tile made of them
    alone shows nothing either way. An overview may lose a valid speck smaller than one of its pixels, so its
    neighbours count too. What an overview calls empty is checked in the full resolution; if a pixel is found there, no
    overview is believed.

    Returns
    -------
    empty : ndarray of bool, shape (len(grid),)
    warnings : tuple of str
        Told if overviews do not show the scene.
    """
    empty = np.zeros(len(grid), np.bool_)
    windows = grid.windows(np.arange(len(grid)))
    blocks = written_blocks(scene, bands)
    if blocks is not None:
        width, height = scene.block
        scale_x = scene.frame.width / grid.width / width
        scale_y = scene.frame.height / grid.height / height
        empty |= ~_any_inside(blocks, windows * [scale_x, scale_y, scale_x, scale_y], margin=0)
        _log.debug("%d tiles lie in blocks that were never written", empty.sum())
    valid = _coarse_validity(scene, bands) if scene.masked else None
    if valid is None:
        return empty, ()
    scale_x, scale_y = valid.shape[1] / grid.width, valid.shape[0] / grid.height
    unseen = ~_any_inside(valid, windows * [scale_x, scale_y, scale_x, scale_y], margin=1)
    if _any_valid(scene, grid, bands, windows[unseen & ~empty]):
        return empty, (
            f"{scene.path}: its overviews do not show its pixels (they call valid pixels nodata); they are not used; "
            "build them again",
        )
    _log.debug("%d tiles have no valid pixel by the mask", unseen.sum())
    return empty | unseen, ()


def _any_valid(scene: Scene, grid: TileGrid, bands: tuple[int, ...], windows: NDArray[np.int64]) -> bool:
    """Whether the full resolution has a valid pixel in one of some tiles, by probes spread over them."""
    chosen = windows[_spread(np.arange(len(windows)))]
    limit = np.array([scene.frame.width, scene.frame.height])
    scale = limit / [grid.width, grid.height]
    side = np.minimum(_PROBE_SIDE, limit)
    # a low-discrepancy walk inside the tiles, so that no regular pattern of pixels is missed by all
    step = np.arange(1, len(chosen) + 1)[:, None] * [0.7548776662466927, 0.5698402909980532] % 1.0
    places = (chosen[:, :2] + step * (chosen[:, 2:] - chosen[:, :2])) * scale
    corners = np.clip(places.astype(np.int64), 0, limit - side)
    for x, y in corners.tolist():
        mask = scene.read(scene.dataset, bands, (x, y, x + int(side[0]), y + int(side[1])))[1]
        if mask is None or mask.any():
            # a window that reaches out of its tile may show a neighbour
            inside = (windows[:, :2] * scale <= [x, y]) & (windows[:, 2:] * scale >= [x + side[0], y + side[1]])
            if inside.all(axis=1).any():
                return True
    return False


def choose_overview(scene: Scene, grid: TileGrid, bands: tuple[int, ...]) -> tuple[int | None, tuple[str, ...]]:
    """Choose the overview to read where a scene shrinks a lot.

    It is the coarsest that leaves a shrink of two, so that its own resampling does not show, and only if it is checked
    to show the scene.

    Returns
    -------
    level : int or None
        From 0, the finest overview; None for the full resolution.
    warnings : tuple of str
        Told if the overviews show something else.
    """
    shrink = min(scene.frame.width / grid.width, scene.frame.height / grid.height)
    fits = [i for i, factor in enumerate(scene.overview_factors) if factor * 2 <= shrink]
    if not fits:
        return None, ()
    fault = overview_fault(scene, fits[-1], bands)
    if fault is None:
        _log.debug("overview %d (1:%d) is read", fits[-1], scene.overview_factors[fits[-1]])
        return fits[-1], ()
    return None, (f"{scene.path}: its overviews are not used: {fault}; the run is slower; build them again",)


def _spread(items: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most ``_PROBES`` of some items, evenly spread."""
    return items[np.unique(np.linspace(0, len(items) - 1, min(len(items), _PROBES)).astype(np.int64))]


def _any_inside(flags: Bools, boxes: NDArray[np.float64], margin: int) -> Bools:
    """Whether a flag is set in each box (edges in units of flags), by a summed-area table."""
    total = np.zeros((flags.shape[0] + 1, flags.shape[1] + 1), np.int64)
    total[1:, 1:] = flags.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    low = np.floor(boxes[:, :2]).astype(np.int64) - margin
    high = np.ceil(boxes[:, 2:]).astype(np.int64) + margin
    x0, x1 = (np.clip(v, 0, flags.shape[1]) for v in (low[:, 0], high[:, 0]))
    y0, y1 = (np.clip(v, 0, flags.shape[0]) for v in (low[:, 1], high[:, 1]))
    return np.asarray(total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0] > 0)


def _coarse_validity(scene: Scene, bands: tuple[int, ...]) -> Bools | None:
    size = scene.frame.width * scene.frame.height
    level = next((i for i, f in enumerate(scene.overview_factors) if size / f**2 <= _MAP_PIXELS), None)
    if level is None:
        return None
    with scene.open_handle(level) as handle:
        valid = np.ones((handle.height, handle.width), np.bool_)
        for y in range(0, handle.height, 512):
            bottom = min(y + 512, handle.height)
            mask = scene.read(handle, bands, (0, y, handle.width, bottom))[1]
            if mask is not None:
                valid[y:bottom] = mask
    return valid
