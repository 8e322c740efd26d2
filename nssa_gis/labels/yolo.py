"""YOLO txt: ``class x_centre y_centre width height``, all but the class as shares of the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nssa_gis.errors import NssaError
from nssa_gis.labels.table import Entry, Table, image_size, images_by_stem, numbers, read_lines


def read_yolo(folder: Path, annotations: str | None = None, images: str | None = None) -> Table:
    """Read a YOLO folder.

    Class names come from ``names`` in ``data.yaml`` (or the only ``*.yaml``), or from ``classes.txt``. An image without
    a label file is empty. Lines with more than five columns are polygons; their extent is the box.

    Parameters
    ----------
    folder : Path
        With ``labels/`` and ``images/``.
    annotations, images : str, optional
        Other names of these two, such as ``labels/val`` and ``images/val``.

    Raises
    ------
    NssaError
        No class names, a malformed line, or a class without a name.
    """
    names = _names(folder)
    labels = folder / (annotations or "labels")
    if not labels.is_dir():
        raise NssaError(f"{folder}: no folder {labels.name} with YOLO label files")
    entries = []
    place = folder / (images or "images")
    for stem, path in images_by_stem(place).items():
        source = labels / path.relative_to(place).with_suffix(".txt")
        rows = [_row(source, *line, len(names)) for line in read_lines(source)] if source.is_file() else []
        table = np.array(rows, np.float64).reshape(-1, 5)
        size = image_size(path)
        boxes = table[:, 1:] * np.array([*size, *size])
        some = (boxes[:, 2:] > boxes[:, :2]).all(1)
        entries.append(Entry(path, path.name, boxes[some], table[some, 0].astype(np.int64), scene=stem, size=size))
    return Table(tuple(names), tuple(entries))


def _row(path: Path, number: int, line: str, classes: int) -> list[float]:
    """``class, x0, y0, x1, y1`` as shares of the image."""
    wanted = "class x_centre y_centre width height"
    values = numbers(line.split(), path, number, wanted)
    polygon = len(values) >= 7 and len(values) % 2 == 1
    if len(values) != 5 and not polygon:
        raise NssaError(f"{path}, line {number}: not {wanted}")
    if values[0] not in range(classes):
        raise NssaError(f"{path}, line {number}: class {values[0]:g} has no name; there are {classes} names from 0")
    if polygon:
        xs, ys = values[1::2], values[2::2]
        return [values[0], min(xs), min(ys), max(xs), max(ys)]
    _, x, y, w, h = values
    return [values[0], x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def _names(folder: Path) -> list[str]:
    listing = folder / "classes.txt"
    if listing.is_file():
        return [line for _, line in read_lines(listing)]
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    path = next((f for f in files if f.stem == "data"), files[0] if len(files) == 1 else None)
    if path is None:
        raise NssaError(f"{folder}: no classes.txt and no data.yaml: what do the class numbers mean?")
    try:
        import yaml
    except ImportError:
        raise NssaError("pyyaml is not installed; pip install 'nssa-gis[train]'") from None
    try:
        names: Any = yaml.safe_load(path.read_text(encoding="utf-8"))["names"]
        if isinstance(names, dict):
            names = [names[k] for k in range(len(names))]
        if not isinstance(names, list) or not names:
            raise TypeError("names is neither a list nor numbered from 0")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise NssaError(f"{path}: cannot read the class names ({reason}); 'names' as a list is expected") from None
    return [str(name) for name in names]
