import numpy as np
import pytest

from nssa_gis.detections import Detections
from nssa_gis.evaluate.coco import ImageTruth
from nssa_gis.train.validation import accuracies


def pair(count, scores, hits):
    """An image with ``count`` objects in a row, and detections on them or beside."""
    boxes = np.array([[20 * k, 0, 20 * k + 10, 10] for k in range(count)], np.float32).reshape(-1, 4)
    places = np.array([[20 * k, 0 if hit else 50, 20 * k + 10, 10 if hit else 60] for k, hit in enumerate(hits)])
    none = np.empty((0, 4), np.float32)
    return Detections.from_columns(places.reshape(-1, 4), scores, 0), ImageTruth(boxes, np.zeros(count, int), none)


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
