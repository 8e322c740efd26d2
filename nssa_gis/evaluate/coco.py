"""COCO-style average precision, computed by faster-coco-eval."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nssa_gis.detections import Detections

#: F1 given up for a higher threshold.
_PLATEAU = 0.005


@dataclass(frozen=True)
class ImageTruth:
    """Labels of one image.

    Attributes
    ----------
    boxes : ndarray, shape (N, 4)
        ``x0, y0, x1, y1`` in pixels.
    labels : ndarray of int, shape (N,)
        Class index.
    ignore : ndarray, shape (M, 4)
        Areas where detections count neither way.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.float32]


@dataclass(frozen=True)
class Accuracy:
    """Average precision, and one operating point at IoU 0.5.

    Attributes
    ----------
    ap, ap50, ap75 : float
        COCO averages, 0 to 1; NaN without any label.
    precision, recall, f1, threshold : float
        At the operating point (see :func:`operating_point`), over all classes.
    truths : int
        Number of labelled objects.
    """

    ap: float
    ap50: float
    ap75: float
    precision: float
    recall: float
    f1: float
    threshold: float
    truths: int


def evaluate_boxes(
    truths: Sequence[ImageTruth], found: Sequence[Detections], classes: int, max_detections: int = 1500
) -> Accuracy:
    """Score detections against labels.

    Parameters
    ----------
    truths, found : sequences of equal length
        Labels and detections per image, in the same pixels. Detections whose own area lies half or more inside an
        ignore area are dropped first.
    classes : int
        Number of classes.
    max_detections : int
        Per image and class.
    """
    kept = [d.take(~in_ignore(d.boxes, t.ignore)) for t, d in zip(truths, found, strict=True)]
    total = sum(len(t.boxes) for t in truths)
    precision, recall, f1, threshold = operating_point(truths, kept)
    if total == 0 or not any(map(len, kept)):
        value = float("nan") if total == 0 else 0.0
        return Accuracy(value, value, value, precision, recall, f1, threshold, total)
    from faster_coco_eval import COCO, COCOeval_faster

    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(_coco_truth(truths, classes))
        dt = gt.loadRes(_coco_found(kept))
        run = COCOeval_faster(gt, dt, "bbox")
        run.params.maxDets = [1, 100, max_detections]
        run.evaluate()
        run.accumulate()
    table = run.eval["precision"][:, :, :, 0, -1]  # IoU thresholds, recalls, classes
    ious = run.params.iouThrs

    def mean(t: NDArray[np.float64]) -> float:
        return float(t[t > -1].mean()) if (t > -1).any() else float("nan")

    at = [int(np.argmin(np.abs(ious - x))) for x in (0.5, 0.75)]
    return Accuracy(mean(table), mean(table[at[0]]), mean(table[at[1]]), precision, recall, f1, threshold, total)


def in_ignore(boxes: NDArray[np.float64], ignore: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Boxes half or more of whose own area lies inside one of the ignore areas: ``(N,)``."""
    if len(ignore) == 0 or len(boxes) == 0:
        return np.zeros(len(boxes), bool)
    low = np.maximum(boxes[:, None, :2], ignore[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], ignore[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1).max(1)
    return shared >= 0.5 * (boxes[:, 2:] - boxes[:, :2]).prod(1)


def match(truth: ImageTruth, found: Detections, iou: float = 0.5) -> NDArray[np.bool_]:
    """Greedy one-to-one matching by descending score within classes: which detections are true ``(N,)``."""
    hit = np.zeros(len(found), bool)
    if len(found) == 0 or len(truth.boxes) == 0:
        return hit
    overlap = iou_matrix(found.boxes, truth.boxes)
    overlap[found.labels[:, None] != truth.labels[None]] = 0
    for i in np.argsort(-found.scores, kind="stable"):
        j = int(overlap[i].argmax())
        if overlap[i, j] >= iou:
            hit[i] = True
            overlap[:, j] = 0
    return hit


def iou_matrix(a: NDArray[np.float64], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """IoU of every pair: ``(N, M)``."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return shared / np.maximum(area_a[:, None] + area_b[None] - shared, 1e-9)


def operating_point(truths: Sequence[ImageTruth], found: Sequence[Detections]) -> tuple[float, float, float, float]:
    """Precision, recall, F1 and threshold at IoU 0.5, over all images and classes.

    The highest threshold whose F1 is within half a point of the best: the curve is flat there, and false boxes cost a
    user more work than the few objects that the best point would add.
    """
    total = sum(len(t.boxes) for t in truths)
    hits = np.concatenate([match(t, d) for t, d in zip(truths, found, strict=True)] or [np.empty(0, bool)])
    scores = np.concatenate([d.scores for d in found] or [np.empty(0, np.float32)])
    if total == 0 or not hits.any():
        return 0.0, 0.0, 0.0, 1.0
    order = np.argsort(-scores, kind="stable")
    true = np.cumsum(hits[order])
    precision, recall = true / np.arange(1, len(true) + 1), true / total
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    best = int(np.argmax(f1 >= f1.max() - _PLATEAU))
    return float(precision[best]), float(recall[best]), float(f1[best]), float(scores[order][best])


def _coco_truth(truths: Sequence[ImageTruth], classes: int) -> dict[str, list[dict[str, object]]]:
    annotations: list[dict[str, object]] = []
    for image, t in enumerate(truths):
        for box, label in zip(t.boxes.tolist(), t.labels.tolist(), strict=True):
            w, h = box[2] - box[0], box[3] - box[1]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image + 1,
                    "category_id": label + 1,
                    "bbox": [box[0], box[1], w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    return {
        "images": [{"id": i + 1} for i in range(len(truths))],
        "annotations": annotations,
        "categories": [{"id": c + 1, "name": str(c)} for c in range(classes)],
    }


def _coco_found(found: Sequence[Detections]) -> NDArray[np.float64]:
    rows = [
        np.column_stack(
            (np.full(len(d), i + 1), d.boxes[:, :2], d.boxes[:, 2:] - d.boxes[:, :2], d.scores, d.labels + 1)
        )
        for i, d in enumerate(found)
    ]
    return np.concatenate(rows)
