"""Evaluation protocols: which detections count, which size bins there are, what is averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.evaluate.coco import Curve, average_precisions, ignored, precision_recall
from nssa_gis.evaluate.visdrone import official_scores
from nssa_gis.labels.truth import ImageTruth

_COCO_AREAS = {
    "all": (0.0, np.inf),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, np.inf),
}
#: cocoapi-aitod: square pixels of the image as it is; "medium" has no ceiling.
AITOD_AREAS = {
    "all": (0.0, np.inf),
    "very tiny": (0.0, 8.0**2),
    "tiny": (8.0**2, 16.0**2),
    "small": (16.0**2, 32.0**2),
    "medium": (32.0**2, np.inf),
}


@dataclass(frozen=True)
class Protocol:
    """How detections are scored.

    Attributes
    ----------
    about : str
        One line for people.
    areas : dict of str to (low, high)
        Bins of box areas, square pixels of the original image, both ends inclusive.
    limits : tuple of int
        Detections per image and class, rising; AP is read at the last. (Of the official VisDrone protocol: per image,
        over all classes.)
    regions : bool
        Detections in ignored regions are taken out first; COCO knows crowds only, each for its own class.
    official : bool
        VisDrone's own matching and averages instead of COCO's.
    """

    about: str
    areas: dict[str, tuple[float, float]]
    limits: tuple[int, ...]
    regions: bool = False
    official: bool = False


PROTOCOLS = {
    "coco": Protocol("COCO: 100 detections per image and class", _COCO_AREAS, (1, 10, 100)),
    "visdrone": Protocol(
        "VisDrone as COCO: ignored regions taken out, 500 detections per image and class",
        _COCO_AREAS,
        (1, 10, 100, 500),
        regions=True,
    ),
    "visdrone-official": Protocol(
        "VisDrone's toolkit: 500 detections per image over all classes, classes weighted by the images they are in",
        {},
        (1, 10, 100, 500),
        regions=True,
        official=True,
    ),
    "aitod": Protocol(
        "AI-TOD: very tiny, tiny, small, medium; 1500 detections per image and class", AITOD_AREAS, (1, 100, 1500)
    ),
}


@dataclass(frozen=True)
class ClassScore:
    """Accuracy of one class.

    Attributes
    ----------
    name : str
        The class.
    ap, ap50 : float
        0 to 1; NaN without an object of the class.
    precision, recall, f1, threshold : float
        At the operating point of the class, IoU 0.5 (:meth:`~nssa_gis.evaluate.coco.Curve.operating_point`).
    best_f1 : float
        Highest F1 over all thresholds, IoU 0.5.
    truths : int
        Number of labelled objects.
    at_default : dict of str to float
        ``threshold``, ``precision``, ``recall`` and ``f1`` at the default confidence threshold of the model, IoU 0.5.
    """

    name: str
    ap: float
    ap50: float
    precision: float
    recall: float
    f1: float
    threshold: float
    best_f1: float
    truths: int
    at_default: dict[str, float]


@dataclass(frozen=True)
class ProtocolScore:
    """Accuracy under one protocol.

    Attributes
    ----------
    protocol : str
        Its name.
    ap, ap50, ap75 : float
        0 to 1; NaN without any object.
    areas : dict of str to float
        AP per area range.
    recalls : dict of int to float
        Average recall per limit of detections.
    precision, recall, f1, threshold : float
        At the operating point over all classes, IoU 0.5.
    best_f1 : float
        Highest F1 over all thresholds and all classes, IoU 0.5.
    truths : int
        Number of labelled objects that count.
    at_default : dict of str to float
        ``threshold``, ``precision``, ``recall`` and ``f1`` over all classes at the default confidence threshold of the
        model, which a detection uses; IoU 0.5.
    classes : list of ClassScore
        In the order of the classes.
    curves : dict of str to Curve
        Per class, and ``all``.
    """

    protocol: str
    ap: float
    ap50: float
    ap75: float
    areas: dict[str, float]
    recalls: dict[int, float]
    precision: float
    recall: float
    f1: float
    threshold: float
    best_f1: float
    truths: int
    at_default: dict[str, float]
    classes: list[ClassScore]
    curves: dict[str, Curve]

    def to_dict(self) -> dict[str, Any]:
        """Give JSON-able values, without the curves; NaN becomes null."""
        values = {k: v for k, v in self.__dict__.items() if k not in ("curves", "classes")}
        values["classes"] = [dict(c.__dict__) for c in self.classes]
        return _without_nan(values)  # type: ignore[no-any-return]

    def to_text(self) -> str:
        """Give a table for people; figures from 0 to 1, as in the JSON."""
        averages = {"AP": self.ap, "AP50": self.ap50, "AP75": self.ap75}
        rows = [f"\nprotocol {self.protocol}, {self.truths} objects"]
        rows.append("  " + "  ".join(f"{name} {_cell(value)}" for name, value in averages.items()))
        if self.areas:
            rows.append("  " + "  ".join(f"AP {area} {_cell(value)}" for area, value in self.areas.items()))
        rows.append("  " + "  ".join(f"AR{limit} {_cell(value)}" for limit, value in self.recalls.items()))
        width = max(len("all together"), *(len(c.name) for c in self.classes))
        rows.append(f"  {'class'.ljust(width)}  objects     AP   AP50      P      R     F1  threshold")
        table: list[tuple[str, ClassScore | ProtocolScore]] = [(c.name, c) for c in self.classes]
        for name, row in [*table, ("all together", self)] if len(table) > 1 else table:
            figures = "  ".join(map(_cell, (row.ap, row.ap50, row.precision, row.recall, row.f1)))
            rows.append(f"  {name.ljust(width)}  {row.truths:7d}  {figures}       {row.threshold:.2f}")
        point = self.at_default
        told = "  ".join(f"{name} {_cell(point[key])}" for name, key in _POINT.items())
        rows.append(f"  at the default confidence threshold of the model, {point['threshold']:g}:  {told}")
        return "\n".join(rows)


#: Heading to key of what is shown at the default confidence threshold.
_POINT = {"P": "precision", "R": "recall", "F1": "f1"}


def _cell(value: float) -> str:
    return "    -" if np.isnan(value) else f"{value:5.3f}"


def score_protocol(
    name: str,
    truths: Sequence[ImageTruth],
    found: Sequence[SceneDetections],
    classes: Sequence[str],
    confidence: float = 0.3,
) -> ProtocolScore:
    """Score detections under a protocol.

    Ignore areas of a class (crowds, difficult objects) are for detections of this class only; in ``coco`` and ``aitod``
    they are ``iscrowd`` annotations. Those for all classes (ignored regions) exist in the VisDrone protocols alone:
    there detections half or more of whose own area lies in an ignore area are taken out first (``visdrone``: in any
    single one; ``visdrone-official``: in their union, and objects likewise).

    Parameters
    ----------
    name : str
        One of :data:`PROTOCOLS`.
    truths, found : sequences of equal length
        Labels and detections per image, in pixels of the original image.
    classes : sequence of str
        Class names by index.
    confidence : float
        Default confidence threshold of the model.
    """
    protocol = PROTOCOLS[name]
    if protocol.official:
        official = official_scores(truths, found, len(classes), protocol.limits)
        truths, found = official.truths, official.found
        per_class = [(official.class_ap[k], official.class_ap50[k]) for k in range(len(classes))]
        ap, ap50, ap75, areas, recalls = official.ap, official.ap50, official.ap75, {}, official.recalls
    else:
        if protocol.regions:
            found = [d.take(~ignored(d, t)) for t, d in zip(truths, found, strict=True)]
        table = average_precisions(truths, found, len(classes), protocol.areas, protocol.limits)
        ap, ap50, ap75 = table.ap(), table.ap(iou=0.5), table.ap(iou=0.75)
        areas = {area: table.ap(area) for area in protocol.areas if area != "all"}
        recalls = {limit: table.ar(limit) for limit in protocol.limits}
        per_class = [(table.ap(label=k), table.ap(iou=0.5, label=k)) for k in range(len(classes))]
    curves = {"all": precision_recall(truths, found)}
    scores = []
    for k, (label, (class_ap, class_ap50)) in enumerate(zip(classes, per_class, strict=True)):
        curves[label] = precision_recall(truths, found, k)
        curve = curves[label]
        point = (*curve.operating_point(), curve.best_f1, curve.truths, _at(curve, confidence))
        scores.append(ClassScore(label, class_ap, class_ap50, *point))
    every = curves["all"]
    overall = (*every.operating_point(), every.best_f1, every.truths, _at(every, confidence))
    return ProtocolScore(name, ap, ap50, ap75, areas, recalls, *overall, scores, curves)


def _at(curve: Curve, threshold: float) -> dict[str, float]:
    precision, recall, f1 = curve.at(threshold)
    return {"threshold": threshold, "precision": precision, "recall": recall, "f1": f1}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and np.isnan(value) else value
