"""Can an image be meant the way its file says? Checks against samples of the full resolution."""

from __future__ import annotations

import numpy as np
import rasterio
from rasterio.windows import Window

#: Samples along each side of the scene, and the largest side of one in pixels of the full resolution.
SAMPLES, SIDE = 4, 512
#: An opacity has few pixels between transparent and opaque: soft edges. Above this share, and with so many values, the
#: band is an image.
_BETWEEN, _VALUES = 0.1, 16


def sample_boxes(width: int, height: int, side: int = SIDE, count: int = SAMPLES) -> list[tuple[int, int, int, int]]:
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
