"""Does an overview show the scene? A comparison with samples of the full resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nssa_gis.raster.plausibility import SIDE, sample_boxes
from nssa_gis.raster.resample import taps
from nssa_gis.raster.scene import Scene

#: An overview shows the scene if it differs from the mean of the pixels by less than this share of their spread. Made
#: by averages it differs by less than 0.1, by bilinear, cubic or Gaussian weights by up to 0.25, by nearest neighbour
#: by 0.4 and more on sharp imagery.
_DIFFERENCE = 0.3
#: A larger difference means that it shows something else, not that it was made carelessly.
_OTHER_IMAGE = 0.8
#: Share of overview pixels whose validity may differ from that of the pixels below them.
_OTHER_VALIDITY = 0.05


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
        side = max(4, SIDE * coarse.width // fine.width)
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
