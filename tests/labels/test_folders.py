"""Folders as people have them, and class names as tools write them."""

import json
import shutil

import numpy as np
import pytest
from label_folders import BOXES, SHARES, coco, picture, text, voc, yolo

from nssa_gis.errors import NssaError
from nssa_gis.labels.registry import guess_format, read_table

ROWS = [[0, *row] for row in SHARES.tolist()]


def litter(folder):
    """What systems and programs leave behind in every folder."""
    for place in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        for file in [p for p in place.iterdir() if p.is_file()]:
            (place / f"._{file.name}").write_bytes(b"\0\5\x16\7junk")
            (place / ".ipynb_checkpoints").mkdir(exist_ok=True)
            shutil.copy(file, place / ".ipynb_checkpoints" / f"{file.stem}-checkpoint{file.suffix}")
        (place / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
        (place / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    return folder


def dota(folder):
    picture(folder / "images" / "a.png")
    lines = [f"{a} {b} {c} {b} {c} {d} {a} {d} car 0" for a, b, c, d in BOXES.tolist()]
    text(folder / "labelTxt" / "a.txt", "\n".join(lines))
    return folder


def visdrone(folder):
    picture(folder / "images" / "a.png")
    lines = [f"{a},{b},{c - a},{d - b},1,4,0,0" for a, b, c, d in BOXES.tolist()]
    text(folder / "annotations" / "a.txt", "\n".join(lines))
    return folder


def pascal(folder):
    picture(folder / "JPEGImages" / "a.png")
    return voc(folder)


def coco_folder(folder):
    picture(folder / "images" / "a.png")
    return coco(folder)


MAKERS = {
    "coco": coco_folder,
    "yolo": lambda folder: yolo(folder, ROWS),
    "voc": pascal,
    "dota": dota,
    "visdrone": visdrone,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_what_systems_leave_behind_is_no_data(tmp_path, kind):
    folder = litter(MAKERS[kind](tmp_path))
    assert guess_format(folder) == kind
    table = read_table(folder)
    assert [e.name for e in table.entries] == ["a.png"] and table.warnings == ()
    np.testing.assert_allclose(table.entries[0].boxes, BOXES)


def test_one_name_in_several_folders(tmp_path):
    """Labels belong to the image of the same folder, in every format; paths of Windows mean the same."""
    for k, part in enumerate(("north", "south")):
        yolo(tmp_path / "yolo", ROWS[: k + 1], labels=f"labels/{part}/a.txt", image=f"images/{part}/a.png")
        picture(tmp_path / "voc" / "JPEGImages" / part / "a.png")
        voc(tmp_path / "voc", BOXES[: k + 1], file=f"Annotations/{part}/a.xml")
        picture(tmp_path / "coco" / "images" / part / "a.png")
    for separator in "/\\":
        images = [{"id": k, "file_name": f"{part}{separator}a.png"} for k, part in enumerate(("north", "south"))]
        rows = [{"image_id": k, "category_id": 1, "bbox": [5, 5, 9, 9]} for k in (0, 1, 1)]
        table = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "car"}]}
        text(tmp_path / "coco" / "instances.json", json.dumps(table))
        for kind in ("yolo", "voc", "coco"):
            if kind == "coco":
                rows[1]["bbox"] = [20, 20, 9, 9]
            got = {e.name: len(e.boxes) for e in read_table(tmp_path / kind).entries}
            assert got == {"north/a.png": 1, "south/a.png": 2}, kind


@pytest.mark.parametrize(
    "name", ["a.PNG", "A.png", "C:\\data\\images\\a.png", "/home/me/a.png", "images/a.png", "./a.png"]
)
def test_names_of_other_machines_find_their_image(tmp_path, name):
    picture(tmp_path / "images" / "a.png")
    table = read_table(coco(tmp_path, name=name))
    assert table.entries[0].path == tmp_path / "images" / "a.png" or table.entries[0].path.samefile(
        tmp_path / "images" / "a.png"
    )
    assert len(table.entries[0].boxes) == len(BOXES)


