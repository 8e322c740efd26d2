import json

import numpy as np
import pytest

from nssa_gis.boxes.columns import SceneDetections, TileDetections
from nssa_gis.detect.detector import Detector
from nssa_gis.evaluate.calibration import PlattScaling, fit_platt_scaling
from nssa_gis.evaluate.coco import ignored, precision_recall
from nssa_gis.evaluate.sources import accuracies, calibrated, detect_image, detect_sources
from nssa_gis.labels.images import labelled_image
from nssa_gis.labels.registry import read_table
from nssa_gis.labels.table import Entry
from nssa_gis.labels.truth import ImageTruth
from nssa_gis.testing import PlantedDetector, make_scene, planted_info
from nssa_gis.testing.labels import write_coco, write_visdrone


def pair(count, scores, hits):
    """An image with ``count`` objects in a row, and detections on them or beside."""
    boxes = np.array([[20 * k, 0, 20 * k + 10, 10] for k in range(count)], np.float32).reshape(-1, 4)
    places = np.array([[20 * k, 0 if hit else 50, 20 * k + 10, 10 if hit else 60] for k, hit in enumerate(hits)])
    none = np.empty((0, 4), np.float32)
    return SceneDetections.of(places.reshape(-1, 4), scores, 0), ImageTruth(boxes, np.zeros(count, int), none)


def test_all_together_stand_at_the_threshold_that_suits_the_sources():
    many = [pair(20, [0.9] * 20, [True] * 20) for _ in range(10)]
    many += [pair(0, [0.5] * 20, [False] * 20) for _ in range(10)]
    few = [pair(4, [0.5] * 4, [True] * 4)]
    found = accuracies({"many": many, "few": few, "empty": [pair(0, [0.95], [False])]}, 1)
    assert found["many"].threshold == pytest.approx(0.9)
    assert found["few"].threshold == pytest.approx(0.5)
    # pooled, F1 is best at 0.9; with equal weights: at 0.5, where few has F1 1 and not 0
    everything = found["all"]
    assert everything.threshold == pytest.approx(0.5)
    assert everything.precision == pytest.approx(204 / 405)
    assert everything.recall == 1
    assert everything.f1 == pytest.approx(2 * 204 / (405 + 204))
    assert accuracies({}, 1) == {}


def scored(count, scores, share, label, seed):
    """An image of ``count`` objects of a class, whose detections are right with the given shares."""
    rng = np.random.default_rng(seed)
    picked = rng.choice(len(scores), count)
    hits = rng.random(count) < np.array(share)[picked]
    found, truth = pair(count, np.array(scores)[picked], hits)
    found = SceneDetections.of(found.boxes, found.scores, label)
    return found, ImageTruth(truth.boxes, np.full(count, label), truth.ignore)


def test_scores_of_every_class_become_precisions():
    timid = [scored(400, [0.2, 0.4], [0.5, 0.9], 0, k) for k in range(5)]
    bold = [scored(400, [0.6, 0.9], [0.1, 0.5], 1, k) for k in range(5)]
    rare = [scored(30, [0.3], [0.9], 2, 9)]
    pairs, lines = calibrated({"a": timid + bold, "b": rare}, 3)
    assert [set(np.round(d.scores, 1).tolist()) for d, _ in (pairs["a"][0], pairs["a"][5])] == [
        {np.float32(0.5).item(), np.float32(0.9).round(1).item()},
        {np.float32(0.1).round(1).item(), np.float32(0.5).item()},
    ]
    assert lines[0] != lines[1]
    # too few to say: the line of all
    every = [*timid, *bold, *rare]
    whole = precision_recall([t for _, t in every], [d for d, _ in every])
    assert lines[2] == fit_platt_scaling(whole.scores, whole.hits)
    few = {"a": [scored(199, [0.2, 0.4], [0.5, 0.9], 0, 1)]}
    same, none = calibrated(few, 3)
    assert none == (PlattScaling(),) * 3 and same is few


