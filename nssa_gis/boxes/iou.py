"""Overlap of boxes, and the search for all pairs of boxes that overlap."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# Candidate pairs tested at a time. N boxes in one place make N**2 pairs; this bound keeps the memory small.
_CHUNK = 1 << 20

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


def pair_iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of row i of `a` with row i of `b`.

    Parameters
    ----------
    a, b : ndarray of float64, shape (N, 4)
        ``x0, y0, x1, y1``; a box with ``x1 <= x0`` or ``y1 <= y0`` overlaps nothing.

    Returns
    -------
    ndarray of float64, shape (N,)
    """
    width = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    inter = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    area = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1]) + (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    union: FloatArray = np.maximum(area - inter, np.finfo(np.float64).tiny)
    overlap: FloatArray = inter / union
    return overlap


def expand_ranges(low: IndexArray, high: IndexArray) -> tuple[IndexArray, IndexArray]:
    """All (i, j) with ``low[i] <= j < high[i]``, ascending in i, then in j.

    Parameters
    ----------
    low, high : ndarray of int, shape (N,)

    Returns
    -------
    i, j : ndarray of int, shape (M,)
    """
    count = np.maximum(high - low, 0)
    first = np.repeat(np.arange(len(low)), count)
    ends = np.cumsum(count)
    return first, np.arange(len(first)) + np.repeat(low - (ends - count), count)


def bounded_ranges(low: IndexArray, high: IndexArray) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yield the pairs of `expand_ranges` in pieces of about a million."""
    ends = np.cumsum(np.maximum(high - low, 0))
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.searchsorted(ends, np.arange(_CHUNK, total, _CHUNK), side="right")
    bounds = np.unique(np.concatenate([[0], cuts, [len(low)]]))
    for start, stop in pairwise(bounds):
        i, j = expand_ranges(low[start:stop], high[start:stop])
        yield i + start, j


class _StripHash:
    """Boxes hashed by group, octave of the height and strip (as high as the octave); sorted by x in each strip.

    Groups must be numbered from 0.
    """

    def __init__(self, boxes: FloatArray, groups: IndexArray) -> None:
        self._octave = np.floor(np.log2(boxes[:, 3] - boxes[:, 1])).astype(np.int64)
        self._height = np.exp2(self._octave)
        self._top = boxes[:, 1].min()
        self._left = boxes[:, 0].min()
        self._span = 2.0 * (boxes[:, 2].max() - self._left) + 1.0
        self._octaves = int(self._octave.max()) + 1
        self._strips = int((boxes[:, 1].max() - self._top) / self._height.min()) + 8
        self._groups = groups * (self._octaves - int(self._octave.min()))
        self._first_octave = int(self._octave.min())
        strip = np.floor((boxes[:, 1] - self._top) / self._height).astype(np.int64)
        cell = self._cell(self._groups, self._octave, strip)
        self._cells, rank = np.unique(cell, return_inverse=True)
        along = self._along(rank, boxes[:, 0])
        self.order = np.argsort(along, kind="stable")
        self._sorted = along[self.order]
        self._boxes = boxes

    def _cell(self, group: NDArray[np.int64], octave: NDArray[np.int64], strip: NDArray[np.int64]) -> IndexArray:
        return (group + octave - self._first_octave) * self._strips + strip

    def _along(self, rank: IndexArray, x: FloatArray) -> FloatArray:
        """One sortable number for (cell, x); x is clipped to the range of the cell."""
        along: FloatArray = rank * self._span + np.clip(x - self._left, -0.2 * self._span, 0.7 * self._span)
        return along

    def ranges(self, up: int, iou: float) -> Iterator[tuple[IndexArray, IndexArray, IndexArray]]:
        """Yield (rows, low, high): positions in `order` of partners `up` octaves higher that may overlap."""
        boxes, height = self._boxes, self._height * 2.0**up
        octave = self._octave + up
        # A partner (lower than two strips) that overlaps in y by more than `iou` starts within these strips.
        y = boxes[:, 1] - self._top
        first = np.floor((y - 2.0 * (1.0 - iou) * height) / height).astype(np.int64)
        last = np.floor((y + (1.0 - iou) * (boxes[:, 3] - boxes[:, 1])) / height).astype(np.int64)
        width = boxes[:, 2] - boxes[:, 0]
        left = boxes[:, 0] - width * (1.0 - iou) / iou
        right = boxes[:, 0] + width * (1.0 - iou)
        slack = 1e-12 * (1.0 + len(self._cells)) * self._span
        for shift in range(int((last - first).max()) + 1):
            strip = first + shift
            ok = (strip <= last) & (strip >= 0) & (octave < self._octaves)
            rows = np.flatnonzero(ok)
            cell = self._cell(self._groups[rows], octave[rows], strip[rows])
            rank = np.minimum(np.searchsorted(self._cells, cell), len(self._cells) - 1)
            hit = self._cells[rank] == cell
            rows, rank = rows[hit], rank[hit]
            low = np.searchsorted(self._sorted, self._along(rank, left[rows]) - slack, side="left")
            high = np.searchsorted(self._sorted, self._along(rank, right[rows]) + slack, side="right")
            yield rows, low, high


def overlapping_pairs(
    boxes: FloatArray, groups: NDArray[np.integer], iou: float
) -> tuple[IndexArray, IndexArray, FloatArray]:
    """All pairs of boxes of one group that overlap by more than `iou`.

    Time and memory grow with the number of boxes and of near overlaps, not with the square of the number.

    Parameters
    ----------
    boxes : ndarray of float64, shape (N, 4)
        ``x0, y0, x1, y1``. Empty and non-finite boxes overlap nothing.
    groups : ndarray of int, shape (N,)
        Boxes of different groups are never paired (for example the class).
    iou : float
        Threshold, 0 < iou < 1.

    Returns
    -------
    i, j : ndarray of int, shape (M,)
        Each pair once, in no particular order.
    overlap : ndarray of float64, shape (M,)
        Intersection over union of each pair.

    Raises
    ------
    ValueError
        `iou` is not between 0 and 1.
    """
    if not 0.0 < iou < 1.0:
        raise ValueError(f"iou must lie between 0 and 1, not {iou}")
    sound = np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    usable = np.flatnonzero(sound)
    nothing = (usable[:0], usable[:0], np.empty(0))
    if len(usable) < 2:
        return nothing
    boxes = boxes[usable]
    hashed = _StripHash(boxes, np.unique(groups[usable], return_inverse=True)[1])
    found = []
    # An overlap t limits the ratio of two heights to 1/t, hence the difference of their octaves.
    for up in range(int(np.floor(-np.log2(iou))) + 2):
        for rows, low, high in hashed.ranges(up, iou):
            for local, position in bounded_ranges(low, high):
                i, j = rows[local], hashed.order[position]
                if up == 0:  # within one octave every pair appears twice
                    i, j = i[i < j], j[i < j]
                overlap = pair_iou(boxes[i], boxes[j])
                hit = overlap > iou
                found.append((usable[i[hit]], usable[j[hit]], overlap[hit]))
    if not found:
        return nothing
    i, j, overlap = (np.concatenate(part) for part in zip(*found, strict=True))
    return i, j, overlap
