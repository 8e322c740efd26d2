"""Pascal VOC XML: one file an image, boxes counted in pixels from 1, both ends inclusive."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from nssa_gis.errors import NssaError
from nssa_gis.labels.folders import Pair, labelled
from nssa_gis.labels.frames import read_header
from nssa_gis.labels.table import Entry, Table, forwards, numbers
from nssa_gis.labels.tally import Tally

#: So many boxes are needed before all of them can be told to be sizes by their places.
_SEVERAL = 5
_Object = tuple[str, bool, list[float]]


def read_voc(folder: Path, annotations: str | None = None, images: str | None = None) -> Table:
    """Read a Pascal VOC folder.

    ``xmin`` and ``ymin`` lose one: pixel 1 begins at edge 0; ``xmax`` and ``ymax`` stay, for the last pixel belongs to
    the box. Difficult objects are ignore regions for their category. Categories are those that occur, sorted.

    Parameters
    ----------
    folder : Path
        With ``Annotations/*.xml`` and ``JPEGImages/``, or with images and XML files side by side.
    annotations, images : str, optional
        Other names of these two.

    Raises
    ------
    NssaError
        A file is no VOC XML, or declares a document type (never needed, and a way to exhaust memory).
    """
    labels, pictures = folder / (annotations or "Annotations"), folder / (images or "JPEGImages")
    if not (annotations or images or labels.is_dir()):
        labels = pictures = folder  # side by side
    tally, found = Tally(), []
    for pair in labelled(pictures, labels, ".xml", tally, lambda path: len(list(_parse(path).iter("object")))):
        assert pair.labels is not None
        root = _parse(pair.labels)
        objects = [_object(pair.labels, item) for item in root.iter("object")]
        found.append((pair, _declared(root), objects))
    _refuse_sizes(folder, found)
    names = sorted({name for _, _, rows in found for name, _, _ in rows})
    entries = []
    for pair, declared, rows in found:
        # pixel 1 begins at edge 0, and the last pixel belongs to the box
        boxes = forwards(np.array([box for _, _, box in rows], np.float64).reshape(-1, 4)) - [1, 1, 0, 0]
        hard = np.array([difficult for _, difficult, _ in rows], bool)
        category = np.array([names.index(name) for name, _, _ in rows], np.int64)
        entries.append(
            Entry(
                pair.image,
                pair.name,
                boxes[~hard],
                category[~hard],
                ignore=boxes[hard],
                ignore_categories=category[hard],
                scene=pair.image.stem,
                declared=declared,
            )
        )
    return Table(tuple(names), tuple(entries), tally.dropped)


def _refuse_sizes(folder: Path, found: list[tuple[Pair, tuple[int, int] | None, list[_Object]]]) -> None:
    """Refuse boxes of ``x, y, width, height``: most would be drawn backwards, and as sizes all lie in their image."""
    boxes = np.array([box for _, _, rows in found for _, _, box in rows], np.float64).reshape(-1, 4)
    sides = [(declared or read_header(pair.image).size) for pair, declared, rows in found for _ in rows]
    if len(boxes) < _SEVERAL:
        return
    backwards = (boxes[:, 2:] < boxes[:, :2]).all(1)
    if 2 * backwards.sum() > len(boxes) and (boxes[:, :2] + boxes[:, 2:] <= np.array(sides) + 2).all():
        raise NssaError(
            f"{folder}: the boxes look like x, y, width, height; VOC has xmin, ymin, xmax, ymax: convert them"
        )


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


def _declared(root: ElementTree.Element) -> tuple[int, int] | None:
    """Width and height of the picture, if they are stated."""
    try:
        width, height = (round(float(root.findtext(f"size/{side}") or 0)) for side in ("width", "height"))
    except (ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def _object(path: Path, item: ElementTree.Element) -> _Object:
    """Name, difficult, box."""
    parts = [item.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
    name = (item.findtext("name") or "").strip()
    if not name or None in parts:
        raise NssaError(f"{path}: an object lacks its name or a side of its bndbox")
    try:
        x0, y0, x1, y1 = numbers([part or "" for part in parts], path, 0, "")
    except NssaError:
        raise NssaError(f"{path}: the bndbox of an object {name!r} is not four numbers") from None
    return name, (item.findtext("difficult") or "0").strip() == "1", [x0, y0, x1, y1]
