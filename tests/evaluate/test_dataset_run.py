"""A labelled dataset through a detector that finds bright rectangles, without a network."""

import json

import numpy as np
import pytest
from PIL import Image

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.evaluate.coco import ignored, precision_recall, without_ignored
from nssa_gis.evaluate.dataset_run import (
    detect_array,
    detect_entries,
    only_classes,
    spread,
)
from nssa_gis.evaluate.protocols import score_protocol
from nssa_gis.labels.classes import class_table, classes_not_exhaustive, truth_of, usable_entries
from nssa_gis.labels.registry import read_table
from nssa_gis.labels.table import Entry, Table
from nssa_gis.labels.truth import ImageTruth
from nssa_gis.model.config import PAD_MULTIPLE
from nssa_gis.testing import PlantedBackend, make_package

#: Off the even places, so that a box scaled about anything but the corner would show.
BOXES = np.array([[10, 20, 40, 32], [61, 15, 73, 47]])


def picture(path, boxes=BOXES, width=100, height=80):
    """Dark ground, the first class of the planted detector."""
    pixels = np.full((height, width, 3), 10, np.uint8)
    for x0, y0, x1, y1 in boxes:
        pixels[y0:y1, x0:x1, 0] = 250
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def info(tmp_path):
    return make_package(tmp_path).info


def entry(path, boxes=BOXES, **fields):
    return Entry(path, path.name, np.array(boxes, np.float64), np.zeros(len(boxes), np.int64), **fields)


class Sizes:
    """Notes the size of what is looked at; finds nothing."""

    description = "sizes"

    def __init__(self):
        self.seen = []

    def predict(self, batch, score_threshold):
        self.seen.append(batch.shape[2:])
        return SceneDetections.empty()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [0, -1, -1, 1]),
        ({"vehicle": ["car", "truck"]}, [-1, 0, 0, 1]),  # only these: not the category of the class's own name
        ({"vehicle": ["car", "vehicle"]}, [0, 0, -1, 1]),
        ({"storage_tank": ["vehicle"]}, [1, -1, -1, -1]),
        ({"Storage Tank": ["Storage_tank"]}, [0, -1, -1, 1]),
    ],
)
def test_which_categories_belong_to_a_class(given, expected):
    table = class_table(["vehicle", "storage-tank"], ["vehicle", "car", "truck", "Storage tank"], given)
    assert table.tolist() == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"boat": ["car"]}, "the model has no class 'boat'; it has vehicle"),
        ({"vehicle": ["boat"]}, "the dataset has no category 'boat'; it has car"),
        ({}, r"the model \(vehicle\) and the dataset \(car\) have no class in common"),
    ],
)
def test_classes_that_do_not_fit_are_told(given, message):
    with pytest.raises(UsageError, match=message):
        class_table(["vehicle"], ["car"], given)


def test_images_without_all_labels_of_any_evaluated_class_are_left_out(tmp_path):
    whole, no_cars, no_trees, neither = (
        entry(tmp_path / f"{k}.png", not_exhaustive=names)
        for k, names in enumerate(((), ("Car",), ("tree",), ("tree", "car")))
    )
    table = Table(("car", "tree"), (whole, no_cars, no_trees, neither))
    assert usable_entries(table, np.array([0, -1])) == [whole, no_trees]
    assert usable_entries(table, np.array([0, 1])) == [whole, no_cars, no_trees]
    assert usable_entries(table, np.array([0, 0])) == [whole], "two categories of one class"
    assert classes_not_exhaustive(no_cars, table.categories, np.array([1, 0])) == [1]


