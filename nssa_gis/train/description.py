"""What a model is called, expects and finds, before it is measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nssa_gis.labels.images import LabelledImage
from nssa_gis.model.config import PAD_MULTIPLE, DetectorConfig
from nssa_gis.runtime.package import ModelInfo
from nssa_gis.train.datasets import longest_side
from nssa_gis.train.recipe import Recipe

#: Least tile by trunk (the published lineage works on 800 to 1333 px), and the least overlap. The overlap goes in steps
#: and exceeds nearly all objects as far as the tile lets it; the tile grows with the overlap up to a limit: an overlap
#: of a quarter of the tile costs 1.8 times the pixels, one of half 4 times.
_TILES, _OVERLAP = {"csp": 640, "resnet": 1280}, 128
_TILE_PER_OVERLAP, _LARGEST_TILE = 4, 1280
#: Side of the largest objects if it is unknown, pixels.
_USUAL_OBJECT = 80.0


def describe(recipe: Recipe, config: DetectorConfig, images: Sequence[Sequence[LabelledImage]]) -> ModelInfo:
    """Describe a model that is trained by a recipe; the thresholds and figures come later.

    Parameters
    ----------
    recipe : Recipe
        Data and classes.
    config : DetectorConfig
        The network.
    images : sequence of sequence of LabelledImage
        The training images: their objects tell the tile and the overlap.
    """
    tile, overlap = tiling(longest_side(images, recipe.gsd) or _USUAL_OBJECT, config.trunk)
    return ModelInfo(
        name=recipe.name,
        version="",
        network=config.to_dict(),
        classes=tuple(recipe.classes),
        gsd=recipe.gsd,
        gsd_range=recipe.gsd_range,
        tile=tile,
        overlap=overlap,
        value_range=recipe.value_range,
        licence=recipe.licence,
    )


def tiling(longest: float, trunk: str) -> tuple[int, int]:
    """Default tile and overlap of a model, pixels.

    Parameters
    ----------
    longest : float
        Side that hardly any of its objects exceeds (:func:`nssa_gis.train.datasets.longest_side`), pixels.
    trunk : {"csp", "resnet"}
        As in :class:`nssa_gis.model.config.DetectorConfig`.
    """
    overlap = max(_OVERLAP, (math.floor(longest / PAD_MULTIPLE) + 1) * PAD_MULTIPLE)
    tile = max(_TILES[trunk], min(_TILE_PER_OVERLAP * overlap, _LARGEST_TILE))
    return tile, min(overlap, tile - PAD_MULTIPLE)
