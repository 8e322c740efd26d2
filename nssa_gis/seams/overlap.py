"""The usual ways of merging, which look at the overlap alone; here for comparison."""

from __future__ import annotations

import numpy as np

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.boxes.nms import independent_set, overlapping_pairs


def merge_by_overlap(found: GridDetections, method: str, iou: float) -> GridDetections:
    """Merge boxes of one class that overlap by more than `iou`, wherever they come from.

    In all three the boxes are taken by falling score, and each one takes to itself those that overlap it and
    have not been taken.

    Parameters
    ----------
    found : GridDetections
        N rows in canonical order.
    method : {"nms", "nmm", "wbf"}
        What becomes of a group: its best box (non-maximum suppression), the hull of its boxes (greedy
        non-maximum merging), or their mean weighted by the scores, with the mean score (weighted boxes
        fusion).
    iou : float
        Threshold, 0 < iou < 1.

    Returns
    -------
    GridDetections
        One row a group, in the order of their best boxes.
    """
    count = len(found)
    order = np.argsort(-found.scores, kind="stable")
    rank = np.empty(count, np.intp)
    rank[order] = np.arange(count)
    i, j, _ = overlapping_pairs(found.boxes, found.labels, iou)
    kept = independent_set(rank, i, j)
    best = found.take(kept)
    if method == "nms":
        return best
    i, j = np.concatenate([i, j]), np.concatenate([j, i])
    takes = kept[i] & ~kept[j]
    taker = np.where(kept, rank, count)
    np.minimum.at(taker, j[takes], rank[i[takes]])
    slot = np.full(count, -1)
    slot[kept] = np.arange(len(best))
    group = slot[order[taker]]
    if method == "nmm":
        boxes = best.boxes.copy()
        for side in (0, 1):
            np.minimum.at(boxes[:, side], group, found.boxes[:, side])
            np.maximum.at(boxes[:, side + 2], group, found.boxes[:, side + 2])
        return GridDetections(boxes, best.scores, best.labels, best.tile, best.cut)
    weight = np.maximum(found.scores.astype(np.float64), 1e-9)
    total = np.bincount(group, weight, len(best))
    boxes = np.stack([np.bincount(group, weight * side, len(best)) / total for side in found.boxes.T], axis=1)
    mean = (total / np.maximum(np.bincount(group, minlength=len(best)), 1)).astype(np.float32)
    return GridDetections(boxes, mean, best.labels, best.tile, best.cut)
