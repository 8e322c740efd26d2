"""Can labels be meant the way their format says? What cannot be right is told, and refused if it is most of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nssa_gis.errors import NssaError
from nssa_gis.labels.frames import OtherShapeError, read_header, to_stored
from nssa_gis.labels.table import Entry, Table, clipped
from nssa_gis.labels.tally import NO_AREA, OUTSIDE, Tally

#: In an image of more than this side nobody draws boxes that end in the first pixels, or in the first hundred.
_FIRST, _SIDE, _PER_CENT, _LARGE = 1.5, 16, 100.0, 250
#: So many boxes are needed before all of them can be told to be per cent or corners by their places.
_SEVERAL = 5
#: A box reaches far over the edge from this share of the image's side.
_FAR = 0.05
#: Share of the boxes that must make sense as something else.
_NEARLY_ALL = 0.95


def in_stored_frame(folder: Path, table: Table, *, clip: bool, sizes: bool) -> Table:
    """Check a table against its images, and bring its boxes to the pixels of the files.

    Parameters
    ----------
    folder : Path
        The dataset, for messages.
    table : Table
        As a reader of a format gives it.
    clip : bool
        Cut the boxes to the image, as the format's own tools do.
    sizes : bool
        The format writes boxes as corner and size (else as two corners).

    Returns
    -------
    Table
        Every image exists and has its size; every box has an area and lies in its image, at least in part.

    Raises
    ------
    NssaError
        No image is there, most boxes cannot be right, no label is left of those that there were, or an image cannot be
        read.
    """
    tally, notes = Tally(), list(table.notes)
    entries = _framed(folder, table, tally, notes)
    _refuse_misread(folder, entries, sizes)
    notes += _suspicions(entries)
    entries = [_usable(entry, tally, clip) for entry in entries]
    done = replace(table, entries=tuple(entries), dropped=(*table.dropped, *tally.dropped), notes=tuple(notes))
    if done.lost and not any(len(e.boxes) + len(e.ignore) + len(e.ignore_in_training) for e in entries):
        raise NssaError(f"{folder}: no label can be used: {'; '.join(map(str, done.dropped))}")
    return done


def _framed(folder: Path, table: Table, tally: Tally, notes: list[str]) -> list[Entry]:
    """Leave out images that are not there or not those of the labels; bring the boxes of the others to the files."""
    entries, missing, told = [], [], []
    for entry in table.entries:
        number = len(entry.boxes) + len(entry.ignore) + len(entry.ignore_in_training)
        if not entry.path.is_file():
            missing.append(entry)
            tally.drop("their image is not there", f"{entry.path}", number)
            continue
        try:
            framed, note = to_stored(entry, read_header(entry.path))
        except OtherShapeError as error:
            tally.drop("they are of a picture of another shape", f"{entry.name}: {error}", number)
            continue
        entries.append(framed)
        if note:
            told.append(f"{entry.path}: {note}")
    if missing:
        few = f"{len(missing)} of {len(table.entries)} images that the labels name are not there"
        if len(missing) == len(table.entries):
            raise NssaError(f"{folder}: none of the {len(missing)} images that the labels name is there, such as "
                            f"{missing[0].path}; name their folder with --images")  # fmt: skip
        notes.append(f"{folder}: {few}, such as {missing[0].path}; they are left out")
    if told:
        notes.append(told[0] + (f" (and {len(told) - 1} more images)" if len(told) > 1 else ""))
    return entries


def _usable(entry: Entry, tally: Tally, clip: bool) -> Entry:
    """Leave out boxes without area, and those outside the image."""
    assert entry.size is not None
    boxes, categories, areas, ignore, of_region = (
        entry.boxes, entry.categories, entry.areas, entry.ignore, entry.ignore_categories
    )  # fmt: skip
    flat, beside = _faults(boxes, entry.size)
    good = ~(flat | beside)
    tally.drop(NO_AREA, entry.name, int(flat.sum()))
    tally.drop(OUTSIDE, f"{entry.name}, {_shown(boxes[beside])}", int(beside.sum()))
    region_flat, region_beside = _faults(ignore, entry.size)
    kept = ~(region_flat | region_beside)
    training_only = entry.ignore_in_training[~np.any(_faults(entry.ignore_in_training, entry.size), axis=0)]
    if clip:
        boxes, ignore, training_only = (clipped(part, entry.size) for part in (boxes, ignore, training_only))
    return replace(
        entry,
        boxes=boxes[good],
        categories=categories[good],
        areas=None if areas is None else areas[good],
        ignore=ignore[kept],
        ignore_categories=None if of_region is None else of_region[kept],
        ignore_in_training=training_only,
    )


def _faults(boxes: NDArray[np.float64], size: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which boxes have no area, and which of the others lie outside an image."""
    flat = np.logical_not((boxes[:, 2:] > boxes[:, :2]).all(1))
    inside = clipped(boxes, size)
    return flat, np.logical_not(flat | (inside[:, 2:] > inside[:, :2]).all(1))


