import json

import numpy as np
import pytest
import torch

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.evaluate.calibration import PlattScaling, fit_platt_scaling
from nssa_gis.evaluate.coco import ignored, precision_recall
from nssa_gis.evaluate.sources import accuracies, calibrated, detect_sources
from nssa_gis.labels.images import labelled_image
from nssa_gis.labels.registry import read_table
from nssa_gis.labels.truth import ImageTruth
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
    # pooled, F1 is best at 0.9; one voice each: at 0.5, where few has F1 1 and not 0
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


def test_a_detection_on_others_is_false_in_validation(tmp_path, monkeypatch):
    on_car, on_others, on_region = [10, 20, 40, 32], [60, 60, 70, 70], [5, 1, 25, 9]
    found = SceneDetections.of([on_car, on_others, on_region], [0.9, 0.8, 0.7], 0)
    monkeypatch.setattr("nssa_gis.evaluate.sources.detections_of", lambda *_: found)
    images = images_of(write_visdrone(tmp_path), ["car"])[:1]
    # two sources whose folders have one name do not replace one another
    pairs = detect_sources(torch.nn.Conv2d(3, 1, 1), [images, images], 0.25)
    (both,) = pairs.values()
    assert len(both) == 2
    curve = precision_recall([both[0][1]], [both[0][0].take(~ignored(*both[0]))])
    assert curve.precision.tolist() == [1, 0.5], "the one on the region is ignored"


def test_an_image_is_judged_by_the_classes_that_it_labels_in_full(tmp_path, monkeypatch):
    folder = write_coco(tmp_path / "toy")
    table = json.loads((folder / "instances.json").read_text())
    for image, missing in zip(table["images"], (["tree"], ["car", "tree"], ["car"], []), strict=True):
        image["not_exhaustive"] = missing
    (folder / "instances.json").write_text(json.dumps(table))
    everywhere = SceneDetections.of([[0, 0, 9, 9], [0, 0, 9, 9]], [0.9, 0.8], np.array([0, 1]))
    monkeypatch.setattr("nssa_gis.evaluate.sources.detections_of", lambda *_: everywhere)
    images = images_of(folder, ["car", "tree"])
    ((_, pairs),) = detect_sources(torch.nn.Conv2d(3, 1, 1), [images], 0.25).items()
    assert len(pairs) == 3, "one labels neither class in full"
    assert [ignored(*pair).tolist() for pair in pairs] == [[False, True], [True, False], [False, False]]
    assert len(pairs[0][1].boxes) > 0 and len(pairs[1][1].boxes) == 0
