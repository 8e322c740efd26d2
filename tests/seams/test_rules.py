"""Hand-made cases, one for each rule of the seam merge."""

import numpy as np
import pytest
from seam_cases import boxes_of, found, records, views_of

from nssa_gis.boxes.columns import CUT_BOTTOM, CUT_RIGHT, GridDetections
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams import SeamMerger, merge_detections


@pytest.fixture
def grid():
    """3 x 3 tiles of 640 that share 128: origins 0, 512, 1024."""
    return TileGrid(1664, 1664, 640, 128, 32)


def test_boxes_of_one_tile_are_never_merged(grid):
    raw = found([(0, 530, 10, 560, 40, 0.9), (0, 531, 10, 561, 40, 0.8), (0, 100, 10, 130, 40, 0.7)] * 2, grid)
    assert len(merge_detections(raw, grid)) == 6


def test_overlapping_neighbours_are_matched_with_their_own_second_view(grid):
    # Two boats whose boxes overlap by 0.6; each seen by both tiles.
    boats = [(550, 100, 590, 140), (558, 102, 598, 142)]
    merged = merge_detections(views_of(boats, grid), grid)
    assert boxes_of(merged) == [tuple(map(float, b)) for b in boats]


def test_only_the_common_window_is_compared(grid):
    # Only 30 of 300 pixels lie where both tiles look, so the whole boxes overlap by 0.1.
    merged = merge_detections(views_of([(242, 100, 542, 130)], grid), grid)
    assert boxes_of(merged) == [(242.0, 100.0, 542.0, 130.0)]


def test_whole_partner_wins_over_cut_one_of_higher_score(grid):
    raw = found([(0, 600, 50, 640, 80, 0.95), (1, 600, 50, 660, 80, 0.4)], grid)
    merged = merge_detections(raw, grid)
    assert boxes_of(merged) == [(600.0, 50.0, 660.0, 80.0)]
    assert merged.scores[0] == np.float32(0.4)
    assert merged.cut[0] == 0


def test_two_ends_join_along_the_seam_axis_only(grid):
    raw = found([(0, 400, 100, 640, 141, 0.9), (1, 512, 101, 800, 140, 0.6)], grid)
    merged = merge_detections(raw, grid)
    assert boxes_of(merged) == [(400.0, 100.5, 800.0, 140.5)]
    assert merged.scores[0] == np.float32(0.9)
    assert merged.cut[0] == 0


def test_slanted_ends_join_into_their_hull(grid):
    raw = found([(0, 400, 100, 640, 300, 0.9), (1, 512, 190, 800, 420, 0.6)], grid)
    assert boxes_of(merge_detections(raw, grid)) == [(400.0, 100.0, 800.0, 420.0)]


def test_piece_of_a_slanted_object_yields_to_the_whole_one(grid):
    raw = found([(0, 420, 100, 620, 300, 0.6), (1, 512, 196, 619, 299, 0.9)], grid)
    assert boxes_of(merge_detections(raw, grid)) == [(420.0, 100.0, 620.0, 300.0)]


@pytest.mark.parametrize(
    "box",
    [
        (100, 200, 1500, 260),  # through three tiles
        (200, 100, 260, 1500),
        (100, 100, 1500, 1400),  # over nine
        (300, 300, 900, 800),  # cut in both axes at a corner of four
        (300, 530, 900, 620),  # long, inside the overlap of two rows
        (545, 530, 600, 620),  # inside the overlap of four tiles
        (500, 500, 645, 645),
        (0, 0, 1664, 1664),
    ],
)
def test_one_object_gives_one_exact_box(grid, box):
    merged = merge_detections(views_of([box], grid), grid)
    assert boxes_of(merged) == [tuple(map(float, box))]
    assert merged.cut[0] == 0


def test_small_tiles_with_overlap_over_half(grid):
    dense = TileGrid(1000, 1000, 128, 96, 32)
    boxes = [(300, 300, 330, 320), (500, 100, 590, 300), (10, 10, 950, 40)]
    assert boxes_of(merge_detections(views_of(boxes, dense), dense)) == sorted(tuple(map(float, b)) for b in boxes)


def test_no_overlap_at_all_still_joins_halves():
    grid = TileGrid(1024, 512, 512, 0, 32)
    assert boxes_of(merge_detections(views_of([(480, 100, 540, 130)], grid), grid)) == [(480.0, 100.0, 540.0, 130.0)]


def test_missing_second_half_leaves_the_piece_marked_cut(grid):
    raw = found([(0, 400, 100, 640, 140, 0.9)], grid)
    merged = merge_detections(raw, grid)
    assert records(merged) == records(raw)
    assert merged.cut[0] == CUT_RIGHT


def test_one_corner_piece_missing(grid):
    raw = views_of([(300, 300, 900, 800)], grid)
    merged = merge_detections(raw.take(raw.tile != 4), grid)
    assert boxes_of(merged) == [(300.0, 300.0, 900.0, 800.0)]


