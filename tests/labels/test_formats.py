"""Label files in the exact formats, with their traps."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.labels.registry import guess_format, read_table
from nssa_gis.testing.labels import write_visdrone

SHARED = Path(__file__).parents[3] / "shared" / "data"


def picture(path, width=100, height=80):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (90, 100, 110)).save(path)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def names(table, entry):
    return [table.categories[k] for k in entry.categories]


@pytest.fixture
def visdrone(tmp_path):
    return write_visdrone(tmp_path)


def test_visdrone(visdrone):
    assert guess_format(visdrone) == "visdrone"
    table = read_table(visdrone)
    first, second = table.entries
    assert len(table.categories) == 10
    assert names(table, first) == ["car", "pedestrian", "motor"]
    assert first.categories.tolist() == [3, 0, 9]
    assert first.boxes.tolist() == [[10, 20, 40, 32], [50, 20, 58, 29], [70, 30, 90, 40]]
    assert first.ignore.tolist() == [[0, 0, 40, 10]]
    assert first.ignore_categories is None, "regions are for all categories"
    assert first.size == (100, 80)
    assert first.ignore_in_training.tolist() == [[60, 60, 70, 70]]
    assert first.scene == "0000001"
    assert len(second.boxes) == len(second.ignore) == 0


def test_visdrone_boxes_are_clipped_to_the_image(visdrone):
    path = visdrone / "annotations" / "0000002_00005_d_0000014.txt"
    path.write_text(
        "-5,70,15,20,1,4,0,0\n90,10,30,5,1,4,0,0\n100,10,30,5,1,4,0,0\n-9,-9,5,5,1,1,0,0\n90,70,20,20,0,0,0,0\n"
    )
    second = read_table(visdrone).entries[1]
    assert second.boxes.tolist() == [[0, 70, 10, 80], [90, 10, 100, 15]], "those outside are dropped"
    assert second.categories.tolist() == [3, 3]
    assert second.ignore.tolist() == [[90, 70, 100, 80]]


@pytest.mark.parametrize(
    "line", ["1,2,3,4,1,12,0,0", "1,2,3,4,1,4,0", "1,2,x,4,1,4,0,0", "1 2 3 4 1 4 0 0", "1,2,3,4,1,-1,0,0"]
)
def test_visdrone_names_file_and_line_of_what_is_wrong(visdrone, line):
    path = visdrone / "annotations" / "0000002_00005_d_0000014.txt"
    path.write_text("1,2,3,4,1,4,0,0\n" + line + "\n")
    with pytest.raises(NssaError, match=rf"{path.name}, line 2"):
        read_table(visdrone)


@pytest.mark.skipif(not (SHARED / "visdrone_sample").is_dir(), reason="the labelled images are not here")
def test_real_visdrone_files():
    table = read_table(SHARED / "visdrone_sample")
    assert len(table.entries) == 4
    rows = sum(
        len([line for line in path.read_text().splitlines() if line.strip()])
        for path in (SHARED / "visdrone_sample" / "annotations").glob("*.txt")
    )
    assert rows == 524
    assert sum(len(e.boxes) + len(e.ignore) + len(e.ignore_in_training) for e in table.entries) == rows


AITOD = ["airplane", "bridge", "storage-tank", "ship", "swimming-pool", "vehicle", "person", "wind-mill"]


@pytest.mark.parametrize("first_id", [0, 1])
def test_aitod_goes_by_name_whatever_the_ids(tmp_path, first_id):
    picture(tmp_path / "test" / "P0001__1.0__0___0.png", 800, 800)
    table = {
        "images": [{"id": 7, "file_name": "P0001__1.0__0___0.png", "width": 800, "height": 800}],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": first_id + 5,
                "bbox": [10.5, 20.25, 12.0, 8.5],
                "area": 102,
                "iscrowd": 0,
            },
            {"id": 2, "image_id": 7, "category_id": first_id, "bbox": [100, 100, 30, 30], "area": 900, "iscrowd": 0},
        ],
        "categories": [{"id": first_id + k, "name": name} for k, name in enumerate(AITOD)],
    }
    (tmp_path / "aitodv2_test.json").write_text(json.dumps(table))
    got = read_table(tmp_path, None, "aitodv2_test.json", "test")
    assert names(got, got.entries[0]) == ["vehicle", "airplane"]
    assert got.entries[0].boxes[0].tolist() == [10.5, 20.25, 22.5, 28.75]
    assert got.entries[0].path.is_file()


def test_coco_crowds_and_unknown_categories(tmp_path):
    picture(tmp_path / "images" / "a.png")
    table = {
        "images": [{"id": 1, "file_name": "a.png", "mistakes": [[1, 2, 3, 4]]}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "iscrowd": 1},
            {"image_id": 1, "category_id": 1, "bbox": [9, 9, 5, 5]},
            {"image_id": 1, "category_id": 1, "bbox": [9, 9, 0, 5]},
        ],
        "categories": [{"id": 1, "name": "car"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(table))
    entry = read_table(tmp_path).entries[0]
    assert entry.boxes.tolist() == [[9, 9, 14, 14]]
    assert entry.ignore.tolist() == [[0, 0, 5, 5]]
    assert entry.ignore_categories.tolist() == [0]
    assert entry.areas.tolist() == [25]
    assert entry.scene == "a"
    assert entry.hard_negatives.tolist() == [[1, 2, 4, 6]]
    table["annotations"][1]["category_id"] = 9
    (tmp_path / "instances.json").write_text(json.dumps(table))
    with pytest.raises(NssaError, match="unknown category 9"):
        read_table(tmp_path)


def coco(folder, annotations, images=({"id": 1, "file_name": "a.png"},), categories=("car", "Ignored_Regions")):
    table = {
        "images": list(images),
        "annotations": [{"image_id": 1, "category_id": 0, **a} for a in annotations],
        "categories": [{"id": k, "name": name} for k, name in enumerate(categories)],
    }
    text(folder / "instances.json", json.dumps(table))
    for image in images:
        picture(folder / "images" / image["file_name"])
    return read_table(folder)


def test_coco_areas_are_those_stated_and_lose_no_digit(tmp_path):
    boxes = [[10.37, 20.19, 8, 8], [0.1, 0.2, 16, 16], [1, 2, 3.1, 4.7]]
    entry = coco(tmp_path, [{"bbox": b} for b in boxes] + [{"bbox": boxes[0], "area": 12.5}]).entries[0]
    assert entry.areas.tolist() == [64, 256, 3.1 * 4.7, 12.5]
    assert entry.boxes.dtype == np.float64
    assert entry.boxes[0] == pytest.approx([10.37, 20.19, 18.37, 28.19], abs=1e-12)
    with pytest.raises(NssaError, match=r"annotations\[0\] has no usable 'area'"):
        coco(tmp_path, [{"bbox": boxes[0], "area": "large"}])


def test_coco_crowds_belong_to_their_category(tmp_path):
    rows = [{"bbox": [k, 0, 9, 9], "category_id": c, "iscrowd": 1} for k, c in enumerate((0, 1, 77))]
    entry = coco(tmp_path, rows).entries[0]
    assert entry.ignore[:, 0].tolist() == [0, 1, 2]
    assert entry.ignore_categories.tolist() == [0, -1, -1], "no category is for all"


def test_coco_scenes_are_stems_where_none_is_stated(tmp_path):
    images = [{"id": 1, "file_name": "north/P1__2.png"}, {"id": 2, "file_name": "b.png", "scene": "harbour"}]
    images += [{"id": 3, "file_name": "c.png", "scene": ""}, {"id": 4, "file_name": "d.png", "scene": 0}]
    assert [e.scene for e in coco(tmp_path, [], images).entries] == ["P1__2", "harbour", "c", "0"]


def test_dota(tmp_path):
    picture(tmp_path / "images" / "P0001.png")
    picture(tmp_path / "images" / "P0002.png")
    picture(tmp_path / "images" / "P0003.png")
    text(
        tmp_path / "labelTxt" / "P0001.txt",
        "imagesource:GoogleEarth\ngsd:0.146343590398\n"
        "30.0 10.0 40.5 20.0 30.0 30.0 19.5 20.0 small-vehicle 0\n"
        "-5 60 10 60 10 90 -5 90 large-vehicle 1\n"
        "70 70 95.5 70 95.5 99 70 99 ship 0\n"
        "110 10 130 10 130 20 110 20 ship 0\n"
        "10 85 20 85 20 99 10 99 ship 1\n",
    )
    text(tmp_path / "labelTxt" / "P0002.txt", "imagesource:GoogleEarth\ngsd:null\n")
    text(tmp_path / "labelTxt" / "P0003.txt", "1 1 5 1 5 5 1 5 ship\n")
    table = read_table(tmp_path)
    first, second, third = table.entries
    assert table.categories == ("large-vehicle", "ship", "small-vehicle")
    assert names(table, first) == ["small-vehicle", "ship"]
    assert first.boxes[0].tolist() == [19.5, 10, 40.5, 30]
    assert first.boxes[1].tolist() == [70, 70, 95.5, 80], "cut to the image; what lies outside is dropped"
    assert first.ignore.tolist() == [[0, 60, 10, 80]], "difficult objects are ignore regions"
    assert first.ignore_categories.tolist() == [0]
    assert first.gsd == pytest.approx(0.146343590398)
    assert (second.gsd, len(second.boxes)) == (None, 0)
    assert names(table, third) == ["ship"]
    text(tmp_path / "labelTxt" / "P0003.txt", "imagesource:x\n1 1 5 1 5 5 1 ship 0\n")
    with pytest.raises(NssaError, match=r"P0003.txt, line 2"):
        read_table(tmp_path)


def test_yolo(tmp_path):
    picture(tmp_path / "images" / "val" / "a.jpg", 200, 100)
    picture(tmp_path / "images" / "val" / "b.jpg", 200, 100)
    text(tmp_path / "labels" / "val" / "a.txt", "1 0.5 0.5 0.1 0.2\n0 0.1 0.1 0.3 0.1 0.3 0.4\n")
    text(tmp_path / "data.yaml", "path: .\nval: images/val\nnc: 2\nnames:\n  0: car\n  1: ship\n")
    table = read_table(tmp_path, None, "labels/val", "images/val")
    a, b = table.entries
    assert table.categories == ("car", "ship")
    assert names(table, a) == ["ship", "car"]
    np.testing.assert_allclose(a.boxes, [[90, 40, 110, 60], [20, 10, 60, 40]], atol=1e-4)
    assert len(b.boxes) == 0, "without a label file an image is empty"
    text(tmp_path / "labels" / "val" / "a.txt", "2 0.5 0.5 0.1 0.2\n")
    with pytest.raises(NssaError, match=r"a\.txt, line 1: class 2 has no name"):
        read_table(tmp_path, "yolo", "labels/val", "images/val")
    (tmp_path / "data.yaml").write_text("names: !!python/object/apply:os.system ['false']\n")
    with pytest.raises(NssaError, match="cannot read the class names"):
        read_table(tmp_path, "yolo", "labels/val", "images/val")


VOC = """<annotation><filename>a.jpg</filename><size><width>100</width><height>80</height><depth>3</depth></size>
<object><name>car</name><difficult>0</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>10</xmax><ymax>5</ymax></bndbox></object>
<object><name>car</name><difficult>1</difficult><bndbox><xmin>21</xmin><ymin>31</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>
<object><name>boat</name><bndbox><xmin>50.5</xmin><ymin>51</ymin><xmax>60</xmax><ymax>60</ymax></bndbox></object>
</annotation>"""


def test_voc(tmp_path):
    picture(tmp_path / "JPEGImages" / "a.jpg")
    text(tmp_path / "Annotations" / "a.xml", VOC)
    table = read_table(tmp_path)
    (entry,) = table.entries
    assert table.categories == ("boat", "car")
    assert names(table, entry) == ["car", "boat"]
    assert entry.boxes[0].tolist() == [0, 0, 10, 5], "counted from 1, both ends inclusive"
    assert entry.ignore.tolist() == [[20, 30, 30, 40]]
    assert entry.ignore_categories.tolist() == [1]


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]><annotation>&a;</annotation>', "document type"),
        ("<annotation><object>", "no XML"),
        ("<annotation><object><name>car</name></object></annotation>", "lacks its name or a side"),
        (VOC.replace("<xmin>1<", "<xmin>one<"), "not four numbers"),
    ],
)
def test_voc_refuses(tmp_path, xml, message):
    picture(tmp_path / "JPEGImages" / "a.jpg")
    text(tmp_path / "Annotations" / "a.xml", xml)
    with pytest.raises(NssaError, match=message):
        read_table(tmp_path)


def test_a_folder_of_no_format_says_what_was_looked_for(tmp_path):
    with pytest.raises(NssaError, match=r"instances\.json \(coco\).*labelTxt \(dota\)"):
        read_table(tmp_path)
    with pytest.raises(UsageError, match="known: coco, visdrone"):
        read_table(tmp_path, "pascal")
