import numpy as np
import pytest

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.evaluate.calibration import ScoreLine, fit_score_line
from nssa_gis.evaluate.coco import ImageTruth, precision_recall
from nssa_gis.train.validation import accuracies, calibrated


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
    assert lines[2] == fit_score_line(whole.scores, whole.hits)
    few = {"a": [scored(199, [0.2, 0.4], [0.5, 0.9], 0, 1)]}
    same, none = calibrated(few, 3)
    assert none == (ScoreLine(),) * 3 and same is few
