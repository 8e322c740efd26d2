"""Matching over a seam, against the rules written as plain loops over pairs of tiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seam_cases import found, views_of

from nssa_gis.boxes.columns import CUT_BOTTOM, CUT_LEFT, CUT_RIGHT, CUT_TOP, GridDetections
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams.band import SLACK, Band, canonical
from nssa_gis.seams.pairs import FIRST_SEES_MORE, JOIN, SAME, SECOND_SEES_MORE, find_edges, one_to_one

IOU = 0.4
SIDES = ((CUT_LEFT, CUT_RIGHT), (CUT_TOP, CUT_BOTTOM))


def overlap(a, b):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    both = area(a) + area(b) - width * height
    return width * height / both if both > 0 else 0.0


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def clip(box, window):
    return np.clip(box, np.tile(window[:2], 2), np.tile(window[2:], 2))


class Seam:
    """The boxes of two tiles; all coordinates are pixels of the first."""

    def __init__(self, band, grid, one, two):
        self.band, self.grid = band, grid
        self.shift = grid.windows([two])[0, :2] - grid.windows([one])[0, :2]
        low, high = np.maximum(self.shift, 0) - SLACK, np.minimum(self.shift, 0) + grid.tile + SLACK
        self.window = np.concatenate([low, high])
        self.apart = (high <= low).any()
        self.corner = grid.windows([one])[0, :2]
        self.first = [k for k in np.flatnonzero(band.found.tile == one) if self.inside(self.view(k, 0))]
        self.second = [k for k in np.flatnonzero(band.found.tile == two) if self.inside(self.view(k, 1))]

    def view(self, row, side):
        return self.band.view[row] + np.tile(self.shift * side, 2)

    def inside(self, box):
        left, top, right, bottom = self.window
        return box[0] < right and box[2] > left and box[1] < bottom and box[3] > top

    def clipped(self, row, side):
        return clip(self.view(row, side), self.window)

    def agreement(self, a, b):
        """Overlap in the window; boxes near an edge also as they were found, if they begin near enough."""
        one, two = self.clipped(a, 0), self.clipped(b, 1)
        for axis in (0, 1):
            length = one[axis + 2] - one[axis]
            ahead = two[axis] - one[axis]
            if not -length * (1 - IOU) / IOU - 1e-3 <= ahead <= length * (1 - IOU) + 1e-3:
                return 0.0
        value = overlap(one, two)
        if value < IOU and (self.band.near[a] | self.band.near[b]):
            own = [clip(self.band.found.boxes[k] - np.tile(self.corner, 2), self.window) for k in (a, b)]
            value = max(value, overlap(*own))
        return value

    def sees_more(self, a, b):
        """Whether each box goes on where the other is cut off by an edge of its tile."""
        one, two = self.view(a, 0), self.view(b, 1)
        first = second = False
        for axis, (low, high) in enumerate(SIDES):
            step = self.shift[axis]
            if step > 0:  # the second tile begins inside the first and ends behind it
                first |= bool(self.band.near[b] & low) and one[axis] < step
                second |= bool(self.band.near[a] & high) and two[axis + 2] > self.grid.tile
            if step < 0:
                first |= bool(self.band.near[b] & high) and one[axis + 2] > step + self.grid.tile
                second |= bool(self.band.near[a] & low) and two[axis] < 0
        return first, second

    def piece(self, a, b):
        """How well a piece and a fuller box, or two ends, fit; None if they do not."""
        along = 0 if self.shift[1] else 1
        one, two = self.clipped(a, 0), self.clipped(b, 1)
        if max(one[along], two[along]) > min(one[along + 2], two[along + 2]):
            return None
        if self.band.found.labels[a] != self.band.found.labels[b] or not self.band.near[a] | self.band.near[b]:
            return None
        first, second = self.sees_more(a, b)
        if not first and not second:
            return None
        for axis in (0, 1):
            if self.shift[axis]:
                common = min(one[axis + 2], two[axis + 2]) - max(one[axis], two[axis])
                hull = max(one[axis + 2], two[axis + 2]) - min(one[axis], two[axis])
                if common < 0.5 * hull:
                    return None
        low, high = np.maximum(one[:2], two[:2]), np.minimum(one[2:], two[2:])
        inter = np.maximum(high - low, 0).prod()
        if first and second:
            part, least = min(area(one), area(two)), 0.5
        else:
            part, least = (area(two) if first else area(one)), 0.7
        return overlap(one, two) if part > 0 and inter >= least * part else None

    def edges(self):
        free1, free2 = set(self.first), set(self.second)
        labels, chosen = self.band.found.labels, []

        def greedy(value):
            able = [(value(a, b), a, b) for a in sorted(free1) for b in sorted(free2)]
            for best, a, b in sorted((c for c in able if c[0] is not None), key=lambda c: -c[0]):
                if a in free1 and b in free2 and best is not None:
                    free1.discard(a)
                    free2.discard(b)
                    chosen.append((int(a), int(b)))

        def alike(a, b, least, same):
            value = self.agreement(a, b)
            return value if value >= least and (labels[a] == labels[b]) == same else None

        greedy(lambda a, b: alike(a, b, IOU, True))
        greedy(lambda a, b: alike(a, b, 0.5, False))
        greedy(self.piece)
        kinds = {(False, False): SAME, (True, False): FIRST_SEES_MORE, (False, True): SECOND_SEES_MORE}
        return {(a, b, kinds.get(tuple(map(bool, self.sees_more(a, b))), JOIN)) for a, b in chosen}


def by_loops(band, grid):
    edges = set()
    for one in range(len(grid)):
        for two in range(one + 1, len(grid)):
            seam = Seam(band, grid, one, two)
            if not seam.apart:
                edges |= seam.edges()
    return edges


def as_set(edges):
    return set(zip(edges.i.tolist(), edges.j.tolist(), edges.kind.tolist(), strict=True))


GRIDS = [
    TileGrid(340, 260, 100, 20, 4),
    TileGrid(260, 180, 100, 60, 4),  # tiles share more than half: a box lies in nine of them
    TileGrid(200, 200, 100, 0, 4),
    TileGrid(300, 100, 100, 36, 4),
]


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 14),
    grid=st.sampled_from(GRIDS),
    noise=st.sampled_from([0.3, 2.0, 5.0]),
    longest=st.sampled_from([12, 60, 200]),
)
def test_matching_is_that_of_the_loops(seed, count, grid, noise, longest):
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(np.log(5), np.log(longest), (count, 2)))
    corner = rng.uniform(0, [grid.width, grid.height], (count, 2))
    boxes = np.concatenate([corner, np.minimum(corner + size, [grid.width, grid.height])], axis=1)
    raw = views_of(boxes, grid, labels=rng.integers(0, 2, count))
    raw = raw.take(rng.random(len(raw)) < 0.9)
    moved = raw.boxes + rng.normal(0, noise, raw.boxes.shape)
    windows = grid.windows(raw.tile)
    moved = np.clip(moved, windows[:, [0, 1, 0, 1]], windows[:, [2, 3, 2, 3]])
    whole = (moved[:, 2:] - moved[:, :2] > 1).all(axis=1)
    labels = np.where(rng.random(len(raw)) < 0.1, 1 - raw.labels, raw.labels)
    raw = GridDetections.of(moved, rng.random(len(raw)), labels, raw.tile, grid.cut_sides(moved, raw.tile)).take(whole)
    band = Band.of(raw.take(canonical(raw)), grid)
    edges = find_edges(band, np.ones(len(band), bool), grid, IOU)
    assert as_set(edges) == by_loops(band, grid)
    assert len(as_set(edges)) == len(edges.i)
    # Rows that were matched before are not matched with one another again.
    for row in range(grid.rows):
        fresh = band.row >= row
        some = find_edges(band, fresh, grid, IOU)
        assert as_set(some) == {edge for edge in as_set(edges) if fresh[edge[1]]}


#: 3 x 3 tiles of 640 px that share 128: origins 0, 512, 1024.
GRID = TileGrid(1664, 1664, 640, 128, 32)


def edges_of(*rows):
    raw = found(rows, GRID)
    band = Band.of(raw, GRID)
    assert (canonical(raw) == np.arange(len(raw))).all()
    return as_set(find_edges(band, np.ones(len(band), bool), GRID, IOU))


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([(0, 550, 100, 590, 130), (1, 551, 100, 591, 130)], SAME),
        ([(0, 400, 100, 600, 130), (1, 512, 100, 600, 130)], FIRST_SEES_MORE),
        ([(0, 600, 100, 640, 130), (1, 600, 100, 700, 130)], SECOND_SEES_MORE),
        ([(0, 400, 100, 640, 130), (1, 512, 100, 800, 130)], JOIN),
        ([(0, 100, 400, 130, 600), (3, 100, 512, 130, 600)], FIRST_SEES_MORE),
        ([(0, 100, 600, 130, 640), (3, 100, 600, 130, 700)], SECOND_SEES_MORE),
        ([(0, 100, 400, 130, 640), (3, 100, 512, 130, 800)], JOIN),
        # the second tile lies to the left, one row on
        ([(1, 512, 600, 560, 640), (3, 480, 600, 560, 700)], SECOND_SEES_MORE),
        ([(1, 560, 540, 700, 580), (3, 560, 540, 640, 580)], FIRST_SEES_MORE),
        ([(1, 512, 560, 800, 640), (3, 300, 512, 640, 700)], JOIN),
    ],
)
def test_what_two_boxes_see_of_one_object(rows, kind):
    assert edges_of(*((*row, 0.5) for row in rows)) == {(0, 1, kind)}


def test_a_whole_box_beside_an_edge_is_known_by_its_own_sides():
    # 2 px from the edge of tile 1: it might go on there. Its side beyond the edge would spoil the agreement.
    assert edges_of((0, 514, 100, 520, 106, 0.5), (1, 514, 100, 520, 106, 0.5)) == {(0, 1, SAME)}


# In the window from x 509 to 643 tile 0 sees 111 x 200 px of this slanted object, and tile 1 a corner of it.
WHOLE = (0, 420, 100, 620, 300, 0.6)


@pytest.mark.parametrize(
    ("piece", "matched"),
    [
        ((1, 512, 220, 619, 299, 0.9), True),  # 0.39 of the window: no plain agreement
        ((1, 512, 240, 566, 299, 0.9), True),  # 57 of 111 px along the axis that cuts it
        ((1, 512, 240, 562, 299, 0.9), False),  # 53 of 111 px: less than half
        ((1, 512, 242, 619, 324, 0.9), True),  # 58 of 82 px of its height lie in the whole box
        ((1, 512, 244, 619, 326, 0.9), False),  # 56 of 82 px: less than 0.7
    ],
)
def test_a_piece_lies_in_the_fuller_box_and_agrees_along_the_axis_that_cuts_it(piece, matched):
    assert edges_of(WHOLE, piece) == ({(0, 1, FIRST_SEES_MORE)} if matched else set())


def test_a_piece_of_another_class_is_another_object():
    assert edges_of((*WHOLE, 0), (1, 512, 220, 619, 299, 0.9, 1)) == set()


def test_every_box_has_one_partner_in_another_tile():
    # The best pair is matched; what else overlaps either of them is left to itself.
    rows = [(0, 550, 100, 590, 140, 0.5), (0, 550, 104, 590, 144, 0.5), (1, 550, 101, 590, 141, 0.5)]
    assert edges_of(*rows) == {(0, 2, SAME)}
    rows = [(0, 550, 101, 590, 141, 0.5), (1, 550, 100, 590, 140, 0.5), (1, 550, 104, 590, 144, 0.5)]
    assert edges_of(*rows) == {(0, 1, SAME)}
    # The second one of tile 1 agrees with the first box in place only: it is of another class, and that box is taken.
    rows = [(0, 550, 101, 590, 141, 0.5, 0), (1, 550, 100, 590, 140, 0.5, 0), (1, 550, 101, 590, 141, 0.5, 1)]
    assert edges_of(*rows) == {(0, 1, SAME)}
    rows = [(0, 550, 100, 590, 140, 0.5, 0), (0, 550, 101, 590, 141, 0.5, 1), (1, 550, 101, 590, 141, 0.5, 0)]
    assert edges_of(*rows) == {(0, 2, SAME)}


@pytest.mark.parametrize(("shift", "matched"), [(13.3, True), (13.4, False)])
def test_boxes_of_two_classes_must_overlap_by_half(shift, matched):
    # Two boxes of 40 px that differ by s overlap by (40 - s) / (40 + s): a half at 13.33.
    rows = [(0, 550, 100, 590, 140, 0.5, 0), (1, 550, 100 + shift, 590, 140 + shift, 0.5, 1)]
    assert edges_of(*rows) == ({(0, 1, SAME)} if matched else set())


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 200), values=st.sampled_from([2, 1000]))
def test_one_to_one_equals_the_plain_loop(seed, count, values):
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, 20, (count, 2)), axis=0).reshape(-1, 2)
    pairs = pairs[rng.permutation(len(pairs))]
    i, j, value = pairs[:, 0], pairs[:, 1], rng.integers(0, values, len(pairs)) / values
    assert set(one_to_one(i, j, value).tolist()) == plain_matching(i, j, value)


def plain_matching(i, j, value):
    used1, used2, chosen = set(), set(), set()
    for k in np.lexsort((j, i, -value)):
        if i[k] not in used1 and j[k] not in used2:
            used1.add(i[k])
            used2.add(j[k])
            chosen.add(k)
    return chosen


@pytest.mark.parametrize("order", [1, -1])
def test_one_to_one_of_a_long_chain(order):
    # 0-0, 1-0, 1-1, 2-1, ...: with falling values each decision waits for the one before.
    ends = np.arange(401)
    i, j = (ends + 1) // 2, ends // 2
    value = 1.0 - ends / 1000
    i, j, value = i[::order], j[::order], value[::order]
    assert set(one_to_one(i, j, value).tolist()) == plain_matching(i, j, value)
    assert len(one_to_one(i, j, value)) == 201
