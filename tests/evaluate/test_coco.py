import math

import numpy as np
import pytest

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.evaluate.coco import (
    Curve,
    common_threshold,
    evaluate_boxes,
    in_ignore,
    match,
    precision_recall,
)
from nssa_gis.labels.truth import ImageTruth


def truth(boxes, labels=None, ignore=()):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.zeros(len(boxes), np.int64) if labels is None else np.array(labels)
    return ImageTruth(boxes, labels, np.array(ignore, np.float32).reshape(-1, 4))


def found(boxes, scores, labels=0):
    return SceneDetections.of(boxes, scores, labels)


def test_perfect_detections():
    t = truth([[0, 0, 10, 10], [20, 20, 28, 30]])
    got = evaluate_boxes([t], [found(t.boxes, [0.9, 0.8])], 1)
    assert (got.ap, got.ap50, got.precision, got.recall, got.f1) == pytest.approx((1, 1, 1, 1, 1))
    assert got.threshold == pytest.approx(0.8)


def test_two_equal_boxes_are_one_false_positive():
    t = truth([[0, 0, 10, 10]])
    d = found([[0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.8])
    assert match(t, d).tolist() == [True, False]
    assert evaluate_boxes([t], [d], 1).precision == 1


def test_absent_class_is_left_out_not_zero():
    t = truth([[0, 0, 10, 10]])
    assert evaluate_boxes([t], [found(t.boxes, [0.9])], 3).ap50 == 1


def test_no_truth_is_nan_and_nothing_found_is_zero():
    assert math.isnan(evaluate_boxes([truth([])], [SceneDetections.empty()], 1).ap)
    assert evaluate_boxes([truth([[0, 0, 10, 10]])], [SceneDetections.empty()], 1).ap == 0


def test_detections_in_ignore_areas_change_nothing():
    t = truth([[0, 0, 10, 10]], ignore=[[50, 50, 100, 100]])
    plain = found([[0, 0, 10, 10]], [0.5])
    noisy = found([[0, 0, 10, 10], [60, 60, 70, 70], [44, 60, 56, 70]], [0.5, 0.9, 0.8])
    assert in_ignore(noisy.boxes, t.ignore).tolist() == [False, True, True]
    assert evaluate_boxes([t], [plain], 1) == evaluate_boxes([t], [noisy], 1)


def test_hand_computed_average_precision():
    """One of two objects found first, a false box second: precision 1 up to recall 0.5 (51 of 101 points)."""
    t = truth([[0, 0, 10, 10], [20, 20, 30, 30]])
    d = found([[0, 0, 10, 10], [50, 50, 60, 60]], [0.9, 0.8])
    assert evaluate_boxes([t], [d], 1).ap50 == pytest.approx(51 / 101)


def test_equals_pycocotools_on_random_data():
    pycocotools = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    from nssa_gis.evaluate.coco import _coco_found, _coco_truth

    rng = np.random.default_rng(0)
    truths, dets = [], []
    for _ in range(20):
        corner = rng.uniform(0, 200, (15, 2))
        boxes = np.concatenate((corner, corner + rng.uniform(5, 40, (15, 2))), 1)
        truths.append(truth(boxes, rng.integers(0, 2, 15)))
        jittered = np.concatenate((boxes + rng.normal(0, 2, boxes.shape), boxes[:5] + 60))
        jittered[:, 2:] = np.maximum(jittered[:, 2:], jittered[:, :2] + 1)
        dets.append(found(jittered, rng.random(20).round(3), np.concatenate((truths[-1].labels, [0, 1, 0, 1, 0]))))
    got = evaluate_boxes(truths, dets, 2, max_detections=100)
    gt = pycocotools.COCO()
    gt.dataset = _coco_truth(truths, 2)
    gt.createIndex()
    run = COCOeval(gt, gt.loadRes(_coco_found(dets)), "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    assert (got.ap, got.ap50, got.ap75) == pytest.approx(tuple(run.stats[:3]), abs=1e-9)


def test_operating_point_prefers_precision_where_f1_is_flat():
    truths, dets = [], []
    for i in range(300):
        truths.append(truth([[0, 0, 10, 10]]))
        dets.append(found([[0, 0, 10, 10]], [0.9 - i * 1e-3]))
    # one more true box and one more false one at the end hardly move F1
    dets[-1] = found([[0, 0, 10, 10], [50, 50, 60, 60]], [0.1, 0.2])
    precision, recall, f1, threshold = precision_recall(truths, dets).operating_point()
    assert threshold > 0.55
    assert precision == 1
    assert f1 >= 0.99
    assert recall == pytest.approx(f1 / (2 - f1))


def test_a_threshold_does_not_cut_inside_equal_scores():
    t = truth([[0, 0, 10, 10]])
    d = found([[0, 0, 10, 10], [50, 50, 60, 60], [80, 80, 90, 90]], [0.5, 0.5, 0.5])
    for order in ([0, 1, 2], [2, 1, 0]):
        tied = d.take(np.array(order))
        assert precision_recall([t], [tied]).operating_point() == pytest.approx((1 / 3, 1, 1 / 2, 0.5))
        assert precision_recall([t], [tied]).best_f1 == pytest.approx(1 / 2)
    apart = found(d.boxes, [0.6, 0.5, 0.5])
    assert precision_recall([t], [apart]).operating_point() == pytest.approx((1, 1, 1, 0.6))


def test_operating_point_and_best_f1_by_hand():
    """Of 250 objects 200 are found at once, then one false box and one object by turns."""
    hits = np.array([True] * 200 + [False, True] * 50)
    true = np.cumsum(hits)
    curve = Curve(true / np.arange(1, 301), true / 250, np.linspace(0.9, 0.1, 300), 250)
    f1 = 2 * true / (np.arange(1, 301) + 250)
    assert curve.best_f1 == pytest.approx(f1.max()) == pytest.approx(500 / 550)
    first = int(np.flatnonzero(f1 >= f1.max() - 0.005)[0])
    assert curve.operating_point() == pytest.approx(
        (true[first] / (first + 1), true[first] / 250, f1[first], curve.scores[first])
    )
    assert first < 299, "the operating point is a higher threshold than the best"


def test_nothing_found_has_no_operating_point():
    empty = precision_recall([truth([[0, 0, 10, 10]])], [SceneDetections.empty()])
    assert (empty.operating_point(), empty.best_f1) == ((0, 0, 0, 1), 0)
    wrong = precision_recall([truth([[0, 0, 10, 10]])], [found([[50, 50, 60, 60]], [0.9])])
    assert (wrong.operating_point(), wrong.best_f1) == ((0, 0, 0, 1), 0)


def hits_at(scores, hits, truths):
    """The curve of detections of falling score."""
    true = np.cumsum(hits)
    return Curve(true / np.arange(1, len(hits) + 1), true / truths, np.array(scores, float), truths)


def test_every_curve_has_the_same_weight_in_the_common_threshold():
    large = hits_at([0.9] * 100 + [0.5] * 100, [True] * 100 + [False] * 100, 100)  # best from 0.9 on
    small = hits_at([0.9, 0.5, 0.2], [True, True, False], 2)  # best from 0.5 on: F1 1, and 2/3 at 0.9
    # equal weights: (1 + 2/3) / 2 at 0.9, the same at 0.5; with two of a kind these two decide
    assert common_threshold([large, large, small]) == 0.9
    assert common_threshold([large, small, small]) == 0.5
    wide = hits_at(np.linspace(0.999, 0.001, 999), [True] * 499 + [True, False] * 250, 749)
    high = wide.f1 >= wide.f1.max() - 0.005
    assert common_threshold([wide]) == pytest.approx(wide.scores[high][[0, -1]].mean(), abs=2e-3)
    assert common_threshold([large]) == 0.9
    assert common_threshold([]) == 1
    assert common_threshold([hits_at([0.4], [False], 3)]) == 1
    assert large.at(0.5) == pytest.approx((0.5, 1, 2 / 3))
    assert large.at(0.95) == (0, 0, 0)
