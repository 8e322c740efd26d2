"""Labelled folders of one or a few images, in every format, with the same boxes."""

import json

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 200, 120
#: Boxes x0, y0, x1, y1 all over the image.
BOXES = np.array(
    [
        [10, 8, 22, 18],
        [40, 60, 52, 70],
        [90, 30, 104, 42],
        [150, 20, 162, 30],
        [170, 90, 190, 104],
        [120, 100, 131, 111],
    ],
    float,
)
CENTRED = np.column_stack(((BOXES[:, :2] + BOXES[:, 2:]) / 2, BOXES[:, 2:] - BOXES[:, :2]))
#: As Pascal VOC counts pixels: from 1, both ends inclusive.
FROM_ONE = np.column_stack((BOXES[:, :2] + 1, BOXES[:, 2:]))
SHARES = CENTRED / [WIDTH, HEIGHT, WIDTH, HEIGHT]
XYWH = np.column_stack((BOXES[:, :2], BOXES[:, 2:] - BOXES[:, :2]))


def picture(path, width=WIDTH, height=HEIGHT, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (90, 100, 110)).save(path, **how)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def coco(folder, boxes=XYWH, image=None, change=lambda row, number: {}, name="a.png", file="instances.json"):
    """A COCO folder without its image; ``change`` gives other values of an annotation."""
    rows = [
        {"id": k, "image_id": 1, "category_id": 1, "bbox": list(map(float, box))} | change(box, k)
        for k, box in enumerate(boxes)
    ]
    images = [{"id": 1, "file_name": name} | (image or {})]
    table = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "car"}]}
    text(folder / file, json.dumps(table))
    return folder


def yolo(folder, rows, description="names: [car]\n", labels="labels/a.txt", image="images/a.png"):
    picture(folder / image)
    lines = [line if isinstance(line, str) else " ".join(map(str, line)) for line in rows]
    text(folder / labels, "\n".join(lines) + "\n")
    if description is not None:
        text(folder / "data.yaml", description)
    return folder


def voc(folder, boxes=FROM_ONE, size=None, sides=("xmin", "ymin", "xmax", "ymax"), file="Annotations/a.xml"):
    objects = "".join(
        "<object><name>car</name><bndbox>"
        + "".join(f"<{side}>{value}</{side}>" for side, value in zip(sides, box, strict=True))
        + "</bndbox></object>"
        for box in boxes.tolist()
    )
    said = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    text(folder / file, f"<annotation>{said}{objects}</annotation>")
    return folder
