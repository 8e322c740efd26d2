"""The labelled images of a recipe, split into training and held-out ones."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nssa_gis.errors import NssaError
from nssa_gis.labels.classes import boxes_of_no_class, class_of
from nssa_gis.labels.images import LabelledImage, labelled_image, read_pixels
from nssa_gis.labels.registry import read_additions, read_table
from nssa_gis.labels.table import Entry, Table, completed, image_gsd
from nssa_gis.train.recipe import Recipe, Source

#: At most this many names are listed in a message.
_LISTED = 20
#: Bytes of decoded images that are kept, over all sources ; the others are decoded when they are used.
_IN_MEMORY = 4 << 30


def load_split(recipe: Recipe, split: str) -> list[list[LabelledImage]]:
    """Load the labels of one split of every source; of the images the headers are read.

    Parameters
    ----------
    recipe : Recipe
        The sources.
    split : {"train", "val"}
        Scenes in ``val_scenes`` and all images of a source with ``split = "val"`` are val; train is what no source of
        the same folder holds out by scene and no source by image (if the source's weight is above 0).

    Returns
    -------
    list of list of LabelledImage
        One list per source, in the recipe's order; empty where a source has nothing in the split.

    Raises
    ------
    NssaError
        Labels or images are missing or unreadable, or an image has no GSD.
    """
    held_out = _held_images(recipe)
    return [_select(source, recipe, split, held_out) for source in recipe.sources]


def in_memory(sources: Sequence[Sequence[LabelledImage]]) -> list[list[LabelledImage]]:
    """Decode the images of a split as long as they fit into memory; the others are decoded when they are drawn.

    Raises
    ------
    NssaError
        An image cannot be read.
    """
    room = _IN_MEMORY
    loaded = []
    for images in sources:
        kept = list(images)
        for k, image in enumerate(kept):
            room -= 3 * image.width * image.height
            if room < 0:
                break
            kept[k] = replace(image, loaded=read_pixels(image.path, image.width, image.height, image.value_range))
        loaded.append(kept)
    return loaded


def _held_images(recipe: Recipe) -> set[str]:
    """Files of the sources that are held out whole; scene names would not do, because train and val may share them."""
    whole = [source for source in recipe.sources if source.split == "val"]
    return {os.path.abspath(entry.path) for source in whole for entry in _table(source).entries}


def _select(source: Source, recipe: Recipe, split: str, held_out: set[str]) -> list[LabelledImage]:
    table = _table(source)
    index = np.array([class_of(recipe.classes, name) for name in table.categories], np.int64)
    # a scene that one source of a folder holds out is not in the training set of another source of that folder
    all_held_out = {scene for s in recipe.sources if s.path == source.path for scene in s.val_scenes}
    images = []
    for entry in table.entries:
        if split == "train" and (source.weight == 0 or entry.scene in all_held_out):
            continue
        if split == "train" and os.path.abspath(entry.path) in held_out:
            continue
        if split == "val" and source.split != "val" and entry.scene not in source.val_scenes:
            continue
        if entry.matches(source.only):
            images.append(_labelled(source, recipe, entry, index))
    return images


def _table(source: Source) -> Table:
    table = read_table(source.path, source.format, source.annotations, source.images)
    if source.additions is None:
        return table
    names = {entry.name for entry in table.entries}
    more = read_additions(source.path, source.additions, source.images, names)
    return completed(table, more)


@dataclass(frozen=True)
class Findings:
    """What there is to tell of the labels of a recipe.

    Attributes
    ----------
    dropped : int
        Labels that cannot be used.
    unused : dict of str to int
        Boxes of categories that belong to no class.
    warnings : tuple of str
        Why, with the first of each kind, and what else should be known.
    """

    dropped: int = 0
    unused: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def check_data(recipe: Recipe, train: Sequence[Sequence[LabelledImage]]) -> Findings:
    """Check that the held-out scenes exist and that there is something to learn for every class.

    Parameters
    ----------
    recipe : Recipe
        The sources.
    train : sequence of sequence of LabelledImage
        Its training split.

    Returns
    -------
    Findings
        Over all sources; a folder that several sources share counts once.

    Raises
    ------
    NssaError
        An unknown scene is held out, no image is left to train on, or a class has no box in them.
    """
    tables = [_table(source) for source in recipe.sources]
    known = {entry.scene for table in tables for entry in table.entries} - {""}
    unknown = {scene for source in recipe.sources for scene in source.val_scenes} - known
    if unknown:
        raise NssaError(f"no images of the held-out scene {_listed(unknown)}; known scenes: {_listed(known)}")
    if count(train)["images"] == 0:
        raise NssaError("no training images: every scene is held out, filtered away or of a source of weight 0")
    present = {int(label) for source in train for image in source for label in image.labels}
    missing = [name for i, name in enumerate(recipe.classes) if i not in present]
    if missing:
        names = {name for table in tables for name in table.categories}
        raise NssaError(
            f"no training box of class {_listed(missing)}; categories of the sources: {_listed(names)} "
            "(a class is made of several as NAME=CATEGORY+CATEGORY)"
        )
    single = {(s.path, s.annotations, s.additions): t for s, t in zip(recipe.sources, tables, strict=True)}
    told = {f"{path.name}: {text}": None for (path, *_), table in single.items() for text in table.warnings}
    unused: dict[str, int] = {}
    for table in single.values():
        index = np.array([class_of(recipe.classes, name) for name in table.categories], np.int64)
        for name, number in boxes_of_no_class(table, index).items():
            unused[name] = unused.get(name, 0) + number
    return Findings(sum(table.lost for table in single.values()), unused, tuple(told))


def unknown_gsd(sources: Iterable[Sequence[LabelledImage]], gsd: float) -> str:
    """Say of how many images the GSD is assumed; empty if it is known of all."""
    images = [image for images in sources for image in images]
    unknown = [image for image in images if not image.gsd_known]
    if not unknown:
        return ""
    return (
        f"{len(unknown)} of {len(images)} images state no ground sample distance, neither in the labels nor in the "
        f"file (first: {unknown[0].path}); {gsd:g} m/px is assumed; state it as gsd_m or with --gsd"
    )


def longest_side(images: Sequence[Sequence[LabelledImage]], gsd: float) -> float | None:
    """99.9th percentile of the longer box sides in pixels of ``gsd``; None without boxes."""
    sides = [(i.boxes[:, 2:] - i.boxes[:, :2]).max(1) * (i.gsd / gsd) for s in images for i in s if len(i.boxes)]
    return float(np.percentile(np.concatenate(sides), 99.9)) if sides else None


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return (", ".join(ordered[:_LISTED]) + (", ..." if len(ordered) > _LISTED else "")) or "none"


def _labelled(source: Source, recipe: Recipe, entry: Entry, index: NDArray[np.int64]) -> LabelledImage:
    """Bring an entry to the recipe's classes and, if it is much too fine, nearer to its resolution."""
    stated = entry.gsd or image_gsd(entry.path)
    gsd = stated or (recipe.gsd if source.gsd == "native" else source.gsd)
    if not gsd:
        raise NssaError(
            f"{entry.path}: its metres per pixel are unknown; give the source a gsd in the recipe "
            '(gsd = "native" to process it at native resolution)'
        )
    missing = np.isin(np.arange(len(recipe.classes)), [class_of(recipe.classes, name) for name in entry.not_exhaustive])
    image = labelled_image(entry, index, missing, float(gsd), recipe.gsd)
    return replace(
        image,
        source=source.name,
        upright=source.upright,
        value_range=recipe.value_range,
        gsd_known=stated is not None,
    )


def count(images: Sequence[Sequence[LabelledImage]]) -> dict[str, int]:
    """Count images, boxes and ignore regions over all sources."""
    flat = [i for source in images for i in source]
    return {
        "images": len(flat),
        "boxes": sum(len(i.boxes) for i in flat),
        "ignored": sum(len(i.ignore) for i in flat),
    }