def test_a_name_of_two_images_finds_neither(tmp_path):
    for part in ("north", "south"):
        picture(tmp_path / "images" / part / "a.png")
    with pytest.raises(NssaError, match="none of the 1 images"):
        read_table(coco(tmp_path, name="elsewhere/a.png"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_in_json(tmp_path, encoding):
    picture(tmp_path / "images" / "a.png")
    path = coco(tmp_path) / "instances.json"
    path.write_text(path.read_text(), encoding=encoding)
    assert len(read_table(tmp_path).entries[0].boxes) == len(BOXES)


def test_byte_order_marks_in_texts(tmp_path):
    folder = yolo(tmp_path, ROWS)
    for path in (folder / "labels" / "a.txt", folder / "data.yaml"):
        path.write_text(path.read_text(), encoding="utf-8-sig")
    table = read_table(folder)
    assert table.categories == ("car",) and len(table.entries[0].boxes) == len(BOXES)
    (folder / "data.yaml").unlink()
    (folder / "classes.txt").write_text("car\n", encoding="utf-8-sig")
    assert read_table(folder).categories == ("car",)


def test_ultralytics_layout(tmp_path):
    for part in ("train", "val"):
        yolo(tmp_path, ROWS, labels=f"labels/{part}/{part}1.txt", image=f"images/{part}/{part}1.png")
    table = read_table(tmp_path)
    assert {e.name: len(e.boxes) for e in table.entries} == {"train/train1.png": 6, "val/val1.png": 6}
    assert "its parts train, val are read together" in table.warnings[0]
    (entry,) = read_table(tmp_path, annotations="labels/val").entries
    assert entry.name == "val1.png", "images/val belongs to labels/val"


@pytest.mark.parametrize("kind", ["coco", "yolo", "voc"])
def test_roboflow_layouts(tmp_path, kind):
    for part in ("train", "valid"):
        place = tmp_path / part
        if kind == "yolo":
            yolo(place, ROWS, None)
        else:
            picture(place / "a.png")
            coco(place, file="_annotations.coco.json") if kind == "coco" else voc(place, file="a.xml")
    if kind == "yolo":
        text(tmp_path / "data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['car']\n")
    assert guess_format(tmp_path / "train") == kind
    assert len(read_table(tmp_path / "valid").entries) == 1
    table = read_table(tmp_path)
    assert {e.name: len(e.boxes) for e in table.entries} == {"train/a.png": 6, "valid/a.png": 6}
    assert table.categories == ("car",) and "parts train, valid are read together" in table.warnings[0]


def test_labels_beside_their_images(tmp_path):
    yolo(tmp_path, ROWS, None, labels="a.txt", image="a.png")
    text(tmp_path / "classes.txt", "car\n")
    assert guess_format(tmp_path) == "yolo"
    assert len(read_table(tmp_path).entries[0].boxes) == len(BOXES)


@pytest.mark.parametrize(
    ("number", "files"),
    [
        (0, {"data.yaml": "names: [car]\n"}),
        (1, {"data.yaml": "names:\n  0: tree\n  1: car\n"}),
        (1, {"data.yaml": "names:\n  1: car\n"}),
        (2, {"data.yaml": "names: {2: car, 0: tree}\n"}),
        (1, {"data.yaml": "names: {'0': tree, '1': car}\n"}),
        (2, {"classes.txt": "tree\n\ncar\n\n"}),
        (1, {"labels/classes.txt": "tree\ncar\n"}),
        (1, {"obj.names": "tree\ncar\n"}),
        (1, {"data.yaml": "names: [tree, car]\n", "classes.txt": "tree\ncar\n"}),
        (1, {"settings.yaml": "size: 3\n", "classes.txt": "tree\ncar\n"}),
    ],
)
def test_class_numbers_mean_what_the_names_say(tmp_path, number, files):
    folder = yolo(tmp_path, [[number, *row] for row in SHARES.tolist()], None)
    for name, content in files.items():
        text(folder / name, content)
    table = read_table(folder)
    assert {table.categories[k] for k in table.entries[0].categories} == {"car"}
    assert len(table.entries[0].boxes) == len(BOXES)


@pytest.mark.parametrize(
    ("number", "files", "told"),
    [
        (3, {"data.yaml": "names: [car]\n"}, r"a\.txt, line 1: class 3 has no name; there are: 0 car"),
        (1, {"classes.txt": "tree\n\ncar\n"}, "class 1 has no name; there are: 0 tree, 2 car"),
        (0, {"data.yaml": "names: {1: car}\n"}, "class 0 has no name; there are: 1 car"),
        (0, {"data.yaml": "names: {car: 0}\n"}, "'car' is no class number"),
        (0, {"data.yaml": "names: car\n"}, "there are no names"),
        (
            0,
            {"data.yaml": "names: [car, tree]\n", "classes.txt": "tree\ncar\n"},
            "class 0 is 'car', in .* it is 'tree'",
        ),
        (0, {}, "what do the class numbers mean"),
    ],
)
def test_class_numbers_without_a_meaning_are_refused(tmp_path, number, files, told):
    folder = yolo(tmp_path, [[number, *row] for row in SHARES.tolist()], None)
    for name, content in files.items():
        text(folder / name, content)
    with pytest.raises(NssaError, match=told):
        read_table(folder)
