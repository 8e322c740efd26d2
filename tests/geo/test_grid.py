"""The tile plan."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nssa_gis.boxes.columns import CUT_BOTTOM, CUT_LEFT, CUT_RIGHT, CUT_TOP
from nssa_gis.errors import UsageError
from nssa_gis.geo.grid import TileGrid


@st.composite
def grids(draw):
    align = draw(st.sampled_from([1, 4, 8, 32]))
    tile = align * draw(st.integers(1, 24))
    overlap = draw(st.integers(0, tile - align))
    size = st.integers(1, 400)
    return TileGrid(draw(size), draw(size), tile, overlap, align)


@given(grids())
@settings(max_examples=150, deadline=None)
def test_every_pixel_is_in_a_tile(grid):
    windows = grid.windows(np.arange(len(grid)))
    seen = np.zeros((grid.height, grid.width), np.int64)
    for x0, y0, x1, y1 in windows:
        assert x0 < grid.width and y0 < grid.height
        seen[y0:y1, x0:x1] += 1
    assert (seen > 0).all()


@given(grids())
@settings(max_examples=150, deadline=None)
def test_windows(grid):
    ids = np.arange(len(grid))
    windows = grid.windows(ids)
    assert windows.dtype == np.int64
    assert (windows[:, :2] % grid.align == 0).all()
    assert (windows[:, 2:] - windows[:, :2] == grid.tile).all()
    assert grid.effective_overlap >= grid.overlap
    assert windows[:, 2].max() >= grid.width and windows[:, 3].max() >= grid.height
    # Without its last column or row the plan would miss some of the scene.
    assert grid.cols == 1 or (grid.cols - 2) * grid.step + grid.tile < grid.width
    np.testing.assert_array_equal(grid.rows_of(ids) * grid.cols + grid.cols_of(ids), ids)


def test_one_tile():
    grid = TileGrid(100, 60, 640, 128, 32)
    assert len(grid) == 1
    np.testing.assert_array_equal(grid.windows([0]), [[0, 0, 640, 640]])
    assert grid.inner_sides([0])[0] == 0
    assert grid.cut_sides([[0, 0, 640, 640]], [0])[0] == 0


def test_cut_sides():
    grid = TileGrid(1000, 1000, 512, 128, 32)
    assert (grid.cols, grid.rows, grid.step) == (3, 3, 384)
    boxes = [
        [384, 400, 420, 430],
        [500, 384.9, 520, 400],
        [800, 600, 896, 640],
        [600, 600, 620, 895.5],
        [600, 600, 620, 620],
    ]
    np.testing.assert_array_equal(grid.cut_sides(boxes, 4), [CUT_LEFT, CUT_TOP, CUT_RIGHT, CUT_BOTTOM, 0])
    assert grid.cut_sides([[0, 0, 512, 512]], [0])[0] == CUT_RIGHT | CUT_BOTTOM
    assert grid.cut_sides(np.empty((0, 4)), []).shape == (0,)


@given(grids(), st.data())
@settings(max_examples=100, deadline=None)
def test_cut_sides_are_those_of_the_rule(grid, data):
    ids = np.array(data.draw(st.lists(st.integers(0, len(grid) - 1), min_size=1, max_size=6)))
    inset = np.array(data.draw(st.lists(st.sampled_from([-2.0, 0, 0.99, 1, 1.01, 5]), min_size=4, max_size=4)))
    boxes = grid.windows(ids) + inset * [1, 1, -1, -1]
    expected = []
    for tile, touches in zip(ids.tolist(), np.tile(inset <= 1, (len(ids), 1)), strict=True):
        row, col = divmod(tile, grid.cols)
        inner = [col > 0, row > 0, col < grid.cols - 1, row < grid.rows - 1]
        bits = (CUT_LEFT, CUT_TOP, CUT_RIGHT, CUT_BOTTOM)
        expected.append(sum(bit for bit, a, b in zip(bits, inner, touches, strict=True) if a and b))
    assert grid.cut_sides(boxes, ids).tolist() == expected
    if (inset > 0).all():
        assert (grid.cut_sides(boxes, ids, tolerance=5) == grid.inner_sides(ids)).all()


def test_neighbours_share_the_effective_overlap():
    grid = TileGrid(500, 500, 128, 40, 32)  # 40 px would break the alignment: 64 are shared
    assert (grid.step, grid.effective_overlap) == (64, 64)
    left, right = grid.windows([0, 1])
    assert left[2] - right[0] == grid.effective_overlap


def test_smallest_scene():
    grid = TileGrid(1, 1, 1)
    assert (len(grid), grid.step, grid.effective_overlap) == (1, 1, 0)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((10, 10, 60, 0, 8), "tile size 60: the model needs a multiple of 8; try --tile 64"),
        ((10, 10, 20, 0, 32), "multiple of 32; try --tile 32"),
        ((10, 10, 0, 0, 8), "tile size 0: .* try --tile 8"),
        ((10, 10, 64, 64, 8), "overlap 64: for tiles of 64 pixels it must be from 0 to 56"),
        ((10, 10, 64, -1, 8), "overlap -1: for tiles of 64 pixels it must be from 0 to 56"),
        ((0, 10, 64, 0, 8), "a scene of 0 x 10 pixels is empty"),
        ((10, 0, 64, 0, 8), "a scene of 10 x 0 pixels is empty"),
        ((10, 10, 64, 0, 0), "multiple of 0"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said(sizes, words):
    with pytest.raises(UsageError, match=words):
        TileGrid(*sizes)


@pytest.mark.parametrize(
    "sizes",
    [(0, 10, 64, 0, 8), (10, 10, 60, 0, 8), (10, 10, 64, 64, 8), (10, 10, 64, -1, 8), (10, 10, 64, 60, 8)],
)
def test_impossible_plans(sizes):
    with pytest.raises(UsageError):
        TileGrid(*sizes)
