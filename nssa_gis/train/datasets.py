"""Labelled images at a common resolution, from folders in any of the known formats.

EXIF orientation is not applied: boxes refer to the pixels as they are stored.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nssa_gis.errors import NssaError
from nssa_gis.evaluate.coco import ImageTruth
from nssa_gis.labels.coco import read_coco
from nssa_gis.labels.registry import read_table
from nssa_gis.labels.table import Entry, Table, completed, image_size, plain_name
from nssa_gis.train.recipe import Recipe, Source

#: Images finer than this share of the working GSD are reduced when loaded: the rest of the detail would never be seen.
_FINEST = 0.5
#: At most this many names are listed in a message.
_LISTED = 20
#: Decoded images kept from the start (bytes over all sources of a split); what is beyond is decoded when it is drawn.
_IN_MEMORY = 4 << 30


@dataclass(frozen=True)
class LabelledImage:
    """One image with its labels.

    Attributes
    ----------
    source, scene, name : str
        Where it comes from.
    path : Path
        The file.
    width, height : int
        Size of ``pixels``; smaller than the file's where that is much finer than needed.
    gsd : float
        Metres per pixel of ``pixels``.
    boxes : ndarray of float32, shape (N, 4)
        ``x0, y0, x1, y1`` in pixels of ``pixels``.
    labels : ndarray of int64, shape (N,)
        Class index.
    ignore : ndarray of float32, shape (M, 4)
        Areas that teach nothing (``iscrowd``, ignored regions, difficult objects, muted ones).
    unlabelled : ndarray of bool, shape (classes,)
        Classes that are not labelled exhaustively here: no negatives for them.
    mistakes : ndarray of float32, shape (K, 4)
        Where an earlier model saw objects that are not there (hard negatives): drawn more often.
    kept : ndarray or None
        The pixels, where they stay in memory.
    upright : bool
        Has an up and a down: not to be turned.
    ignore_labels : ndarray of int64, shape (M,), or None
        The class that an area is for (crowds, difficult objects); -1 for all, and so are all where it is None.
    muted : int
        So many areas at the end of ``ignore`` excuse no detection in a validation (VisDrone's "others").
    """

    source: str
    scene: str
    name: str
    path: Path
    width: int
    height: int
    gsd: float
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.float32]
    unlabelled: NDArray[np.bool_]
    mistakes: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 4), np.float32))
    kept: NDArray[np.uint8] | None = field(default=None, repr=False)
    upright: bool = False
    ignore_labels: NDArray[np.int64] | None = None
    muted: int = 0

    @property
    def ignore_classes(self) -> NDArray[np.int64]:
        """Class that each area of ``ignore`` is for, -1 for all ``(M,)``."""
        return np.full(len(self.ignore), -1) if self.ignore_labels is None else self.ignore_labels

    @property
    def is_empty(self) -> bool:
        """Whether no object is there, labelled, ignored or unlabelled."""
        return not (len(self.boxes) or len(self.ignore) or self.unlabelled.any())

    @property
    def can_be_judged(self) -> bool:
        """Whether some class is labelled exhaustively."""
        return not self.unlabelled.all()

    def truth(self, scale: NDArray[np.float32]) -> ImageTruth:
        """Labels for a validation, times ``scale`` (4,).

        What is muted excuses nothing; a class that is not labelled exhaustively counts neither way.
        """
        kept = len(self.ignore) - self.muted
        truth = ImageTruth(self.boxes * scale, self.labels, self.ignore[:kept] * scale, self.ignore_classes[:kept])
        return truth.blind_for(np.flatnonzero(self.unlabelled), (self.width * scale[0], self.height * scale[1]))

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """RGB, ``(height, width, 3)``; decoded now if they are not in memory.

        Raises
        ------
        NssaError
            The file cannot be read, or has more than 8 bits a channel.
        """
        return self.kept if self.kept is not None else _decode(self.path, self.width, self.height)


@functools.lru_cache(maxsize=32)  # a crop often takes several pieces of one image
def _decode(path: Path, width: int, height: int) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as opened:
            if opened.mode.startswith(("I", "F")):
                raise NssaError(f"{path}: more than 8 bits a channel (mode {opened.mode}); scale it to 8 bits first")
            image = opened.convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise NssaError(f"cannot read the training image {path}: {error}") from None
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BOX)
    return np.asarray(image)


def load_split(recipe: Recipe, split: str) -> list[list[LabelledImage]]:
    """Load one split of every source.

    Images stay in memory from the start as long as they fit; in larger sets each is decoded when it is drawn.

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
    room = _IN_MEMORY
    loaded = []
    held_out = _held_images(recipe)
    for source in recipe.sources:
        images = _select(source, recipe, split, held_out)
        for k, image in enumerate(images):
            room -= 3 * image.width * image.height
            if room < 0:
                break
            images[k] = replace(image, kept=_decode.__wrapped__(image.path, image.width, image.height))
        loaded.append(images)
    return loaded


def _held_images(recipe: Recipe) -> set[str]:
    """Files of the sources that are held out whole; scenes would not do, train and val may name images alike."""
    whole = [source for source in recipe.sources if source.split == "val"]
    return {os.path.abspath(entry.path) for source in whole for entry in _table(source).entries}


def _select(source: Source, recipe: Recipe, split: str, held_out: set[str]) -> list[LabelledImage]:
    table = _table(source)
    classes = [_class_index(recipe.classes, name) for name in table.categories]
    index = np.array([-1 if k is None else k for k in classes], np.int64)
    # a scene held out by one source of a folder teaches nothing through another source of the same folder
    all_held_out = {scene for s in recipe.sources if s.path == source.path for scene in s.val_scenes}
    images = []
    for entry in table.entries:
        if split == "train" and (source.weight == 0 or entry.scene in all_held_out):
            continue
        if split == "train" and os.path.abspath(entry.path) in held_out:
            continue
        if split == "val" and source.split != "val" and entry.scene not in source.val_scenes:
            continue
        if _matches(entry.facts, source.only):
            images.append(_labelled(source, recipe, entry, index))
    return images


def _table(source: Source) -> Table:
    table = read_table(source.path, source.format, source.annotations, source.images)
    if source.additions is None:
        return table
    more = read_coco(source.path, source.additions)
    if {entry.name for entry in table.entries}.isdisjoint(entry.name for entry in more.entries):
        raise NssaError(f"{source.additions}: names no image of {source.path}")
    return completed(table, more)


def _class_index(classes: Mapping[str, Sequence[str]], category: str) -> int | None:
    """Class that a category belongs to; names are the same whatever their case, blanks, - and _."""
    for k, members in enumerate(classes.values()):
        if plain_name(category) in map(plain_name, members):
            return k
    return None


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
    tables = [_table(source) for source in recipe.sources]
    known = {entry.scene for table in tables for entry in table.entries} - {""}
    unknown = {scene for source in recipe.sources for scene in source.val_scenes} - known
    if unknown:
        raise NssaError(f"no images of the held-out scene {_listed(unknown)}; known scenes: {_listed(known)}")
    if count(train)[0] == 0:
        raise NssaError("no training images: every scene is held out, filtered away or of a source of weight 0")
    present = {int(label) for source in train for image in source for label in image.labels}
    missing = [name for i, name in enumerate(recipe.classes) if i not in present]
    if missing:
        names = {name for table in tables for name in table.categories}
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


def _matches(entry: dict[str, Any], only: dict[str, Any]) -> bool:
    """Whether the image's fields equal ``only``; null in a yes/no field is unknown, and unknown is not "no"."""
    for key, wanted in only.items():
        value = entry.get(key, False)
        if value is None or (bool(value) if isinstance(wanted, bool) else value) != wanted:
            return False
    return True


def _labelled(source: Source, recipe: Recipe, entry: Entry, index: NDArray[np.int64]) -> LabelledImage:
    """Bring an entry to the recipe's classes and, if it is much too fine, nearer to its resolution."""
    gsd = entry.gsd or (recipe.gsd if source.gsd == "native" else source.gsd)
    if not gsd:
        raise NssaError(
            f"{entry.path}: its metres per pixel are unknown; give the source a gsd in the recipe "
            '(gsd = "native" to use the pixels as they are)'
        )
    full_width, full_height = entry.size or image_size(entry.path)
    shrink = min(1.0, float(gsd) / (recipe.gsd * _FINEST))
    width, height = full_width, full_height
    if shrink < 1:
        width, height = max(1, round(full_width * shrink)), max(1, round(full_height * shrink))
    scale = np.array([width / full_width, height / full_height] * 2, np.float32)
    labels = index[entry.categories]
    unlabelled = np.zeros(len(recipe.classes), bool)
    for name in entry.not_exhaustive:
        k = _class_index(recipe.classes, name)
        if k is not None:
            unlabelled[k] = True
    own = entry.ignore_concerns
    concern = (own < 0) | (index[own] >= 0)  # an area for a category that is of no class is ground like any other
    own = np.where(own < 0, -1, index[own])[concern]
    return LabelledImage(
        source.name,
        entry.scene,
        entry.name,
        entry.path,
        width,
        height,
        float(gsd) / float(scale[0]),
        entry.boxes[labels >= 0].astype(np.float32) * scale,
        labels[labels >= 0],
        np.concatenate((entry.ignore[concern], entry.muted)).astype(np.float32) * scale,
        unlabelled,
        entry.mistakes.astype(np.float32) * scale,
        upright=source.upright,
        ignore_labels=np.concatenate((own, np.full(len(entry.muted), -1))),
        muted=len(entry.muted),
    )


def count(images: Sequence[Sequence[LabelledImage]]) -> tuple[int, int]:
    """Count images and boxes over all sources."""
    flat = [i for source in images for i in source]
    return len(flat), sum(len(i.boxes) for i in flat)
