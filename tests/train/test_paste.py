from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nssa_gis.labels.images import LabelledImage
from nssa_gis.train.augmentation import infrared, shade
from nssa_gis.train.clutter import draw_clutter
from nssa_gis.train.composite import CompositeCrops
from nssa_gis.train.paste import Paster, _darken, _lay_one, _turned, cut_out


def image(boxes, gsd=0.1, colour=(250, 20, 20), side=200, **fields):
    """Grey ground with objects of one colour."""
    pixels = np.full((side, side, 3), 100, np.uint8)
    for x0, y0, x1, y1 in np.array(boxes, int).reshape(-1, 4):
        pixels[y0:y1, x0:x1] = colour
    made = LabelledImage(
        Path("a.png"),
        "a",
        "",
        side,
        side,
        gsd,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros(len(boxes), np.int64),
        np.zeros(1, bool),
        source="toy",
        loaded=pixels.transpose(2, 0, 1),
    )
    return replace(made, **fields)


def test_only_upright_clear_and_sharp_objects_are_cut_out():
    good = [40, 40, 85, 60]
    square = [120, 40, 150, 70]  # may stand askew
    small = [100, 100, 110, 105]
    border = [150, 150, 199, 170]
    touching = [[20, 120, 60, 140], [20, 141, 60, 161]]
    bank = cut_out([image([good, square, small, border, *touching])])
    assert len(bank) == 1
    assert bank[0].gsd == 0.1
    upright = cut_out([image([[40, 40, 60, 85]])])[0]
    assert upright.pixels.shape[2] > upright.pixels.shape[1], "the long side lies across"


def test_pasted_objects_have_true_size_and_boxes_that_fit():
    bank = cut_out([image([[40, 40, 85, 60]])])  # 4.5 m x 2 m
    ground = np.full((256, 256, 3), 100, np.uint8)
    sizes = []
    for seed in range(40):
        piece, boxes, labels = Paster(bank).lay(np.random.default_rng(seed), ground, 0.25)
        assert len(boxes) == len(labels)
        assert (boxes >= 0).all() and (boxes <= 256).all()
        red = piece[..., 0].astype(int) - piece[..., 1] > 60
        inside = np.zeros((256, 256), bool)
        for x0, y0, x1, y1 in boxes.astype(int):
            inside[max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1] = True  # the mask fades out
            columns, rows = np.flatnonzero(red[y0:y1, x0:x1].any(0)), np.flatnonzero(red[y0:y1, x0:x1].any(1))
            assert columns[0] <= 2 and columns[-1] >= x1 - x0 - 3
            assert rows[0] <= 2 and rows[-1] >= y1 - y0 - 3
        assert not (red & ~inside).any(), "nothing is pasted without a label"
        sizes += (boxes[:, 2:] - boxes[:, :2]).max(1).tolist()
    # a 4.5 x 2 m box at 0.25 m is 18 x 8 px; askew its extent stays between 14 and 19 px
    assert len(sizes) > 40
    assert 12 <= min(sizes) and max(sizes) <= 21


def test_long_objects_that_stand_askew_are_not_cut_out_where_the_width_is_known():
    lorry, askew = [20, 20, 140, 46], [20, 60, 138, 102]  # 12 x 2.6 m; the same turned by 8 degrees fills 12 x 4.2 m
    assert len(cut_out([image([lorry, askew])])) == 2
    bank = cut_out([image([lorry, askew])], widest=3.0)
    assert [item.pixels.shape[2] > 120 for item in bank] == [True]
    assert bank[0].pixels.shape[1] < 45


def test_rare_lengths_are_pasted_more_often_and_rows_are_of_one_length():
    car, lorry = cut_out([image([[40, 40, 85, 60]])]), cut_out([image([[20, 20, 140, 46]])])
    paster = Paster(car * 99 + lorry)
    assert paster.chance[-1] == pytest.approx(1 / (99**0.5 + 1))
    for seed in range(60):
        row = paster._places(np.random.default_rng(seed), (256, 256), 0.25)
        assert len({number == 99 for number, *_ in row}) <= 1


def test_no_object_is_laid_on_another_but_boxes_may_overlap():
    (item,) = cut_out([image([[40, 40, 85, 60]])])
    askew = _turned(item, 45, 0.25)
    canvas, taken = np.full((64, 64, 3), 100, np.float32), np.zeros((64, 64), bool)

    def lay(x, y):
        return _lay_one(canvas, askew, x, y, (0, 0, 0.0), 1.0, taken)

    first = lay(30, 30)
    assert lay(30, 30) is None and lay(33, 33) is None
    beside = lay(38, 38)  # a car's width away, across the way it looks
    assert first is not None and beside is not None
    assert beside[0] < first[2] and beside[1] < first[3]


def test_the_shadow_of_a_body_has_no_gap():
    canvas, mask = np.full((40, 40, 3), 100, np.float32), np.ones((4, 4), np.float32)
    _darken(canvas, mask, 20, 20, (-12, 9, 0.5))
    dark = canvas[..., 0] < 60
    for along in np.linspace(0, 1, 50):
        assert dark[round(20 + 9 * along) + 1, round(20 - 12 * along) + 1], along
    assert not dark[20:24, 26:].any() and not dark[:20].any()
    edge = np.full((40, 40, 3), 100, np.float32)
    _darken(edge, mask, 0, 37, (-12, 9, 0.5))  # most of it beyond the border
    assert (edge[37:, :4] == 50).all() and (edge[:37] == 100).all() and (edge[:, 4:] == 100).all()