def images_of(folder, classes):
    """All images of a labelled folder at 0.25 m; a class is the category of its name."""
    table = read_table(folder)
    index = np.array([classes.index(c) if c in classes else -1 for c in table.categories])
    return [
        labelled_image(entry, index, np.isin(classes, entry.not_exhaustive), entry.gsd or 0.25, 0.25)
        for entry in table.entries
    ]


class Fixed:
    """Finds the same boxes on every tile."""

    description, batch_size = "fixed", 1

    def __init__(self, boxes, scores, labels):
        self.found = TileDetections.of(boxes, scores, labels, 0)

    def predict(self, batch, score_threshold):
        return self.found


def fixed(classes, boxes, scores, labels):
    return Detector.of_backend(Fixed(boxes, scores, labels), planted_info(classes=classes))


def test_a_detection_on_others_is_false_in_validation(tmp_path):
    on_car, on_others, on_region = [10, 20, 40, 32], [60, 60, 70, 70], [5, 1, 25, 9]
    detector = fixed(("car",), [on_car, on_others, on_region], [0.9, 0.8, 0.7], 0)
    images = images_of(write_visdrone(tmp_path), ["car"])[:1]
    # two sources whose folders have one name do not replace one another
    pairs = detect_sources(detector, [images, images])
    (both,) = pairs.values()
    assert len(both) == 2
    curve = precision_recall([both[0][1]], [both[0][0].take(~ignored(*both[0]))])
    assert curve.precision.tolist() == [1, 0.5], "the one on the region is ignored"


def test_an_image_is_judged_by_the_classes_that_it_labels_in_full(tmp_path):
    folder = write_coco(tmp_path / "toy")
    table = json.loads((folder / "instances.json").read_text())
    for image, missing in zip(table["images"], (["tree"], ["car", "tree"], ["car"], []), strict=True):
        image["not_exhaustive"] = missing
    (folder / "instances.json").write_text(json.dumps(table))
    detector = fixed(("car", "tree"), [[0, 0, 9, 9], [0, 0, 9, 9]], [0.9, 0.8], np.array([0, 1]))
    images = images_of(folder, ["car", "tree"])
    ((_, pairs),) = detect_sources(detector, [images]).items()
    assert len(pairs) == 3, "one labels neither class in full"
    hidden = {tuple(zip(found.labels.tolist(), ignored(found, truth).tolist(), strict=True)) for found, truth in pairs}
    assert hidden == {((0, False), (1, True)), ((0, True), (1, False)), ((0, False), (1, False))}
    assert len(pairs[0][1].boxes) > 0 and len(pairs[1][1].boxes) == 0


@pytest.mark.parametrize("gsd", [0.25, 0.05, 0.6])
@pytest.mark.parametrize("working_gsd", [None, 0.2])
def test_detections_and_labels_share_the_pixels_of_the_working_grid(tmp_path, gsd, working_gsd):
    side = round(600 * 0.25 / gsd)
    objects = np.array(
        [[side // 5, side // 8, side // 3, side // 4, 0], [side // 2, side // 2, side - 9, side - 20, 0]]
    )
    path = tmp_path / "a.png"
    make_scene(path, side, side, crs=None, objects=objects, driver="PNG")
    entry = Entry(path, "a.png", objects[:, :4].astype(float), objects[:, 4], gsd=gsd)
    image = labelled_image(entry, np.array([0, 1]), np.zeros(2, bool), gsd, 0.25)
    found, truth = detect_image(PlantedDetector(), image, working_gsd)
    assert truth.boxes[np.argsort(truth.boxes[:, 0])] == pytest.approx(
        objects[:, :4] * gsd / (working_gsd or 0.25), abs=1
    )
    assert found.boxes[np.argsort(found.boxes[:, 0])] == pytest.approx(truth.boxes, abs=1)
