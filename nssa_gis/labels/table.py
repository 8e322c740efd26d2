"""What every label format is read into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nssa_gis.errors import NssaError
from nssa_gis.labels.tally import Dropped
from nssa_gis.raster.scene import open_scene


def no_boxes() -> NDArray[np.float64]:
    """Give an empty ``(0, 4)``."""
    return np.empty((0, 4))


@dataclass(frozen=True)
class Entry:
    """One image and its labels; of the image itself at most the header is read.

    Coordinates are float64: in float32 the sides of a box of 8 x 8 pixels no longer make 64 square pixels, the edge
    of two size bins.

    Attributes
    ----------
    path : Path
        The image.
    name : str
        As the labels call it.
    boxes : ndarray of float64, shape (N, 4)
        ``x0, y0, x1, y1`` in pixels; clipped to the image in VisDrone and DOTA, as labelled in the others.
    categories : ndarray of int64, shape (N,)
        Index into the table's categories.
    ignore : ndarray of float64, shape (M, 4)
        Ignore regions: ignored in training and in scoring.
    ignore_categories : ndarray of int64, shape (M,), or None
        The category that an ignore region is for (crowds, difficult objects); -1 for all. None: all are for all.
    ignore_in_training : ndarray of float64, shape (L, 4)
        Regions that are ignored in training, but not in scoring (VisDrone's "others").
    gsd : float or None
        Metres per pixel, where stated.
    scene : str
        What the image is a part of; the stem of its name where nothing is stated.
    not_exhaustive : tuple of str
        Categories with missing labels in this image.
    hard_negatives : ndarray of float64, shape (K, 4)
        Where an earlier model found objects that are not there.
    facts : dict
        Further fields of the image, for ``only`` of a recipe.
    areas : ndarray of float64, shape (N,), or None
        Sizes of the objects as labelled, square pixels; None where they are those of the boxes.
    size : (int, int) or None
        Width and height of the file, in whose pixels the boxes are; None as long as it was not read.
    declared : (int, int) or None
        Width and height of the picture that the labels were drawn on, if they state it and the boxes are still in its
        pixels.
    """

    path: Path
    name: str
    boxes: NDArray[np.float64]
    categories: NDArray[np.int64]
    ignore: NDArray[np.float64] = field(default_factory=no_boxes)
    ignore_categories: NDArray[np.int64] | None = None
    ignore_in_training: NDArray[np.float64] = field(default_factory=no_boxes)
    gsd: float | None = None
    scene: str = ""
    not_exhaustive: tuple[str, ...] = ()
    hard_negatives: NDArray[np.float64] = field(default_factory=no_boxes)
    facts: dict[str, Any] = field(default_factory=dict)
    areas: NDArray[np.float64] | None = None
    size: tuple[int, int] | None = None
    declared: tuple[int, int] | None = None

    @property
    def ignore_concerns(self) -> NDArray[np.int64]:
        """The category that each region of ``ignore`` is for, -1 for all ``(M,)``."""
        return np.full(len(self.ignore), -1) if self.ignore_categories is None else self.ignore_categories

    def matches(self, only: Mapping[str, Any]) -> bool:
        """Whether the image's fields equal ``only``; null in a yes/no field is unknown, and unknown is not "no"."""
        for key, wanted in only.items():
            value = self.facts.get(key, False)
            if value is None or (bool(value) if isinstance(wanted, bool) else value) != wanted:
                return False
        return True


@dataclass(frozen=True)
class Table:
    """A labelled folder.

    Attributes
    ----------
    categories : tuple of str
        Names, in the format's own order.
    entries : tuple of Entry
        The images.
    dropped : tuple of Dropped
        Labels that are not used.
    notes : tuple of str
        What the user should know of the folder before trusting a result, besides what is dropped.
    """

    categories: tuple[str, ...]
    entries: tuple[Entry, ...]
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        """Number of labels that are not used."""
        return sum(item.count for item in self.dropped)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to tell before the labels are used: what is dropped, then the notes."""
        return (*map(str, self.dropped), *self.notes)


def completed(table: Table, more: Table) -> Table:
    """Add what a second table says of the same images (by name): boxes, ignore regions, hard negatives, facts.

    Categories that it names ``exhaustive`` for an image are no longer among the ``not_exhaustive`` there, and those
    that it names ``not_exhaustive`` are. Its GSD is taken where the first states none. Images that only it has are
    left out.
    """
    names = (*table.categories, *(name for name in more.categories if name not in table.categories))
    index = np.array([*(names.index(name) for name in more.categories), -1], np.int64)  # -1: for all
    found = {entry.name: entry for entry in more.entries}
    entries = tuple(_joined(e, found[e.name], index) if e.name in found else e for e in table.entries)
    return Table(names, entries, (*table.dropped, *more.dropped), (*table.notes, *more.notes))


def _joined(entry: Entry, more: Entry, index: NDArray[np.int64]) -> Entry:
    """Give an entry with what ``more`` adds; ``index`` turns the latter's categories into the former's."""
    complete = set(map(plain_name, more.facts.get("exhaustive") or ()))
    named = dict.fromkeys((*entry.not_exhaustive, *more.not_exhaustive))
    missing = tuple(name for name in named if plain_name(name) not in complete)
    return replace(
        entry,
        boxes=np.concatenate((entry.boxes, more.boxes)),
        categories=np.concatenate((entry.categories, index[more.categories])),
        ignore=np.concatenate((entry.ignore, more.ignore)),
        ignore_categories=np.concatenate((entry.ignore_concerns, index[more.ignore_concerns])),
        hard_negatives=np.concatenate((entry.hard_negatives, more.hard_negatives)),
        gsd=entry.gsd or more.gsd,
        not_exhaustive=missing,
        facts={**entry.facts, **more.facts, "not_exhaustive": list(missing)},
        areas=None,
    )


def plain_name(name: str) -> str:
    """Give a name as it is compared: ``Storage_Tank``, ``storage tank`` and ``storage-tank`` are one."""
    return name.strip().lower().replace("_", "-").replace(" ", "-")


def corners(xywh: Any) -> NDArray[np.float64]:
    """Boxes ``x, y, w, h`` as ``x0, y0, x1, y1``: float64 ``(N, 4)``; those drawn backwards are turned round."""
    boxes = np.array(xywh, np.float64).reshape(-1, 4)
    return forwards(np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1))


def forwards(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes with the smaller coordinate first: from two opposite corners in any order."""
    a, b = boxes[:, :2], boxes[:, 2:]
    return np.concatenate((np.minimum(a, b), np.maximum(a, b)), 1)


def clipped(boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Boxes cut to an image of ``width, height``, as detections are; those outside lose their area."""
    return np.clip(boxes, 0, np.array([*size, *size], np.float64))


def image_gsd(path: Path) -> float | None:
    """Metres per pixel from the file's georeference, the mean of both axes; None without one.

    Raises
    ------
    NssaError
        There is no readable image.
    """
    with open_scene(path) as scene:
        return None if scene.frame.gsd is None else sum(scene.frame.gsd) / 2


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Non-blank lines of a label file with their numbers from 1.

    Raises
    ------
    NssaError
        It cannot be read as text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise NssaError(f"cannot read the labels {path}: {error}") from None
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def numbers(parts: Sequence[str], path: Path, line: int, wanted: str) -> list[float]:
    """Turn the parts of a line into finite numbers.

    Raises
    ------
    NssaError
        One of them is not a finite number.
    """
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = [float("nan")]
    if not all(map(np.isfinite, values)):
        raise NssaError(f"{path}, line {line}: not {wanted}")
    return values