def test_what_is_there_outside_the_piece_does_not_count():
    paster, ground = Paster(cut_out([image([[40, 40, 85, 60]])])), np.full((128, 128, 3), 100, np.uint8)
    far = np.array([[-30, -30, -10, -10], [300, 300, 310, 310]], np.float32)
    for seed in range(5):
        plain = paster.lay(np.random.default_rng(seed), ground, 0.25)
        np.testing.assert_array_equal(plain[1], paster.lay(np.random.default_rng(seed), ground, 0.25, far)[1])


def test_shadows_reach_from_an_object_to_where_its_top_falls():
    ground = np.full((256, 256, 3), 100, np.uint8)
    bank = cut_out([image([[40, 40, 85, 60]])])
    longest = 0.0
    for seed in range(40):
        piece, boxes, _ = Paster(bank).lay(np.random.default_rng(seed), ground, 0.25)
        if len(boxes) != 1:
            continue
        (x0, y0, x1, y1) = boxes[0].astype(int)
        dark = piece[..., 2] < 96  # the object's blue is 20
        rows, cols = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
        reach = max(y0 - rows[0], rows[-1] + 1 - y1, x0 - cols[0], cols[-1] + 1 - x1)
        assert reach <= 1.6 * 2.0 / 0.25 + 2
        longest = max(longest, reach)
    assert longest > 6


def test_objects_are_pasted_on_empty_images_only():
    bank = Paster(cut_out([image([[40, 40, 85, 60]])]))
    kinds = {
        "empty": (image([]), True),
        "labelled": (image([[100, 100, 140, 118]], colour=(20, 250, 20)), False),
        "not exhaustive": (image([], not_exhaustive=np.ones(1, bool)), False),
        "ignored": (image([], ignore=np.array([[0, 0, 9, 9]], np.float32)), False),
    }
    for name, (ground, expected) in kinds.items():
        with_paste = CompositeCrops([[ground]], [1.0], 192, 0.1, paster=bank)
        without = CompositeCrops([[ground]], [1.0], 192, 0.1)
        more = sum(len(with_paste[i][1].boxes) for i in range(25)) - sum(len(without[i][1].boxes) for i in range(25))
        assert (more > 10) == expected, name


def test_crops_show_hard_negatives_more_often():
    plain, hard = image([]), image([], hard_negatives=np.array([[180, 180, 195, 195]], np.float32))
    crops = CompositeCrops([[plain, hard]], [1.0], 64, 0.1, split=0)
    assert crops.chance[0][1] == pytest.approx(2 * crops.chance[0][0])
    corner = np.full((200, 200, 3), 100, np.uint8)
    corner[180:195, 180:195] = 255
    marked = CompositeCrops([[replace(hard, loaded=corner.transpose(2, 0, 1))]], [1.0], 64, 0.1, split=0)
    seen = sum((marked[i][0].max() - np.median(marked[i][0])) > 40 for i in range(40))
    assert seen > 20, "four of five crops show the hard negative"


def test_infrared_turns_plants_red_and_shadows_darken():
    rng = np.random.default_rng(0)
    plants = np.full((8, 8, 3), (60, 140, 50), np.uint8)
    shown = infrared(rng, plants)
    assert (shown[..., 0] > shown[..., 1] + 50).all()
    bright = np.full((64, 64, 3), 200, np.uint8)
    shaded = [shade(np.random.default_rng(seed), bright) for seed in range(60)]
    touched = [s for s in shaded if (s != bright).any()]
    assert 4 <= len(touched) <= 24
    assert all((s <= bright).all() and s.min() < 150 for s in touched)


def test_clutter_lies_on_pieces_without_labels_and_never_on_objects():
    paster = Paster(draw_clutter(40))
    assert np.exp(paster.length).max() < 4.3, "shorter than a car, with its margins"
    ground, there = np.full((128, 128, 3), 100, np.uint8), np.array([[40, 30, 80, 60]], np.float32)
    touched = 0
    for seed in range(30):
        piece, boxes, labels = paster.lay(np.random.default_rng(seed), ground, 0.25, there)
        assert (labels == -1).all()
        for x0, y0, x1, y1 in boxes:
            assert x1 <= 40 or x0 >= 80 or y1 <= 30 or y0 >= 60
        touched += int((piece != ground).any())
    assert touched > 20
    scene = image([[100, 100, 145, 120]], colour=(20, 250, 20), side=300)
    crops = CompositeCrops([[scene]], [1.0], 128, 0.1, split=0, clutter=True)
    laid = []
    original = crops.litter.lay
    crops.litter.lay = lambda rng, piece, gsd, occupied: laid.append(occupied) or original(rng, piece, gsd, occupied)
    for i in range(30):
        before = len(laid)
        labels = crops[i][1]
        assert (labels.labels == 0).all() and len(labels.boxes) <= 1
        if len(laid) > before:
            np.testing.assert_array_equal(laid[-1], np.concatenate((labels.boxes, labels.ignore)))
    assert 2 <= len(laid) <= 15


def test_clutter_is_not_laid_where_there_is_an_up_and_a_down():
    scene = image([[100, 100, 145, 120]], upright=True)
    with_clutter = CompositeCrops([[scene]], [1.0], 128, 0.1, clutter=True)
    without = CompositeCrops([[scene]], [1.0], 128, 0.1)
    for i in range(12):
        np.testing.assert_array_equal(with_clutter[i][0], without[i][0])