def test_a_class_that_an_image_does_not_label_in_full_counts_neither_way(tmp_path):
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(tmp_path / "a.png")
    boxes = np.array([[0, 0, 8, 8], [20, 20, 30, 30]], np.float64)
    given = Entry(tmp_path / "a.png", "a.png", boxes, np.array([0, 1]), not_exhaustive=("tree",))
    truth = truth_of(given, np.array([0, 1]), classes_not_exhaustive(given, ("car", "tree"), np.array([0, 1])))
    assert truth.labels.tolist() == [0]
    found = SceneDetections.of(
        np.array([[0, 0, 8, 8], [90, 70, 100, 80], [20, 20, 30, 30], [92, 70, 100, 80]], np.float64),
        [0.9, 0.8, 0.7, 0.6],
        np.array([0, 0, 1, 1]),
    )
    assert ignored(found, truth).tolist() == [False, False, True, True]
    assert precision_recall([truth], without_ignored([truth], [found])).precision.tolist() == [1, 0.5]


def test_truth_keeps_what_concerns_the_evaluated_classes(tmp_path):
    given = Entry(
        tmp_path / "a.png",
        "a.png",
        np.array([[0, 0, 8, 8], [20, 20, 30, 30], [40, 40, 50, 50]], np.float64),
        np.array([0, 1, 2]),
        ignore=np.array([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]], np.float64),
        ignore_categories=np.array([2, -1, 1]),
        ignore_in_training=np.array([[0, 0, 4, 4]], np.float64),
        areas=np.array([50.0, 90.0, 70.0]),
        size=(100, 80),
    )
    truth = truth_of(given, np.array([1, -1, 0]))  # the second category is unknown to the model
    assert truth.boxes.tolist() == [[0, 0, 8, 8], [40, 40, 50, 50]]
    assert (truth.labels.tolist(), truth.sizes.tolist(), truth.size) == ([1, 0], [50, 70], (100, 80))
    assert truth.ignore.tolist() == [[0, 0, 1, 1], [0, 0, 2, 2]], "those of the training hide nothing"
    assert truth.ignore_classes.tolist() == [0, -1]


def test_classes_without_labels_are_left_out_and_the_others_numbered_anew():
    boxes = np.array([[0, 0, 8, 8], [20, 20, 30, 30]], np.float64)
    truth = ImageTruth(boxes, np.array([2, 1]), boxes, np.array([2, -1]), np.array([5.0, 6.0]))
    found = SceneDetections.of(boxes.repeat(2, 0), [0.9, 0.8, 0.7, 0.6], [0, 1, 2, 3])
    (kept,), (seen,) = only_classes([truth], [found], [1, 2])
    assert (kept.labels.tolist(), kept.ignore_classes.tolist(), kept.sizes.tolist()) == ([1, 0], [1, -1], [5, 6])
    assert (seen.labels.tolist(), seen.scores.tolist()) == ([0, 1], pytest.approx([0.8, 0.7]))


@pytest.mark.parametrize(
    ("scale", "gsd", "own", "looked_at"),
    [
        (None, None, None, (80, 100)),  # nothing is known: pixels as they are
        (2.0, None, None, (160, 200)),
        (None, 0.5, None, (160, 200)),  # the model's is 0.25
        (None, 0.5, 0.25, (80, 100)),  # what the image states goes first
        (2.0, 0.25, 0.25, (160, 200)),  # what is asked for goes before all
        (None, 0.1, None, (32, 40)),
    ],
)
def test_boxes_are_in_pixels_of_the_image_whatever_the_scale(tmp_path, info, scale, gsd, own, looked_at):
    path = picture(tmp_path / "a.png")
    sizes = Sizes()
    detect_entries(sizes, info, [entry(path, gsd=own)], scale, gsd)
    assert sizes.seen == [tuple(side + -side % PAD_MULTIPLE for side in looked_at)]
    done = []
    (found,) = detect_entries(PlantedBackend(), info, [entry(path, gsd=own)], scale, gsd, done.append)
    assert done == [1]
    boxes = found.boxes[np.argsort(found.boxes[:, 0])]
    # resampling moves an edge by at most half a pixel of what is looked at
    assert boxes == pytest.approx(BOXES, abs=0.5 * 100 / looked_at[1] + 0.01)
    assert (np.diff(found.scores) <= 0).all()


