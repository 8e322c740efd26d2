import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nssa_gis.boxes.iou import expand_ranges, overlapping_pairs, pair_iou
from nssa_gis.boxes.nms import independent_set, nms


def random_boxes(rng, count, extent):
    size = np.exp(rng.uniform(np.log(2), np.log(200), (count, 2)))
    corner = rng.uniform(-extent, extent, (count, 2))
    return np.concatenate([corner, corner + size], axis=1)


def one_by_one(boxes, scores, labels, iou):
    dead, kept = np.zeros(len(boxes), bool), []
    for k in np.argsort(-scores, kind="stable"):
        if not dead[k]:
            kept.append(k)
            dead |= (pair_iou(np.broadcast_to(boxes[k], boxes.shape), boxes) > iou) & (labels == labels[k])
    return kept


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 150),
    iou=st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.95]),
    extent=st.sampled_from([30, 200, 5000]),
    digits=st.sampled_from([1, 6]),
)
def test_nms_equals_the_plain_loop(seed, count, iou, extent, digits):
    rng = np.random.default_rng(seed)
    boxes, labels = random_boxes(rng, count, extent), rng.integers(0, 3, count)
    scores = np.round(rng.random(count), digits)
    assert nms(boxes, scores, labels, iou).tolist() == one_by_one(boxes, scores, labels, iou)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), iou=st.sampled_from([0.1, 0.4, 0.8]))
def test_pairs_are_complete_and_unique(seed, iou):
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, 80, 60)
    i, j, overlap = overlapping_pairs(boxes, np.zeros(80, int), iou)
    a, b = np.triu_indices(80, 1)
    expected = {(x, y) for x, y, v in zip(a, b, pair_iou(boxes[a], boxes[b]), strict=True) if v > iou}
    assert {(min(x, y), max(x, y)) for x, y in zip(i, j, strict=True)} == expected
    assert len(i) == len(expected)
    np.testing.assert_array_equal(overlap, pair_iou(boxes[i], boxes[j]))


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    iou=st.sampled_from([0.1, 0.4, 0.8]),
    groups=st.sampled_from([[0, 1], [-7, 3, 2**40], list(range(30))]),
    extent=st.sampled_from([(60, 60), (3000, 20), (20, 3000)]),
)
def test_boxes_of_two_groups_are_no_pair(seed, iou, groups, extent):
    rng = np.random.default_rng(seed)
    count = 120
    size = np.exp(rng.uniform(np.log(2), np.log(60), (count, 2)))
    corner = rng.uniform(0, extent, (count, 2))
    boxes, group = np.concatenate([corner, corner + size], axis=1), rng.choice(groups, count)
    i, j, _ = overlapping_pairs(boxes, group, iou)
    a, b = np.triu_indices(count, 1)
    near = (pair_iou(boxes[a], boxes[b]) > iou) & (group[a] == group[b])
    assert {(min(x, y), max(x, y)) for x, y in zip(i, j, strict=True)} == set(zip(a[near], b[near], strict=True))


def test_the_usual_threshold_is_a_half():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5.1], [0, 0, 5, 10]])  # overlaps of 0.51 and of 0.5 exactly
    assert nms(boxes, np.array([0.9, 0.8, 0.7]), np.zeros(3, int)).tolist() == [0, 2]
    assert nms(boxes, np.array([0.9, 0.8, 0.7]), np.array([0, 1, 0])).tolist() == [0, 1, 2]


def test_degenerate_boxes_are_kept_and_suppress_nothing():
    boxes = np.array([[0, 0, 0, 10], [0, 0, 10, 10], [0, 0, 10, 10], [5, 5, np.nan, 9], [3, 3, 1, 1]], float)
    assert nms(boxes, np.array([0.9, 0.5, 0.8, 0.7, 0.6]), np.zeros(5, int), 0.5).tolist() == [0, 2, 3, 4]


def test_long_chain_and_pile():
    # Each box overlaps only its neighbours, with falling scores: every other one stays.
    count = 2000
    x = np.arange(count) * 4.0
    boxes = np.stack([x, np.zeros(count), x + 10, np.full(count, 10.0)], axis=1)
    assert nms(boxes, -x, np.zeros(count, int), 0.4).tolist() == list(range(0, count, 2))
    pile = np.tile([[0.0, 0.0, 10.0, 10.0]], (3000, 1))
    assert nms(pile, np.zeros(3000), np.zeros(3000, int), 0.5).tolist() == [0]


def test_threshold_is_checked():
    with pytest.raises(ValueError, match="between 0 and 1"):
        nms(np.zeros((2, 4)), np.zeros(2), np.zeros(2, int), 1.0)


def test_expand_ranges():
    i, j = expand_ranges(np.array([3, 5, 7]), np.array([5, 4, 8]))
    assert (i.tolist(), j.tolist()) == ([0, 0, 2], [3, 4, 7])


def test_independent_set_of_a_long_chain():
    rank = np.arange(500)
    kept = independent_set(rank, rank[:-1], rank[1:])
    assert np.flatnonzero(kept).tolist() == list(range(0, 500, 2))
