"""Labelled images in memory, from COCO JSON folders, at a common resolution.

EXIF orientation is not applied: COCO boxes refer to the pixels as they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nssa_gis.errors import NssaError
from nssa_gis.train.recipe import Recipe, Source

#: Images finer than this share of the working GSD are reduced when loaded: the rest of the detail would never be seen.
_FINEST = 0.5
#: At most this many names are listed in a message.
_LISTED = 20


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_key(value: Any) -> bool:
    return isinstance(value, (int, str))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


def _is_gsd(value: Any) -> bool:
    return value is None or (_is_number(value) and value >= 0)


#: What must be there, and of what kind, in each table of a COCO JSON.
_FIELDS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "images": {"id": _is_key, "file_name": _is_text, "gsd_m": _is_gsd},
    "annotations": {"image_id": _is_key, "category_id": _is_key, "bbox": _is_box},
    "categories": {"id": _is_key, "name": _is_text},
}


@dataclass(frozen=True)
class LabelledImage:
    """One image with its labels.

    Attributes
    ----------
    source, scene, name : str
        Where it comes from.
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB.
    gsd : float
        Metres per pixel of ``pixels``.
    boxes : ndarray of float32, shape (N, 4)
        ``x0, y0, x1, y1`` in pixels of ``pixels``.
    labels : ndarray of int64, shape (N,)
        Class index.
    ignore : ndarray of float32, shape (M, 4)
        Areas that teach nothing (``iscrowd``).
    unlabelled : ndarray of bool, shape (classes,)
        Classes that are not labelled exhaustively here: no negatives for them.
    """

    source: str
    scene: str
    name: str
    pixels: NDArray[np.uint8]
    gsd: float
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.float32]
    unlabelled: NDArray[np.bool_]


def load_split(recipe: Recipe, split: str) -> list[list[LabelledImage]]:
    """Load one split of every source.

    Parameters
    ----------
    recipe : Recipe
        The sources.
    split : {"train", "val"}
        Scenes in ``val_scenes`` are val, all others train (if the source's weight is above 0).

    Returns
    -------
    list of list of LabelledImage
        One list per source, in the recipe's order; empty where a source has nothing in the split.
    """
    return [_load_source(source, recipe, split) for source in recipe.sources]


def _load_source(source: Source, recipe: Recipe, split: str) -> list[LabelledImage]:
    table = _read_table(source)
    index = {name: i for i, members in enumerate(recipe.classes.values()) for name in members}
    categories = {c["id"]: index.get(c["name"]) for c in table["categories"]}
    by_image: dict[int, list[dict[str, Any]]] = {}
    for a in table["annotations"]:
        by_image.setdefault(a["image_id"], []).append(a)
    images = []
    for entry in table["images"]:
        held_out = str(entry.get("scene", "")) in source.val_scenes
        if held_out != (split == "val") or (split == "train" and source.weight == 0):
            continue
        if _matches(entry, source.only):
            images.append(_load_image(source, recipe, entry, by_image.get(entry["id"], []), categories, index))
    return images


def check_data(recipe: Recipe, train: Sequence[Sequence[LabelledImage]]) -> None:
    """Check that the held-out scenes exist and that there is something to learn for every class.

    Parameters
    ----------
    recipe : Recipe
        The sources.
    train : sequence of sequence of LabelledImage
        Its training split.

    Raises
    ------
    NssaError
        An unknown scene is held out, no image is left to train on, or a class has no box in them.
    """
    tables = [_read_table(source) for source in recipe.sources]
    known = {str(entry.get("scene", "")) for table in tables for entry in table["images"]} - {""}
    unknown = {scene for source in recipe.sources for scene in source.val_scenes} - known
    if unknown:
        raise NssaError(f"no images of the held-out scene {_listed(unknown)}; known scenes: {_listed(known)}")
    if count(train)[0] == 0:
        raise NssaError("no training images: every scene is held out, filtered away or of a source of weight 0")
    present = {int(label) for source in train for image in source for label in image.labels}
    missing = [name for i, name in enumerate(recipe.classes) if i not in present]
    if missing:
        names = {str(category["name"]) for table in tables for category in table["categories"]}
        raise NssaError(
            f"no training box of class {_listed(missing)}; categories of the sources: {_listed(names)} "
            "(a class is made of several as NAME=CATEGORY+CATEGORY)"
        )


def longest_side(images: Sequence[Sequence[LabelledImage]], gsd: float) -> float | None:
    """99.9th percentile of the longer box sides in pixels of ``gsd``; None without boxes."""
    sides = [(i.boxes[:, 2:] - i.boxes[:, :2]).max(1) * (i.gsd / gsd) for s in images for i in s if len(i.boxes)]
    return float(np.percentile(np.concatenate(sides), 99.9)) if sides else None


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return (", ".join(ordered[:_LISTED]) + (", ..." if len(ordered) > _LISTED else "")) or "none"


def _read_table(source: Source) -> dict[str, list[dict[str, Any]]]:
    """Read ``instances.json`` and check what is used of it."""
    path = source.path / "instances.json"
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NssaError(f"{source.path}: cannot read instances.json ({error}); a COCO JSON is expected") from None
    for part, fields in _FIELDS.items():
        rows = table.get(part) if isinstance(table, dict) else None
        if not isinstance(rows, list):
            raise NssaError(f"{path}: no list {part!r}; a COCO JSON is expected")
        for number, row in enumerate(rows):
            wrong = [k for k, fits in fields.items() if not (isinstance(row, dict) and fits(row.get(k)))]
            if wrong:
                raise NssaError(f"{path}: {part}[{number}] has no usable {wrong[0]!r}; a COCO JSON is expected")
    return table  # type: ignore[no-any-return]


def _matches(entry: dict[str, Any], only: dict[str, Any]) -> bool:
    """Whether the image's fields equal ``only``; null in a yes/no field is unknown, and unknown is not "no"."""
    for key, wanted in only.items():
        value = entry.get(key, False)
        if value is None or (bool(value) if isinstance(wanted, bool) else value) != wanted:
            return False
    return True


def _load_image(
    source: Source,
    recipe: Recipe,
    entry: dict[str, Any],
    annotations: list[dict[str, Any]],
    categories: dict[int, int | None],
    index: dict[str, int],
) -> LabelledImage:
    path = source.path / "images" / entry["file_name"]
    gsd = entry.get("gsd_m") or source.gsd
    if not gsd:
        raise NssaError(f"{path}: no gsd_m in instances.json; give the source a gsd in the recipe")
    try:
        with Image.open(path) as opened:
            if opened.mode.startswith(("I", "F")):
                raise NssaError(f"{path}: more than 8 bits a channel (mode {opened.mode}); scale it to 8 bits first")
            image = opened.convert("RGB")
    except OSError as error:
        raise NssaError(f"cannot read the training image {path}: {error}") from None
    shrink = min(1.0, gsd / (recipe.gsd * _FINEST))
    if shrink < 1:
        size = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
        sx, sy = size[0] / image.width, size[1] / image.height
        image = image.resize(size, Image.Resampling.BOX)
    else:
        sx = sy = 1.0
    kept = [a for a in annotations if categories.get(a["category_id"]) is not None or a.get("iscrowd")]
    xywh = np.array([a["bbox"] for a in kept], np.float32).reshape(-1, 4)
    boxes = np.concatenate((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), 1) * np.array([sx, sy, sx, sy], np.float32)
    crowd = np.array([bool(a.get("iscrowd")) for a in kept], bool)
    labels = np.array([categories.get(a["category_id"]) or 0 for a in kept], np.int64)
    unlabelled = np.zeros(len(recipe.classes), bool)
    for name in entry.get("not_exhaustive") or ():
        if name in index:
            unlabelled[index[name]] = True
    good = ~crowd & (xywh[:, 2] > 0) & (xywh[:, 3] > 0)
    return LabelledImage(
        source.name,
        str(entry.get("scene", "")),
        entry["file_name"],
        np.asarray(image),
        gsd / sx,
        boxes[good],
        labels[good],
        boxes[crowd],
        unlabelled,
    )


def count(images: Sequence[Sequence[LabelledImage]]) -> tuple[int, int]:
    """Count images and boxes over all sources."""
    flat = [i for source in images for i in source]
    return len(flat), sum(len(i.boxes) for i in flat)
