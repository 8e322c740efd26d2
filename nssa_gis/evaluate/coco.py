"""COCO-style average precision, computed by faster-coco-eval."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nssa_gis.detections import Detections
from nssa_gis.errors import NssaError
from nssa_gis.evaluate.calibration import ScoreLine, calibration_error, fit_score_line

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
    calibration_error : float
        Mean distance between score and precision; NaN without detections.
    score_line : ScoreLine
        What would make the scores precisions.
    """

    ap: float
    ap50: float
    ap75: float
    precision: float
    recall: float
    f1: float
    threshold: float
    truths: int
    calibration_error: float
    score_line: ScoreLine


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
    curve = precision_recall(truths, kept)
    table = average_precisions(truths, kept, classes, {"all": (0.0, np.inf)}, (1, 100, max_detections))
    return Accuracy(
        table.ap(),
        table.ap(iou=0.5),
        table.ap(iou=0.75),
        *curve.operating_point(),
        curve.truths,
        calibration_error(curve.scores, curve.hits),
        fit_score_line(curve.scores, curve.hits),
    )


@dataclass(frozen=True)
class Averages:
    """What COCO's accumulation leaves: -1 where a class has no object in an area range.

    Attributes
    ----------
    ious : ndarray, shape (T,)
        IoU thresholds.
    areas : tuple of str
        Names of the A area ranges.
    limits : tuple of int
        The M limits of detections per image and class.
    precision : ndarray, shape (T, R, K, A, M)
        At R recalls for K classes.
    recall : ndarray, shape (T, K, A, M)
        Highest recall.
    """

    ious: NDArray[np.float64]
    areas: tuple[str, ...]
    limits: tuple[int, ...]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    def ap(self, area: str = "all", iou: float | None = None, label: int | None = None) -> float:
        """Average precision at the largest limit, over all IoU or at one, over all classes or of one; NaN if empty."""
        table = self.precision[:, :, :, self.areas.index(area), -1]
        if iou is not None:
            table = table[[int(np.argmin(np.abs(self.ious - iou)))]]
        return _mean(table if label is None else table[:, :, [label]])

    def ar(self, limit: int, area: str = "all") -> float:
        """Average recall at one of the limits; NaN if empty."""
        return _mean(self.recall[:, :, self.areas.index(area), self.limits.index(limit)])


def average_precisions(
    truths: Sequence[ImageTruth],
    found: Sequence[Detections],
    classes: int,
    areas: Mapping[str, tuple[float, float]],
    limits: tuple[int, ...],
) -> Averages:
    """Run COCO's matching and accumulation (IoU 0.50 to 0.95 by 0.05, 101 recalls).

    Parameters
    ----------
    truths, found : sequences of equal length
        Labels and detections per image, in the same pixels; ignore areas are not looked at.
    classes : int
        K, number of classes.
    areas : mapping of str to (low, high)
        Ranges of box area in square pixels, both ends inclusive.
    limits : tuple of int
        Detections per image and class, rising; AP is read at the last.

    Raises
    ------
    NssaError
        faster-coco-eval is not installed.
    """
    ious = np.linspace(0.5, 0.95, 10)
    if not any(len(t.boxes) for t in truths) or not any(map(len, found)):
        # without detections the library fails; a class with objects then has precision and recall 0
        present = np.zeros((classes, len(areas)))
        for label in range(classes):
            sizes = np.concatenate([_areas(t.boxes[t.labels == label]) for t in truths] or [np.empty(0)])
            present[label] = [((sizes >= low) & (sizes <= high)).any() for low, high in areas.values()]
        empty = np.where(present, 0.0, -1.0)[None, :, :, None].repeat(len(limits), 3).repeat(len(ious), 0)
        return Averages(ious, tuple(areas), limits, empty[:, None].repeat(101, 1), empty)
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError:
        raise NssaError("faster-coco-eval is not installed; pip install 'nssa-gis[train]'") from None
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(_coco_truth(truths, classes))
        run = COCOeval_faster(gt, gt.loadRes(_coco_found(found)), "bbox")
        run.params.maxDets = list(limits)
        run.params.areaRng = [[low, min(high, 1e10)] for low, high in areas.values()]
        run.params.areaRngLbl = list(areas)
        run.evaluate()
        run.accumulate()
    return Averages(run.params.iouThrs, tuple(areas), limits, run.eval["precision"], run.eval["recall"])


def _mean(table: NDArray[np.float64]) -> float:
    return float(table[table > -1].mean()) if (table > -1).any() else float("nan")


def _areas(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    return (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(1)


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


@dataclass(frozen=True)
class Curve:
    """Precision and recall at IoU 0.5, by falling score.

    Attributes
    ----------
    precision, recall, scores : ndarray, shape (N,)
        After each detection.
    truths : int
        Number of labelled objects.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    scores: NDArray[np.float64]
    truths: int

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Which detections are right ``(N,)``."""
        return np.diff(self.recall, prepend=0.0) > 0

    def operating_point(self) -> tuple[float, float, float, float]:
        """Precision, recall, F1 and threshold; zeros and threshold 1 where nothing is right.

        The highest threshold whose F1 is within half a point of the best: the curve is flat there, and false boxes
        cost a user more work than the few objects that the best point would add.
        """
        if not self.recall.any():
            return 0.0, 0.0, 0.0, 1.0
        f1 = 2 * self.precision * self.recall / np.maximum(self.precision + self.recall, 1e-9)
        best = int(np.argmax(f1 >= f1.max() - _PLATEAU))
        return float(self.precision[best]), float(self.recall[best]), float(f1[best]), float(self.scores[best])


def precision_recall(truths: Sequence[ImageTruth], found: Sequence[Detections], label: int | None = None) -> Curve:
    """Precision-recall curve at IoU 0.5 over all images, of one class or of all together."""
    if label is not None:
        truths = [ImageTruth(t.boxes[t.labels == label], t.labels[t.labels == label], t.ignore) for t in truths]
        found = [d.take(d.labels == label) for d in found]
    total = sum(len(t.boxes) for t in truths)
    hits = np.concatenate([match(t, d) for t, d in zip(truths, found, strict=True)] or [np.empty(0, bool)])
    scores = np.concatenate([d.scores for d in found] or [np.empty(0, np.float32)]).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    true = np.cumsum(hits[order])
    return Curve(true / np.arange(1, len(true) + 1), true / max(total, 1), scores[order], total)


def operating_point(truths: Sequence[ImageTruth], found: Sequence[Detections]) -> tuple[float, float, float, float]:
    """Precision, recall, F1 and threshold at IoU 0.5, over all images and classes (:meth:`Curve.operating_point`)."""
    return precision_recall(truths, found).operating_point()


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
