"""A labelled dataset through a detector that finds bright rectangles, without a network."""

import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.detect.detector import Detector
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.evaluate.coco import ignored, precision_recall, without_ignored
from nssa_gis.evaluate.evaluation import detect_entries, evaluate_model, only_classes, spread
from nssa_gis.evaluate.protocols import score_protocol
from nssa_gis.labels.classes import class_table, classes_not_exhaustive, truth_of, usable_entries
from nssa_gis.labels.table import Entry, Table, no_boxes
from nssa_gis.labels.truth import ImageTruth
from nssa_gis.testing import PlantedDetector, make_scene
from nssa_gis.testing.planted import PlantedBackend, planted_info

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


def entry(path, boxes=BOXES, **fields):
    return Entry(path, path.name, np.array(boxes, np.float64), np.zeros(len(boxes), np.int64), **fields)


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
    ("scale", "gsd", "own", "zoom"),
    [
        (None, None, None, 1),  # nothing is known: native resolution
        (2.0, None, None, 2),
        (None, 0.5, None, 2),  # the model's is 0.25
        (None, 0.5, 0.25, 1),  # what the image states goes first
        (2.0, 0.25, 0.25, 2),  # what is asked for goes before all
        (None, 0.1, None, 0.4),
        (None, 2.0, None, 8),  # coarser than a detection would accept
    ],
)
def test_boxes_are_in_pixels_of_the_image_whatever_the_scale(tmp_path, monkeypatch, scale, gsd, own, zoom):
    path = picture(tmp_path / "a.png")
    detector, bright, done = PlantedDetector(), [], []
    predict = detector.backend.predict
    monkeypatch.setattr(
        detector.backend, "predict", lambda batch, least: bright.append(batch[:, 0] > 128) or predict(batch, least)
    )
    (found,) = detect_entries(detector, [entry(path, gsd=own)], scale, gsd, done.append)
    assert done == [1]
    sides = BOXES[:, 2:] - BOXES[:, :2]
    if zoom <= 2:
        assert sum(b.sum() for b in bright) == pytest.approx(sides.prod(1).sum() * zoom**2, rel=0.25)
    boxes = found.boxes[np.argsort(found.boxes[:, 0])]
    # resampling moves an edge by at most half a pixel of the working grid
    assert boxes == pytest.approx(BOXES, abs=0.5 / zoom + 0.01)
    assert (np.diff(found.scores) <= 0).all()


def test_a_scale_that_does_not_divide_the_image(tmp_path):
    path = picture(tmp_path / "a.png", width=101, height=83)
    (found,) = detect_entries(PlantedDetector(), [entry(path)], 1.37, None)
    assert found.boxes[np.argsort(found.boxes[:, 0])] == pytest.approx(BOXES, abs=0.8)


def test_a_georeferenced_image_needs_no_gsd(tmp_path):
    path = tmp_path / "a.tif"
    boxes = make_scene(path, 300, 200, transform=rasterio.Affine(0.5, 0, 500000, 0, -0.5, 5300000))[:, :4]
    (found,) = detect_entries(PlantedDetector(), [entry(path, boxes)], None, 0.1)  # --gsd is for those that state none
    assert len(found) == len(boxes)
    assert found.boxes[np.lexsort(found.boxes.T)] == pytest.approx(boxes[np.lexsort(boxes.T)], abs=0.3)


def test_an_unreadable_image_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(NssaError, match=r"a\.png: not an image that GDAL can read"):
        detect_entries(PlantedDetector(), [entry(tmp_path / "a.png")], None, None)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(None, [*range(10)]), (12, [*range(10)]), (10, [*range(10)]), (4, [0, 3, 6, 9]), (2, [0, 9]), (1, [0])],
)
def test_a_limit_is_spread_from_the_first_to_the_last(tmp_path, limit, expected):
    entries = [entry(tmp_path / f"{k}.png") for k in range(10)]
    assert [int(e.path.stem) for e in spread(entries, limit)] == expected


def test_plain_coco_from_the_files_to_the_figures(tmp_path):
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
        (found,) = evaluate_model(PlantedDetector(), tmp_path, protocols=[protocol]).protocols
        return found

    for protocol in ("coco", "aitod", "visdrone", "visdrone-official"):
        got = score(protocol)
        assert (got.ap, got.precision, got.recall) == pytest.approx((1, 1, 1)), protocol
    rows[2]["category_id"] = 6  # a crowd of boats hides no car
    for protocol in ("coco", "aitod", "visdrone", "visdrone-official"):
        got = score(protocol)
        assert (got.curves["all"].precision[-1], got.recall) == pytest.approx((2 / 3, 1)), protocol
    rows[2]["category_id"] = 9  # no category: an ignored region, which COCO does not know
    assert score("coco").curves["all"].precision[-1] == pytest.approx(2 / 3)
    assert score("visdrone").curves["all"].precision[-1] == 1


