"""The seam band: what lies near a tile edge, what another tile can see, and the canonical order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seam_cases import found

from nssa_gis.boxes.columns import CUT_BOTTOM, CUT_LEFT, CUT_RIGHT, CUT_TOP, GridDetections
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams.band import SLACK, Band, canonical

#: 4 x 3 tiles of 100 px that share 20: origins 0, 80, 160, 240.
GRID = TileGrid(340, 260, 100, 20, 4)
#: The tile in row 1 and column 2; all its edges are inner ones. It spans x 160 to 260 and y 80 to 180.
MIDDLE = 6


def band_of(*boxes, tile=MIDDLE, cut=0):
    return Band.of(GridDetections.of(boxes, 0.5, 0, tile, cut), GRID)


def test_the_case_is_as_described():
    assert (GRID.cols, GRID.rows, GRID.step, GRID.effective_overlap) == (4, 3, 80, 20)
    np.testing.assert_array_equal(GRID.windows([MIDDLE]), [[160, 80, 260, 180]])


def test_row_and_column():
    band = Band.of(GridDetections.of(np.tile([0, 0, 9, 9], (3, 1)), 0.5, 0, [0, 6, 11], 0), GRID)
    assert band.row.tolist() == [0, 1, 2]
    assert band.col.tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("axis", "low_bit", "high_bit"), [(0, CUT_LEFT, CUT_RIGHT), (1, CUT_TOP, CUT_BOTTOM)], ids=["x", "y"]
)
@pytest.mark.parametrize(
    ("gap", "length", "near"),
    [
        # the gap to the edge may be 3 px and 4 % of the length
        (0.0, 10, True),
        (3.39, 10, True),
        (3.41, 10, False),
        (4.0, 25, True),
        (4.01, 25, False),
        (6.0, 75, True),
        (6.01, 75, False),
        (-2.0, 10, True),
    ],
)
def test_near_an_edge(axis, low_bit, high_bit, gap, length, near):
    start = (160, 80)[axis]
    box = np.array([200.0, 120.0, 210.0, 130.0])
    at_low, at_high = box.copy(), box.copy()
    at_low[[axis, axis + 2]] = start + gap, start + gap + length
    at_high[[axis, axis + 2]] = start + 100 - gap - length, start + 100 - gap
    band = band_of(at_low, at_high)
    assert band.near.tolist() == ([low_bit, high_bit] if near else [0, 0])
    own = np.array([at_low, at_high]) - [160, 80, 160, 80]
    if near:  # where the side truly is, the tile does not know
        own[0, axis], own[1, axis + 2] = -SLACK, 100 + SLACK
    np.testing.assert_allclose(band.view, own, atol=1e-9)
    assert SLACK == 3.0


def test_a_side_marked_as_cut_is_near_however_far_the_edge():
    sides = np.array([CUT_LEFT, CUT_TOP, CUT_RIGHT, CUT_BOTTOM], np.uint8)
    band = band_of(*np.tile([200, 120, 210, 130], (4, 1)), cut=sides)
    np.testing.assert_array_equal(band.near, sides)
    expected = np.tile([40.0, 40.0, 50.0, 50.0], (4, 1))
    expected[[0, 1, 2, 3], [0, 1, 2, 3]] = [-SLACK, -SLACK, 100 + SLACK, 100 + SLACK]
    np.testing.assert_array_equal(band.view, expected)


def test_the_outer_edges_of_the_grid_cut_nothing():
    every = CUT_LEFT | CUT_TOP | CUT_RIGHT | CUT_BOTTOM
    # The whole tile as a box, in each tile of the grid; the marked sides are not believed at the outer edges.
    tiles = np.arange(12)
    band = Band.of(GridDetections.of(GRID.windows(tiles), 0.5, 0, tiles, every), GRID)
    np.testing.assert_array_equal(band.near, GRID.inner_sides(tiles))
    inner = (GRID.inner_sides(tiles)[:, None] & [CUT_LEFT, CUT_TOP, CUT_RIGHT, CUT_BOTTOM]) > 0
    np.testing.assert_array_equal(
        band.view, np.where(inner, [-SLACK, -SLACK, 100 + SLACK, 100 + SLACK], [0, 0, 100, 100])
    )


def windows_reached(view, tile):
    """Tiles whose window a box comes within `SLACK` of, in pixels of the grid, by trying all."""
    corner = np.array(GRID.windows([tile])[0, :2], float)
    x0, y0, x1, y1 = view + np.tile(corner, 2)
    reached = []
    for other in range(len(GRID)):
        left, top, right, bottom = GRID.windows([other])[0]
        if x0 < right + SLACK and x1 > left - SLACK and y0 < bottom + SLACK and y1 > top - SLACK:
            reached.append(other)
    return reached


@settings(deadline=None, max_examples=200)
@given(
    tile=st.integers(0, 11),
    x=st.sampled_from([0, 10, 16, 22.9, 23, 23.1, 40, 70, 76.9, 77, 77.1, 90]),
    y=st.sampled_from([0, 10, 16, 22.9, 23, 23.1, 40, 70, 76.9, 77, 77.1, 90]),
    width=st.sampled_from([4, 7, 37, 60]),
    height=st.sampled_from([4, 7, 37, 60]),
)
def test_what_another_tile_can_see(tile, x, y, width, height):
    corner = GRID.windows([tile])[0, :2]
    box = np.tile(corner, 2) + np.array([x, y, min(x + width, 100), min(y + height, 100)])
    band = Band.of(GridDetections.of([box], 0.5, 0, tile, 0), GRID)
    reached = windows_reached(band.view[0], tile)
    # A box in the middle of its tile is final at once; it never enters the matching.
    assert band.reaches_any(GRID).tolist() == [reached != [tile]]
    row = GRID.rows_of([tile])[0]
    for later in range(row + 1, GRID.rows + 1):
        seen = [other for other in reached if GRID.rows_of([other])[0] == later]
        assert band.reaches_row(later, GRID).tolist() == [bool(seen)]


def test_rows_below_may_see_a_box_when_tiles_overlap_by_more_than_half():
    dense = TileGrid(100, 400, 100, 60, 4)  # rows begin every 40 px
    band = Band.of(GridDetections.of([[0, 90, 9, 97], [0, 50, 9, 60]], 0.5, 0, 0, 0), dense)
    assert band.reaches_row(1, dense).tolist() == [True, True]
    assert band.reaches_row(2, dense).tolist() == [True, False]
    assert band.reaches_row(3, dense).tolist() == [False, False]  # begins at y 120, behind the tile
    assert band.reaches_row(dense.rows, dense).tolist() == [False, False]


@pytest.mark.parametrize("overlap", [0, 50, 75])
def test_a_row_that_begins_where_a_tile_ends_may_go_on_with_a_cut_box(overlap):
    grid = TileGrid(100, 400, 100, overlap, 5)
    below = 100 // grid.step
    assert below * grid.step == 100
    band = Band.of(GridDetections.of([[0, 90, 9, 100], [0, 80, 9, 90]], 0.5, 0, 0, [CUT_BOTTOM, 0]), grid)
    assert band.reaches_row(below, grid).tolist() == [True, False]
    assert band.reaches_row(below + 1, grid).tolist() == [False, False]


def plain_order(rows):
    keys = zip(
        rows.tile.tolist(),
        *(rows.boxes[:, k].tolist() for k in (1, 0, 3, 2)),
        rows.labels.tolist(),
        (-rows.scores).tolist(),
        rows.cut.tolist(),
        range(len(rows)),
        strict=True,
    )
    return [key[-1] for key in sorted(keys)]


@settings(deadline=None, max_examples=150)
@given(data=st.data(), count=st.integers(0, 12), values=st.integers(1, 3))
def test_canonical_order(data, count, values):
    def column(low, high):
        return data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    # few values, so that rows agree in any number of keys; heights of tiles that are no part of the key
    boxes = np.array([column(-values, values) for _ in range(4)], float).reshape(4, count).T * 0.75
    rows = GridDetections.of(
        boxes, np.array(column(1, values)) / 4, column(0, values - 1), column(0, values), column(0, values)
    )
    order = canonical(rows)
    one, other = rows.take(order), rows.take(np.array(plain_order(rows), np.intp))
    for name in rows.names():
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(
    "change", [{"tile": 5}, {"y0": 9}, {"x0": 9}, {"y1": 31}, {"x1": 31}, {"label": 2}, {"score": 0.25}, {"cut": 2}]
)
@pytest.mark.parametrize("swap", [False, True])
def test_every_key_of_the_canonical_order_counts(change, swap):
    first = {"tile": 4, "y0": 8, "x0": 8, "y1": 30, "x1": 30, "label": 1, "score": 0.5, "cut": 1}
    pair = [first, first | change]  # a lower score comes later, and so does everything else that is larger
    table = [list(row.values()) for row in (pair[::-1] if swap else pair)]
    tile, y0, x0, y1, x1, label, score, cut = np.array(table).T
    rows = GridDetections.of(np.stack([x0, y0, x1, y1], axis=1), score, label, tile.astype(int), cut.astype(int))
    assert canonical(rows).tolist() == ([1, 0] if swap else [0, 1])


def test_canonical_order_of_two():
    rows = found([(1, 90, 50, 95, 60, 0.5), (0, 5, 50, 10, 60, 0.5)], GRID)
    assert canonical(rows).tolist() == [1, 0]
    assert canonical(rows.take(np.array([1, 0]))).tolist() == [0, 1]
    assert canonical(rows.take(slice(0, 1))).tolist() == [0]
    assert canonical(GridDetections.empty()).tolist() == []


def test_numbers_too_close_to_be_told_apart_are_still_in_order():
    # Beside so large a tile number the fractions of y0 are lost; the exact keys decide.
    y0 = np.array([0.3, 0.1, 0.2])
    boxes = np.stack([np.zeros(3), y0, np.ones(3), y0 + 1], axis=1)
    rows = GridDetections.of(boxes, 0.5, 0, 2**45, 0)
    assert canonical(rows).tolist() == [1, 2, 0]


def test_take_and_concat_keep_the_columns_together():
    band = band_of([165, 90, 175, 100], [200, 120, 210, 130], [250, 170, 258, 178])
    parts = Band.concat([band.take(np.array([2])), band.take(np.array([True, True, False]))])
    assert len(parts) == 3
    for name in ("row", "col", "near", "view"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(band, name)[[2, 0, 1]])
    np.testing.assert_array_equal(parts.found.boxes, band.found.boxes[[2, 0, 1]])
