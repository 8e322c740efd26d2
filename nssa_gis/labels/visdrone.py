"""VisDrone-DET txt: ``left,top,width,height,score,category,truncation,occlusion``, maybe with a comma at the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nssa_gis.errors import NssaError
from nssa_gis.labels.folders import labelled
from nssa_gis.labels.table import Entry, Table, corners, numbers, read_lines
from nssa_gis.labels.tally import Tally

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

    Category 0 is an ignored region; 11 ("others") is no class and is ignored in training only. Boxes
    are clipped to the image by the registry. Coordinates are used as they are: nothing is taken off by
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
    tally, entries = Tally(), []
    for pair in labelled(folder / (images or "images"), labels, ".txt", tally, lambda path: len(read_lines(path))):
        assert pair.labels is not None
        rows = [_row(pair.labels, number, line) for number, line in read_lines(pair.labels)]
        table = np.array(rows, np.float64).reshape(-1, 5)
        boxes, category = corners(table[:, :4]), table[:, 4].astype(np.int64)
        real = (category != _IGNORED) & (category != _OTHERS)
        entries.append(
            Entry(
                pair.image,
                pair.name,
                boxes[real],
                category[real] - 1,
                ignore=boxes[(category == _IGNORED)],
                ignore_in_training=boxes[(category == _OTHERS)],
                scene=pair.image.stem.split("_")[0],
            )
        )
    return Table(CATEGORIES, tuple(entries), tally.dropped)


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
