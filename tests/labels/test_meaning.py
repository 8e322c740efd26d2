"""Numbers that mean something else than the format says: read as meant where that can be known, else refused."""

import numpy as np
import pytest
from label_folders import BOXES, CENTRED, HEIGHT, SHARES, WIDTH, XYWH, coco, picture, text, voc, yolo

from nssa_gis.errors import NssaError
from nssa_gis.labels.registry import read_table


def corner_points(x, y, w, h):
    return [v for i in (-1, 1) for j in (-1, 1) for v in (x + i * w / 2, y + j * h / 2, 2)]


def end_points(x, y, w, h):
    return [x, y - h / 2, x, y + h / 2]


def outline(x, y, w, h):
    return [x - w / 2, y - h / 2, x + w / 2, y - h / 2, x + w / 2, y + h / 2, x - w / 2, y + h / 2]


@pytest.mark.parametrize(("points", "shape"), [(corner_points, "[4, 3]"), (end_points, "[2, 2]")])
def test_yolo_key_points_are_no_outline(tmp_path, points, shape):
    rows = [[0, *row, *points(*row)] for row in SHARES.tolist()]
    with pytest.raises(NssaError, match=r"a\.txt, line 1: \d+ columns .*kpt_shape"):
        read_table(yolo(tmp_path / "untold", rows))
    (entry,) = read_table(yolo(tmp_path / "told", rows, f"kpt_shape: {shape}\nnames: [car]\n")).entries
    np.testing.assert_allclose(entry.boxes, BOXES, atol=1e-9)
    with pytest.raises(NssaError, match=r"line 1: 7 columns, but kpt_shape"):
        read_table(yolo(tmp_path / "other", [[0, *SHARES[0], 0.1, 0.1]], f"kpt_shape: {shape}\nnames: [car]\n"))


def test_yolo_outlines_are_outlines(tmp_path):
    rows = [[0, *outline(*row)] for row in SHARES.tolist()]
    (entry,) = read_table(yolo(tmp_path, rows)).entries
    np.testing.assert_allclose(entry.boxes, BOXES, atol=1e-9)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([[0, *row, 0.9, k] for k, row in enumerate(SHARES.tolist(), 1)], "line 2: 7 columns are an outline"),
        ([[0, *row, 0.9, 1] for row in SHARES.tolist()], "line 1: 7 columns look like a box and further numbers"),
        ([[0, *row, 0.9] for row in SHARES.tolist()], "line 1: six columns, one more than class x_centre"),
        (
            [[0, *row] for row in (BOXES / [WIDTH, HEIGHT, WIDTH, HEIGHT]).tolist()],
            "looks like corners x0 y0 x1 y1, not class",
        ),
        ([[0, *row] for row in CENTRED.tolist()], "6 of 6 boxes lie outside their image"),
        ([[0, *(100 * v for v in row)] for row in SHARES.tolist()], "6 of 6 boxes lie outside their image"),
        ([[0, *(v / WIDTH for v in row)] for row in SHARES.tolist()], "6 of 6 boxes lie in the first pixel"),
    ],
)
def test_yolo_lines_of_other_kinds_are_refused(tmp_path, rows, told):
    with pytest.raises(NssaError, match=told):
        read_table(yolo(tmp_path, rows))


def test_one_wrong_yolo_line_is_told_and_left_out(tmp_path):
    table = read_table(yolo(tmp_path, [[0, *row] for row in SHARES.tolist()] + [[0, 120, 60, 9, 9]]))
    assert len(table.entries[0].boxes) == len(BOXES) and table.lost == 1
    assert table.warnings[0].startswith("1 label is not used: they lie outside their image (first: a.png, box 23100,")


def visdrone(folder, xywh):
    picture(folder / "images" / "a.png")
    text(folder / "annotations" / "a.txt", "\n".join(",".join(map(str, row)) + ",1,4,0,0" for row in xywh.tolist()))
    return folder


def coco_with_image(folder, boxes):
    picture(folder / "images" / "a.png")
    return coco(folder, boxes)


@pytest.mark.parametrize("make", [coco_with_image, visdrone])
@pytest.mark.parametrize(
    ("boxes", "told"),
    [
        (BOXES, r"look like corners x0, y0, x1, y1 \(such as a.png, 10, 8, 22, 18\)"),
        (XYWH / [WIDTH, HEIGHT, WIDTH, HEIGHT], "6 of 6 boxes lie in the first pixel .* shares of the image"),
        (XYWH * 10, "6 of 6 boxes lie outside their image"),
    ],
)
def test_boxes_of_corner_and_size_that_are_none(tmp_path, make, boxes, told):
    with pytest.raises(NssaError, match=told):
        read_table(make(tmp_path, boxes))


def test_voc_shares_and_sizes(tmp_path):
    picture(tmp_path / "shares" / "JPEGImages" / "a.png")
    with pytest.raises(NssaError, match="6 of 6 boxes lie in the first pixel"):
        read_table(voc(tmp_path / "shares", BOXES / [WIDTH, HEIGHT, WIDTH, HEIGHT]))
    picture(tmp_path / "sizes" / "JPEGImages" / "a.png")
    with pytest.raises(NssaError, match="look like x, y, width, height"):
        read_table(voc(tmp_path / "sizes", XYWH))


def test_dota_lines_in_yolo_order(tmp_path):
    picture(tmp_path / "images" / "a.png")
    text(tmp_path / "labelTxt" / "a.txt", "0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.25\n")
    with pytest.raises(NssaError, match=r"a\.txt, line 1: 0\.25 is a number, not a class"):
        read_table(tmp_path)


def test_what_is_ordinary_is_left_alone(tmp_path):
    """Boxes over the edge, one as large as the image, and few boxes near the corner."""
    over = np.array([[-4, 5, 20, 20], [180, 100, 30, 30], [0, 0, WIDTH, HEIGHT], [3, 3, 12, 9]], float)
    table = read_table(coco_with_image(tmp_path, over))
    assert table.entries[0].boxes.tolist() == [
        [-4, 5, 16, 25],
        [180, 100, 210, 130],
        [0, 0, WIDTH, HEIGHT],
        [3, 3, 15, 12],
    ]
    assert (table.lost, table.warnings) == (0, ())


def test_boxes_in_the_first_hundred_pixels_are_told(tmp_path):
    picture(tmp_path / "images" / "a.png", 640, 512)
    table = read_table(coco(tmp_path, XYWH / [2, 1.2, 4, 4]))
    assert len(table.entries[0].boxes) == len(BOXES)
    assert "all 6 boxes lie in the first 100 pixels of their image" in table.warnings[0]
