"""Separable resampling: a result depends on its place alone, not on the window it is read through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Taps:
    """Source pixels and weights of a run of target pixels.

    Attributes
    ----------
    index : ndarray of intp, shape (n, k)
        Source pixels, from ``low``.
    weight : ndarray of float32, shape (n, k)
        Sums to one in each row.
    low, high : int
        The source pixels that are needed.
    """

    index: NDArray[np.intp]
    weight: Floats
    low: int
    high: int


def taps(source: int, target: int, first: int, last: int) -> Taps:
    """Weights along one axis: exact area averages when shrinking, bilinear when enlarging.

    Parameters
    ----------
    source, target : int
        Whole length of the axis in source and in target pixels.
    first, last : int
        The run of target pixels.
    """
    i = np.arange(first, last, dtype=np.int64)
    if target > source:
        centre = (i + 0.5) * source / target - 0.5
        base = np.floor(centre).astype(np.int64)
        part = centre - base
        index, weight = np.stack([base, base + 1], axis=1), np.stack([1 - part, part], axis=1)
    else:
        # In integers: a float edge a hair beyond a pixel boundary would drag in one more pixel.
        low, high = i * source // target, -(-(i + 1) * source // target)
        index = low[:, None] + np.arange((high - low).max(initial=1))
        left, right = (i * source / target)[:, None], ((i + 1) * source / target)[:, None]
        weight = np.clip(np.minimum(index + 1, right) - np.maximum(index, left), 0, None)
        weight /= weight.sum(axis=1, keepdims=True)
    index = np.clip(index, 0, source - 1)
    needed = index[weight > 0]
    start, stop = int(needed.min()), int(needed.max()) + 1
    index = np.clip(index, start, stop - 1) - start
    return Taps(index.astype(np.intp), weight.astype(np.float32), start, stop)


def resample(
    pixels: NDArray[np.uint8], valid: NDArray[np.bool_] | None, rows: Taps, cols: Taps
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Resample a window; invalid pixels have no part in the averages.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (C, rows.high - rows.low, cols.high - cols.low)
        0 where invalid.
    valid : ndarray of bool, same height and width, or None
    rows, cols : Taps

    Returns
    -------
    pixels : ndarray of uint8, shape (C, n_rows, n_cols)
    valid : ndarray of bool or None
        At least half of the weight is valid.
    """
    mean = _weigh(pixels, rows, cols)
    if valid is None:
        return _rounded(mean), None
    share = _weigh(valid[None], rows, cols)[0]
    inside = share >= 0.5 - 1e-6
    mean /= np.where(inside, share, np.inf)
    return _rounded(mean), inside


def _weigh(array: NDArray[Any], rows: Taps, cols: Taps) -> Floats:
    tall = rows.weight[:, 0, None] * array[:, rows.index[:, 0]]
    for k in range(1, rows.weight.shape[1]):
        tall += rows.weight[:, k, None] * array[:, rows.index[:, k]]
    out = cols.weight[:, 0] * np.take(tall, cols.index[:, 0], axis=2)
    for k in range(1, cols.weight.shape[1]):
        out += cols.weight[:, k] * np.take(tall, cols.index[:, k], axis=2)
    return np.asarray(out, np.float32)


def _rounded(values: Floats) -> NDArray[np.uint8]:
    values += 0.5
    return np.clip(values, 0, 255, out=values).astype(np.uint8)
