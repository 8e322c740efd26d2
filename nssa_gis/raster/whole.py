"""A whole image at once, as a model sees it: for labelled images, which are small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nssa_gis.raster.radiometry import choose_bands, scaling_for
from nssa_gis.raster.resample import resample, taps
from nssa_gis.raster.scene import Scene

#: Source pixels read and resampled at once.
_CHUNK = 1 << 22


def read_whole(
    scene: Scene,
    height: int | None = None,
    width: int | None = None,
    bands: int = 3,
    value_range: Sequence[tuple[float, float]] | None = None,
) -> NDArray[np.uint8]:
    """Read all pixels of a scene, with the bands and the scaling that a detection uses.

    Source pixels are read in strips: only the result is held in memory as a whole.

    Parameters
    ----------
    scene : Scene
        Open.
    height, width : int, optional
        Size of the result; by default that of the scene. Area averages when shrinking, bilinear when enlarging.
    bands : int
        Bands of the model.
    value_range : sequence of (low, high), optional
        Input values that become 0 and 255, where the model declares them.

    Returns
    -------
    ndarray of uint8, shape (bands, height, width)
        0 where invalid.

    Raises
    ------
    NssaError
        The pixels cannot be read, or the scene has too few bands.
    """
    frame = scene.frame
    height, width = height or frame.height, width or frame.width
    scaling = scaling_for(scene, choose_bands(scene, None, bands)[0], value_range)
    out = np.empty((bands, height, width), np.uint8)
    channels = list(scaling.channels)
    cols = taps(frame.width, width, 0, width)
    strip = max(1, int(_CHUNK / frame.width / max(1.0, frame.height / height)))
    for top in range(0, height, strip):
        rows = taps(frame.height, height, top, min(top + strip, height))
        raw = scene.read(scene.dataset, scaling.reads, (0, rows.low, frame.width, rows.high))
        pixels, valid = scaling.convert(*raw)
        if (height, width) != (frame.height, frame.width):
            pixels, _ = resample(pixels, valid, rows, cols)
        out[:, top : top + strip] = pixels[channels]
    return out
