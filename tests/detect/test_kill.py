"""Rules of a run that a change could break without another test noticing; all through `detect_scene`."""

import subprocess
import sys

import numpy as np
import pytest
import rasterio
import shapely
import torch

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.run import detect_scene
from nssa_gis.errors import NssaError
from nssa_gis.runtime.package import save_package
from nssa_gis.testing import (
    PlantedBackend,
    PlantedDetector,
    layer_boxes,
    layer_records,
    make_package,
    make_scene,
    planted_info,
)
from nssa_gis.vector.reader import read_layer


def run(folder, backend=None, package=None, tta="none", **options):
    detector = PlantedDetector(package, backend, tta)
    return detect_scene(detector, folder / "town.tif", folder / "out.gpkg", DetectOptions.parse(options))


def blacken(path, *boxes):
    """Set pixels to 0, the nodata value of the scene."""
    with rasterio.open(path, "r+") as data:
        pixels = data.read()
        for x0, y0, x1, y1 in boxes:
            pixels[:, y0:y1, x0:x1] = 0
        data.write(pixels)


def test_a_box_whose_centre_is_nodata_is_dropped(tmp_path):
    ring, bitten, whole = (100, 100, 120, 120, 0), (300, 100, 320, 120, 0), (500, 100, 512, 110, 1)
    make_scene(tmp_path / "town.tif", objects=[ring, bitten, whole], nodata=0)
    blacken(tmp_path / "town.tif", (106, 106, 114, 114), (300, 100, 308, 108))
    run(tmp_path)
    # The planted detector reports the envelope of the ring too; only its centre tells that it lies on nothing.
    np.testing.assert_allclose(layer_boxes(tmp_path / "out.gpkg"), [bitten, whole])


def test_the_pixel_under_the_centre_decides_about_nodata(tmp_path):
    # Both centres lie at x 110.0, in pixel 110. The first hole ends before it, the second begins with it.
    kept, dropped = (100, 100, 120, 120, 0), (100, 300, 120, 320, 0)
    make_scene(tmp_path / "town.tif", objects=[kept, dropped], nodata=0)
    blacken(tmp_path / "town.tif", (104, 104, 110, 116), (110, 304, 116, 316))
    run(tmp_path)
    np.testing.assert_allclose(layer_boxes(tmp_path / "out.gpkg"), [kept])


class Generous(PlantedBackend):
    """Reports boxes that are 6 px larger on every side, and further boxes in every tile."""

    def __init__(self, further=()):
        super().__init__()
        self.further = further

    def predict(self, batch, score_threshold):
        seen = super().predict(batch, score_threshold)
        parts = [seen.replace(boxes=seen.boxes + np.array([-6, -6, 6, 6]))]
        parts += [TileDetections.of(self.further, 0.9, 0, item) for item in range(len(batch)) if self.further]
        return TileDetections.concat(parts)


def test_boxes_are_clipped_to_the_scene(tmp_path):
    # 300 x 170 pixels in tiles of 256 px with steps of 192: the scene ends at (108, 170) of the last tile.
    corners = [(2, 3, 12, 12, 0), (285, 2, 296, 12, 0), (3, 150, 14, 166, 1), (284, 152, 297, 167, 1)]
    make_scene(tmp_path / "town.tif", 300, 170, objects=corners)
    run(tmp_path, Generous())
    expected = [(0, 0, 18, 18, 0), (279, 0, 300, 18, 0), (0, 144, 20, 170, 1), (278, 146, 300, 170, 1)]
    expected = np.array(expected, float)
    np.testing.assert_allclose(layer_boxes(tmp_path / "out.gpkg"), expected[np.lexsort(expected.T)])


def test_boxes_beyond_the_scene_are_dropped(tmp_path):
    # The second of two tiles ends with the scene, so that no pixel of it is padding; x 258 lies beyond both.
    make_scene(tmp_path / "town.tif", 448, 256, objects=[(300, 100, 312, 110, 0)])
    run(tmp_path, Generous([[258, 20, 262, 30], [20, 257, 30, 264]]))
    # In the first tile x 258 is x 258 of the scene.
    expected = [(258, 20, 262, 30, 0), (294, 94, 318, 116, 0)]
    np.testing.assert_allclose(layer_boxes(tmp_path / "out.gpkg"), expected)


@pytest.mark.parametrize("overlap", [0, 64])
def test_objects_over_the_seams_of_rows_and_of_columns_come_out_whole(tmp_path, overlap):
    objects = make_scene(tmp_path / "town.tif", 520, 390)
    run(tmp_path, tile=128, overlap=overlap)
    expected = objects[np.lexsort(objects.T)]
    np.testing.assert_allclose(layer_boxes(tmp_path / "out.gpkg"), expected)