def test_chains_do_not_grow():
    # The middle one agrees with both others; it lies deepest in its tile and takes them.
    grid = TileGrid(1152, 1152, 640, 128, 32)
    raw = found(
        [(0, 590, 540, 610, 560, 0.5), (1, 594, 540, 614, 560, 0.9), (3, 599, 540, 619, 560, 0.6)],
        grid,
    )
    merged = merge_detections(raw, grid)
    assert boxes_of(merged) == [(594.0, 540.0, 614.0, 560.0)]
    # The best at an end of the chain takes only what agrees with itself.
    raw = found(
        [(0, 540, 540, 560, 560, 0.9), (1, 546, 540, 566, 560, 0.5), (3, 553, 540, 573, 560, 0.6)],
        grid,
    )
    assert boxes_of(merge_detections(raw, grid)) == [
        (540.0, 540.0, 560.0, 560.0),
        (553.0, 540.0, 573.0, 560.0),
    ]


def test_same_class_is_matched_first(grid):
    raw = found(
        [
            (0, 550, 100, 580, 120, 0.9, 0),
            (0, 551, 100, 581, 120, 0.5, 1),
            (1, 550, 100, 580, 120, 0.8, 1),
            (1, 551, 100, 581, 120, 0.6, 0),
        ],
        grid,
    )
    merged = merge_detections(raw, grid)
    assert sorted(zip(merged.labels.tolist(), merged.scores.tolist(), strict=True)) == [
        (0, pytest.approx(0.9)),
        (1, pytest.approx(0.5)),
    ]


def test_tiles_that_disagree_on_the_class_give_one_object_of_the_deeper_view(grid):
    raw = found([(0, 550, 100, 580, 120, 0.5, 0), (1, 550, 100, 580, 121, 0.8, 3)], grid)
    merged = merge_detections(raw, grid)
    assert merged.labels.tolist() == [0]
    apart = found([(0, 550, 100, 580, 120, 0.5, 0), (1, 560, 108, 570, 121, 0.8, 3)], grid)
    assert len(merge_detections(apart, grid)) == 2


def test_the_box_farther_from_its_tile_edge_speaks_whatever_the_scores(grid):
    raw = found([(0, 600, 100, 630, 120, 0.9), (1, 601, 100, 631, 120, 0.5)], grid)
    assert boxes_of(merge_detections(raw, grid)) == [(601.0, 100.0, 631.0, 120.0)]


def test_nothing_gives_nothing(grid):
    assert len(merge_detections(GridDetections.empty(), grid)) == 0
    merger = SeamMerger(grid)
    assert len(merger.add_row(1, GridDetections.empty())) == 0
    assert len(merger.finish()) == 0


def test_scene_smaller_than_a_tile():
    grid = TileGrid(100, 50, 640, 128, 32)
    raw = found([(0, 0, 0, 30, 30, 0.5), (0, 60, 10, 100, 50, 0.7)], grid)
    assert records(merge_detections(raw, grid)) == records(raw)


def test_rows_left_out(grid):
    raw = found([(0, 10, 600, 40, 640, 0.5), (6, 10, 1024, 40, 1060, 0.6)], grid)
    merger = SeamMerger(grid)
    first = merger.add_row(0, raw.take(slice(0, 1)))
    second = merger.add_row(2, raw.take(slice(1, 2)))
    merged = GridDetections.concat([first, second, merger.finish()])
    assert records(merged) == records(raw)
    assert raw.cut[0] == CUT_BOTTOM


def test_only_the_band_is_held(grid):
    merger = SeamMerger(grid)
    raw = found([(0, 10, 10, 40, 40, 0.5), (0, 10, 560, 40, 590, 0.5), (1, 550, 10, 590, 40, 0.5)], grid)
    done = merger.add_row(0, raw)
    assert len(done) == 2
    assert merger.pending == 1


def test_wrong_use_is_refused(grid):
    merger = SeamMerger(grid)
    merger.add_row(1, GridDetections.empty())
    with pytest.raises(ValueError, match=r"row -1: expected one from 0 to 2"):
        SeamMerger(grid).add_row(-1, GridDetections.empty())
    with pytest.raises(ValueError, match=r"row 3: expected one from 2 to 2"):
        merger.add_row(3, GridDetections.empty())
    for tile in (-1, 9):
        outside = GridDetections.of([[0, 0, 9, 9]], 0.5, 0, tile, 0)
        with pytest.raises(ValueError, match="the grid of 9 tiles"):
            merge_detections(outside, grid)
    with pytest.raises(ValueError, match="row 1"):
        merger.add_row(1, GridDetections.empty())
    with pytest.raises(ValueError, match="another row"):
        merger.add_row(2, found([(0, 10, 10, 40, 40, 0.5)], grid))
    for iou in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match="between 0 and 1"):
            SeamMerger(grid, iou=iou)
