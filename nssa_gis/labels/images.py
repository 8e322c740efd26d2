"""Labelled images: pixels, boxes and ignore regions at a common resolution.

A labelled image is a scene like any other: 16-bit and float values, palettes, CMYK, alpha and nodata are treated as a
detection treats them. EXIF orientation is not applied, here as there: boxes refer to the pixels as they are stored, to
which the tables of :mod:`nssa_gis.labels.registry` have brought them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nssa_gis.labels.frames import read_header
from nssa_gis.labels.table import Entry
from nssa_gis.labels.truth import ImageTruth
from nssa_gis.raster.scene import open_scene
from nssa_gis.raster.whole import read_whole

#: Images finer than this share of the working GSD are reduced when loaded: no crop would show the rest of the detail.
_FINEST = 0.5


def _none() -> NDArray[np.float32]:
    return np.empty((0, 4), np.float32)


@dataclass(frozen=True)
class LabelledImage:
    """One image with its labels.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        As the labels call it.
    scene : str
        What the image is a part of.
    width, height : int
        Size of ``pixels``; smaller than the file's where that is much finer than needed.
    gsd : float
        Metres per pixel of ``pixels``.
    boxes : ndarray of float32, shape (N, 4)
        ``x0, y0, x1, y1`` in pixels of ``pixels``.
    labels : ndarray of int64, shape (N,)
        Class index.
    not_exhaustive : ndarray of bool, shape (classes,)
        Classes that are not exhaustively labelled here: they have no negatives in training and are ignored in scoring.
    ignore : ndarray of float32, shape (M, 4)
        Ignore regions (``iscrowd``, ignored regions, difficult objects), then those for training only.
    ignore_labels : ndarray of int64, shape (M,), or None
        The class that an ignore region is for (crowds, difficult objects); -1 for all classes. None: all are for all.
    training_only : int
        So many regions at the end of ``ignore`` are ignored in training but not in scoring (VisDrone's "others").
    hard_negatives : ndarray of float32, shape (K, 4)
        Where an earlier model found objects that are not there: crops show them more often.
    source : str
        Name of the source that it belongs to.
    upright : bool
        Has an up and a down (an oblique view): crops are not rotated.
    value_range : tuple of (low, high), or None
        Input values that become 0 and 255, as in :func:`nssa_gis.raster.radiometry.scaling_for`.
    gsd_known : bool
        The labels or the file state the GSD; else it is one that was given for all such images.
    loaded : ndarray or None
        The pixels, where they stay in memory.
    """

    path: Path
    name: str
    scene: str
    width: int
    height: int
    gsd: float
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    not_exhaustive: NDArray[np.bool_]
    ignore: NDArray[np.float32] = field(default_factory=_none)
    ignore_labels: NDArray[np.int64] | None = None
    training_only: int = 0
    hard_negatives: NDArray[np.float32] = field(default_factory=_none)
    source: str = ""
    upright: bool = False
    value_range: tuple[tuple[float, float], ...] | None = None
    gsd_known: bool = True
    loaded: NDArray[np.uint8] | None = field(default=None, repr=False)

    @property
    def ignore_classes(self) -> NDArray[np.int64]:
        """Class that each region of ``ignore`` is for, -1 for all ``(M,)``."""
        return np.full(len(self.ignore), -1) if self.ignore_labels is None else self.ignore_labels

    @property
    def is_empty(self) -> bool:
        """Whether the image has no object: every class is labelled exhaustively, without labels or ignore regions."""
        return not (len(self.boxes) or len(self.ignore) or self.not_exhaustive.any())

    @property
    def can_be_scored(self) -> bool:
        """Whether some class is labelled exhaustively."""
        return not self.not_exhaustive.all()

    def truth(self, scale: NDArray[np.float32]) -> ImageTruth:
        """Labels for scoring, times ``scale`` (4,); classes that are not labelled exhaustively are ignored."""
        scored = len(self.ignore) - self.training_only
        truth = ImageTruth(self.boxes * scale, self.labels, self.ignore[:scored] * scale, self.ignore_classes[:scored])
        return truth.ignoring(np.flatnonzero(self.not_exhaustive), (self.width * scale[0], self.height * scale[1]))

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """RGB, ``(3, height, width)``, 0 where invalid; decoded now if they are not in memory.

        Raises
        ------
        NssaError
            The file cannot be read.
        """
        if self.loaded is not None:
            return self.loaded
        return _recent_pixels(self.path, self.width, self.height, self.value_range)


def labelled_image(
    entry: Entry, classes: NDArray[np.int64], not_exhaustive: NDArray[np.bool_], gsd: float, working_gsd: float
) -> LabelledImage:
    """Make a labelled image of a row of a table; one that is much too fine gets a smaller size.

    Parameters
    ----------
    entry : Entry
        The row.
    classes : ndarray of int64
        Class index of each category of the table, -1 for none.
    not_exhaustive : ndarray of bool, shape (classes,)
        Classes that are not labelled exhaustively in it.
    gsd : float
        Metres per pixel of the file.
    working_gsd : float
        Metres per pixel that the network will see.
    """
    width, height = full = entry.size or read_header(entry.path).size
    shrink = gsd / (working_gsd * _FINEST)
    if shrink < 1:
        width, height = (max(1, round(side * shrink)) for side in full)
    scale = np.array([width / full[0], height / full[1]] * 2, np.float32)
    class_index = np.append(classes, -1)  # its last element is for regions of no category
    labels, of_region = class_index[entry.categories], class_index[entry.ignore_concerns]
    concern = (entry.ignore_concerns < 0) | (of_region >= 0)  # a region for a category of no class is plain ground
    more = entry.ignore_in_training
    return LabelledImage(
        entry.path,
        entry.name,
        entry.scene,
        width,
        height,
        gsd / float(scale[0]),
        entry.boxes[labels >= 0].astype(np.float32) * scale,
        labels[labels >= 0],
        not_exhaustive,
        np.concatenate((entry.ignore[concern], more)).astype(np.float32) * scale,
        np.concatenate((of_region[concern], np.full(len(more), -1))),
        len(more),
        entry.hard_negatives.astype(np.float32) * scale,
    )


def read_pixels(
    path: Path, width: int, height: int, value_range: tuple[tuple[float, float], ...] | None = None
) -> NDArray[np.uint8]:
    """Read an image as RGB ``(3, height, width)``, 0 where invalid.

    Raises
    ------
    NssaError
        The file cannot be read.
    """
    with open_scene(path) as scene:
        return read_whole(scene, height, width, value_range=value_range)


_recent_pixels = functools.lru_cache(maxsize=32)(read_pixels)  # a crop often takes several pieces of one image
