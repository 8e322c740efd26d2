"""The layer depends on scene and model only: not on tiles, overlap, batches, threads or where the grid begins."""

import numpy as np
import pytest

from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.run import detect_scene
from nssa_gis.testing import PlantedDetector, layer_boxes, layer_records, make_scene, pad, same_boxes


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    return folder / "town.tif", make_scene(folder / "town.tif", 1300, 1100).astype(float)


def run(scene, folder, **options):
    output = folder / "layer.gpkg"
    asked = DetectOptions.parse({"scale": 1, "overwrite": True, **options})
    detect_scene(PlantedDetector(), scene, output, asked)
    return output


@pytest.mark.parametrize(("tile", "overlap"), [(512, 64), (640, 64), (640, 320), (1024, 128)])
def test_same_objects_whatever_the_tiles(scene, tmp_path, tile, overlap):
    assert same_boxes(layer_boxes(run(scene[0], tmp_path, tile=tile, overlap=overlap)), scene[1], 1e-6)


def test_same_records_whatever_the_batches_and_threads(scene, tmp_path):
    first = layer_records(run(scene[0], tmp_path, batch_size=1, readers=1))
    for batch, readers in ((4, 2), (16, 4)):
        assert layer_records(run(scene[0], tmp_path, batch_size=batch, readers=readers)) == first


def test_same_objects_where_the_grid_begins_elsewhere(scene, tmp_path):
    pad(scene[0], tmp_path / "moved.tif", 256)
    found = layer_boxes(run(tmp_path / "moved.tif", tmp_path, tile=512, overlap=128))
    assert same_boxes(found - np.array([256] * 4 + [0]), scene[1], 1e-6)
