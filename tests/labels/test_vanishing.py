"""Labels as other programs write them: every one is read, or counted with the reason, or the run is refused."""

import json

import numpy as np
import pytest
from label_folders import BOXES, SHARES, XYWH, coco, picture, text, voc, yolo

from nssa_gis.errors import NssaError
from nssa_gis.labels.classes import boxes_of_no_class, class_table
from nssa_gis.labels.registry import read_table
from nssa_gis.labels.table import Table


def read(folder, **how):
    picture(folder / "images" / "a.png")
    return read_table(coco(folder, **how))


@pytest.mark.parametrize(
    "change",
    [
        lambda box, k: {"image_id": "1"},
        lambda box, k: {"image_id": 1.0, "category_id": "1"},
        lambda box, k: {"iscrowd": ["0", 0, False, None, "false", 0.0][k]},
        lambda box, k: {"bbox": [str(v) for v in box]},
        lambda box, k: {"bbox": [box[0] + box[2], box[1] + box[3], -box[2], -box[3]]},
        lambda box, k: {"bbox": [box[0] + box[2], box[1], -box[2], box[3]]},
        lambda box, k: {"area": [float("nan"), None, "120", -3, 5, 0][k]},
        lambda box, k: {"bbox": [], "segmentation": [np.array(BOXES[k][[0, 1, 2, 1, 2, 3, 0, 3]]).tolist()]},
    ],
)
def test_coco_values_of_other_writers_are_read(tmp_path, change):
    table = read(tmp_path, change=change)
    np.testing.assert_allclose(table.entries[0].boxes, BOXES)
    assert (table.entries[0].areas >= 0).all() and table.lost == 0


def test_coco_crowds_of_other_writers_are_read(tmp_path):
    table = read(tmp_path, change=lambda box, k: {"iscrowd": ["1", 1, True, "true", 0, "0"][k]})
    assert (len(table.entries[0].ignore), len(table.entries[0].boxes)) == (4, 2)
    with pytest.raises(NssaError, match=r"annotations\[0\] has no usable 'iscrowd'"):
        read(tmp_path, change=lambda box, k: {"iscrowd": "perhaps"})


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            {"image_id": 7},
            "2 labels are not used: their image is not listed (first: annotations[0] of instances.json, ",
        ),
        (
            {"bbox": [float("nan")] * 4},
            "2 labels are not used: their coordinates are not finite numbers (first: a.png, ",
        ),
        ({"bbox": [1, None, 3, 4]}, "2 labels are not used: their coordinates are not finite numbers (first: a.png, "),
        ({"bbox": [5, 5, 1e300, 4]}, "2 labels are not used: their coordinates are not finite numbers (first: a.png, "),
        ({"bbox": [5, 5, float("inf"), 4]}, "2 labels are not used: their coordinates are not finite"),
        (
            {"bbox": [5, 5, 0, 4]},
            "2 labels are not used: they have no width or height (first: a.png, bbox [5, 5, 0, 4])",
        ),
        (
            {"bbox": [900, 5, 9, 4]},
            "2 labels are not used: they lie outside their image (first: a.png, box 900,5 to 909,9)",
        ),
    ],
)
def test_coco_labels_that_cannot_be_used_are_counted(tmp_path, fault, told):
    table = read(tmp_path / "some", change=lambda box, k: {} if k % 3 else fault)
    assert (len(table.entries[0].boxes), table.lost) == (4, 2)
    assert table.warnings[0].startswith(told)
    with pytest.raises(NssaError, match=r"no label can be used: 6 labels|6 of 6 boxes"):
        read(tmp_path / "all", change=lambda box, k: fault)


def test_coco_ids_that_mean_two_things_are_refused(tmp_path):
    picture(tmp_path / "images" / "a.png")
    table = json.loads(coco(tmp_path).joinpath("instances.json").read_text())
    for part, row in (("images", {"id": "1", "file_name": "b.png"}), ("categories", {"id": 1, "name": "tree"})):
        text(tmp_path / "instances.json", json.dumps({**table, part: [*table[part], row]}))
        with pytest.raises(NssaError, match=f"{part} has the id 1 twice"):
            read_table(tmp_path)


