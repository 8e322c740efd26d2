"""The usual methods to merge the detections of overlapping tiles, for comparison with the seam rules.

They use only the overlap of two boxes, not the tiles that the boxes come from and not the cut sides.
"""

from __future__ import annotations

import numpy as np

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.boxes.iou import overlapping_pairs
from nssa_gis.boxes.nms import independent_set
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams import merge_detections

#: "seam" is the merge of the product; "none" keeps every raw detection.
METHODS = ("seam", "nms", "nmm", "wbf", "none")


def merge(found: GridDetections, grid: TileGrid, method: str) -> GridDetections:
    """Merge the detections of a whole scene by one of `METHODS`, with the usual overlap of 0.5 for the others.

    Parameters
    ----------
    found : GridDetections
        N rows in any order, boxes in pixels of the working grid.
    grid : TileGrid
        The tile plan.
    method : {"seam", "nms", "nmm", "wbf", "none"}

    Returns
    -------
    GridDetections
    """
    if method == "seam":
        return merge_detections(found, grid)
    if method == "none":
        return found
    return merge_by_overlap(found, method, 0.5)


def merge_by_overlap(found: GridDetections, method: str, iou: float) -> GridDetections:
    """Merge boxes of one class that overlap by more than `iou`, wherever they come from.

    All three take the boxes by descending score. Each box makes a group with the boxes that overlap it and belong to no
    group yet.

    Parameters
    ----------
    found : GridDetections
        N rows; of two boxes with the same score the earlier one is taken first.
    method : {"nms", "nmm", "wbf"}
        What a group becomes: its best box (non-maximum suppression), the hull of its boxes (greedy
        non-maximum merging), or the mean of its boxes weighted by score, with the mean score (weighted boxes
        fusion).
    iou : float
        Threshold, 0 < iou < 1.

    Returns
    -------
    GridDetections
        One row per group, in the order of `found`.
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
