"""Average the detections of several views of the same pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.boxes.iou import overlapping_pairs
from nssa_gis.boxes.nms import independent_set, ranks

#: Detections of two views that overlap by more than this IoU are of one object.
SAME_OBJECT = 0.5


def consensus(views: Sequence[TileDetections], iou: float = SAME_OBJECT) -> TileDetections:
    """Average the detections of several views of the same tiles.

    The detection with the highest score is the seed of its group. From every other view the highest-scoring detection
    that overlaps the seed joins the group. The score is the mean over all views; a view without the object counts as 0,
    so an object that only one view shows gets a low score. The box is the mean of the members, weighted by score.

    Parameters
    ----------
    views : sequence of TileDetections
        In the same pixels and with the same tile numbers. Within a view no two detections of a class may overlap by
        more than ``iou``: one of them would be lost.
    iou : float
        Least overlap with the seed, 0 < iou < 1.

    Returns
    -------
    TileDetections
        By tile, then descending score of the seed; ``cut`` is 0.
    """
    every = TileDetections.concat(views)
    if len(every) == 0:
        return every
    view = np.repeat(np.arange(len(views)), [len(v) for v in views])
    group = every.item * (int(every.labels.max()) + 1) + every.labels
    order = np.lexsort((view, -every.scores, every.item))
    rank = ranks(order)
    i, j, overlap = overlapping_pairs(every.boxes, group, iou)
    seed = independent_set(rank, i, j)
    # every other detection goes to the seed that it overlaps most
    pair_seed, member = np.concatenate((i, j)), np.concatenate((j, i))
    kept = seed[pair_seed] & ~seed[member]
    pair_seed, member, overlap = pair_seed[kept], member[kept], np.tile(overlap, 2)[kept]
    owner = np.arange(len(every))
    by_overlap = np.lexsort((-rank[pair_seed], overlap))  # the largest overlap is written last and stays
    owner[member[by_overlap]] = pair_seed[by_overlap]
    # each view counts once for an object, with its highest score
    _, first = np.unique(owner[order] * len(views) + view[order], return_index=True)
    chosen = order[first]
    seeds = order[seed[order]]
    place = np.empty(len(every), np.intp)
    place[seeds] = np.arange(len(seeds))
    at = place[owner[chosen]]
    weight = np.maximum(every.scores[chosen].astype(np.float64), 1e-12)
    total = np.bincount(at, weight, len(seeds))
    boxes = np.stack([np.bincount(at, weight * every.boxes[chosen, k], len(seeds)) for k in range(4)], 1)
    return TileDetections.of(boxes / total[:, None], total / len(views), every.labels[seeds], every.item[seeds])
