import json

import numpy as np
import pytest
from PIL import Image

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.train import pseudo_labels
from nssa_gis.train.datasets import load_split
from nssa_gis.train.pseudo_labels import Doubt, suggest
from nssa_gis.train.recipe import recipe_of_folders


def bright_boxes(model, image, gsd, autocast, nms_iou):
    """A detector of bright rectangles; what is red it sees only if the image is not mirrored."""
    zoom = image.gsd / gsd
    boxes, scores = [], []
    for channel, score in ((1, 0.9), (0, 0.4)):
        mask = (image.pixels[channel] > 200) & (image.pixels[1 - channel] < 100)
        if mask.any() and not (channel == 0 and image.pixels[2, 0, 0] < 200):
            rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            boxes.append([cols[0] * zoom, rows[0] * zoom, (cols[-1] + 1) * zoom, (rows[-1] + 1) * zoom])
            scores.append(score)
    return TileDetections.of(np.array(boxes).reshape(-1, 4), scores, 0, 0), None


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setattr(pseudo_labels, "detect_image", bright_boxes)
    (tmp_path / "images").mkdir()
    pixels = np.full((60, 80, 3), 120, np.uint8)
    pixels[0, 0] = 255  # tells whether the view is mirrored
    pixels[10:20, 30:50] = (0, 255, 0)
    pixels[40:52, 4:12] = (255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    table = {"images": [{"id": 1, "file_name": "a.png", "gsd_m": 0.5}], "annotations": [], "categories": []}
    (tmp_path / "instances.json").write_text(json.dumps(table))
    return load_split(recipe_of_folders([tmp_path], ["car"], 0.25, [], "x"), "train")[0]


def test_agreed_boxes_are_labels_and_doubtful_ones_are_not(images):
    table = suggest(None, images, ["car"], 0.25, Doubt(0.6, 0.05), False, None)
    sure, doubtful = table["annotations"]
    assert sure["bbox"] == pytest.approx([30, 10, 20, 10], abs=0.1)
    assert (sure["iscrowd"], sure["score"]) == (0, pytest.approx(0.9))
    assert doubtful["bbox"] == pytest.approx([4, 40, 8, 12], abs=0.1)
    assert (doubtful["iscrowd"], doubtful["score"]) == (1, pytest.approx(0.1)), "one view of four, 0.4"
    assert len(suggest(None, images, ["car"], 0.25, Doubt(0.6, 0.15), False, None)["annotations"]) == 1


def test_hard_negatives_on_empty_images_come_back_with_the_data(images, tmp_path):
    table = suggest(None, images, ["car"], 0.25, Doubt(0.6, 0.05), True, None)
    assert table["annotations"] == []
    (tmp_path / "mined.json").write_text(json.dumps(table))
    (tmp_path / "r.toml").write_text(
        'name = "x"\ngsd = 0.25\ngsd_range = [0.1, 0.5]\n[classes]\ncar = ["car"]\n'
        '[[source]]\npath = "."\nannotations = "mined.json"\n'
    )
    from nssa_gis.train.recipe import load_recipe

    (image,) = load_split(load_recipe(tmp_path / "r.toml", []), "train")[0]
    np.testing.assert_allclose(image.hard_negatives, [[30, 10, 50, 20], [4, 40, 12, 52]], atol=0.1)


def test_boxes_are_in_pixels_of_the_file_also_where_it_is_reduced(images, tmp_path):
    fine = json.loads((tmp_path / "instances.json").read_text())
    fine["images"][0]["gsd_m"] = 0.05
    (tmp_path / "instances.json").write_text(json.dumps(fine))
    reduced = load_split(recipe_of_folders([tmp_path], ["car"], 0.25, [], "x"), "train")[0]
    assert reduced[0].width < 80
    table = suggest(None, reduced, ["car"], 0.25, Doubt(0.6, 0.5), False, None)
    assert (table["images"][0]["width"], table["images"][0]["gsd_m"]) == (80, pytest.approx(0.05))
    assert table["annotations"][0]["bbox"] == pytest.approx([30, 10, 20, 10], abs=2.5)


def test_of_two_labels_on_one_another_the_weaker_is_doubtful(images, monkeypatch):
    boxes = np.array([[0, 0, 20, 10], [8, 0, 28, 10], [30, 0, 50, 10], [44, 0, 64, 10]], float)  # IoU 0.43, 0.18
    found = TileDetections.of(boxes, [0.9, 0.8, 0.9, 0.8], 0, 0)
    monkeypatch.setattr(pseudo_labels, "view_consensus", lambda *args: found)
    table = suggest(None, images, ["car"], 0.25, Doubt(0.6, 0.15), False, None)
    assert [a["iscrowd"] for a in table["annotations"]] == [0, 1, 0, 0]


def test_turned_views_are_looked_at_when_asked_for(images, monkeypatch):
    boxes = [[0, 0, 20, 10], [8, 0, 28, 10], [4, 40, 12, 52]]  # two bodies at a slant, decided on already
    found = TileDetections.of(boxes, [0.9, 0.8, 0.2], 0, 0)
    monkeypatch.setattr(pseudo_labels, "detect_turned", lambda *args: found)
    table = suggest(None, images, ["car"], 0.25, Doubt(0.6, 0.15), False, None, turned=True)
    assert [(a["score"], a["iscrowd"]) for a in table["annotations"]] == [(0.9, 0), (0.8, 0), (0.2, 1)]