class ByDepth(PlantedBackend):
    """Gives one score to boxes more than 20 px from the edges of the tile, another one to those nearer."""

    def __init__(self, deep, shallow):
        super().__init__()
        self.deep, self.shallow = deep, shallow

    def predict(self, batch, score_threshold):
        seen = super().predict(batch, 0.0)
        inner = (seen.boxes >= 20).all(axis=1) & (seen.boxes <= batch.shape[-1] - 20).all(axis=1)
        seen = seen.replace(scores=np.where(inner, self.deep, self.shallow).astype(np.float32))
        return seen.take(seen.scores >= score_threshold)


@pytest.mark.parametrize(
    ("deep", "shallow", "objects"),
    [
        (0.28, 0.4, 0),  # a candidate: the view from the middle of a tile counts, and it is below the threshold
        (0.22, 0.4, 0),  # still a candidate: 0.7 of the threshold is 0.21
        (0.20, 0.4, 1),  # no candidate: the other view is the only one
        (0.31, 0.1, 1),
        (0.31, 0.4, 1),
        (0.29, 0.29, 0),
    ],
)
def test_an_object_gets_one_chance_however_many_tiles_see_it(tmp_path, deep, shallow, objects):
    # Tiles of 256 px begin at 0 and 192: the object lies 46 px from the edge of the first, 8 px from the second.
    make_scene(tmp_path / "town.tif", 448, 256, objects=[(200, 100, 210, 112, 0)])
    result = run(tmp_path, ByDepth(deep, shallow), confidence=0.3)
    assert result.objects == objects


class Stops(Exception):
    pass


class StoppingBackend(PlantedBackend):
    def predict(self, batch, score_threshold):
        if self.tiles >= 60:
            raise Stops
        return super().predict(batch, score_threshold)


def interrupted(folder, package, **options):
    with pytest.raises(Stops):
        run(folder, StoppingBackend(), package, tile=128, overlap=64, **options)
    assert (folder / "out.gpkg.journal").exists()


def test_a_resume_under_other_weights_is_refused(tmp_path):
    make_scene(tmp_path / "town.tif")
    interrupted(tmp_path, make_package(tmp_path))
    # The same name, version and metadata; only the weights differ.
    package = make_package(tmp_path)
    save_package(package.path, {"weight": torch.ones(3)}, planted_info())
    backend = PlantedBackend()
    with pytest.raises(NssaError, match=r"another one: .*sha256 \(then .*--overwrite"):
        run(tmp_path, backend, package, tile=128, overlap=64, resume=True)
    assert backend.tiles == 0
    assert not (tmp_path / "out.gpkg").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tta": "flip"}, r"tta \(then none, now flip\)"),
        ({"tile": 256}, r"tile \(then 128, now 256\)"),
        ({"classes": "car"}, "classes"),
        ({"scale": 1}, "scale"),
    ],
)
def test_a_resume_that_would_find_other_objects_is_refused(tmp_path, change, words):
    make_scene(tmp_path / "town.tif")
    package = make_package(tmp_path)
    interrupted(tmp_path, package)
    backend = PlantedBackend()
    with pytest.raises(NssaError, match=words):
        run(tmp_path, backend, package, resume=True, **{"tile": 128, "overlap": 64, **change})
    assert backend.tiles == 0


def test_a_resume_may_write_the_same_objects_in_another_way(tmp_path):
    make_scene(tmp_path / "town.tif")
    package = make_package(tmp_path)
    interrupted(tmp_path, package)
    backend = PlantedBackend()
    how = {"geometry": "point", "t_crs": "EPSG:3857"}
    result = run(tmp_path, backend, package, tile=128, overlap=64, resume=True, **how)
    assert result.tiles_resumed > 0
    layer = read_layer(result.output)
    assert layer.crs.to_epsg() == 3857 and set(shapely.get_type_id(layer.shapes)) == {0}
    (tmp_path / "out.gpkg").unlink()
    assert len(layer) == run(tmp_path, PlantedBackend(), package, tile=128, overlap=64).objects


