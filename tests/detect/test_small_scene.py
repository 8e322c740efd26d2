"""A scene smaller than a tile: one tile of its own size."""

import numpy as np
import pytest

from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.plan import make_plan
from nssa_gis.detect.run import find_objects
from nssa_gis.raster.scene import open_scene
from nssa_gis.testing import PlantedDetector, make_scene, planted_info


@pytest.mark.parametrize(
    ("size", "options", "tile"),
    [
        ((100, 70), {}, 128),
        ((128, 128), {}, 128),
        ((129, 20), {}, 192),
        ((20, 256), {}, 256),
        ((257, 20), {}, 256),
        ((100, 70), {"tile": 256}, 256),  # what is asked for is done
        ((100, 70), {"scale": 2.0}, 256),
    ],
)
def test_the_tile_fits_the_scene(tmp_path, size, options, tile):
    make_scene(tmp_path / "a.tif", *size)
    with open_scene(tmp_path / "a.tif") as scene:
        plan = make_plan(scene, planted_info(tile=256, overlap=64), DetectOptions(**options))
    assert plan.grid.tile == tile
    assert len(plan.ids) == (2 if size == (257, 20) else 1)


def test_everything_is_found_to_the_edges(tmp_path):
    objects = [[0, 0, 9, 8, 0], [91, 60, 100, 70, 1], [40, 30, 52, 41, 0]]
    make_scene(tmp_path / "a.tif", 100, 70, objects=objects)
    with open_scene(tmp_path / "a.tif") as scene:
        found = find_objects(PlantedDetector(), scene, DetectOptions(confidence=0.1))
    assert sorted(map(tuple, np.column_stack((found.boxes, found.labels)).tolist())) == sorted(map(tuple, objects))
