"""Greedy non-maximum suppression in plain numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.iou import FloatArray, IndexArray, overlapping_pairs

# Rounds that decide many boxes at once; the rest is decided one by one. Real data needs fewer than ten. Only a long
# chain of boxes with steadily falling scores needs more, and then the loop is faster.
_MAX_ROUNDS = 32


def independent_set(rank: IndexArray, i: IndexArray, j: IndexArray) -> NDArray[np.bool_]:
    """Greedy choice: take items by ascending rank and drop those that are paired with one already taken.

    Parameters
    ----------
    rank : ndarray of int, shape (N,)
        Unique rank of each item; the lowest is taken first.
    i, j : ndarray of int, shape (M,)
        Pairs that exclude one another.

    Returns
    -------
    ndarray of bool, shape (N,)
        True for the items taken: the same set that a loop over single items takes.
    """
    swap = rank[i] > rank[j]
    better, worse = np.where(swap, j, i), np.where(swap, i, j)
    undecided = np.ones(len(rank), dtype=bool)
    kept = np.ones(len(rank), dtype=bool)
    for _ in range(_MAX_ROUNDS):
        if not len(better):
            return kept
        # An item without a better undecided partner is taken now; its partners and their pairs are dropped.
        beaten = np.zeros(len(rank), dtype=bool)
        beaten[worse] = True
        winner = ~beaten[better]
        kept[worse[winner]] = False
        undecided[better[winner]] = False
        undecided[worse[winner]] = False
        alive = undecided[better] & undecided[worse]
        better, worse = better[alive], worse[alive]
    order = np.argsort(rank[better], kind="stable")
    for a, b in zip(better[order].tolist(), worse[order].tolist(), strict=True):
        if kept[a]:
            kept[b] = False
    return kept


def ranks(order: IndexArray) -> IndexArray:
    """Place of each row in an order of all rows ``(N,)``."""
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return rank


def nms(boxes: FloatArray, scores: NDArray[np.floating], labels: NDArray[np.integer], iou: float = 0.5) -> IndexArray:
    """Class-wise greedy non-maximum suppression.

    Parameters
    ----------
    boxes : ndarray of float64, shape (N, 4)
        ``x0, y0, x1, y1``.
    scores : ndarray of float, shape (N,)
        Confidence; of equal ones the earlier row wins.
    labels : ndarray of int, shape (N,)
        Only boxes of one label suppress one another.
    iou : float
        A box is dropped if it overlaps a kept one by more than this, 0 < iou < 1.

    Returns
    -------
    ndarray of int, shape (K,)
        Rows kept, by descending score.
    """
    order = np.argsort(-scores, kind="stable")
    i, j, _ = overlapping_pairs(np.asarray(boxes, np.float64), labels, iou)
    return order[independent_set(ranks(order), i, j)[order]]
