"""Which parts of a scene have pixels at all, without reading the scene."""

from __future__ import annotations

import numpy as np
import rasterio
from numpy.typing import NDArray

from nssa_gis.geo.grid import TileGrid
from nssa_gis.raster.scene import READ_ERRORS, Scene, damaged

#: The coarse validity map is read from an overview with at most this many pixels.
_MAP_PIXELS = 1 << 24
#: Larger block tables are not read (it takes about a microsecond for each block).
_MOST_BLOCKS = 4_000_000

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
        None if all blocks are there, or if finding out is expensive (not a local TIFF).

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
        with rasterio.Env():  # without an environment GDAL prints its messages itself
            for band in asked:
                for row in range(rows):
                    names = (f"BLOCK_OFFSET_{col}_{row}" for col in range(cols))
                    found[row] |= [data.get_tag_item(n, "TIFF", bidx=band) is not None for n in names]
    except READ_ERRORS as error:
        raise damaged(scene.path, error) from error
    return None if found.all() else found


def empty_tiles(scene: Scene, grid: TileGrid, bands: tuple[int, ...]) -> Bools:
    """Tiles that need not be read: no valid pixel in the overview, or no block that was ever written.

    Blocks of a sparse TIFF that were never written read as nodata, or as 0 if no nodata value is declared. A tile with
    such blocks only is empty in both cases. An overview may lose a valid area that is smaller than one of its pixels,
    so the neighbours of a valid pixel count as valid too.

    Returns
    -------
    ndarray of bool, shape (len(grid),)
    """
    empty = np.zeros(len(grid), np.bool_)
    windows = grid.windows(np.arange(len(grid)))
    blocks = written_blocks(scene, bands)
    if blocks is not None:
        width, height = scene.block
        scale_x = scene.frame.width / grid.width / width
        scale_y = scene.frame.height / grid.height / height
        empty |= ~_any_inside(blocks, windows * [scale_x, scale_y, scale_x, scale_y], margin=0)
    valid = _coarse_validity(scene, bands) if scene.masked else None
    if valid is not None:
        scale_x, scale_y = valid.shape[1] / grid.width, valid.shape[0] / grid.height
        empty |= ~_any_inside(valid, windows * [scale_x, scale_y, scale_x, scale_y], margin=1)
    return empty


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
