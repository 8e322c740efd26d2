"""Images: opening, bands and values, reading tiles ahead."""

from nssa_gis.raster.radiometry import Scaling, choose_bands, scaling_for
from nssa_gis.raster.reader import TileBatch, TileReader, model_grid_size
from nssa_gis.raster.scene import Scene, open_scene

__all__ = [
    "Scaling",
    "Scene",
    "TileBatch",
    "TileReader",
    "choose_bands",
    "model_grid_size",
    "open_scene",
    "scaling_for",
]