def test_what_is_measured_is_told(tmp_path):
    picture(tmp_path / "images" / "a.png")
    rows = [{"image_id": 1, "category_id": 5, "bbox": [x0, y0, x1 - x0, y1 - y0]} for x0, y0, x1, y1 in BOXES.tolist()]
    table = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": rows}
    (tmp_path / "instances.json").write_text(json.dumps({**table, "categories": [{"id": 5, "name": "auto"}]}))
    events = []
    found = evaluate_model(
        PlantedDetector(),
        tmp_path,
        protocols=["coco", "aitod", "coco"],
        classes={"car": ["auto"]},
        progress=events.append,
    )
    assert [e["event"] for e in events] == ["data", "start", "warning", "tile"]
    assert "no ground sample distance is known" in events[2]["message"]
    assert [p.protocol for p in found.protocols] == ["coco", "aitod"]
    assert found.to_dict() == json.loads(json.dumps(found.to_dict()))
    assert (found.to_dict()["categories"], found.images) == ({"auto": "car"}, 1)
    text = found.to_text()
    assert text.startswith(f"planted 1 on {tmp_path}: 1 images, planted")
    assert "protocol aitod, 2 objects" in text and "AP 1.000  AP50 1.000" in text
    with pytest.raises(UsageError, match="protocol 'voc' is unknown; known: coco"):
        evaluate_model(PlantedDetector(), tmp_path, protocols=["voc"])
    with pytest.raises(UsageError, match="no class in common"):
        evaluate_model(PlantedDetector(), tmp_path)


def events_of(folder, detector=None, **options):
    events = []
    score = evaluate_model(detector or PlantedDetector(), folder, progress=events.append, **options).protocols[0]
    return score, events


def messages(events):
    return [e["message"] for e in events if e["event"] == "warning"]


def labelled(folder, boxes=BOXES, image=None, **row):
    """A COCO folder with a picture of the planted boxes; the class is car."""
    picture(folder / "images" / "a.png")
    rows = [
        {"image_id": 1, "category_id": 5, "bbox": [x0, y0, x1 - x0, y1 - y0], **row}
        for x0, y0, x1, y1 in np.array(boxes).tolist()
    ]
    table = {"images": [{"id": 1, "file_name": "a.png"} | (image or {})], "annotations": rows}
    (folder / "instances.json").write_text(json.dumps({**table, "categories": [{"id": 5, "name": "car"}]}))
    return folder


def test_what_is_used_is_counted_before_the_start(tmp_path):
    folder = labelled(tmp_path, image={"gsd_m": 0.25})
    table = json.loads((folder / "instances.json").read_text())
    box = table["annotations"][0]
    table["categories"].append({"id": 6, "name": "tree"})
    table["annotations"] += [{**box, "iscrowd": "1"}, {**box, "image_id": 9}, {**box, "category_id": 6}]
    (folder / "instances.json").write_text(json.dumps(table))
    score, events = events_of(folder)
    assert [e["event"] for e in events] == ["warning", "data", "start", "tile"]
    assert messages(events)[0].startswith("1 label is not used: their image is not listed")
    told = {"images": 1, "boxes": len(BOXES), "ignored": 1, "dropped": 1, "unused": {"tree": 1}}
    assert events[1] == {"event": "data", **told} and score.truths == len(BOXES)


@pytest.mark.parametrize("known", [{"image": {"gsd_m": 0.25}}, {"gsd": 0.25}, {"scale": 1.0}])
def test_an_unknown_gsd_is_told_once(tmp_path, known):
    _, events = events_of(labelled(tmp_path))
    assert len(messages(events)) == 1 and "a.png: no ground sample distance is known" in messages(events)[0]
    _, events = events_of(labelled(tmp_path, image=known.get("image")), **{k: known[k] for k in known if k != "image"})
    assert messages(events) == []


SOURCES = "town (weight 1.2, held out: b c); lake (weight 0, held out: all); town (weight 2, held out: b c)"


@pytest.mark.parametrize(
    ("name", "scene", "told"),
    [("town", "a", True), ("town", "b", False), ("lake", "a", False), ("wn", "a", False), ("other", "a", False)],
)
def test_images_that_the_model_was_trained_on_are_told(tmp_path, name, scene, told):
    folder = labelled(tmp_path / name, image={"gsd_m": 0.25, "scene": scene})
    detector = Detector.of_backend(PlantedBackend(), planted_info(training_data=SOURCES))
    _, events = events_of(folder, detector)
    wanted = f"1 of 1 images are not among those held out from {name}, a source that planted was trained on"
    assert [wanted in text for text in messages(events)] == [True] * told


def test_accuracy_at_the_threshold_that_a_detection_uses():
    """Three of four objects found from 0.5 on, with one false box; the best threshold is another one."""
    truth = ImageTruth(np.array([[20.0 * k, 0, 20 * k + 10, 10] for k in range(4)]), np.zeros(4, np.int64), no_boxes())
    boxes = np.concatenate((truth.boxes, [[0, 50, 10, 60]]))
    found = SceneDetections.of(boxes, [0.9, 0.8, 0.7, 0.2, 0.6], np.zeros(5, np.int64))
    score = score_protocol("coco", [truth], [found], ["car"], 0.5)
    for point in (score.at_default, score.classes[0].at_default, score.to_dict()["at_default"]):
        assert point == pytest.approx({"threshold": 0.5, "precision": 0.75, "recall": 0.75, "f1": 0.75})
    assert (score.threshold, score.recall) == (pytest.approx(0.2), 1)
    text = score.to_text()
    assert "at the default confidence threshold of the model, 0.5:  P 0.750  R 0.750  F1 0.750" in text
    assert "  all 1.000" not in text and f"AP50 {score.ap50:.3f}" in text, "fractions, as in the JSON"
