"""Can an image be meant the way its file says? Checks against samples of the full resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from nssa_gis.raster.resample import taps

if TYPE_CHECKING:
    from nssa_gis.raster.scene import Box, Scene

#: Samples along each side of the scene, and the largest side of one in pixels of the full resolution.
_SAMPLES, _SIDE = 4, 512
#: An opacity has few pixels between transparent and opaque: soft edges. Above this share, and with so many values, the
#: band is an image.
_BETWEEN, _VALUES = 0.1, 16
#: An overview shows the scene if it differs from the mean of the pixels by less than this share of their spread. Made
#: by averages it differs by less than 0.1, by bilinear, cubic or Gaussian weights by up to 0.25, by nearest neighbour
#: by 0.4 and more on sharp imagery.
_DIFFERENCE = 0.3
#: A larger difference means that it shows something else, not that it was made carelessly.
_OTHER_IMAGE = 0.8
#: Share of overview pixels whose validity may differ from that of the pixels below them.
_OTHER_VALIDITY = 0.05


def sample_boxes(width: int, height: int, side: int = _SIDE, count: int = _SAMPLES) -> list[Box]:
    """Give windows ``x0, y0, x1, y1`` spread evenly over an image, each at most ``side`` wide and high."""
    across, down = min(side, width), min(side, height)
    lefts = np.unique(np.linspace(0, width - across, min(count, -(-width // across))).astype(int)).tolist()
    tops = np.unique(np.linspace(0, height - down, min(count, -(-height // down))).astype(int)).tolist()
    return [(left, top, left + across, top + down) for top in tops for left in lefts]


def varies_like_an_image(data: rasterio.DatasetReader, band: int) -> bool:
    """Whether a band tagged as opacity holds an image, such as near infrared.

    Parameters
    ----------
    data : rasterio.DatasetReader
        Open.
    band : int
        From 1.
    """
    values = np.concatenate(
        [
            data.read(band, window=Window(x0, y0, x1 - x0, y1 - y0)).ravel()
            for x0, y0, x1, y1 in sample_boxes(data.width, data.height, 256)
        ]
    )
    between = values[(values > values.min()) & (values < values.max())]
    return bool(len(between) > _BETWEEN * len(values) and len(np.unique(between)) > _VALUES)


def overview_fault(scene: Scene, level: int, bands: tuple[int, ...]) -> str | None:
    """Compare an overview with the pixels that it was made of.

    Parameters
    ----------
    scene : Scene
    level : int
        Overview, from 0, the finest.
    bands : tuple of int
        Bands to compare, from 1.

    Returns
    -------
    str or None
        What is wrong with it, for a message; None if it shows the scene.
    """
    apart, means, other, total = [], [], 0.0, 0
    with scene.open_handle(level) as coarse, scene.open_handle() as fine:
        side = max(4, _SIDE * coarse.width // fine.width)
        for x0, y0, x1, y1 in sample_boxes(coarse.width, coarse.height, side):
            cols, rows = taps(fine.width, coarse.width, x0, x1), taps(fine.height, coarse.height, y0, y1)
            seen, seen_valid = scene.read(coarse, bands, (x0, y0, x1, y1))
            pixels, valid = scene.read(fine, bands, (cols.low, rows.low, cols.high, rows.high))
            across, down = _dense(cols.index, cols.weight), _dense(rows.index, rows.weight)
            inside = np.ones(pixels.shape[1:]) if valid is None else valid.astype(np.float64)
            share = down @ inside @ across.T
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = down @ np.where(inside > 0, pixels, 0).astype(np.float64) @ across.T / share
            there = np.ones(share.shape, np.bool_) if seen_valid is None else seen_valid
            other += np.count_nonzero((there & (share < 0.01)) | (~there & (share > 0.99)))
            total += there.size
            both = there & (share > 0.99)
            apart.append((seen.astype(np.float64) - mean)[:, both])
            means.append(mean[:, both])
    if other > _OTHER_VALIDITY * total:
        return "their nodata lies elsewhere"
    difference, spread = np.concatenate(apart, axis=1), np.concatenate(means, axis=1)
    if not difference.size:
        return None
    # One grey level is what rounding may cost; a flat scene has no other measure.
    level_of_rounding = 1.0 if scene.dtype.kind in "iu" else 0.0
    limit = np.std(spread, axis=1) + level_of_rounding
    far = float((np.sqrt(np.mean(difference**2, axis=1)) / np.maximum(limit, 1e-12)).max())
    if far > _OTHER_IMAGE:
        return "they show another image"
    return "they are not averages of the pixels" if far > _DIFFERENCE else None


def _dense(index: NDArray[np.intp], weight: NDArray[np.float32]) -> NDArray[np.float64]:
    """Weights of target pixels (n, k) as a matrix (n, source pixels)."""
    matrix = np.zeros((len(index), int(index.max()) + 1))
    np.add.at(matrix, (np.arange(len(index))[:, None], index), weight)
    return matrix
