"""Pixels in memory as a scene."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from nssa_gis.raster.scene import Scene, open_scene


@contextmanager
def memory_scene(pixels: NDArray[np.generic], **profile: Any) -> Iterator[Scene]:
    """Open an array as a scene, for what runs over scenes only.

    Parameters
    ----------
    pixels : ndarray, shape (C, H, W)
        Three or four bands of uint8 or uint16 are red, green, blue and opacity, others grey.
    **profile
        Further properties of the image for rasterio, such as ``nodata`` or ``crs`` and ``transform``.

    Yields
    ------
    Scene
        Without a georeference, unless ``profile`` gives one.
    """
    count, height, width = pixels.shape
    shape = {"count": count, "height": height, "width": width, "dtype": pixels.dtype}
    colours = {"photometric": "RGB"} if count in (3, 4) and pixels.dtype.kind == "u" else {}
    with MemoryFile() as file:
        with warnings.catch_warnings(), rasterio.Env():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with file.open(**{"driver": "GTiff", "tiled": True, **shape, **colours, **profile}) as data:
                data.write(pixels)
        with open_scene(file.name) as scene:
            yield scene
