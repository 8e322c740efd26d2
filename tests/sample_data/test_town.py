"""The drawn town: reproducible, with a truth that fits the picture; and the committed sample scene."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer

FOLDER = Path(__file__).parents[2] / "sample_data"
CLASSES = {"car", "van", "truck", "bus"}


def draw(folder: Path, *options: str) -> None:
    command = [sys.executable, str(FOLDER / "draw_town.py"), "--seed", "5", "--size", "300", *options]
    subprocess.run([*command, "-o", str(folder)], check=True, capture_output=True)


def read(folder: Path, name: str = "town") -> tuple[np.ndarray, list[dict]]:
    with rasterio.open(folder / f"{name}.tif") as source:
        pixels = source.read()
    truth = json.loads((folder / f"{name}_truth.geojson").read_text(encoding="utf-8"))
    return pixels, [f["properties"] for f in truth["features"]]


def test_same_seed_gives_same_town(tmp_path):
    draw(tmp_path / "a")
    draw(tmp_path / "b")
    pixels, vehicles = read(tmp_path / "a")
    again, vehicles_again = read(tmp_path / "b")
    assert pixels.shape == (3, 300, 300) and pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, again)
    assert vehicles == vehicles_again
    assert vehicles
    for v in vehicles:
        assert 0 <= v["x0"] < v["x1"] <= 300 and 0 <= v["y0"] < v["y1"] <= 300
        assert v["class"] in CLASSES
    # A picture of something: neither flat nor clipped.
    assert 25 < pixels.std() < 90 and 60 < pixels.mean() < 170


def test_coco_keeps_earlier_towns(tmp_path):
    sys.path.insert(0, str(FOLDER))
    try:
        from townscape.output import write_coco
    finally:
        sys.path.remove(str(FOLDER))
    image = np.zeros((50, 60, 3), np.uint8)
    records = [
        {"class": "car", "box": [1.0, 2.0, 11.5, 20.25], "occluded": False},
        {"class": "bus", "box": [30.0, 2.0, 41.0, 49.0], "occluded": True},
    ]
    for name in ("one", "two", "two"):
        write_coco(tmp_path, name, image, records, 0.2)
    data = json.loads((tmp_path / "instances.json").read_text(encoding="utf-8"))
    assert [i["file_name"] for i in data["images"]] == ["one.png", "two.png"]
    assert all((tmp_path / "images" / i["file_name"]).exists() and i["gsd_m"] == 0.2 for i in data["images"])
    assert len({a["id"] for a in data["annotations"]}) == len(data["annotations"])
    per_image = Counter(a["image_id"] for a in data["annotations"])
    assert len(per_image) == 2 and set(per_image.values()) == {2}
    assert data["annotations"][0]["bbox"] == [1.0, 2.0, 10.5, 18.25]
    assert [a["iscrowd"] for a in data["annotations"]] == [0, 1, 0, 1]


def test_committed_scene():
    path = FOLDER / "town.tif"
    assert path.stat().st_size < 8e6
    truth = json.loads((FOLDER / "town_truth.geojson").read_text(encoding="utf-8"))
    with rasterio.open(path) as source:
        assert source.crs.to_epsg() == 25832
        assert (source.width, source.height, source.count) == (3200, 3200, 3)
        assert source.res == (0.2, 0.2)
        assert source.overviews(1)
        transform = source.transform
    vehicles = [f["properties"] for f in truth["features"]]
    assert 400 <= sum(not v["occluded"] for v in vehicles) <= 800
    assert {v["class"] for v in vehicles} == CLASSES
    # The polygons lie where the pixel boxes say.
    to_map = Transformer.from_crs(4326, 25832, always_xy=True)
    for feature in truth["features"][::40]:
        lon, lat = np.array(feature["geometry"]["coordinates"][0]).T
        x, y = to_map.transform(lon, lat)
        columns, rows = ~transform * (np.asarray(x), np.asarray(y))
        p = feature["properties"]
        found = [columns.min(), rows.min(), columns.max(), rows.max()]
        np.testing.assert_allclose(found, [p["x0"], p["y0"], p["x1"], p["y1"]], atol=0.01)
