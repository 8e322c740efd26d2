"""What every evaluator must get right (METHOD 4.4), for every protocol."""

import math

import numpy as np
import pytest

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.evaluate.protocols import PROTOCOLS, score_protocol
from nssa_gis.evaluate.visdrone import _in_union
from nssa_gis.labels.truth import ImageTruth

EVERY = pytest.mark.parametrize("protocol", sorted(PROTOCOLS))


def truth(boxes, labels=0, ignore=(), ignore_labels=None, size=None):
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    ignore = np.array(ignore, np.float64).reshape(-1, 4)
    own = None if ignore_labels is None else np.broadcast_to(ignore_labels, len(ignore))
    return ImageTruth(boxes, np.broadcast_to(np.array(labels, np.int64), len(boxes)), ignore, own, size=size)


def found(boxes, scores=0.9, labels=0):
    return SceneDetections.of(boxes, scores, labels)


def scatter(rng, n, low, high, span=900):
    """Boxes of sides ``low`` to ``high`` on separate places."""
    cells = rng.permutation((span // 60) ** 2)[:n]
    at = np.column_stack((cells % (span // 60), cells // (span // 60))) * 60.0
    return np.concatenate((at, at + rng.uniform(low, high, (n, 2))), 1).round(1)


@EVERY
def test_perfect_detections_are_perfect_in_every_bin(protocol):
    rng = np.random.default_rng(0)
    boxes = np.concatenate([scatter(rng, 20, *sides) for sides in ((4, 7), (9, 15), (18, 30), (40, 55))])
    offset = np.repeat(np.arange(4) * 1000.0, 20)
    boxes += np.stack((offset, np.zeros(80), offset, np.zeros(80)), 1)
    boxes = np.concatenate((boxes, [[4000, 0, 4100, 110], [4200, 0, 4310, 100]]))
    labels = rng.integers(0, 3, 82)
    got = score_protocol(protocol, [truth(boxes, labels)], [found(boxes, rng.random(82), labels)], ["a", "b", "c"])
    assert (got.ap, got.ap50, got.ap75) == pytest.approx((1, 1, 1))
    assert list(got.areas.values()) == pytest.approx([1] * len(got.areas))
    assert len(got.areas) == {"aitod": 4, "coco": 3, "visdrone": 3, "visdrone-official": 0}[protocol]
    assert (got.precision, got.recall, got.f1, got.best_f1) == pytest.approx((1, 1, 1, 1))
    assert got.recalls[max(got.recalls)] == pytest.approx(1)


@EVERY
def test_an_absent_class_is_left_out_not_zero(protocol):
    t = truth([[0, 0, 10, 10]])
    got = score_protocol(protocol, [t], [found(t.boxes)], ["a", "b"])
    assert got.ap50 == pytest.approx(1)
    assert math.isnan(got.classes[1].ap)
    assert got.to_dict()["classes"][1]["ap"] is None


@EVERY
def test_a_class_that_is_never_found_counts_zero(protocol):
    t = truth([[0, 0, 10, 10], [50, 50, 60, 60]], [0, 1])
    got = score_protocol(protocol, [t], [found(t.boxes[:1])], ["a", "b"])
    assert got.ap50 == pytest.approx(0.5)
    nothing = score_protocol(protocol, [t], [SceneDetections.empty()], ["a", "b"])
    assert (nothing.ap, nothing.ap50, nothing.recall) == (0, 0, 0)


@EVERY
def test_two_equal_boxes_are_one_false_positive(protocol):
    t = truth([[0, 0, 10, 10], [50, 50, 60, 60]])
    got = score_protocol(protocol, [t], [found(t.boxes[[0, 0, 1]], [0.9, 0.8, 0.7])], ["a"])
    curve = got.curves["all"]
    assert curve.precision == pytest.approx([1, 1 / 2, 2 / 3])
    assert got.ap50 < 1


@EVERY
def test_ties_keep_their_order(protocol):
    t = truth([[0, 0, 10, 10]])
    right, wrong = [0, 0, 10, 10], [80, 80, 90, 90]
    first = score_protocol(protocol, [t], [found([right, wrong], [0.5, 0.5])], ["a"])
    second = score_protocol(protocol, [t], [found([wrong, right], [0.5, 0.5])], ["a"])
    assert (first.ap50, second.ap50) == pytest.approx((1, 0.5), abs=0.01)


def ignore_case(ignore_labels):
    """Labels with an ignore region; detections without and with 30 in it, and with 30 beside it."""
    rng = np.random.default_rng(1)
    t = truth([[0, 0, 10, 10], [50, 50, 60, 60]], 0, [[100, 100, 300, 300]], ignore_labels)
    base = found(t.boxes, [0.4, 0.3])
    inside = np.tile(rng.uniform(110, 270, (30, 2)), 2) + np.array([0, 0, 12, 12])
    return t, base, *(SceneDetections.concat([found(boxes, 0.9), base]) for boxes in (inside, inside - 100))


@EVERY
@pytest.mark.parametrize("ignore_labels", [None, 0])
def test_detections_in_an_ignore_area_change_nothing(protocol, ignore_labels):
    t, base, inside, outside = ignore_case(ignore_labels)
    a, b, c = (score_protocol(protocol, [t], [d], ["a"]) for d in (base, inside, outside))
    assert c.ap50 < 1
    if ignore_labels is None and not PROTOCOLS[protocol].regions:
        # COCO has crowds of a category, but no regions
        assert b.ap50 < 1 and b.curves["all"].precision[-1] == pytest.approx(2 / 32)
        return
    a, b = a.to_dict(), b.to_dict()
    if ignore_labels == 0:  # COCO takes the first of a class before it looks for crowds
        for score in (a, b):
            score["recalls"] = {k: v for k, v in score["recalls"].items() if int(k) >= len(inside)}
    assert a == b


@EVERY
def test_an_ignore_region_of_a_class_hides_no_other(protocol):
    t, base, inside, _ = ignore_case(1)
    a, b = (score_protocol(protocol, [t], [d], ["a", "b"]) for d in (base, inside))
    assert (a.ap50, a.f1) == pytest.approx((1, 1))
    assert b.ap50 < 1 and b.curves["all"].precision[-1] == pytest.approx(2 / 32)


@pytest.mark.parametrize("protocol", ["coco", "aitod"])
def test_an_object_in_a_crowd_is_found_all_the_same(protocol):
    t = truth([[0, 0, 10, 10]], 0, [[0, 0, 100, 100]], 0)
    got = score_protocol(protocol, [t], [found([[0, 0, 10, 10], [50, 50, 60, 60]], [0.8, 0.9])], ["a"])
    assert (got.ap, got.recall, got.precision, got.truths) == pytest.approx((1, 1, 1, 1))


@pytest.mark.parametrize("protocol", ["coco", "visdrone", "aitod"])
def test_bins_go_by_the_area_of_the_label(protocol):
    t = truth([[0, 0, 40, 40]])
    area = next(iter(PROTOCOLS[protocol].areas.values()))
    assert area == (0, np.inf)
    t = ImageTruth(t.boxes, t.labels, t.ignore, areas=np.array([60.0]))  # a thin object in a large box
    for detections in (found(t.boxes), SceneDetections.empty()):
        got = score_protocol(protocol, [t], [detections], ["a"])
        filled = [name for name, value in got.areas.items() if not math.isnan(value)]
        assert filled == [next(name for name in PROTOCOLS[protocol].areas if name != "all")]


@EVERY
def test_the_order_of_detections_does_not_matter(protocol):
    rng = np.random.default_rng(2)
    boxes = scatter(rng, 60, 6, 40)
    t = truth(boxes[:40], rng.integers(0, 2, 40))
    labels = np.concatenate((t.labels, rng.integers(0, 2, 20)))
    d = found(boxes + rng.normal(0, 1, boxes.shape), rng.permutation(60) / 60, labels)
    shuffled = d.take(rng.permutation(60))
    a, b = (score_protocol(protocol, [t], [x], ["a", "b"]).to_dict() for x in (d, shuffled))
    if PROTOCOLS[protocol].official:  # its smaller limits go by the order of the rows
        for score in (a, b):
            score["recalls"] = {k: v for k, v in score["recalls"].items() if int(k) >= len(d)}
    assert a == b


def limit_case():
    """600 objects of one class, all found, scores falling."""
    rng = np.random.default_rng(3)
    at = np.stack(np.meshgrid(np.arange(25), np.arange(24)), -1).reshape(-1, 2) * 30.0
    boxes = np.concatenate((at, at + 12), 1)
    return truth(boxes), found(boxes, np.sort(rng.random(600))[::-1])


@pytest.mark.parametrize(("protocol", "share"), [("coco", 100), ("visdrone", 500), ("aitod", 600)])
def test_limits_of_detections_per_class(protocol, share):
    t, d = limit_case()
    got = score_protocol(protocol, [t], [d], ["a"])
    assert got.recalls[max(got.recalls)] == pytest.approx(share / 600)
    assert got.ap50 == pytest.approx(share / 600, abs=0.01)


def test_the_official_limit_is_over_all_classes_and_by_row():
    t, d = limit_case()
    labels = np.repeat([0, 1], 300)
    t = ImageTruth(t.boxes, labels, t.ignore)
    d = SceneDetections.of(d.boxes, d.scores, labels)
    official = score_protocol("visdrone-official", [t], [d], ["a", "b"])
    assert official.recalls[500] == pytest.approx((1 + 200 / 300) / 2)
    assert score_protocol("visdrone", [t], [d], ["a", "b"]).recalls[500] == pytest.approx(1)
    # row order counts: rows of class b first
    turned = score_protocol("visdrone-official", [t], [d.take(np.arange(600)[::-1])], ["a", "b"])
    assert turned.classes[0].ap50 == pytest.approx(200 / 300, abs=0.01)


def test_official_mean_weighs_classes_by_images():
    a, b = [0, 0, 10, 10], [50, 50, 60, 60]
    truths = [truth([a], 0), truth([a], 0), truth([a, b], [0, 1])]
    hits = [found([a], 0.9, 0), found([a], 0.9, 0), found([a], 0.9, 0)]
    assert score_protocol("visdrone-official", truths, hits, ["a", "b"]).ap50 == pytest.approx(3 / 4)
    assert score_protocol("visdrone", truths, hits, ["a", "b"]).ap50 == pytest.approx(1 / 2)


def test_official_takes_objects_out_of_the_union_of_regions():
    # each region covers 40 % of the object, both together 80 %
    t = truth([[0, 0, 10, 10], [50, 50, 60, 60]], 0, [[0, 0, 4, 10], [4, 0, 8, 10]])
    got = score_protocol("visdrone-official", [t], [found([[50, 50, 60, 60]])], ["a"])
    assert (got.truths, got.ap50) == (1, pytest.approx(1))
    assert score_protocol("visdrone", [t], [found([[50, 50, 60, 60]])], ["a"]).truths == 2


def test_official_ap_is_the_area_at_all_points():
    boxes = np.array([[i * 30.0, 0, i * 30 + 10, 10] for i in range(3)])
    wrong = np.array([[500.0, 500, 510, 510]])
    d = found(np.concatenate((boxes[:1], wrong, boxes[1:2])), [0.9, 0.8, 0.7])
    # precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3
    expected = 1 / 3 * 1 + 1 / 3 * 2 / 3
    assert score_protocol("visdrone-official", [truth(boxes)], [d], ["a"]).ap50 == pytest.approx(expected)


def test_an_area_of_64_counts_as_very_tiny_and_tiny():
    t = truth([[0, 0, 8, 8]])
    got = score_protocol("aitod", [t], [found(t.boxes)], ["a"])
    assert got.areas["very tiny"] == got.areas["tiny"] == pytest.approx(1)
    assert math.isnan(got.areas["small"])
    assert math.isnan(got.areas["medium"])
    large = truth([[0, 0, 200, 200]])
    assert score_protocol("aitod", [large], [found(large.boxes)], ["a"]).areas["medium"] == pytest.approx(1)


def test_bins_judge_unmatched_detections_by_their_own_area():
    t = truth([[0, 0, 12, 12]])
    d = found([[100, 100, 140, 140], [0, 0, 12, 12]], [0.9, 0.8])
    got = score_protocol("aitod", [t], [d], ["a"])
    assert got.areas["tiny"] == pytest.approx(1)
    assert got.ap50 == pytest.approx(0.5, abs=0.01)


def toolkit_drops(boxes, regions, width, height):
    """The rule of dropObjectsInIgr.m pixel by pixel, on ``x, y, w, h``."""
    marked = set()
    for x, y, w, h in (max_1(region) for region in regions):
        marked |= {(c, r) for c in range(x, min(width, x + w) + 1) for r in range(y, min(height, y + h) + 1)}
    drops = []
    for x, y, w, h in (max_1(math.floor(v + 0.5) for v in box) for box in boxes):
        x, y = min(x, width), min(y, height)
        counted = {(c, r) for c in range(x + 1, min(width, x + w) + 1) for r in range(y + 1, min(height, y + h) + 1)}
        drops.append(len(counted & marked) / (h * w) >= 0.5)
    return drops


def max_1(values):
    return [max(1, int(v)) for v in values]


@pytest.mark.parametrize("seed", range(20))
def test_official_regions_are_counted_as_the_toolkit_does(seed):
    rng = np.random.default_rng(seed)
    width, height = 60, 45
    at = rng.integers(0, 40, (3, 2))
    regions = np.concatenate((at, rng.integers(1, 20, (3, 2))), 1)
    regions[:, 2:] = np.minimum(regions[:, 2:], np.array([width, height]) - regions[:, :2])
    regions = regions[(regions[:, 2:] > 0).all(1)]
    # many small boxes at quarters of a pixel near the regions, so that one pixel more or less decides
    boxes = np.concatenate((rng.integers(0, 220, (400, 2)), rng.integers(1, 40, (400, 2))), 1) / 4
    corners = [np.concatenate((b[:, :2], b[:, :2] + b[:, 2:]), 1).astype(np.float64) for b in (boxes, regions)]
    expected = toolkit_drops(boxes, regions, width, height)
    assert _in_union(*corners, (width, height)).tolist() == expected
    assert 0.02 < np.mean(expected) < 0.98


def test_official_regions_by_hand():
    # columns 1 to 5 and rows 1 to 11 (counted from 1) are marked: of a box at 2, columns 3 to 12, three of ten are
    region = np.array([[0.0, 0, 4, 10]])
    assert _in_union(np.array([[2.0, 0, 12, 10], [2, 0, 8, 10], [2, 0, 9, 10]]), region, (100, 100)).tolist() == [
        False,
        True,
        False,
    ]
    # taken for pixel 20 counted from 1, the box lies beyond an image of 20: nothing of it is marked
    whole, edge = np.array([[0.0, 0, 20, 20]]), np.array([[19.6, 5, 20, 10]])
    assert [_in_union(edge, whole, size).item() for size in ((20, 20), None)] == [False, True]
    assert not _in_union(np.empty((0, 4)), region, None).any()
    assert not _in_union(region, np.empty((0, 4)), None).any()
