"""VisDrone-DET txt: ``left,top,width,height,score,category,truncation,occlusion``, maybe with a comma at the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nssa_gis.errors import NssaError
from nssa_gis.labels.table import Entry, Table, clipped, corners, image_size, images_by_stem, numbers, read_lines

#: Categories 1 to 10 of the files; 0 is an ignored region, 11 "others".
CATEGORIES = (
    "pedestrian",
    "people",
    "bicycle",
    "car",
    "van",
    "truck",
    "tricycle",
    "awning-tricycle",
    "bus",
    "motor",
)
_IGNORED, _OTHERS = 0, 11


def read_visdrone(folder: Path, annotations: str | None = None, images: str | None = None) -> Table:
    """Read a VisDrone-DET split.

    Category 0 is an ignored region; 11 ("others") is no class and is ignored in training only. Boxes are
    clipped to the image; those without area are dropped. Coordinates are used as they are: nothing is taken off by
    one. Frames of one sequence share a scene (the first part of the name).

    Parameters
    ----------
    folder : Path
        With ``annotations/*.txt`` and ``images/``.
    annotations, images : str, optional
        Other names of these two.

    Raises
    ------
    NssaError
        A line has not eight numbers, or an unknown category; an image cannot be read.
    """
    labels = folder / (annotations or "annotations")
    entries = []
    for stem, path in images_by_stem(folder / (images or "images")).items():
        source = labels / f"{stem}.txt"
        rows = [_row(source, number, line) for number, line in read_lines(source)]
        table = np.array(rows, np.float64).reshape(-1, 5)
        size = image_size(path)
        boxes, category = clipped(corners(table[:, :4]), size), table[:, 4].astype(np.int64)
        some = (boxes[:, 2:] > boxes[:, :2]).all(1)
        real = some & (category != _IGNORED) & (category != _OTHERS)
        entries.append(
            Entry(
                path,
                path.name,
                boxes[real],
                category[real] - 1,
                ignore=boxes[some & (category == _IGNORED)],
                ignore_in_training=boxes[some & (category == _OTHERS)],
                scene=stem.split("_")[0],
                size=size,
            )
        )
    return Table(CATEGORIES, tuple(entries))


def _row(path: Path, number: int, line: str) -> list[float]:
    """``left, top, width, height, category`` of a line."""
    wanted = "left,top,width,height,score,category,truncation,occlusion"
    parts = [part for part in line.split(",") if part.strip()]
    if len(parts) != 8:
        raise NssaError(f"{path}, line {number}: not {wanted}")
    values = numbers(parts, path, number, wanted)
    if values[5] not in range(12):
        raise NssaError(f"{path}, line {number}: category {values[5]:g} is none of 0 to 11")
    return [*values[:4], values[5]]
