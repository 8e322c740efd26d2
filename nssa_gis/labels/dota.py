"""DOTA txt: optional header lines, then ``x1 y1 x2 y2 x3 y3 x4 y4 class difficult``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nssa_gis.errors import NssaError
from nssa_gis.labels.table import Entry, Table, clipped, image_size, images_by_stem, numbers, read_lines


def read_dota(folder: Path, annotations: str | None = None, images: str | None = None) -> Table:
    """Read a DOTA split.

    The box of an object is the extent of its polygon, clipped to the image; those that lie outside are dropped.
    Difficult objects are ignore regions for their category. Categories are those that occur, sorted: the
    files do not list them. The GSD is taken from the header where it is a number.

    Parameters
    ----------
    folder : Path
        With ``labelTxt/*.txt`` and ``images/``.
    annotations, images : str, optional
        Other names of these two.

    Raises
    ------
    NssaError
        A line is neither a header nor an object; an image cannot be read.
    """
    labels = folder / (annotations or "labelTxt")
    found = []
    for stem, path in images_by_stem(folder / (images or "images")).items():
        source = labels / f"{stem}.txt"
        gsd, rows = None, []
        for number, line in read_lines(source):
            if line.lower().startswith("imagesource:"):
                continue
            if line.lower().startswith("gsd:"):
                gsd = _gsd(line.split(":", 1)[1])
                continue
            rows.append(_row(source, number, line))
        found.append((path, gsd, rows))
    names = sorted({name for _, _, rows in found for _, name, _ in rows})
    entries = []
    for path, gsd, rows in found:
        size = image_size(path)
        boxes = clipped(np.array([box for box, _, _ in rows], np.float64).reshape(-1, 4), size)
        hard = np.array([difficult for _, _, difficult in rows], bool)
        category = np.array([names.index(name) for _, name, _ in rows], np.int64)
        some = (boxes[:, 2:] > boxes[:, :2]).all(1)
        entries.append(
            Entry(
                path,
                path.name,
                boxes[some & ~hard],
                category[some & ~hard],
                ignore=boxes[some & hard],
                ignore_categories=category[some & hard],
                gsd=gsd,
                scene=path.stem,
                size=size,
            )
        )
    return Table(tuple(names), tuple(entries))


def _gsd(text: str) -> float | None:
    """Read the header's number; it may be missing or ``null``."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) and value > 0 else None


def _row(path: Path, number: int, line: str) -> tuple[list[float], str, bool]:
    wanted = "x1 y1 x2 y2 x3 y3 x4 y4 class difficult"
    parts = line.split()
    if len(parts) not in (9, 10):
        raise NssaError(f"{path}, line {number}: not {wanted}")
    xy = numbers(parts[:8], path, number, wanted)
    if len(parts) == 10 and parts[9] not in ("0", "1", "2"):
        raise NssaError(f"{path}, line {number}: difficult is 0 or 1, not {parts[9]!r}")
    box = [min(xy[0::2]), min(xy[1::2]), max(xy[0::2]), max(xy[1::2])]
    return box, parts[8], len(parts) == 10 and parts[9] != "0"
