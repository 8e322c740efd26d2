"""COCO-style average precision, computed by faster-coco-eval."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.errors import NssaError
from nssa_gis.evaluate.calibration import PlattScaling, calibration_error
from nssa_gis.labels.truth import ImageTruth

#: F1 given up for a higher threshold.
_PLATEAU = 0.005


@dataclass(frozen=True)
class Accuracy:
    """Average precision, and one operating point at IoU 0.5.

    Attributes
    ----------
    ap, ap50, ap75 : float
        COCO averages, 0 to 1; NaN without any label.
    precision, recall, f1, threshold : float
        At the operating point (see :meth:`Curve.operating_point`), over all classes.
    truths : int
        Number of labelled objects.
    calibration_error : float
        Mean distance between score and precision; NaN without detections.
    platt : tuple of PlattScaling
        The calibration of the scores, per class; empty where nothing was fitted.
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
    platt: tuple[PlattScaling, ...] = ()


def evaluate_boxes(
    truths: Sequence[ImageTruth], found: Sequence[SceneDetections], classes: int, max_detections: int = 1500
) -> Accuracy:
    """Score detections against labels.

    Parameters
    ----------
    truths, found : sequences of equal length
        Labels and detections per image, in the same pixels. Detections in ignore regions
        (:func:`ignored`) are left out.
    classes : int
        Number of classes.
    max_detections : int
        Per image and class.
    """
    kept = without_ignored(truths, found)
    curve = precision_recall(truths, kept)
    table = average_precisions(truths, kept, classes, {"all": (0.0, np.inf)}, (1, 100, max_detections))
    return Accuracy(
        table.ap(),
        table.ap(iou=0.5),
        table.ap(iou=0.75),
        *curve.operating_point(),
        curve.truths,
        calibration_error(curve.scores, curve.hits),
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
    found: Sequence[SceneDetections],
    classes: int,
    areas: Mapping[str, tuple[float, float]],
    limits: tuple[int, ...],
) -> Averages:
    """Run COCO's matching and accumulation (IoU 0.50 to 0.95 by 0.05, 101 recalls).

    Parameters
    ----------
    truths, found : sequences of equal length
        Labels and detections per image, in the same pixels. Ignore regions of a class are its ``iscrowd`` annotations;
        those for all classes are not used.
    classes : int
        K, number of classes.
    areas : mapping of str to (low, high)
        Ranges of area in square pixels, both ends inclusive; of objects as labelled, of detections that of the box.
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
            sizes = np.concatenate([t.sizes[t.labels == label] for t in truths] or [np.empty(0)])
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


def without_ignored(truths: Sequence[ImageTruth], found: Sequence[SceneDetections]) -> list[SceneDetections]:
    """Leave out the detections in ignore regions (:func:`ignored`), image by image."""
    return [d.take(~ignored(d, t)) for t, d in zip(truths, found, strict=True)]


def ignored(found: SceneDetections, truth: ImageTruth) -> NDArray[np.bool_]:
    """Tell detections in an ignore region that is for all classes or for their own: ``(N,)``."""
    return in_ignore(found.boxes, truth.ignore[truth.ignore_classes < 0]) | in_crowd(found, truth)


def in_crowd(found: SceneDetections, truth: ImageTruth) -> NDArray[np.bool_]:
    """Tell detections in an ignore region of their own class: ``(N,)``."""
    inside = np.zeros(len(found), bool)
    for label in np.unique(truth.ignore_classes[truth.ignore_classes >= 0]):
        mine = found.labels == label
        inside[mine] = in_ignore(found.boxes[mine], truth.ignore[truth.ignore_classes == label])
    return inside


def in_ignore(boxes: NDArray[np.float64], ignore: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Boxes half or more of whose own area lies inside one of the ignore regions: ``(N,)``."""
    if len(ignore) == 0 or len(boxes) == 0:
        return np.zeros(len(boxes), bool)
    low = np.maximum(boxes[:, None, :2], ignore[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], ignore[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1).max(1)
    inside: NDArray[np.bool_] = shared >= 0.5 * (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return inside


def match(truth: ImageTruth, found: SceneDetections, iou: float = 0.5) -> NDArray[np.bool_]:
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


def iou_matrix(a: NDArray[np.float64], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """IoU of every pair: ``(N, M)``."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    overlap: NDArray[np.float64] = shared / np.maximum(area_a[:, None] + area_b[None] - shared, 1e-9)
    return overlap


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

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 of each threshold ``(N,)``; 0 inside a run of equal scores, where no threshold can cut."""
        f1 = 2 * self.precision * self.recall / np.maximum(self.precision + self.recall, 1e-9)
        return np.where(np.append(self.scores[1:] != self.scores[:-1], True)[: len(f1)], f1, 0.0)

    @property
    def best_f1(self) -> float:
        """Highest F1 over all thresholds."""
        return float(self.f1.max(initial=0.0))

    def at(self, threshold: float) -> tuple[float, float, float]:
        """Precision, recall and F1 of the detections from a threshold on; zeros where there are none."""
        last = int((self.scores >= threshold).sum()) - 1
        if last < 0:
            return 0.0, 0.0, 0.0
        return float(self.precision[last]), float(self.recall[last]), float(self.f1[last])

    def operating_point(self) -> tuple[float, float, float, float]:
        """Precision, recall, F1 and threshold; zeros and threshold 1 where nothing is right.

        The highest threshold whose F1 is within half a point (0.005) of the best: the curve is flat there, and false
        boxes cost a user more work than the few objects that the best point would add.
        """
        if not self.recall.any():
            return 0.0, 0.0, 0.0, 1.0
        f1 = self.f1
        best = int(np.argmax((f1 >= f1.max() - _PLATEAU) & (f1 > 0)))
        return float(self.precision[best]), float(self.recall[best]), float(f1[best]), float(self.scores[best])


def common_threshold(curves: Sequence[Curve]) -> float:
    """Give the middle of the thresholds whose F1, averaged over the curves, is within half a point of the best.

    All curves have the same weight: pooled, a place with many objects would decide for all others. The middle, because
    scores shift from place to place, and beyond its ends F1 falls. 1 if nothing is right.
    """
    scores = np.unique(np.concatenate([c.scores for c in curves] or [np.empty(0)]))
    mean = np.zeros(len(scores))
    for curve in curves:
        kept = len(curve.scores) - np.searchsorted(curve.scores[::-1], scores)
        mean += np.append(0.0, curve.f1)[kept] / len(curves)
    good = scores[(mean >= mean.max(initial=0.0) - _PLATEAU) & (mean > 0)]
    if len(good) == 0:
        return 1.0
    return float(good[np.argmin(np.abs(good - (good[0] + good[-1]) / 2))])


def precision_recall(truths: Sequence[ImageTruth], found: Sequence[SceneDetections], label: int | None = None) -> Curve:
    """Precision-recall curve at IoU 0.5 over all images, of one class or of all together.

    A detection that matches no object is ignored in an ignore region of its class, as in COCO; regions for all classes
    are not used.
    """
    if label is not None:
        truths = [t.take(t.labels == label) for t in truths]
        found = [d.take(d.labels == label) for d in found]
    total = sum(len(t.boxes) for t in truths)
    columns = []
    for t, d in zip(truths, found, strict=True):
        hit = match(t, d)
        counted = hit | ~in_crowd(d, t)
        columns.append((hit[counted], d.scores[counted].astype(np.float64)))
    hits = np.concatenate([hit for hit, _ in columns] or [np.empty(0, bool)])
    scores = np.concatenate([score for _, score in columns] or [np.empty(0)])
    order = np.argsort(-scores, kind="stable")
    true = np.cumsum(hits[order])
    return Curve(true / np.arange(1, len(true) + 1), true / max(total, 1), scores[order], total)


def _coco_truth(truths: Sequence[ImageTruth], classes: int) -> dict[str, list[dict[str, object]]]:
    annotations: list[dict[str, object]] = []
    for image, t in enumerate(truths):
        crowds = t.ignore_classes >= 0
        boxes = np.concatenate((t.boxes, t.ignore[crowds]))
        # the matcher never judges a crowd by its area
        areas = np.concatenate((t.sizes, np.zeros(crowds.sum())))
        labels = np.concatenate((t.labels, t.ignore_classes[crowds]))
        for number, (box, area, label) in enumerate(zip(boxes.tolist(), areas.tolist(), labels.tolist(), strict=True)):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image + 1,
                    "category_id": label + 1,
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "area": area,
                    "iscrowd": int(number >= len(t.boxes)),
                }
            )
    return {
        "images": [{"id": i + 1} for i in range(len(truths))],
        "annotations": annotations,
        "categories": [{"id": c + 1, "name": str(c)} for c in range(classes)],
    }


def _coco_found(found: Sequence[SceneDetections]) -> NDArray[np.float64]:
    rows = [
        np.column_stack(
            (np.full(len(d), i + 1), d.boxes[:, :2], d.boxes[:, 2:] - d.boxes[:, :2], d.scores, d.labels + 1)
        )
        for i, d in enumerate(found)
    ]
    return np.concatenate(rows)
