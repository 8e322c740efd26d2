"""Elongated objects in rows at a slant, found in turned views of an image.

Upright boxes of vehicles parked side by side at a slant overlap, and a detector of such boxes takes patchworks of
neighbours for vehicles. In the view turned to the row each vehicle fills its box and the boxes lie apart.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from PIL import Image

from nssa_gis.detections import Detections
from nssa_gis.model.detector import Detector
from nssa_gis.suppression import independent_set
from nssa_gis.train.datasets import LabelledImage
from nssa_gis.train.validation import detect_image

#: Degrees from view to view; a quarter turn shows the same boxes again.
_STEP = 10
_VIEWS = 90 // _STEP
#: Lower scores are not looked at.
_FLOOR = 0.1
#: What tells the direction of rows: this score or more, and a longer side of so many times the shorter one.
_CONFIDENT, _ELONGATED = 0.8, 1.7
#: A second direction is one with this share of the votes of the first.
_SECOND = 0.35
#: Boxes broader than this many usual breadths fill up with neighbours or shadow; what each further breadth costs.
_BROAD, _PER_BREADTH = 1.1, 0.95
#: A box less elongated than this is turned wrongly, or frames several; what that costs.
_STUBBY, _FOR_STUBBY = 1.5, 0.4
#: What each view away from the direction of the rows costs, up to three.
_PER_VIEW = 0.12
#: Bodies share at most this much of the smaller one; what stands across a row and shares more with it than the second
#: is made of its pieces.
_SHARED, _PIECED = 0.3, 0.12
#: Corners of bodies are round: the upright box of one at 45 degrees is so much smaller than that of its turned box.
_ROUND = 0.06

FloatArray = NDArray[np.float64]


def turned_consensus(
    model: Detector, image: LabelledImage, gsd: float, autocast: torch.dtype | None, nms_iou: float
) -> Detections:
    """Detect in views turned by steps of 10 degrees, and take each object from the view in which it fills its box.

    Parameters
    ----------
    model : Detector
        In evaluation mode.
    image : LabelledImage
        Its own labels are not looked at.
    gsd : float
        Metres per pixel to run at.
    autocast : torch.dtype or None
        bf16 where it wins.
    nms_iou : float
        IoU of the per-view NMS.

    Returns
    -------
    Detections
        Upright boxes in pixels of the image. The score is that of the view, less what speaks against the box: breadth
        beyond the usual, little elongation, a part outside the image.
    """
    corners, scores, labels, view = _look(model, image, gsd, autocast, nms_iou)
    if not len(scores):
        return Detections.empty()
    first, second = corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]
    sides = np.sort(np.stack((np.hypot(*first.T), np.hypot(*second.T)), 1), axis=1)
    aspect = sides[:, 1] / sides[:, 0]
    telling = (scores >= _CONFIDENT) & (aspect > _ELONGATED)
    usual = np.percentile(sides[telling, 0], 30) if telling.any() else np.inf
    fit = scores - _PER_BREADTH * np.clip(sides[:, 0] / usual - _BROAD, 0, 2) - _FOR_STUBBY * (aspect < _STUBBY)
    away = _away(view, telling & (sides[:, 0] < 1.25 * usual))
    kept = _apart(corners, fit - _PER_VIEW * np.minimum(away, 3), (away == 0) & (fit >= 0.5))
    boxes, visible = _upright(corners[kept], view[kept] * _STEP, image.width, image.height)
    score = (fit[kept] * visible).clip(0, 1)
    found = Detections.from_columns(boxes, score, labels[kept])
    return found.take(score >= _FLOOR)


def _look(
    model: Detector, image: LabelledImage, gsd: float, autocast: torch.dtype | None, nms_iou: float
) -> tuple[FloatArray, FloatArray, NDArray[np.int16], NDArray[np.int64]]:
    """Corners in pixels of the image ``(N, 4, 2)``, scores, labels and view of everything seen in all views."""
    width, height = (max(1, round(side * image.gsd / gsd)) for side in (image.width, image.height))
    picture = Image.fromarray(image.pixels).resize((width, height), Image.Resampling.BICUBIC)
    corners, scores, labels, view = [], [], [], []
    for number in range(_VIEWS):
        turned = picture.rotate(number * _STEP, Image.Resampling.BICUBIC, expand=True)
        shown = replace(image, kept=np.asarray(turned), width=turned.width, height=turned.height, gsd=gsd)
        found, _ = detect_image(model, shown, gsd, autocast, nms_iou)
        found = found.take(found.scores >= _FLOOR)
        angle = np.deg2rad(number * _STEP)  # counter-clockwise as seen; y points down
        back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        middle = np.array([turned.width, turned.height]) / 2
        there = (found.boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]] - middle) @ back + np.array([width, height]) / 2
        corners.append(there * [image.width / width, image.height / height])
        scores.append(found.scores.astype(np.float64))
        labels.append(found.labels)
        view.append(np.full(len(found), number))
    return np.concatenate(corners), np.concatenate(scores), np.concatenate(labels), np.concatenate(view)


def _away(view: NDArray[np.int64], telling: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the views from each one's to the nearest direction in which rows stand: at most two directions."""
    votes = np.bincount(view[telling], minlength=_VIEWS).astype(np.float64)
    votes += 0.5 * (np.roll(votes, 1) + np.roll(votes, -1))
    first = int(votes.argmax())
    others = votes.copy()
    others[(first + np.arange(-2, 3)) % _VIEWS] = 0
    directions = [first, int(others.argmax())] if others.max() > _SECOND * votes[first] else [first]
    apart = np.abs(view[:, None] - directions)
    nearest: NDArray[np.int64] = np.minimum(apart, _VIEWS - apart).min(1)
    return nearest


def _apart(corners: FloatArray, fit: FloatArray, in_row: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Rows of the boxes that stay, the best first: bodies do not lie on one another, nor across bodies in a row."""
    bodies = shapely.polygons(corners)
    area = shapely.area(bodies)
    i, j = shapely.STRtree(bodies).query(bodies, predicate="intersects")
    i, j = i[i < j], j[i < j]
    shared = shapely.area(shapely.intersection(bodies[i], bodies[j]))
    order = np.argsort(-fit, kind="stable")
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    clash = shared > _SHARED * np.minimum(area[i], area[j])
    taken = independent_set(rank, i[clash], j[clash])
    on_row = np.zeros(len(fit))
    for one, other in ((i, j), (j, i)):
        counts = taken[other] & in_row[other] & ~in_row[one]
        np.add.at(on_row, one[counts], shared[counts])
    return order[(taken & (on_row <= _PIECED * area))[order]]


def _upright(corners: FloatArray, degrees: NDArray[np.int64], width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Upright boxes of turned ones, clipped to the image, and the share of each that is inside."""
    low, high = corners.min(1), corners.max(1)
    half = (high - low) / 2 * (1 - _ROUND * np.abs(np.sin(2 * np.deg2rad(degrees))))[:, None]
    middle = (low + high) / 2
    limit = np.array([width, height])
    low, high = np.clip(middle - half, 0, limit), np.clip(middle + half, 0, limit)
    return np.concatenate((low, high), 1), (high - low).prod(1) / np.maximum((2 * half).prod(1), 1e-9)
