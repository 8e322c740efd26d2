"""What must not change the result: the order of the boxes, where the scene begins, how it is fed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seam_cases import boxes_of, records, views_of

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams import SeamMerger, merge_detections

GRID = TileGrid(700, 700, 128, 32, 32)


def noisy(seed, count, grid=GRID, extent=700):
    """Random objects of 4 to 300 px in a few classes, jittered in each tile, some views missing."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(np.log(4), np.log(300), (count, 2)))
    corner = rng.uniform(0, extent, (count, 2))
    # Sixteenths of a pixel: shifts by whole tiles are then exact in floating point.
    boxes = np.round(np.concatenate([corner, np.minimum(corner + size, extent)], axis=1) * 16) / 16
    boxes = boxes[((boxes[:, 2:] - boxes[:, :2]) > 2).all(axis=1)]
    raw = views_of(boxes, grid, labels=rng.integers(0, 3, len(boxes)))
    raw = raw.take(rng.random(len(raw)) < 0.9)
    jittered = raw.boxes + np.round(rng.normal(0, 1, raw.boxes.shape) * 16) / 16
    windows = grid.windows(raw.tile)
    jittered = np.clip(jittered, windows[:, [0, 1, 0, 1]], windows[:, [2, 3, 2, 3]])
    scores = rng.integers(1, 5, len(raw)) / 4
    return GridDetections.of(jittered, scores, raw.labels, raw.tile, grid.cut_sides(jittered, raw.tile))


def stream(raw, grid):
    merger = SeamMerger(grid)
    rows = grid.rows_of(raw.tile)
    parts = [merger.add_row(row, raw.take(rows == row)) for row in np.unique(rows).tolist()]
    return GridDetections.concat([*parts, merger.finish()])


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 120))
def test_order_of_input_does_not_matter(seed, count):
    raw = noisy(seed, count)
    shuffled = raw.take(np.random.default_rng(seed).permutation(len(raw)))
    first, second = (merge_detections(r, GRID) for r in (raw, shuffled))
    for column in ("boxes", "scores", "labels", "tile", "cut"):
        np.testing.assert_array_equal(getattr(first, column), getattr(second, column))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 120))
def test_streaming_gives_the_records_of_one_shot(seed, count):
    raw = noisy(seed, count)
    assert records(stream(raw, GRID)) == records(merge_detections(raw, GRID))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 60),
    overlap=st.sampled_from([0, 8, 64, 96, 104]),  # the next row begins with the end of a tile: 0, 64, 96
)
@pytest.mark.slow
def test_streaming_gives_the_records_of_one_shot_whatever_the_overlap(seed, count, overlap):
    grid = TileGrid(500, 500, 128, overlap, 8)
    raw = noisy(seed, count, grid, 500)
    assert records(stream(raw, grid)) == records(merge_detections(raw, grid))


def test_halves_are_joined_over_both_kinds_of_seams_without_overlap():
    grid = TileGrid(1024, 1024, 512, 0, 32)
    boxes = [(480, 100, 540, 130), (100, 480, 130, 540), (490, 500, 530, 520)]
    assert boxes_of(stream(views_of(boxes, grid), grid)) == sorted(tuple(map(float, b)) for b in boxes)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 100), cols=st.integers(1, 4), rows=st.integers(1, 4))
def test_moving_everything_by_whole_tiles_moves_the_result(seed, count, cols, rows):
    # Both grids go on for a tile on every side, so that the same edges are inner ones.
    small, large = TileGrid(1000, 1000, 128, 32, 32), TileGrid(1400, 1400, 128, 32, 32)
    raw = noisy(seed, count, small, 700)
    inner = (small.cols_of(raw.tile) > 0) & (small.rows_of(raw.tile) > 0)
    raw = raw.take(inner & (small.cols_of(raw.tile) < 9) & (small.rows_of(raw.tile) < 9))
    shift = np.array([cols, rows, cols, rows]) * small.step
    tile = (small.rows_of(raw.tile) + rows) * large.cols + small.cols_of(raw.tile) + cols
    moved = GridDetections.of(raw.boxes + shift, raw.scores, raw.labels, tile, raw.cut)
    here, there = merge_detections(raw, small), merge_detections(moved, large)
    # Both are ordered by tile and place, and the shift keeps that order; means over thirds round differently.
    np.testing.assert_allclose(there.boxes, here.boxes + shift, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(there.scores, here.scores)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_perfect_views_of_separate_objects_give_the_objects(seed):
    rng = np.random.default_rng(seed)
    boxes = []
    for x in range(0, 700, 100):  # a lattice of 100 px keeps them apart
        for y in range(0, 700, 100):
            if rng.random() < 0.7:
                corner = np.array([x, y]) + rng.uniform(1, 40, 2)
                boxes.append([*corner, *(corner + rng.uniform(6, 55, 2))])
    grid = TileGrid(720, 720, int(rng.choice([64, 128, 256])), int(rng.choice([0, 16, 32])), 16)
    # A strip of less than half an object, a few pixels wide, tells a tile nothing: it reports none.
    merged = merge_detections(views_of(boxes, grid), grid)
    assert len(merged) == len(boxes)
    np.testing.assert_allclose(np.sort(merged.boxes, axis=0), np.sort(np.array(boxes).reshape(-1, 4), axis=0), atol=3.0)


def test_a_row_at_a_time_holds_less_than_everything():
    grid = TileGrid(2000, 20000, 128, 32, 32)
    raw = noisy(3, 3000, grid, 2000)
    merger, most = SeamMerger(grid), 0
    rows = grid.rows_of(raw.tile)
    for row in range(grid.rows):
        merger.add_row(row, raw.take(rows == row))
        most = max(most, merger.pending)
    merger.finish()
    assert merger.pending == 0
    assert most < len(raw) / 4
