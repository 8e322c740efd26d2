"""The official VisDrone-DET averages, after the rules of the Matlab toolkit (VisDrone2018-DET-toolkit)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.evaluate.coco import iou_matrix
from nssa_gis.labels.truth import ImageTruth

_IOUS = np.linspace(0.5, 0.95, 10)
#: Share of a box that must lie in the ignored regions for it to be taken out.
_IGNORED = 0.5


@dataclass(frozen=True)
class OfficialScores:
    """Averages of the toolkit, 0 to 1.

    Attributes
    ----------
    ap, ap50, ap75 : float
        Mean over the classes, each class as often as there are images that hold it.
    recalls : dict of int to float
        Average recall per limit of rows per image.
    class_ap, class_ap50 : ndarray, shape (K,)
        NaN for a class without objects.
    truths, found : list
        What counted: without the ignored regions, and of each image the first rows only.
    """

    ap: float
    ap50: float
    ap75: float
    recalls: dict[int, float]
    class_ap: NDArray[np.float64]
    class_ap50: NDArray[np.float64]
    truths: list[ImageTruth]
    found: list[SceneDetections]


def official_scores(
    truths: Sequence[ImageTruth],
    found: Sequence[SceneDetections],
    classes: int,
    limits: tuple[int, ...] = (1, 10, 100, 500),
) -> OfficialScores:
    """Score as the toolkit does.

    (1) Objects and detections half of whose area lies in the union of the ignored regions are taken out (a region of
    one class, which VisDrone does not have, for this class only); (2) of each
    image the first ``limits[-1]`` rows over all classes count, in the order given (sort by score before); (3) greedy
    matching by score; (4) AP is the area under the monotone precision-recall curve at all points; (5) the mean over
    classes weights each by the number of images that hold it.

    Parameters
    ----------
    truths, found : sequences of equal length
        Labels and detections per image, in pixels of the original image.
    classes : int
        K, number of classes.
    limits : tuple of int
        Rows per image, rising; AP is read at the last.
    """
    kept_truths, kept_found = [], []
    for truth, detections in zip(truths, found, strict=True):
        kept_truths.append(truth.take(~_in_regions(truth.boxes, truth.labels, truth)))
        kept_found.append(detections.take(~_in_regions(detections.boxes, detections.labels, truth)))
    ap = np.full((classes, len(_IOUS)), np.nan)
    recall = np.full((classes, len(_IOUS), len(limits)), np.nan)
    weight = np.zeros(classes)
    for label in range(classes):
        own = [t.take(t.labels == label) for t in kept_truths]
        weight[label] = sum(len(t.boxes) > 0 for t in own)
        if weight[label] == 0:
            continue
        for column, limit in enumerate(limits):
            rows = [d.take(slice(0, limit)) for d in kept_found]
            precision, recalls = _curves(own, [d.take(d.labels == label) for d in rows])
            recall[label, :, column] = recalls[:, -1] if recalls.shape[1] else 0.0
        ap[label] = [_area_under(r, p) for r, p in zip(recalls, precision, strict=True)]
    share = weight / max(weight.sum(), 1)
    present = weight > 0

    def mean(per_class: NDArray[np.float64]) -> float:
        return float((per_class[present] * share[present]).sum()) if present.any() else float("nan")

    return OfficialScores(
        mean(ap.mean(1)),
        mean(ap[:, 0]),
        mean(ap[:, 5]),
        {limit: mean(recall[:, :, column].mean(1)) for column, limit in enumerate(limits)},
        ap.mean(1),
        ap[:, 0],
        kept_truths,
        [d.take(slice(0, limits[-1])) for d in kept_found],
    )


def _in_regions(boxes: NDArray[np.floating], labels: NDArray[np.integer], truth: ImageTruth) -> NDArray[np.bool_]:
    """Boxes with half of their area or more in the union of the regions for all classes and for their own: ``(N,)``."""
    own = truth.ignore_classes
    inside = _in_union(boxes, truth.ignore[own < 0], truth.size)
    for label in np.unique(own[own >= 0]):
        mine = labels == label
        inside[mine] = _in_union(boxes[mine], truth.ignore[(own < 0) | (own == label)], truth.size)
    return inside


def _in_union(
    boxes: NDArray[np.floating], regions: NDArray[np.floating], size: tuple[int, int] | None
) -> NDArray[np.bool_]:
    """Boxes with half of their area or more in the union of the regions: ``(N,)``.

    Counted in whole pixels as ``dropObjectsInIgr.m`` does, down to its oddities. ``x, y, w, h`` of boxes are rounded
    one by one, halves up, and raised to 1 or more; they are taken for pixel numbers counted from 1. A region marks the
    pixels of columns x to x + w and rows y to y + h, both ends included (one more each way than its size), within the
    image. A box counts the marked pixels of columns x + 1 to x + w and rows y + 1 to y + h, within the image, and
    divides by its whole w h. (Sides of regions are rounded too; the toolkit has them whole.)

    Parameters
    ----------
    boxes, regions : ndarray, shapes (N, 4) and (M, 4)
        ``x0, y0, x1, y1`` in pixels.
    size : (int, int) or None
        Width and height of the image; None: it goes on beyond all regions.
    """
    if len(regions) == 0 or len(boxes) == 0:
        return np.zeros(len(boxes), bool)
    marks = _whole(regions)
    width, height = (marks[:, :2] + marks[:, 2:]).max(0)
    if size:
        width, height = min(width, size[0]), min(height, size[1])
    # row and column 0 are the zeros before the first pixel; beyond the last region the sums no longer change
    mask = np.zeros((height + 1, width + 1), np.int64)
    for x, y, w, h in marks:
        mask[y : y + h + 1, x : x + w + 1] = 1
    total = mask.cumsum(0).cumsum(1)
    x, y, w, h = _whole(boxes).T
    x0, y0, x1, y1 = np.minimum(x, width), np.minimum(y, height), np.minimum(x + w, width), np.minimum(y + h, height)
    inside = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
    ignored: NDArray[np.bool_] = inside >= _IGNORED * w * h
    return ignored


def _whole(boxes: NDArray[np.floating]) -> NDArray[np.int64]:
    """``x, y, w, h`` as the toolkit rounds them: halves up, at least 1."""
    xywh = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1).astype(np.float64)
    return np.floor(xywh + 0.5).clip(1).astype(np.int64)


def _curves(
    truths: Sequence[ImageTruth], found: Sequence[SceneDetections]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall after each detection of one class, per IoU: two arrays ``(T, N)``."""
    total = sum(len(t.boxes) for t in truths)
    hits = [_hits(t, d) for t, d in zip(truths, found, strict=True)]
    scores = np.concatenate([d.scores[np.argsort(-d.scores, kind="stable")] for d in found])
    order = np.argsort(-scores, kind="stable")
    true = np.concatenate(hits, 1)[:, order].cumsum(1)
    return true / np.arange(1, true.shape[1] + 1), true / total


def _hits(truth: ImageTruth, found: SceneDetections) -> NDArray[np.bool_]:
    """Greedy matching by falling score at every IoU: ``(T, N)``, in the order of falling score."""
    order = np.argsort(-found.scores, kind="stable")
    hits = np.zeros((len(_IOUS), len(order)), bool)
    if len(truth.boxes) == 0 or len(order) == 0:
        return hits
    overlap = iou_matrix(found.boxes[order], truth.boxes)
    free = np.ones((len(_IOUS), len(truth.boxes)), bool)
    every = np.arange(len(_IOUS))
    for column, row in enumerate(overlap):
        open_to = np.where(free, row, -1.0)
        best = open_to.argmax(1)
        hit = open_to[every, best] >= _IOUS
        hits[:, column] = hit
        free[every[hit], best[hit]] = False
    return hits


def _area_under(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """VOC's area under the curve, precision made monotone from the right."""
    r = np.concatenate(([0.0], recall, [1.0]))
    p = np.concatenate(([0.0], precision, [0.0]))
    p = np.maximum.accumulate(p[::-1])[::-1]
    step = np.flatnonzero(r[1:] != r[:-1]) + 1
    return float(((r[step] - r[step - 1]) * p[step]).sum())
