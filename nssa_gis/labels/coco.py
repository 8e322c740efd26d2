"""COCO JSON, also AI-TOD and AI-TODv2.

Categories go by name: copies of AI-TOD count ids from 0 or from 1. Additional image fields: ``gsd_m``, ``scene``,
``not_exhaustive``, ``hard_negatives`` (once ``mistakes``, still read); in additions ``exhaustive``. Annotations with
``iscrowd`` 1 are ignore regions for their category; for all categories where theirs is not listed or is called
ignored regions (VisDrone converted to COCO).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nssa_gis.errors import NssaError
from nssa_gis.labels.folders import ImageFinder
from nssa_gis.labels.table import Entry, Table, corners
from nssa_gis.labels.tally import NO_AREA, NOT_FINITE, Tally

#: The labels of a folder that Roboflow exports as COCO.
ROBOFLOW = "_annotations.coco.json"
#: Pixels; no coordinate of an image is larger.
_FARTHEST = 1e9
_YES, _NO = frozenset(("1", "true", "yes")), frozenset(("0", "false", "no", "", "none", "null"))


def _number(value: Any) -> float | None:
    """Give a number, also one written as text; NaN for null, None for anything else."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _key(value: Any) -> int | str | None:
    """Give an id as it is compared: 7, 7.0 and "7" are one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and re.fullmatch("0|-?[1-9][0-9]*", value.strip()):
        value = int(value)
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def _flag(value: Any) -> bool | None:
    """Read 0, 1, true, false and null, also as texts; None for anything else."""
    text = str(value).strip().lower().removesuffix(".0")
    return True if text in _YES else False if text in _NO else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(_number(v) is not None for v in value)


def _is_boxes(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_box, value)))


def _is_names(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_text, value)))


def _is_gsd(value: Any) -> bool:
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return value is None or (number is not None and 0 <= number < math.inf)


#: Names that are of no category: their regions are for all categories.
_REGIONS = frozenset(("ignore", "ignored", "ignored region", "ignored regions"))
#: What must be there, and of what kind, in each table of a COCO JSON.
_FIELDS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "images": {
        "id": lambda value: _key(value) is not None,
        "file_name": _is_text,
        "gsd_m": _is_gsd,
        "hard_negatives": _is_boxes,
        "mistakes": _is_boxes,
        "exhaustive": _is_names,
        "not_exhaustive": _is_names,
    },
    "annotations": {
        "image_id": lambda value: _key(value) is not None,
        "category_id": lambda value: _key(value) is not None,
        "bbox": lambda value: value in (None, []) or _is_box(value),
        "area": lambda value: _number(value) is not None,
        "iscrowd": lambda value: _flag(value) is not None,
    },
    "categories": {"id": lambda value: _key(value) is not None, "name": _is_text},
}


def read_coco(folder: Path, annotations: str | None = None, images: str | None = None) -> Table:
    """Read a COCO folder.

    Parameters
    ----------
    folder : Path
        The dataset.
    annotations : str, optional
        The JSON file, under ``folder`` (or absolute); by default ``instances.json``, or the ``_annotations.coco.json``
        of Roboflow, whose images lie beside it.
    images : str, optional
        Folder of the images, under ``folder``; by default ``images``, and where the JSON file lies.

    Raises
    ------
    NssaError
        The file is no COCO JSON.
    """
    path = folder / (annotations or "instances.json")
    if annotations is None and not path.is_file() and (folder / ROBOFLOW).is_file():
        path = folder / ROBOFLOW
    table, tally = _load(path), Tally()
    usual = folder / (images or "images")
    finder = ImageFinder((usual,) if images else (usual, path.parent, folder), usual if usual.is_dir() else folder)
    categories = _by_id(path, "categories", table["categories"], "name")
    names = {key: k for k, key in enumerate(categories)}
    regions = [k for k, name in enumerate(categories.values()) if re.sub("[-_]", " ", name.lower()) in _REGIONS]
    listed = _by_id(path, "images", table["images"], "file_name")
    rows: dict[Any, list[dict[str, Any]]] = {}
    for number, a in enumerate(table["annotations"]):
        if (owner := _key(a["image_id"])) not in listed:
            tally.drop("their image is not listed", f"annotations[{number}] of {path.name}, image_id {a['image_id']}")
            continue
        if _key(a["category_id"]) not in names and not _flag(a.get("iscrowd")):
            raise NssaError(
                f"{path}: an annotation of image {a['image_id']} has the unknown category {a['category_id']}"
            )
        rows.setdefault(owner, []).append(a)
    entries = []
    for image in table["images"]:
        own = rows.pop(_key(image["id"]), [])
        entries.append(_entry(image, own, names, regions, finder, tally))
    single = _each_once(entries)
    notes: tuple[str, ...] = ()
    if len(single) < len(entries):
        notes = (f"{path}: lists {len(entries) - len(single)} images more than once; the labels of each are joined",)
    return Table(tuple(categories.values()), tuple(single), tally.dropped, notes)


def _each_once(entries: list[Entry]) -> list[Entry]:
    """Join the labels of images that are listed more than once; a label that is there twice counts once."""
    found: dict[Path, Entry] = {}
    for entry in entries:
        first = found.get(entry.path)
        found[entry.path] = entry if first is None else _joined(first, entry)
    return list(found.values())


def _joined(first: Entry, more: Entry) -> Entry:
    rows = np.column_stack((first.boxes, first.categories)).tolist()
    new = np.array([row not in rows for row in np.column_stack((more.boxes, more.categories)).tolist()], bool)
    assert first.areas is not None and more.areas is not None
    return replace(
        first,
        boxes=np.concatenate((first.boxes, more.boxes[new])),
        categories=np.concatenate((first.categories, more.categories[new])),
        areas=np.concatenate((first.areas, more.areas[new])),
        ignore=np.concatenate((first.ignore, more.ignore)),
        ignore_categories=np.concatenate((first.ignore_concerns, more.ignore_concerns)),
        hard_negatives=np.concatenate((first.hard_negatives, more.hard_negatives)),
        gsd=first.gsd or more.gsd,
    )


def _entry(
    image: dict[str, Any],
    rows: list[dict[str, Any]],
    names: dict[int | str | None, int],
    regions: list[int],
    finder: ImageFinder,
    tally: Tally,
) -> Entry:
    name = image["file_name"].strip().replace("\\", "/")
    raw = np.array([_box(a) for a in rows], np.float64).reshape(-1, 4)
    boxes = corners(raw)
    finite = np.asarray((np.abs(raw) < _FARTHEST).all(1))  # False for NaN, too
    raw = np.where(finite[:, None], raw, np.nan)
    flat = finite & ~(boxes[:, 2:] > boxes[:, :2]).all(1)
    for wrong, reason in ((~finite, NOT_FINITE), (flat, NO_AREA)):
        tally.drop(
            reason, f"{name}, bbox {rows[int(wrong.argmax())].get('bbox')}" if wrong.any() else "", int(wrong.sum())
        )
    good = finite & ~flat
    crowd = np.array([bool(_flag(a.get("iscrowd"))) for a in rows], bool)
    labels = np.array([names.get(_key(a["category_id"]), -1) for a in rows], np.int64)
    scene = image.get("scene")
    return Entry(
        finder.find(name),
        name,
        boxes[good & ~crowd],
        labels[good & ~crowd],
        ignore=boxes[good & crowd],
        ignore_categories=np.where(np.isin(labels, regions), -1, labels)[good & crowd],
        gsd=image.get("gsd_m") or None,
        scene=PurePosixPath(name).stem if scene in (None, "") else str(scene),
        not_exhaustive=tuple(image.get("not_exhaustive") or ()),
        hard_negatives=_all_finite(image.get("hard_negatives") or image.get("mistakes") or []),
        facts=image,
        areas=_areas(rows, raw)[good & ~crowd],
        declared=_declared(image),
    )


def _box(annotation: dict[str, Any]) -> list[float]:
    """``x, y, width, height``; where it is left out, the extent of the outline."""
    box = [_number(value) for value in annotation.get("bbox") or ()]
    if box:
        return [math.nan if value is None else value for value in box]
    try:
        points = np.concatenate([np.array(part, np.float64).reshape(-1, 2) for part in annotation["segmentation"]])
    except (KeyError, TypeError, ValueError):
        return [math.nan] * 4
    return [*points.min(0).tolist(), *np.ptp(points, 0).tolist()]


def _areas(rows: list[dict[str, Any]], raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sizes as stated; else the product of the sides as written: corners have lost their last digits."""
    stated = np.array([_number(a.get("area")) for a in rows], np.float64)
    return np.where(stated >= 0, stated, np.abs(raw[:, 2] * raw[:, 3]))