def test_an_image_that_is_listed_twice_has_the_labels_of_both(tmp_path):
    picture(tmp_path / "images" / "a.png")
    table = json.loads(coco(tmp_path).joinpath("instances.json").read_text())
    table["images"].append({"id": 2, "file_name": "a.png"})
    for row in table["annotations"][:2]:
        row["image_id"] = 2
    table["annotations"].append({**table["annotations"][0], "image_id": 1})
    text(tmp_path / "instances.json", json.dumps(table))
    got = read_table(tmp_path)
    assert sorted(got.entries[0].boxes.tolist()) == sorted(BOXES.tolist()) and len(got.entries) == 1
    assert "lists 1 images more than once" in got.warnings[0]


def test_images_that_are_not_there(tmp_path):
    picture(tmp_path / "images" / "a.png")
    table = json.loads(coco(tmp_path).joinpath("instances.json").read_text())
    table["images"].append({"id": 2, "file_name": "gone.png"})
    table["annotations"][0]["image_id"] = 2
    text(tmp_path / "instances.json", json.dumps(table))
    got = read_table(tmp_path)
    assert [e.name for e in got.entries] == ["a.png"] and got.lost == 1
    assert "their image is not there" in got.warnings[0] and "gone.png" in got.warnings[1]
    (tmp_path / "images" / "a.png").unlink()
    with pytest.raises(NssaError, match="none of the 2 images that the labels name is there"):
        read_table(tmp_path)


@pytest.mark.parametrize("labels", ["labels/a.TXT", "labels/A.txt", "labels/A.Txt"])
def test_letters_of_other_case(tmp_path, labels):
    table = read_table(yolo(tmp_path, [[0, *row] for row in SHARES.tolist()], labels=labels))
    assert len(table.entries[0].boxes) == len(BOXES) and table.lost == 0


def test_voc_in_capitals_and_backwards(tmp_path):
    picture(tmp_path / "JPEGImages" / "a.JPG")
    voc(tmp_path, file="Annotations/a.XML", sides=("xmax", "ymin", "xmin", "ymax"))
    np.testing.assert_allclose(read_table(tmp_path).entries[0].boxes, BOXES)


def test_label_files_of_no_image(tmp_path):
    rows = [[0, *row] for row in SHARES.tolist()]
    with pytest.raises(NssaError, match="no label file has the name of an image: 6 labels"):
        read_table(yolo(tmp_path / "none", rows, labels="labels/b.txt"))
    folder = yolo(tmp_path / "some", rows)
    text(folder / "labels" / "b.txt", "0 0.5 0.5 0.1 0.1\n0 0.2 0.2 0.1 0.1\n")
    text(folder / "labels" / "README.txt", "Drawn by hand\n")
    table = read_table(folder)
    assert len(table.entries[0].boxes) == len(BOXES)
    assert [w.partition(" (first")[0] for w in table.warnings] == [
        "2 labels are not used: no image has the name of their file"
    ]
    picture(tmp_path / "voc" / "JPEGImages" / "a.png")
    voc(voc(tmp_path / "voc"), file="Annotations/b.xml")
    assert read_table(tmp_path / "voc").lost == len(BOXES)


def test_categories_of_one_name_are_all_used_and_others_are_counted():
    assert class_table(["vehicle"], ["car", "tree", "car"], {"vehicle": ("car",)}).tolist() == [0, -1, 0]
    assert boxes_of_no_class(Table(("car",), ()), np.array([0])) == {}


def test_boxes_of_other_categories_are_counted(tmp_path):
    folder = yolo(tmp_path, [[k % 3, *row] for k, row in enumerate(SHARES.tolist())], "names: [car, tree, bush]\n")
    table = read_table(folder)
    assert boxes_of_no_class(table, class_table(["car"], table.categories, {})) == {"tree": 2, "bush": 2}


def test_nothing_is_lost_where_nothing_is_wrong(tmp_path):
    table = read(tmp_path, boxes=XYWH)
    assert (table.lost, table.warnings, len(table.entries[0].boxes)) == (0, (), len(BOXES))