def test_a_resume_after_the_area_changed_is_refused(tmp_path):
    def draw(width):
        ring = [[0, 0], [width, 0], [width, 700], [0, 700], [0, 0]]
        text = [f"[{500000 + 0.25 * x}, {5300000 - 0.25 * y}]" for x, y in ring]
        crs = '"crs": {"type": "name", "properties": {"name": "EPSG:32633"}}'
        shape = f'{{"type": "Polygon", "coordinates": [[{", ".join(text)}]]}}'
        (tmp_path / "area.geojson").write_text(
            f'{{"type": "FeatureCollection", {crs}, "features": '
            f'[{{"type": "Feature", "properties": {{}}, "geometry": {shape}}}]}}'
        )

    make_scene(tmp_path / "town.tif")
    package, area = make_package(tmp_path), str(tmp_path / "area.geojson")
    draw(1000)
    interrupted(tmp_path, package, aoi=area)
    draw(50)
    with pytest.raises(NssaError, match="another one"):
        run(tmp_path, None, package, tile=128, overlap=64, aoi=area, resume=True)


def test_a_resume_with_other_machine_settings_goes_on(tmp_path):
    make_scene(tmp_path / "town.tif")
    package = make_package(tmp_path)
    interrupted(tmp_path, package)
    backend = PlantedBackend()
    result = run(tmp_path, backend, package, tile=128, overlap=64, batch_size=1, readers=1, resume=True)
    assert result.tiles_resumed > 0 and backend.tiles == result.tiles - result.tiles_resumed
    resumed = layer_records(tmp_path / "out.gpkg")
    run(tmp_path, None, package, tile=128, overlap=64, overwrite=True)
    assert layer_records(tmp_path / "out.gpkg") == resumed


def test_a_run_killed_while_it_writes_leaves_nothing_after_the_resume(tmp_path):
    make_scene(tmp_path / "town.tif")
    package = make_package(tmp_path)
    code = (
        "import os, sys\n"
        "from nssa_gis.detect.run import detect_scene\n"
        "from nssa_gis.runtime.package import load_package\n"
        "from nssa_gis.testing import PlantedDetector\n"
        "scene, output, package = sys.argv[1:]\n"
        "def die(event):\n"
        "    if event['event'] == 'merge' and event['objects']:\n"
        "        os._exit(9)\n"
        "detect_scene(PlantedDetector(load_package(package)), scene, output, progress=die)\n"
    )
    arguments = [str(tmp_path / "town.tif"), str(tmp_path / "out.gpkg"), str(package.path)]
    assert subprocess.run([sys.executable, "-c", code, *arguments], check=False).returncode == 9
    assert any(path.name.startswith(".out.gpkg") for path in tmp_path.iterdir()), "killed before a layer was begun"
    run(tmp_path, None, package, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.gpkg", "planted.safetensors", "town.tif"]


def test_the_crs_of_a_scene_can_be_named(tmp_path):
    planted = make_scene(tmp_path / "town.tif")
    with rasterio.open(tmp_path / "town.tif") as data:
        pixels, t = data.read(), data.transform
    package = make_package(tmp_path)
    result = run(tmp_path, package=package)
    right = layer_boxes(result.output)
    (tmp_path / "town.tif").unlink()
    (tmp_path / "out.gpkg").unlink()
    with rasterio.open(
        tmp_path / "a.png", "w", driver="PNG", width=pixels.shape[2], height=pixels.shape[1], count=3, dtype="uint8"
    ) as data:
        data.write(pixels)
    (tmp_path / "a.png").rename(tmp_path / "town.tif")
    for part in tmp_path.glob("*.aux.xml"):
        part.unlink()
    lines = (t.a, t.d, t.b, t.e, t.c + t.a / 2, t.f + t.e / 2)
    (tmp_path / "town.wld").write_text("\n".join(map(repr, lines)))
    result = run(tmp_path, package=package, crs="EPSG:32633", gsd=0.25)
    layer = read_layer(result.output)
    assert layer.crs.to_epsg() == 32633 and len(planted) == len(layer)
    np.testing.assert_allclose(layer_boxes(result.output), right)
    with pytest.raises(NssaError, match="--crs EPSG:5773: EGM96 height"):
        run(tmp_path, package=package, crs="EPSG:5773", overwrite=True)
    with pytest.raises(NssaError, match="are no longitude and latitude"):
        run(tmp_path, package=package, crs="EPSG:4326", overwrite=True)
    # a scene that states its own keeps it, and the user is told
    with rasterio.open(
        tmp_path / "town.tif", "w", driver="GTiff", width=pixels.shape[2], height=pixels.shape[1], count=3,
        dtype="uint8", crs="EPSG:32633", transform=t,
    ) as data:  # fmt: skip
        data.write(pixels)
    result = run(tmp_path, package=package, crs="EPSG:25832", overwrite=True)
    assert read_layer(result.output).crs.to_epsg() == 32633
    assert any("--crs ETRS89 / UTM zone 32N is not used" in text for text in result.warnings)
