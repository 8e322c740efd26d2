"""Accuracy on held-out images, per source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.detect.detector import Detector
from nssa_gis.evaluate.calibration import PlattScaling, fit_platt_scaling
from nssa_gis.evaluate.coco import (
    Accuracy,
    Curve,
    common_threshold,
    evaluate_boxes,
    precision_recall,
    without_ignored,
)
from nssa_gis.evaluate.inference import find_labelled
from nssa_gis.labels.images import LabelledImage
from nssa_gis.labels.truth import ImageTruth
from nssa_gis.raster.scene import open_scene

#: Low enough for the whole precision-recall curve, also of calibrated scores, whose tail is thin.
_SCORE_FLOOR = 0.001
#: Fewer held-out objects, of all classes and of one, say nothing about what its scores mean.
_ENOUGH, _ENOUGH_OF_CLASS = 200, 50


Pair = tuple[SceneDetections, ImageTruth]


def detect_image(detector: Detector, image: LabelledImage, working_gsd: float | None = None) -> Pair:
    """Detect in one labelled image; detections and labels are in pixels of the working grid.

    Parameters
    ----------
    detector : Detector
        The model, ready to run.
    image : LabelledImage
        The image; its file is read.
    working_gsd : float, optional
        Metres per pixel that the network sees; by default those of the model.

    Raises
    ------
    NssaError
        The image cannot be read.
    """
    working_gsd = working_gsd or detector.info.gsd
    with open_scene(image.path) as scene:
        zoom = np.array([image.width / scene.frame.width, image.height / scene.frame.height] * 2)
        gsd = image.gsd * float(zoom[0])
        found = find_labelled(detector, scene, gsd, confidence=_SCORE_FLOOR, working_gsd=working_gsd)
    scale = image.gsd / working_gsd
    return found.replace(boxes=found.boxes * zoom * scale), image.truth(np.full(4, scale, np.float32))


def detect_sources(
    detector: Detector,
    sources: Sequence[Sequence[LabelledImage]],
    working_gsd: float | None = None,
    limit: int | None = None,
) -> dict[str, list[Pair]]:
    """Detect in held-out images and pair what was found with the labels, by source name.

    Parameters
    ----------
    detector : Detector
        The model, ready to run.
    sources : sequence of sequence of LabelledImage
        Held-out images per source; those in which no class is labelled exhaustively are left out.
    working_gsd : float, optional
        Metres per pixel that the network sees; by default those of the model.
    limit : int, optional
        At most this many images per source, evenly spread.
    """
    pairs: dict[str, list[Pair]] = {}
    for images in sources:
        images = [i for i in images if i.can_be_scored]
        if limit and len(images) > limit:
            images = [images[i] for i in np.linspace(0, len(images) - 1, limit).astype(int)]
        if images:
            found = [detect_image(detector, image, working_gsd) for image in images]
            pairs.setdefault(images[0].source, []).extend(found)  # folders of two sources may have one name
    return pairs


def accuracies(pairs: dict[str, list[Pair]], classes: int) -> dict[str, Accuracy]:
    """Accuracy per source name, and over all images as ``all``; empty without images.

    The threshold of ``all`` is that of :func:`~nssa_gis.evaluate.coco.common_threshold` over the sources with objects;
    one without has no F1, and its false boxes count in the precision only.
    """
    results = {name: _score(found, classes) for name, found in pairs.items()}
    if not pairs:
        return results
    of_source = curves(pairs)
    every = of_source.pop("all")
    threshold = common_threshold([curve for curve in of_source.values() if curve.truths])
    precision, recall, f1 = every.at(threshold)
    overall = _score([pair for found in pairs.values() for pair in found], classes)
    results["all"] = replace(overall, precision=precision, recall=recall, f1=f1, threshold=threshold)
    return results


def curves(pairs: dict[str, list[Pair]]) -> dict[str, Curve]:
    """Precision and recall per source name, and over all images as ``all``."""
    every = [pair for found in pairs.values() for pair in found]
    table = {}
    for name, found in {**pairs, "all": every}.items():
        truths = [t for _, t in found]
        table[name] = precision_recall(truths, without_ignored(truths, [d for d, _ in found]))
    return table


def validate(
    detector: Detector, sources: Sequence[Sequence[LabelledImage]], limit: int | None = None
) -> dict[str, Accuracy]:
    """Accuracy of a model on held-out images, with calibrated scores: the thresholds are those of calibrated scores.

    :func:`detect_sources`, :func:`calibrated`, then :func:`accuracies`; ``all`` has the calibration.
    """
    pairs, platt = calibrated(detect_sources(detector, sources, limit=limit), len(detector.info.classes))
    found = accuracies(pairs, len(detector.info.classes))
    if found:
        found["all"] = replace(found["all"], platt=platt)
    return found


def calibrated(pairs: dict[str, list[Pair]], classes: int) -> tuple[dict[str, list[Pair]], tuple[PlattScaling, ...]]:
    """Calibrate the scores of every class (Platt scaling): one threshold then means the same for all classes.

    Parameters
    ----------
    pairs : dict of str to list of (SceneDetections, ImageTruth)
        By source.
    classes : int
        K, number of classes.

    Returns
    -------
    pairs : dict of str to list of (SceneDetections, ImageTruth)
        With the new scores.
    platt : tuple of PlattScaling
        One per class, fitted to all images together. A class with few objects gets that of all classes; with few
        objects in all the scores stay.
    """
    every = [pair for found in pairs.values() for pair in found]
    truths = [t for _, t in every]
    kept = without_ignored(truths, [d for d, _ in every])
    whole = precision_recall(truths, kept)
    if whole.truths < _ENOUGH:
        return pairs, (PlattScaling(),) * classes
    of_class = [precision_recall(truths, kept, label) for label in range(classes)]
    fitted = [curve if curve.truths >= _ENOUGH_OF_CLASS else whole for curve in of_class]
    platt = tuple(fit_platt_scaling(curve.scores, curve.hits) for curve in fitted)
    return {name: [(_rescored(d, platt), t) for d, t in found] for name, found in pairs.items()}, platt


def _rescored(found: SceneDetections, platt: Sequence[PlattScaling]) -> SceneDetections:
    slope, offset = np.array([(p.slope, p.offset) for p in platt])[found.labels].T
    return SceneDetections.of(found.boxes, PlattScaling(slope, offset)(found.scores), found.labels)


def _score(pairs: list[Pair], classes: int) -> Accuracy:
    return evaluate_boxes([t for _, t in pairs], [d for d, _ in pairs], classes)