def test_a_scale_that_does_not_divide_the_image(tmp_path, info):
    path = picture(tmp_path / "a.png", width=101, height=83)
    (found,) = detect_entries(PlantedBackend(), info, [entry(path)], 1.37, None)
    assert found.boxes[np.argsort(found.boxes[:, 0])] == pytest.approx(BOXES, abs=0.8)


def test_an_image_larger_than_a_tile_is_tiled_and_merged(info):
    rng = np.random.default_rng(0)
    at = np.stack(np.meshgrid(np.arange(20, 1940, 120), np.arange(20, 1740, 120)), -1).reshape(-1, 2)
    at += rng.integers(0, 40, at.shape)
    boxes = np.concatenate((at, at + rng.integers(10, 50, at.shape)), 1)
    boxes = np.concatenate((boxes[boxes[:, 2] < 2000], [[1990, 1790, 2000, 1800]]))  # the last touches the corner
    pixels = np.full((3, 1800, 2000), 10, np.uint8)
    for x0, y0, x1, y1 in boxes:
        pixels[0, y0:y1, x0:x1] = 250
    backend = PlantedBackend()
    found = detect_array(backend, info, pixels)
    assert backend.tiles == 4
    assert sorted(found.boxes.tolist()) == sorted(boxes.tolist())


def test_an_unreadable_image_is_named(tmp_path, info):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(NssaError, match=r"a\.png: not an image that GDAL can read"):
        detect_entries(PlantedBackend(), info, [entry(tmp_path / "a.png")], None, None)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(None, [*range(10)]), (12, [*range(10)]), (10, [*range(10)]), (4, [0, 3, 6, 9]), (2, [0, 9]), (1, [0])],
)
def test_a_limit_is_spread_from_the_first_to_the_last(tmp_path, limit, expected):
    entries = [entry(tmp_path / f"{k}.png") for k in range(10)]
    assert [int(e.path.stem) for e in spread(entries, limit)] == expected


def test_plain_coco_from_the_files_to_the_figures(tmp_path, info):
    """Two objects, a crowd with one detection; all is found: nothing is wrong."""
    boxes = np.array([*BOXES, [10, 50, 22, 60]])
    picture(tmp_path / "images" / "a.png", boxes)
    rows = [{"image_id": 1, "category_id": 5, "bbox": [x0, y0, x1 - x0, y1 - y0]} for x0, y0, x1, y1 in BOXES.tolist()]
    rows.append({"image_id": 1, "category_id": 5, "bbox": [0, 45, 60, 30], "iscrowd": 1})
    table = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": rows,
        "categories": [{"id": 5, "name": "car"}, {"id": 6, "name": "boat"}],
    }

    def score(protocol):
        (tmp_path / "instances.json").write_text(json.dumps(table))
        read = read_table(tmp_path)
        chosen = class_table(info.classes, read.categories, {})
        found = detect_entries(PlantedBackend(), info, read.entries, None, None)
        return score_protocol(protocol, [truth_of(e, chosen) for e in read.entries], found, info.classes)

    for protocol in ("coco", "aitod", "visdrone", "visdrone-official"):
        got = score(protocol)
        assert (got.ap, got.precision, got.recall) == pytest.approx((1, 1, 1)), protocol
    rows[2]["category_id"] = 6  # a crowd of boats excuses no car
    for protocol in ("coco", "aitod", "visdrone", "visdrone-official"):
        got = score(protocol)
        assert (got.curves["all"].precision[-1], got.recall) == pytest.approx((2 / 3, 1)), protocol
    rows[2]["category_id"] = 9  # no category: an ignored region, which COCO does not know
    assert score("coco").curves["all"].precision[-1] == pytest.approx(2 / 3)
    assert score("visdrone").curves["all"].precision[-1] == 1
