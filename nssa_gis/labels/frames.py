"""The frame that labels are drawn in, and that of the pixels as they are stored.

Some tools show photos upright (EXIF orientation), and pictures are shrunk after they were labelled. The labels' frame
is right: boxes are brought from it to the stored pixels, which a detection reads, too.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nssa_gis.labels.table import Entry
from nssa_gis.raster.scene import open_scene

_EXIF_ORIENTATION = 0x0112
#: Formats whose header Pillow reads as GDAL does, and faster; the others are GDAL's alone.
_PHOTOS = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp"))
#: Two shapes are one if their sides agree to this share, or to a pixel.
_SAME_SHAPE = 0.01


@dataclass(frozen=True)
class Header:
    """What the header of an image says.

    Attributes
    ----------
    size : (int, int)
        Width and height as stored.
    orientation : int
        EXIF orientation, 1 to 8; 1 is as stored.
    """

    size: tuple[int, int]
    orientation: int


def read_header(path: Path) -> Header:
    """Read size and orientation; files that did not change are read once.

    Raises
    ------
    NssaError
        There is no readable image.
    """
    try:
        state = os.stat(path)
    except OSError:
        return _header(path, 0, 0)
    return _header(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=1 << 17)
def _header(path: Path, changed: int, length: int) -> Header:
    size, orientation = None, 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a large image is no danger: no pixel is read
        try:
            with Image.open(path) as image:
                orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
                size = image.size if path.suffix.lower() in _PHOTOS else None
        except Exception:  # many kinds for many formats; GDAL says what is wrong, if anything is
            size = None
    if size is None:
        with open_scene(path) as scene:
            size = scene.frame.width, scene.frame.height
    return Header(size, orientation if orientation in range(1, 9) else 1)


class OtherShapeError(Exception):
    """The labels are of a picture of another shape; the text says which."""


def to_stored(entry: Entry, header: Header) -> tuple[Entry, str]:
    """Bring the labels of an image to its stored pixels.

    Parameters
    ----------
    entry : Entry
        The image; ``declared`` is the size that its labels state.
    header : Header
        Of the file.

    Returns
    -------
    entry : Entry
        With the size of the file.
    note : str
        What was done, for the user; empty if nothing was.

    Raises
    ------
    OtherShapeError
        The declared size has another shape than the file.
    """
    width, height = stored = header.size
    turned = (height, width)
    declared, sideways = entry.declared, header.orientation >= 5
    boxes = np.concatenate((entry.boxes, entry.ignore))
    if declared is None and sideways and not _fits(boxes, stored) and _fits(boxes, turned):
        declared = turned
    if declared in (None, stored):
        note = ""
        certain = declared is not None and sideways and width != height
        if header.orientation > 1 and not certain:
            shown = turned if sideways else stored
            note = (
                f"has the EXIF orientation {header.orientation} (stored as {width} x {height} px, shown as "
                f"{shown[0]} x {shown[1]} px); its labels are taken for those of the stored pixels"
            )
        return replace(entry, size=stored, declared=None), note
    assert declared is not None
    told = f"the labels are for {declared[0]} x {declared[1]} px, the file has {width} x {height} px"
    if sideways and width != height and _same_shape(declared, turned):
        scaled = _scaled(entry, declared, turned)
        turning = functools.partial(_turned_back, orientation=header.orientation, stored=stored)
        return replace(
            _mapped(scaled, turning), size=stored, declared=None
        ), f"{told}; they are turned as the EXIF says"
    if _fits(boxes, stored) and not _fits(boxes, declared):
        return replace(entry, size=stored, declared=None), f"{told}; the boxes fit the file and are taken as they are"
    if not _same_shape(declared, stored):
        if not len(boxes):
            return replace(entry, size=stored, declared=None), told
        raise OtherShapeError(told)
    return replace(_scaled(entry, declared, stored), size=stored, declared=None), f"{told}; the boxes are scaled to it"


def _fits(boxes: NDArray[np.float64], size: tuple[int, int]) -> bool:
    """Whether hardly any box reaches over the edges: a few drawn a bit too wide are ordinary."""
    slack = 1 + 0.02 * np.array([*size])
    return bool((boxes[:, 2:] <= np.array([*size]) + slack).all())


def _same_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    expected = a[1] * b[0] / a[0]
    return abs(expected - b[1]) <= max(1.0, _SAME_SHAPE * b[1])


def _scaled(entry: Entry, declared: tuple[int, int], size: tuple[int, int]) -> Entry:
    x, y = size[0] / declared[0], size[1] / declared[1]
    if x == y == 1:
        return entry
    scaled = _mapped(entry, lambda boxes: boxes * np.array([x, y, x, y]))
    areas = None if entry.areas is None else entry.areas * x * y
    return replace(scaled, areas=areas, gsd=None if entry.gsd is None else entry.gsd / x)


def _mapped(entry: Entry, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Entry:
    return replace(
        entry,
        boxes=change(entry.boxes),
        ignore=change(entry.ignore),
        ignore_in_training=change(entry.ignore_in_training),
        hard_negatives=change(entry.hard_negatives),
    )


def _turned_back(boxes: NDArray[np.float64], orientation: int, stored: tuple[int, int]) -> NDArray[np.float64]:
    """Boxes of the upright picture in the stored pixels, for the orientations 5 to 8."""
    width, height = stored
    x0, y0, x1, y1 = boxes.T
    along = (width - y1, width - y0) if orientation in (7, 8) else (y0, y1)
    down = (height - x1, height - x0) if orientation in (6, 7) else (x0, x1)
    return np.stack((along[0], down[0], along[1], down[1]), 1)
