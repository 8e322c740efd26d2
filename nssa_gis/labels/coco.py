"""COCO JSON, also AI-TOD and AI-TODv2.

Categories go by name: copies of AI-TOD count ids from 0 or from 1. Additional image fields: ``gsd_m``, ``scene``,
``not_exhaustive``, ``hard_negatives`` (once ``mistakes``, still read); in additions ``exhaustive``. Annotations with
``iscrowd`` 1 are ignore regions for their category; for all categories where theirs is not listed or is called
ignored regions (VisDrone converted to COCO).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from nssa_gis.errors import NssaError
from nssa_gis.labels.table import Entry, Table, corners


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_key(value: Any) -> bool:
    return isinstance(value, (int, str))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


def _is_boxes(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_box, value)))


def _is_names(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_text, value)))


def _is_measure(value: Any) -> bool:
    return value is None or (_is_number(value) and value >= 0)


#: Names that are of no category: their regions are for all categories.
_REGIONS = frozenset(("ignore", "ignored", "ignored region", "ignored regions"))
#: What must be there, and of what kind, in each table of a COCO JSON.
_FIELDS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "images": {
        "id": _is_key,
        "file_name": _is_text,
        "gsd_m": _is_measure,
        "hard_negatives": _is_boxes,
        "mistakes": _is_boxes,
        "exhaustive": _is_names,
        "not_exhaustive": _is_names,
    },
    "annotations": {"image_id": _is_key, "category_id": _is_key, "bbox": _is_box, "area": _is_measure},
    "categories": {"id": _is_key, "name": _is_text},
}


def read_coco(folder: Path, annotations: str | None = None, images: str | None = None) -> Table:
    """Read a COCO folder.

    Parameters
    ----------
    folder : Path
        The dataset.
    annotations : str, optional
        The JSON file, under ``folder`` (or absolute); ``instances.json`` by default.
    images : str, optional
        Folder of the images, under ``folder``; ``images`` by default.

    Raises
    ------
    NssaError
        The file is no COCO JSON.
    """
    path = folder / (annotations or "instances.json")
    table = _load(path)
    place = folder / (images or "images")
    names = {c["id"]: k for k, c in enumerate(table["categories"])}
    regions = [k for k, c in enumerate(table["categories"]) if re.sub("[-_]", " ", c["name"].lower()) in _REGIONS]
    rows: dict[Any, list[dict[str, Any]]] = {}
    for a in table["annotations"]:
        if a["category_id"] not in names and not a.get("iscrowd"):
            raise NssaError(
                f"{path}: an annotation of image {a['image_id']} has the unknown category {a['category_id']}"
            )
        rows.setdefault(a["image_id"], []).append(a)
    entries = []
    for image in table["images"]:
        own = rows.get(image["id"], [])
        scene = image.get("scene")
        boxes = corners([a["bbox"] for a in own])
        crowd = np.array([bool(a.get("iscrowd")) for a in own], bool)
        good = ~crowd & (boxes[:, 2:] > boxes[:, :2]).all(1)
        labels = np.array([names.get(a["category_id"], -1) for a in own], np.int64)
        # without a stated area the product of the sides as written: corners have lost their last digits
        stated = (a.get("area") for a in own)
        areas = [a["bbox"][2] * a["bbox"][3] if s is None else s for a, s in zip(own, stated, strict=True)]
        entries.append(
            Entry(
                place / image["file_name"],
                image["file_name"],
                boxes[good],
                labels[good],
                ignore=boxes[crowd],
                ignore_categories=np.where(np.isin(labels[crowd], regions), -1, labels[crowd]),
                gsd=image.get("gsd_m") or None,
                scene=PurePath(image["file_name"]).stem if scene in (None, "") else str(scene),
                not_exhaustive=tuple(image.get("not_exhaustive") or ()),
                hard_negatives=corners(image.get("hard_negatives") or image.get("mistakes") or []),
                facts=image,
                areas=np.array(areas, np.float64)[good],
            )
        )
    return Table(tuple(str(c["name"]) for c in table["categories"]), tuple(entries))


def _load(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read the JSON and check what is used of it."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
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