def _all_finite(xywh: list[list[Any]]) -> NDArray[np.float64]:
    boxes = corners([[_number(v) for v in box] for box in xywh])
    return boxes[np.isfinite(boxes).all(1)]


def _declared(image: dict[str, Any]) -> tuple[int, int] | None:
    sides = [_number(image.get(side)) or 0 for side in ("width", "height")]
    return (round(sides[0]), round(sides[1])) if all(1 <= side < math.inf for side in sides) else None


def _by_id(path: Path, part: str, rows: list[dict[str, Any]], field: str) -> dict[int | str | None, str]:
    """Give a field by id; an id that means two things would give the labels of one to the other."""
    found: dict[int | str | None, str] = {}
    for row in rows:
        key = _key(row["id"])
        if key in found:
            raise NssaError(f"{path}: {part} has the id {key} twice ({found[key]}, {row[field]}); number them anew")
        found[key] = row[field]
    return found


def _load(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read the JSON and check what is used of it."""
    try:
        table = json.loads(path.read_bytes())  # bytes: any byte order mark and UTF-16 are understood
    except (OSError, ValueError, RecursionError) as error:
        raise NssaError(f"{path.parent}: cannot read {path.name} ({error}); a COCO JSON is expected") from None
    for part, fields in _FIELDS.items():
        rows = table.get(part) if isinstance(table, dict) else None
        if not isinstance(rows, list):
            raise NssaError(f"{path}: no list {part!r}; a COCO JSON is expected")
        for number, row in enumerate(rows):
            wrong = [k for k, fits in fields.items() if not (isinstance(row, dict) and fits(row.get(k)))]
            if wrong:
                raise NssaError(f"{path}: {part}[{number}] has no usable {wrong[0]!r}; a COCO JSON is expected")
    return table  # type: ignore[no-any-return]
