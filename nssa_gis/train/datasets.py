"""Labelled images in memory, from COCO JSON folders, at a common resolution."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nssa_gis.errors import NssaError
from nssa_gis.train.recipe import Recipe, Source

#: Images finer than this share of the working GSD are reduced when loaded: the rest of the detail would never be seen.
_FINEST = 0.5


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
    try:
        table = json.loads((source.path / "instances.json").read_text())
    except (OSError, ValueError) as error:
        raise NssaError(f"{source.path}: cannot read instances.json ({error}); a COCO JSON is expected") from None
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
