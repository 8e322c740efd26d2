"""A row at a slant, drawn; the stand-in detector boxes bright bodies, and patchworks of those whose boxes overlap."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.boxes.iou import overlapping_pairs
from nssa_gis.detect.detector import Detector
from nssa_gis.raster.memory import memory_scene
from nssa_gis.testing import planted_info, rectangles
from nssa_gis.train import rotated_views
from nssa_gis.train.rotated_views import detect_rotated

LONG, BROAD, NEXT = 24, 10, 14


def body(x, y, degrees):
    """Corners of a body whose long side points so many degrees counter-clockwise from the right (y points down)."""
    t = np.deg2rad(degrees)
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * [LONG / 2, BROAD / 2]
    return half @ turn + [x, y]


def row(degrees, number=8, size=260):
    t = np.deg2rad(degrees)
    across = np.array([np.sin(t), np.cos(t)]) * NEXT
    middles = size / 2 + (np.arange(number) - (number - 1) / 2)[:, None] * across
    return [body(x, y, degrees) for x, y in middles]


def drawn(bodies, width=260, height=260):
    picture = Image.new("RGB", (width * 4, height * 4))
    for corners in bodies:
        ImageDraw.Draw(picture).polygon([tuple(p) for p in corners * 4], fill=(255, 255, 255))
    return np.asarray(picture.resize((width, height), Image.Resampling.BOX)).transpose(2, 0, 1)


class Patchworks:
    """Boxes of bright bodies, and of two neighbours whose boxes overlap."""

    description, batch_size = "patchworks", 1

    def predict(self, batch, score_threshold):
        parts = []
        for number, tile in enumerate(batch):
            boxes = rectangles(tile[0] > 128)
            i, j, _ = overlapping_pairs(boxes, np.zeros(len(boxes), int), 0.02)
            boxes = np.concatenate((boxes, (boxes[i] + boxes[j]) / 2))
            parts.append(TileDetections.of(boxes, 0.9, 0, number))
        return TileDetections.concat(parts)


def detect(bodies, working_gsd=0.2):
    """In an image of 0.2 m per pixel."""
    detector = Detector.of_backend(Patchworks(), planted_info(tile=1024, gsd=working_gsd))
    with memory_scene(drawn(bodies)) as scene:
        return detect_rotated(detector, scene, 0.2)


def found_by_place(found):
    return found.boxes[np.lexsort((found.boxes[:, 1], found.boxes[:, 0]))]


@pytest.mark.parametrize("degrees", [0, 20, 25, 40, 50, 70])
def test_each_body_of_a_row_gets_its_own_box(degrees):
    bodies = row(degrees)
    found = detect(bodies)
    found = found.take(found.scores > 0.6)
    assert len(found) == len(bodies)
    true = np.array([[*b.min(0), *b.max(0)] for b in bodies])
    true = true[np.lexsort((true[:, 1], true[:, 0]))]
    np.testing.assert_allclose(found_by_place(found), true, atol=1.7)  # round corners are taken off: 6 % at most


def test_views_are_rotated_back_to_the_place():
    """The image is no square, the body not in its middle, and the working GSD another one."""
    there = body(220, 50, 30)
    detector = Detector.of_backend(Patchworks(), planted_info(tile=1024, gsd=0.1))
    with memory_scene(drawn([there], 300, 180)) as scene:
        corners, _, _, view = rotated_views._detect_in_views(detector, scene, 0.2)
    (tight,) = corners[view == 6]  # rotated by 60 degrees more it stands upright
    np.testing.assert_allclose(tight.mean(0), there.mean(0), atol=0.2)
    np.testing.assert_allclose(np.sort(tight, 0), np.sort(there, 0), atol=0.8)
    np.testing.assert_allclose(corners.mean(1), np.tile(there.mean(0), (9, 1)), atol=0.4)


def test_classes_have_breadths_of_their_own():
    breadth, labels = np.array([10.0, 10, 10, 25, 25, 9]), np.array([0, 0, 0, 1, 1, 2], np.int16)
    telling = np.array([True, True, False, True, True, False])
    usual = rotated_views._usual(breadth, labels, telling)
    assert usual.tolist() == [10, 10, 10, 25, 25, np.inf]


def test_without_a_known_direction_no_view_is_preferred():
    assert rotated_views._away(np.arange(9), np.zeros(9, bool)).tolist() == [0] * 9


def test_body_apart_from_the_row_is_kept_in_its_own_direction():
    found = detect([*row(40), body(40, 40, 90)])
    found = found.take(found.scores > 0.6)
    assert len(found) == 9
    x0, y0, x1, y1 = found.boxes[np.argmin(found.boxes.sum(1))]
    assert (x0, y0, x1, y1) == pytest.approx((35, 28, 45, 52), abs=1.0)


def test_boxes_are_in_pixels_of_the_image_whatever_the_working_gsd():
    found = detect(row(40), working_gsd=0.1)
    true = np.array([[*b.min(0), *b.max(0)] for b in row(40)])
    true = true[np.lexsort((true[:, 1], true[:, 0]))]
    np.testing.assert_allclose(found_by_place(found.take(found.scores > 0.6)), true, atol=1.7)


def test_short_pieces_score_less():
    found = detect([*row(0), body(2, 30, 0)])
    assert len(found) == 9
    cut = found.take(found.boxes[:, 0] < 1)
    assert cut.boxes[0] == pytest.approx((0, 25, 14, 35), abs=1.0)
    assert cut.scores[0] == pytest.approx(0.5, abs=0.01), "as long as 1.4 times its breadth"


def test_the_share_inside_the_image_is_given():
    boxes, visible = rotated_views._upright(np.array([body(0, 50, 0), body(50, 50, 0)]), np.array([0, 0]), 100, 100)
    assert boxes.tolist() == [[0, 45, 12, 55], [38, 45, 62, 55]]
    assert visible.tolist() == [0.5, 1]


def test_pieces_of_bodies_in_a_row_are_dropped_from_a_lower_share_on():
    inside, apart, rows = body(50, 50, 0), body(50, 62, 90), np.array([True, False])  # 50 of 240 px2 in common
    assert rotated_views._apart(np.array([inside, apart]), np.array([0.9, 0.8]), np.zeros(2, bool)).tolist() == [0, 1]
    assert rotated_views._apart(np.array([inside, apart]), np.array([0.9, 0.8]), rows).tolist() == [0]


def test_an_empty_image_has_no_objects():
    assert len(detect([])) == 0
