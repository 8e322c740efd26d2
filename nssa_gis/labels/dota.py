"""DOTA txt: optional header lines, then ``x1 y1 x2 y2 x3 y3 x4 y4 class difficult``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from nssa_gis.errors import NssaError
from nssa_gis.labels.folders import labelled
from nssa_gis.labels.table import Entry, Table, numbers, read_lines
from nssa_gis.labels.tally import Tally


def read_dota(folder: Path, annotations: str | None = None, images: str | None = None) -> Table:
    """Read a DOTA split.

    The box of an object is the extent of its polygon (clipped to the image by the registry, as VisDrone's are).
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
    tally, found = Tally(), []
    for pair in labelled(folder / (images or "images"), labels, ".txt", tally, lambda path: len(_rows(path)[1])):
        assert pair.labels is not None
        gsd, rows = _rows(pair.labels)
        found.append((pair, gsd, rows))
    names = sorted({name for _, _, rows in found for _, name, _ in rows})
    entries = []
    for pair, gsd, rows in found:
        boxes = np.array([box for box, _, _ in rows], np.float64).reshape(-1, 4)
        hard = np.array([difficult for _, _, difficult in rows], bool)
        category = np.array([names.index(name) for _, name, _ in rows], np.int64)
        entries.append(
            Entry(
                pair.image,
                pair.name,
                boxes[~hard],
                category[~hard],
                ignore=boxes[hard],
                ignore_categories=category[hard],
                gsd=gsd,
                scene=pair.image.stem,
            )
        )
    return Table(tuple(names), tuple(entries), tally.dropped)


def _rows(source: Path) -> tuple[float | None, list[tuple[list[float], str, bool]]]:
    """GSD of the header, and the objects."""
    gsd, rows = None, []
    for number, line in read_lines(source):
        if line.lower().startswith("imagesource:"):
            continue
        if line.lower().startswith("gsd:"):
            gsd = _gsd(line.split(":", 1)[1])
            continue
        rows.append(_row(source, number, line))
    return gsd, rows


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
    if re.fullmatch(r"[0-9]*\.[0-9]+", parts[8]):
        raise NssaError(f"{path}, line {number}: {parts[8]} is a number, not a class; DOTA lines are {wanted}")
    if len(parts) == 10 and parts[9] not in ("0", "1", "2"):
        raise NssaError(f"{path}, line {number}: difficult is 0 or 1, not {parts[9]!r}")
    box = [min(xy[0::2]), min(xy[1::2]), max(xy[0::2]), max(xy[1::2])]
    return box, parts[8], len(parts) == 10 and parts[9] != "0"
