"""Small labelled folders, made on the spot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

#: Names of the two images of :func:`write_visdrone`, without suffix.
VISDRONE_NAMES = ("0000001_02999_d_0000005", "0000002_00005_d_0000014")
_VISDRONE_LINES = (
    "10,20,30,12,1,4,0,0",
    "50,20,8,9,1,1,0,2,",  # a comma at the end
    "",
    "0,0,40,10,0,0,0,0",  # ignored region
    "60,60,10,10,0,11,0,0",  # others
    "5,5,0,7,1,10,0,0",  # no width
    "70,30,20,10,1,10,1,1",
)


def write_coco(
    folder: Path, images: int = 4, size: int = 96, scenes: Sequence[str] = ("a", "b"), seed: int = 0, **fields: Any
) -> Path:
    """Write a COCO folder: noise with four bright rectangles, the cars, on each image.

    Parameters
    ----------
    folder : Path
        Gets ``images/0.png`` and so on, and ``instances.json``.
    images : int
        How many.
    size : int
        Their side in pixels; 0.25 m each.
    scenes : sequence of str
        Scenes of the images, in turn.
    seed : int
        Of noise and places.
    **fields
        Further fields of every image.

    Returns
    -------
    Path
        ``folder``.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for i in range(images):
        pixels = rng.integers(60, 90, (size, size, 3)).astype(np.uint8)
        for _ in range(4):
            x, y = rng.integers(5, size - 25, 2).tolist()
            w, h = rng.integers(8, 18, 2).tolist()
            pixels[y : y + h, x : x + w] = 230
            box = {"image_id": i, "category_id": 3, "bbox": [x, y, w, h], "iscrowd": 0}
            annotations.append({"id": len(annotations), **box})
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
        row = {"id": i, "file_name": f"{i}.png", "width": size, "height": size, "gsd_m": 0.25}
        rows.append({**row, "scene": scenes[i % len(scenes)], **fields})
    categories = [{"id": 3, "name": "car"}, {"id": 7, "name": "tree"}]
    table = {"images": rows, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(table))
    return folder


def write_visdrone(folder: Path) -> Path:
    """Write a VisDrone-DET folder of two grey images of 100 x 80 pixels, with all traps of the format in the first.

    Returns
    -------
    Path
        ``folder``.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir()
    for name, lines in zip(VISDRONE_NAMES, (_VISDRONE_LINES, ()), strict=True):
        Image.new("RGB", (100, 80), (90, 100, 110)).save(folder / "images" / f"{name}.jpg")
        (folder / "annotations" / f"{name}.txt").write_text("\n".join(lines) + "\n" * bool(lines))
    return folder
