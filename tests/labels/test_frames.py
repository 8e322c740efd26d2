"""The size that labels state against the file's, and EXIF orientation: the labels' frame is right."""

import numpy as np
import pytest
from label_folders import BOXES, HEIGHT, WIDTH, XYWH, coco, picture, voc, yolo
from PIL import Image, ImageOps

from nssa_gis.errors import NssaError
from nssa_gis.labels.frames import read_header
from nssa_gis.labels.registry import read_table

SIZE = {"width": WIDTH, "height": HEIGHT}


def oriented(path, orientation, boxes=BOXES):
    """A picture with a bright pixel patch a box, that a viewer shows upright."""
    shown = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for x0, y0, x1, y1 in boxes.astype(int).tolist():
        shown[y0:y1, x0:x1] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    # the inverse of what a viewer does
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = Image.fromarray(shown)
    stored = stored if back is None else stored.transpose(Image.Transpose(back))
    path.parent.mkdir(parents=True, exist_ok=True)
    stored.save(path, exif=exif, quality=95)
    with Image.open(path) as opened:
        np.testing.assert_allclose(np.asarray(ImageOps.exif_transpose(opened)), shown, atol=60)
    return path


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_labels_as_shown_are_turned_to_the_stored_pixels(tmp_path, orientation, suffix):
    path = oriented(tmp_path / "images" / f"a.{suffix}", orientation)
    table = read_table(coco(tmp_path, image=SIZE, name=path.name))
    (entry,) = table.entries
    assert entry.size == (HEIGHT, WIDTH) and len(entry.boxes) == len(BOXES)
    with Image.open(path) as opened:
        pixels = np.asarray(opened)
    for x0, y0, x1, y1 in entry.boxes.astype(int).tolist():
        assert pixels[y0:y1, x0:x1].mean() > 200
    assert (
        f"the labels are for {WIDTH} x {HEIGHT} px, the file has {HEIGHT} x {WIDTH} px; they are turned"
        in table.warnings[0]
    )


def test_labels_as_stored_stay(tmp_path):
    oriented(tmp_path / "images" / "a.jpg", 6)
    turned = np.column_stack((BOXES[:, 1], WIDTH - BOXES[:, 2], BOXES[:, 3], WIDTH - BOXES[:, 0]))
    xywh = np.column_stack((turned[:, :2], turned[:, 2:] - turned[:, :2]))
    table = read_table(coco(tmp_path, xywh, image={"width": HEIGHT, "height": WIDTH}, name="a.jpg"))
    np.testing.assert_allclose(table.entries[0].boxes, turned)
    assert table.warnings == ()


def test_boxes_that_fit_the_shown_picture_only_are_turned_without_a_size(tmp_path):
    oriented(tmp_path / "images" / "a.jpg", 6)
    (entry,) = read_table(coco(tmp_path, name="a.jpg")).entries
    np.testing.assert_allclose(entry.boxes[0], [BOXES[0, 1], WIDTH - BOXES[0, 2], BOXES[0, 3], WIDTH - BOXES[0, 0]])


@pytest.mark.parametrize(("orientation", "image"), [(3, SIZE), (2, None), (6, None)])
def test_an_orientation_that_says_nothing_certain_is_told(tmp_path, orientation, image):
    oriented(tmp_path / "images" / "a.jpg", orientation)
    few = XYWH[:2]  # inside both frames
    table = read_table(coco(tmp_path, few, image=image, name="a.jpg"))
    np.testing.assert_allclose(table.entries[0].boxes, BOXES[:2])
    assert f"has the EXIF orientation {orientation}" in table.warnings[0]


@pytest.mark.parametrize("factor", [2, 0.5, 3.3])
def test_boxes_of_a_picture_of_another_scale_are_scaled(tmp_path, factor):
    sides = round(factor * WIDTH), round(factor * HEIGHT)
    for kind, make in (("coco", coco), ("voc", voc)):
        folder = tmp_path / kind
        picture(folder / {"coco": "images", "voc": "JPEGImages"}[kind] / "a.png")
        if kind == "coco":
            image = {"width": sides[0], "height": sides[1], "gsd_m": 0.2}
            make(folder, XYWH * factor, image=image, change=lambda box, k: {"area": 50.0})
        else:
            make(folder, BOXES * factor + [1, 1, 0, 0], size=sides)
        table = read_table(folder)
        (entry,) = table.entries
        np.testing.assert_allclose(entry.boxes, BOXES, atol=0.3)
        assert entry.size == (WIDTH, HEIGHT)
        assert all(str(side) in table.warnings[0] for side in (*sides, WIDTH, HEIGHT))
        if kind == "coco":
            assert entry.gsd == pytest.approx(0.2 * factor) and entry.areas[0] == pytest.approx(50 / factor**2)


def test_a_size_that_is_a_default_of_the_tool_is_told_and_not_used(tmp_path):
    picture(tmp_path / "images" / "a.png")
    table = read_table(coco(tmp_path, image={"width": 100, "height": 60}))
    np.testing.assert_allclose(table.entries[0].boxes, BOXES)
    assert "the boxes fit the file and are taken as they are" in table.warnings[0]


def test_labels_of_a_picture_of_another_shape_are_not_used(tmp_path):
    picture(tmp_path / "images" / "a.png")
    with pytest.raises(
        NssaError, match=r"6 labels are not used.*another shape.*640 x 640 px, the file has 200 x 120 px"
    ):
        read_table(coco(tmp_path, image={"width": 640, "height": 640}))


def test_shares_need_no_size(tmp_path):
    folder = yolo(tmp_path, [[0, 0.5, 0.5, 0.1, 0.2]])
    (entry,) = read_table(folder).entries
    np.testing.assert_allclose(entry.boxes, [[90, 48, 110, 72]])
    assert entry.size == (WIDTH, HEIGHT)


def test_headers_follow_their_files(tmp_path):
    picture(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png").size == (WIDTH, HEIGHT)
    picture(tmp_path / "a.png", 31, 17)
    assert read_header(tmp_path / "a.png").size == (31, 17)