def _shown(boxes: NDArray[np.float64]) -> str:
    return "box " + " to ".join(f"{x:g},{y:g}" for x, y in boxes[:1].reshape(-1, 2).round(1).tolist())


def _refuse_misread(folder: Path, entries: Sequence[Entry], sizes: bool) -> None:
    """Refuse labels whose numbers mean something else."""
    boxes, images, names = _together(entries)
    if not len(boxes):
        return
    small = np.logical_and((boxes[:, 2:] <= _FIRST).all(1), images.min(1) > _SIDE)
    _refuse_most(
        folder,
        small,
        boxes,
        names,
        "lie in the first pixel of their image: they look like shares of the image (0 to 1)",
    )
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    beside = np.asarray(((centres < 0) | (centres > images)).any(1))
    if sizes and _look_like_corners(boxes, images):
        raise NssaError(
            f"{folder}: the boxes look like corners x0, y0, x1, y1 (such as {names[0]}, {_as_sizes(boxes[0])}); "
            "this format has x, y, width, height: convert them"
        )
    _refuse_most(folder, beside, boxes, names, "lie outside their image: their numbers mean something else, or the "
                 "images are others")  # fmt: skip
    thin = np.asarray(((boxes[:, 2:] - boxes[:, :2]) < 1).all(1))
    _refuse_most(folder, thin, boxes, names, "are smaller than a pixel: they are not in pixels of the image")


def _refuse_most(
    folder: Path, wrong: NDArray[np.bool_], boxes: NDArray[np.float64], names: Sequence[str], told: str
) -> None:
    if 2 * wrong.sum() > len(wrong):
        first = int(np.flatnonzero(wrong)[0])
        raise NssaError(
            f"{folder}: {wrong.sum()} of {len(wrong)} boxes {told} (first: {names[first]}, {_shown(boxes[first:])}); "
            "convert the labels, or name their format with --format"
        )


def _look_like_corners(boxes: NDArray[np.float64], images: NDArray[np.float64]) -> bool:
    """Whether ``x, y, w, h`` make sense as ``x0, y0, x1, y1`` only.

    As corners all lie in their image, with the second corner beyond the first; as sizes some reach far over the edge.
    """
    first, second = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    fits = ((second > first) & (second <= images * (1 + _FAR))).all(1).mean() > _NEARLY_ALL
    return bool(fits and (boxes[:, 2:] > images * (1 + _FAR)).any())


def _as_sizes(box: NDArray[np.float64]) -> str:
    x0, y0, x1, y1 = box.round(1).tolist()
    return f"{x0:g}, {y0:g}, {x1 - x0:g}, {y1 - y0:g}"


def _suspicions(entries: Sequence[Entry]) -> list[str]:
    """Tell what is possible, but hardly meant."""
    boxes, images, names = _together(entries)
    notes = []
    if len(boxes) >= _SEVERAL:
        if (boxes[:, 2:] <= _PER_CENT).all() and images.min() > _LARGE:
            notes.append(
                f"all {len(boxes)} boxes lie in the first {_PER_CENT:g} pixels of their image, such as {names[0]}, "
                f"{_shown(boxes)}: are they per cent?"
            )
        thin = ((boxes[:, 2:] - boxes[:, :2]) < 1).all(1)
        if thin.any():
            first = int(np.flatnonzero(thin)[0])
            notes.append(
                f"{thin.sum()} of {len(boxes)} boxes are smaller than a pixel (first: {names[first]}, "
                f"{_shown(boxes[first:])})"
            )
    return notes


def _together(entries: Sequence[Entry]) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """All boxes with an area, the sizes of their images, and their names."""
    parts = [(e, e.boxes[~_faults(e.boxes, e.size or (1, 1))[0]]) for e in entries]
    boxes = np.concatenate([part for _, part in parts] or [np.empty((0, 4))])
    images = np.concatenate([np.tile(np.array([*(e.size or (1, 1))], float), (len(part), 1)) for e, part in parts]
                            or [np.empty((0, 2))])  # fmt: skip
    return boxes, images, [e.name for e, part in parts for _ in range(len(part))]
