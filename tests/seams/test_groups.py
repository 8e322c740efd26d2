"""From pairs to objects: who speaks for an object, and what a joined box looks like."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nssa_gis.boxes.columns import CUT_BOTTOM, CUT_LEFT, CUT_RIGHT, CUT_TOP, GridDetections
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams.band import Band
from nssa_gis.seams.groups import components, resolve
from nssa_gis.seams.pairs import FIRST_SEES_MORE, JOIN, SAME, SECOND_SEES_MORE, Edges

#: 3 x 3 tiles of 100 px that share 20: origins 0, 80, 160.
GRID = TileGrid(260, 260, 100, 20, 4)


def resolved(rows, *edges):
    """Resolve ``(tile, x0, y0, x1, y1, score)`` rows, paired by ``(i, j, kind)`` edges."""
    table = np.array(rows, float)
    tile = table[:, 0].astype(int)
    found = GridDetections.of(table[:, 1:5], table[:, 5], 0, tile, GRID.cut_sides(table[:, 1:5], tile))
    i, j, kind = np.array(edges, np.intp).reshape(-1, 3).T
    return resolve(Band.of(found, GRID), Edges(i, j, kind.astype(np.int8)), GRID)


def scores(result):
    return sorted(np.round(result.scores.astype(float), 3).tolist())


@settings(deadline=None, max_examples=100)
@given(count=st.integers(1, 12), data=st.data())
def test_components_are_those_of_a_plain_search(count, data):
    node = st.integers(0, count - 1)
    edges = data.draw(st.lists(st.tuples(node, node), max_size=14))
    i, j = np.array(edges, np.intp).reshape(-1, 2).T
    lowest = list(range(count))
    for _ in range(count):
        for a, b in edges:
            lowest[a] = lowest[b] = min(lowest[a], lowest[b])
    assert components(count, i, j).tolist() == lowest


# One object in tiles 0 and 1 (x 80 to 100 is common); what differs is how each tile sees it.
WHOLE_DEEP = (0, 70, 40, 90, 50, 0.1)  # 10 px from the right edge of tile 0
WHOLE_SHALLOW = (1, 86, 40, 96, 50, 0.9)  # 6 px from the left edge of tile 1
CUT_ONCE = (1, 80, 40, 90, 50, 0.8)  # touches the left edge of tile 1
NEARLY_CUT = (1, 82.5, 40, 90, 50, 0.7)  # near that edge, but not touching


@pytest.mark.parametrize(
    ("rows", "speaks"),
    [
        ((WHOLE_DEEP, WHOLE_SHALLOW), 0.1),  # of two whole boxes the deeper one
        ((WHOLE_DEEP, CUT_ONCE), 0.1),  # a whole box before a cut one, whatever the scores
        ((WHOLE_DEEP, NEARLY_CUT), 0.1),
        (((0, 88, 40, 98.5, 50, 0.2), CUT_ONCE), 0.2),  # fewer marked sides first: near the edge before touching it
        (((0, 70, 40, 93.9, 50, 0.2), (1, 86, 40, 100, 50, 0.3)), 0.2),  # 6.1 px deep against 6
        (((0, 70, 40, 94, 50, 0.2), (1, 86, 40, 100, 50, 0.3)), 0.3),  # equally deep: the higher score
        (((0, 70, 40, 94, 50, 0.3), (1, 86, 40, 100, 50, 0.2)), 0.3),
    ],
)
def test_who_speaks_for_an_object(rows, speaks):
    assert scores(resolved(rows, (0, 1, SAME))) == [speaks]


def test_a_box_cut_on_fewer_sides_speaks():
    corner = (4, 80, 80, 96, 96, 0.9)  # touches the left and the top edge of tile 4
    side = (1, 80, 75, 96, 95, 0.2)  # touches the left edge of tile 1
    assert scores(resolved([side, corner], (0, 1, SAME))) == [0.2]
    assert scores(resolved([corner, side], (0, 1, SAME))) == [0.2]


def test_a_piece_yields_to_a_cut_box_that_sees_more_however_deep_it_lies():
    # Both are cut on one side; the first lies deeper, but the second sees more of the object.
    piece, fuller = (0, 60, 40, 100, 50, 0.9), (1, 80, 41, 140, 51, 0.3)
    assert scores(resolved([piece, fuller], (0, 1, SECOND_SEES_MORE))) == [0.3]
    assert scores(resolved([fuller, piece], (0, 1, FIRST_SEES_MORE))) == [0.3]
    # Without that knowledge depth and score decide.
    assert scores(resolved([piece, fuller], (0, 1, SAME))) == [0.9]


def test_a_joined_box_is_better_than_a_cut_one_and_worse_than_a_whole_one():
    left, right = (0, 60, 40, 100, 50, 0.4), (1, 80, 40, 130, 50, 0.5)
    cut, whole = (3, 60, 80, 100, 95, 0.9), (4, 105, 105, 115, 115, 0.2)
    assert scores(resolved([left, right, cut], (0, 1, JOIN), (1, 2, SAME))) == [0.5]
    assert scores(resolved([left, right, whole], (0, 1, JOIN), (1, 2, SAME))) == [0.2]


def test_what_agrees_with_a_taken_box_only_goes_on_by_itself():
    best, middle, last = (0, 40, 40, 60, 50, 0.3), (1, 86, 40, 96, 50, 0.9), (2, 166, 40, 176, 50, 0.5)
    assert scores(resolved([best, middle, last], (0, 1, SAME), (1, 2, SAME))) == [0.3, 0.5]


def test_the_joined_box_has_the_ends_that_the_pieces_saw():
    # Each piece is cut on one side; its own end is a true one, and so are both long sides.
    joined = resolved([(0, 60, 40, 100, 50, 0.4), (1, 80, 41, 130, 52, 0.5)], (0, 1, JOIN))
    np.testing.assert_allclose(joined.boxes, [[60, 40.5, 130, 51]])
    assert (joined.scores[0], joined.cut[0], joined.tile[0]) == (np.float32(0.5), 0, 1)


@pytest.mark.parametrize(("difference", "top"), [(6.0, 43.0), (6.01, 40.0)])
def test_sides_that_agree_within_six_pixels_are_averaged(difference, top):
    # More than that is a slanted object: each piece shows its own part, and the outermost sides count.
    joined = resolved([(0, 60, 40, 100, 70, 0.4), (1, 80, 40 + difference, 130, 70 + difference, 0.5)], (0, 1, JOIN))
    bottom = 73.0 if difference == 6 else 76.01
    np.testing.assert_allclose(joined.boxes, [[60, top, 130, bottom]])


def test_sides_that_no_piece_saw_stay_cut_at_the_outermost_place():
    # Both pieces lie in row 0 and are cut by its lower edge; none saw the lower end.
    joined = resolved([(0, 60, 70, 100, 99.5, 0.4), (1, 80, 71, 130, 100, 0.5)], (0, 1, JOIN))
    np.testing.assert_allclose(joined.boxes, [[60, 70.5, 130, 100]])
    assert joined.cut[0] == CUT_BOTTOM


def test_four_corners_join():
    rows = [
        (0, 60, 50, 100, 100, 0.1),
        (1, 80, 50, 140, 100, 0.2),
        (3, 60, 80, 100, 150, 0.3),
        (4, 80, 80, 140, 150, 0.4),
    ]
    joined = resolved(rows, (0, 1, JOIN), (0, 2, JOIN), (1, 3, JOIN), (2, 3, JOIN))
    np.testing.assert_allclose(joined.boxes, [[60, 50, 140, 150]])
    assert joined.cut[0] == 0


def test_a_lone_object_beside_joined_ones_keeps_its_record():
    lone, other = (0, 10, 10, 20, 20, 0.7), (1, 86, 10, 96, 20, 0.6)
    left, right = (3, 60, 120, 100, 130, 0.4), (4, 80, 120, 130, 130, 0.5)
    result = resolved([lone, other, left, right], (0, 1, SAME), (2, 3, JOIN))
    np.testing.assert_allclose(result.boxes[np.argsort(result.scores)], [[60, 120, 130, 130], [10, 10, 20, 20]])
    assert set(result.tile.tolist()) == {0, 4}


@pytest.mark.parametrize(
    ("tile", "box", "depth"),
    [
        # only inner edges count: at an outer one the scene ends, nothing is missing there
        (0, (1, 1, 2, 2), 98),
        (0, (1, 1, 2, 60), 40),
        (0, (1, 1, 70, 60), 30),
        (8, (258, 258, 259, 259), 98),
        (8, (180, 250, 259, 259), 20),
        (8, (180, 175, 259, 259), 15),
        (4, (90, 100, 110, 120), 10),
        (4, (100, 92, 110, 120), 12),
        (4, (120, 120, 171, 140), 9),
        (4, (120, 120, 140, 172), 8),
    ],
)
def test_depth_is_the_distance_from_the_nearest_inner_edge(tile, box, depth):
    from nssa_gis.seams.groups import _depth

    band = Band.of(GridDetections.of([box], 0.5, 0, tile, 0), GRID)
    assert _depth(band, GRID).tolist() == [depth]


def test_sides_are_known_by_their_bits():
    # A piece cut at the top joins one cut at the bottom, and one cut at the left one cut at the right.
    upright = resolved([(0, 30, 60, 40, 100, 0.4), (3, 30, 80, 40, 130, 0.5)], (0, 1, JOIN))
    np.testing.assert_allclose(upright.boxes, [[30, 60, 40, 130]])
    assert upright.cut[0] == 0
    assert (GRID.cut_sides([[30, 60, 40, 100]], [0]), GRID.cut_sides([[30, 80, 40, 130]], [3])) == (CUT_BOTTOM, CUT_TOP)
    assert (GRID.cut_sides([[60, 40, 100, 50]], [0]), GRID.cut_sides([[80, 40, 130, 50]], [1])) == (CUT_RIGHT, CUT_LEFT)
