import numpy as np
import pytest

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.boxes.consensus import consensus
from nssa_gis.boxes.nms import nms


def of(*rows, tile=0):
    table = np.array(rows, float).reshape(-1, 6)
    return TileDetections.of(table[:, :4], table[:, 4], table[:, 5], tile)


def by_hand(views, iou=0.5):
    """The same, one object after another."""
    left = [(v, k) for v, found in enumerate(views) for k in range(len(found))]
    left.sort(key=lambda at: (views[at[0]].item[at[1]], -views[at[0]].scores[at[1]], at[0], at[1]))

    def overlap(a, b):
        low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
        shared = np.clip(high - low, 0, None).prod()
        return shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)

    def same(one, two):
        (v, k), (w, m) = one, two
        a, b = views[v], views[w]
        return a.item[k] == b.item[m] and a.labels[k] == b.labels[m] and overlap(a.boxes[k], b.boxes[m]) > iou

    seeds = []
    for at in left:
        if not any(same(at, s) for s in seeds):
            seeds.append(at)
    groups = {s: {s[0]: s} for s in seeds}
    for at in left:
        if at in groups:
            continue
        able = [s for s in seeds if same(at, s)]
        home = max(able, key=lambda s: overlap(views[at[0]].boxes[at[1]], views[s[0]].boxes[s[1]]))
        groups[home].setdefault(at[0], at)
    rows = []
    for (v, k), members in groups.items():
        scores = np.array([views[a].scores[b] for a, b in members.values()], np.float64)
        boxes = np.array([views[a].boxes[b] for a, b in members.values()])
        box = (boxes * scores[:, None]).sum(0) / scores.sum()
        rows.append([views[v].item[k], *box, scores.sum() / len(views), views[v].labels[k]])
    return np.array(rows).reshape(-1, 7)


def test_scores_are_averaged_and_a_silent_view_counts_as_zero():
    a = of([0, 0, 10, 10, 0.8, 0], [50, 50, 60, 60, 0.4, 0])
    b = of([1, 0, 11, 10, 0.4, 0])
    got = consensus([a, b])
    assert got.scores == pytest.approx([0.6, 0.2])
    np.testing.assert_allclose(got.boxes[0], [1 / 3, 0, 10 + 1 / 3, 10], atol=1e-6)


def test_classes_and_tiles_stay_apart():
    a = of([0, 0, 10, 10, 0.8, 0])
    assert len(consensus([a, of([0, 0, 10, 10, 0.8, 1])])) == 2
    assert len(consensus([a, of([0, 0, 10, 10, 0.8, 0], tile=1)])) == 2
    assert len(consensus([a, TileDetections.empty()])) == 1
    assert len(consensus([TileDetections.empty()] * 2)) == 0


@pytest.mark.parametrize(("tiles", "extent"), [(2, 60), (5, 60), (5, 25)])
@pytest.mark.parametrize("seed", range(6))
def test_the_columns_do_what_the_loop_does(seed, tiles, extent):
    rng = np.random.default_rng(seed)
    views = []
    for _ in range(4):
        n = 40
        centre, size = rng.uniform(0, extent, (n, 2)), rng.uniform(6, 14, (n, 2))
        boxes = np.hstack((centre - size / 2, centre + size / 2))
        tile, label = rng.integers(0, tiles, n), rng.integers(0, 2, n)
        view = TileDetections.of(boxes, rng.uniform(0.1, 1, n), label, tile)
        # Within a view no two boxes of a class overlap by more than the threshold, as after the suppression.
        views.append(view.take(nms(view.boxes, view.scores, 2 * tile + label)))
    got, want = consensus(views), by_hand(views)
    assert len(got) == len(want) > 20
    mine = np.column_stack((got.item, got.boxes, got.scores, got.labels))
    np.testing.assert_allclose(mine, want, rtol=1e-5, atol=1e-5)
