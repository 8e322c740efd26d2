import json

import numpy as np
import pytest
from PIL import Image

from nssa_gis.boxes.columns import SceneDetections, TileDetections
from nssa_gis.detect.detector import Detector
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.labels.registry import read_table
from nssa_gis.testing import planted_info
from nssa_gis.train import pseudo_labels
from nssa_gis.train.pseudo_labels import suggest_labels


class BrightBoxes:
    """A detector of bright rectangles; it finds a red one only if the image is not mirrored."""

    description, batch_size = "bright boxes", 1

    def predict(self, batch, score_threshold):
        boxes, scores = [], []
        (tile,) = batch
        for channel, score in ((1, 0.9), (0, 0.4)):
            mask = (tile[channel] > 200) & (tile[1 - channel] < 100)
            if mask.any() and not (channel == 0 and tile[2, 0, 0] < 200):
                rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
                boxes.append([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1])
                scores.append(score)
        return TileDetections.of(np.array(boxes).reshape(-1, 4), scores, 0, 0)


@pytest.fixture
def detector():
    return Detector.of_backend(BrightBoxes(), planted_info(classes=("car",), tile=640))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    pixels = np.full((60, 80, 3), 120, np.uint8)
    pixels[0, 0] = 255  # tells whether the view is mirrored
    pixels[10:20, 30:50] = (0, 255, 0)
    pixels[40:52, 4:12] = (255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    images = [{"id": 7, "file_name": "a.png", "gsd_m": 0.5, "reviewed": True}]
    table = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "car"}]}
    (tmp_path / "instances.json").write_text(json.dumps(table))
    return tmp_path


def test_agreed_boxes_are_labels_and_weak_ones_are_ignore_regions(detector, folder):
    found = suggest_labels(detector, folder, ignore_threshold=0.05)
    label, ignored = found.table["annotations"]
    assert label["bbox"] == pytest.approx([30, 10, 20, 10], abs=0.5)
    assert (label["iscrowd"], label["score"]) == (0, pytest.approx(0.9))
    assert ignored["bbox"] == pytest.approx([4, 40, 8, 12], abs=0.5)
    assert (ignored["iscrowd"], ignored["score"]) == (1, pytest.approx(0.1)), "one view of four, 0.4"
    assert [a["id"] for a in found.table["annotations"]] == [1, 2]
    assert (found.images, found.labels, found.ignore_regions, found.hard_negatives) == (1, 1, 1, 0)
    assert suggest_labels(detector, folder).ignore_regions == 0, "0.1 is below 0.15"


def test_hard_negatives_on_empty_images_come_back_with_the_data(detector, folder):
    found = suggest_labels(detector, folder, ignore_threshold=0.05, hard_negatives=True)
    assert found.table["annotations"] == [] and found.hard_negatives == 2
    (folder / "mined.json").write_text(found.to_json())
    (entry,) = read_table(folder, annotations="mined.json").entries
    np.testing.assert_allclose(entry.hard_negatives, [[30, 10, 50, 20], [4, 40, 12, 52]], atol=0.5)
    assert entry.gsd == 0.5


def test_boxes_are_in_pixels_of_the_file_whatever_its_gsd(detector, folder):
    fine = json.loads((folder / "instances.json").read_text())
    fine["images"][0]["gsd_m"] = 0.05
    (folder / "instances.json").write_text(json.dumps(fine))
    table = suggest_labels(detector, folder, ignore_threshold=0.5).table
    assert (table["images"][0]["width"], table["images"][0]["gsd_m"]) == (80, pytest.approx(0.05))
    assert table["annotations"][0]["bbox"] == pytest.approx([30, 10, 20, 10], abs=5)


def test_of_two_labels_on_one_another_the_weaker_is_ignored(detector, folder, monkeypatch):
    boxes = np.array([[0, 0, 20, 10], [8, 0, 28, 10], [30, 0, 50, 10], [44, 0, 64, 10]], float)  # IoU 0.43, 0.18
    found = SceneDetections.of(boxes, [0.9, 0.8, 0.9, 0.8], 0)
    monkeypatch.setattr(pseudo_labels, "find_labelled", lambda *args, **kw: found)
    table = suggest_labels(detector, folder).table
    assert [a["iscrowd"] for a in table["annotations"]] == [0, 1, 0, 0]


def test_rotated_views_are_used_when_asked_for(detector, folder, monkeypatch):
    boxes = [[0, 0, 20, 10], [8, 0, 28, 10], [4, 40, 12, 52]]  # two bodies at a slant, decided on already
    found = SceneDetections.of(boxes, [0.9, 0.8, 0.2], 0)
    monkeypatch.setattr(pseudo_labels, "detect_rotated", lambda detector, scene, gsd: found)
    table = suggest_labels(detector, folder, rotated=True).table
    assert [(a["score"], a["iscrowd"]) for a in table["annotations"]] == [(0.9, 0), (0.8, 0), (0.2, 1)]


def test_what_cannot_be_done_is_told(detector, folder):
    with pytest.raises(UsageError, match=r"--ignore-threshold 0.7 is above --label-threshold 0.6"):
        suggest_labels(detector, folder, ignore_threshold=0.7)
    with pytest.raises(NssaError, match="no images with reviewed=false"):
        suggest_labels(detector, folder, only={"reviewed": False})
    table = json.loads((folder / "instances.json").read_text())
    del table["images"][0]["gsd_m"]
    (folder / "instances.json").write_text(json.dumps(table))
    with pytest.raises(NssaError, match=r"a\.png: its metres per pixel are unknown; give them with --gsd"):
        suggest_labels(detector, folder)
    assert suggest_labels(detector, folder, gsd=0.5).labels == 1
