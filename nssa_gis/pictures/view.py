"""Pixels of a scene as pictures, read as the detector reads them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nssa_gis.geo.grid import TileGrid
from nssa_gis.raster.radiometry import choose_bands, scaling_for
from nssa_gis.raster.reader import TileReader
from nssa_gis.raster.resample import resample, taps
from nssa_gis.raster.scene import Box, Scene


class SceneView:
    """RGB pictures of an open scene: the bands, the scaling and the resampling of detection. Nodata is black.

    Parameters
    ----------
    scene : Scene
        Stays open while pictures are read. With fewer than three bands its first one is shown in grey.

    Attributes
    ----------
    width, height : int
        Size of the scene, pixels.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.width, self.height = scene.frame.width, scene.frame.height
        colours = [b for b in range(1, scene.count + 1) if b != scene.alpha]
        asked = None if len(colours) >= 3 or scene.palette is not None else colours[:1]
        self._bands, _ = choose_bands(scene, asked, 3)
        self._scaling = scaling_for(scene, self._bands)

    def overview(self, width: int, height: int) -> Image.Image:
        """Read the whole scene at a size in pixels.

        Raises
        ------
        NssaError
            The scene is damaged.
        """
        grid = TileGrid(width, height, max(width, height))
        with TileReader(
            self._scene, grid, bands=self._bands, scaling=self._scaling, batch_size=1, prefetch=0
        ) as reader:
            for batch in reader:
                return _image(batch.pixels[0][:, :height, :width])
        return Image.new("RGB", (width, height))  # not one valid pixel

    def detail(self, window: Box, side: int) -> Image.Image:
        """Read a square window ``x0, y0, x1, y1`` of the scene at ``side`` x ``side`` pixels.

        Raises
        ------
        NssaError
            The scene is damaged.
        """
        with self._scene.open_handle() as handle:
            raw = self._scene.read(handle, self._scaling.reads, window)
        rows, cols = (taps(high - low, side, 0, side) for low, high in (window[1::2], window[0::2]))
        pixels, _ = resample(*self._scaling.convert(*raw), rows, cols)
        return _image(pixels[list(self._scaling.channels)])


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
