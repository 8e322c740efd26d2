"""Pascal VOC XML: one file an image, boxes counted in pixels from 1, both ends inclusive."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from nssa_gis.errors import NssaError
from nssa_gis.labels.table import Entry, Table, images_by_stem, numbers


def read_voc(folder: Path, annotations: str | None = None, images: str | None = None) -> Table:
    """Read a Pascal VOC folder.

    ``xmin`` and ``ymin`` lose one: pixel 1 begins at edge 0; ``xmax`` and ``ymax`` stay, for the last pixel belongs to
    the box. Difficult objects are ignore regions for their category. Categories are those that occur, sorted.

    Parameters
    ----------
    folder : Path
        With ``Annotations/*.xml`` and ``JPEGImages/``.
    annotations, images : str, optional
        Other names of these two.

    Raises
    ------
    NssaError
        A file is no VOC XML, or declares a document type (never needed, and a way to exhaust memory).
    """
    labels = folder / (annotations or "Annotations")
    found = []
    for stem, path in images_by_stem(folder / (images or "JPEGImages")).items():
        source = labels / f"{stem}.xml"
        found.append((path, [_object(source, item) for item in _parse(source).iter("object")]))
    names = sorted({name for _, rows in found for name, _, _ in rows})
    entries = []
    for path, rows in found:
        boxes = np.array([box for _, _, box in rows], np.float64).reshape(-1, 4)
        hard = np.array([difficult for _, difficult, _ in rows], bool)
        category = np.array([names.index(name) for name, _, _ in rows], np.int64)
        some = (boxes[:, 2:] > boxes[:, :2]).all(1)
        entries.append(
            Entry(
                path,
                path.name,
                boxes[some & ~hard],
                category[some & ~hard],
                ignore=boxes[some & hard],
                ignore_categories=category[some & hard],
                scene=path.stem,
            )
        )
    return Table(tuple(names), tuple(entries))


def _parse(path: Path) -> ElementTree.Element:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NssaError(f"cannot read the labels {path}: {error}") from None
    # without the zero bytes of UTF-16 the declaration shows in any encoding
    if b"<!doctype" in data.replace(b"\0", b"").lower():
        raise NssaError(f"{path}: declares a document type, which VOC files do not; remove it")
    try:
        return ElementTree.fromstring(data)  # noqa: S314 - without a document type there are no entities to expand
    except (ElementTree.ParseError, ValueError) as error:
        raise NssaError(f"{path}: no XML ({error})") from None


def _object(path: Path, item: ElementTree.Element) -> tuple[str, bool, list[float]]:
    """Name, difficult, box."""
    parts = [item.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
    name = (item.findtext("name") or "").strip()
    if not name or None in parts:
        raise NssaError(f"{path}: an object lacks its name or a side of its bndbox")
    try:
        x0, y0, x1, y1 = numbers([part or "" for part in parts], path, 0, "")
    except NssaError:
        raise NssaError(f"{path}: the bndbox of an object {name!r} is not four numbers") from None
    return name, (item.findtext("difficult") or "0").strip() == "1", [x0 - 1, y0 - 1, x1, y1]
