"""Detect elongated objects in slanted rows, in rotated views of an image.

Upright boxes of vehicles that are parked side by side at a slant overlap. A detector then often gives a box with parts
of several neighbours. In a view that is rotated to the row, each vehicle fills its box and the boxes do not overlap.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.boxes.nms import independent_set, ranks
from nssa_gis.detect.detector import Detector
from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.run import find_objects
from nssa_gis.raster.memory import memory_scene
from nssa_gis.raster.scene import Scene
from nssa_gis.raster.whole import read_whole

#: Degrees from one view to the next; a quarter turn gives the same boxes again.
_STEP = 10
_VIEWS = 90 // _STEP
#: Lower scores are ignored.
_FLOOR = 0.1
# The other constants were set by visual inspection of 80 car parks at 0.3 m per pixel, with a vehicle detector.
#: Minimum score and minimum elongation of the boxes that determine the usual width of a class and the row direction.
_CONFIDENT, _ELONGATED = 0.8, 1.7
#: The usual width of a class is this percentile of those boxes, because the tight boxes are the narrow ones.
_USUAL = 30
#: Maximum width of a box that determines a direction, in usual widths. Wider boxes are not aligned with their object.
_POINTING = 1.25
#: A second direction needs this share of the votes of the first.
_SECOND = 0.35
#: Wider than this (in usual widths), a box contains neighbours or shadow; score penalty for each further width.
_BROAD, _PER_BREADTH = 1.1, 0.95
#: A box less elongated than this is not aligned or contains several objects; score penalty.
_STUBBY, _FOR_STUBBY = 1.5, 0.4
#: Score penalty for each view away from the row direction, up to three, when two views compete for an object.
_PER_VIEW, _MOST_VIEWS = 0.12, 3
#: Maximum overlap of two objects, as a share of the smaller one.
_SHARED = 0.3
#: A box across a row consists of pieces if objects with this score fill more than this share of it.
_PIECED, _SURE = 0.12, 0.5
#: Vehicles have round corners: at 45 degrees their upright box is smaller than that of the rotated box by this share.
_ROUND = 0.06

FloatArray = NDArray[np.float64]


def detect_rotated(detector: Detector, scene: Scene, gsd: float) -> SceneDetections:
    """Detect in views rotated by steps of 10 degrees; take each object from the view in which it fills its box.

    All classes must be elongated objects on the ground that do not overlap, whatever their class. Each view is held in
    memory in one piece: images may have a few thousand pixels a side.

    Parameters
    ----------
    detector : Detector
        The model, ready to run.
    scene : Scene
        The image, open.
    gsd : float
        Its metres per pixel.

    Returns
    -------
    SceneDetections
        Upright boxes in pixels of the image. The score is that of one view, minus penalties: for a box that is wider
        than usual for its class, for little elongation, for a part outside the image.
    """
    corners, scores, labels, view = _detect_in_views(detector, scene, gsd)
    if not len(scores):
        return SceneDetections.empty()
    first, second = corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]
    sides = np.sort(np.stack((np.hypot(*first.T), np.hypot(*second.T)), 1), axis=1)
    aspect = sides[:, 1] / sides[:, 0]
    telling = (scores >= _CONFIDENT) & (aspect > _ELONGATED)
    breadth = sides[:, 0] / _usual(sides[:, 0], labels, telling)
    fit = scores - _PER_BREADTH * np.clip(breadth - _BROAD, 0, 2) - _FOR_STUBBY * (aspect < _STUBBY)
    boxes, visible = _upright(corners, view * _STEP, scene.frame.width, scene.frame.height)
    fit = (fit * visible).clip(0, 1)
    away = _away(view, telling & (breadth < _POINTING))
    rank = fit - _PER_VIEW * np.minimum(away, _MOST_VIEWS)
    kept = _apart(corners, rank, (away == 0) & (fit >= _SURE))
    found = SceneDetections.of(boxes[kept], fit[kept], labels[kept])
    return found.take(found.scores >= _FLOOR)


def _usual(breadth: FloatArray, labels: NDArray[np.int16], telling: NDArray[np.bool_]) -> FloatArray:
    """Usual width of the class of each box; infinite if it is unknown, so that no box is too wide."""
    usual = np.full(len(labels), np.inf)
    for label in np.unique(labels[telling]):
        mine = labels == label
        usual[mine] = np.percentile(breadth[mine & telling], _USUAL)
    return usual


def _detect_in_views(
    detector: Detector, scene: Scene, gsd: float
) -> tuple[FloatArray, FloatArray, NDArray[np.int16], NDArray[np.int64]]:
    """Detect in all views: corners in pixels of the image ``(N, 4, 2)``, scores, labels and view numbers."""
    full = np.array([scene.frame.width, scene.frame.height])
    width, height = (max(1, round(side * gsd / detector.info.gsd)) for side in full.tolist())
    pixels = read_whole(scene, height, width, value_range=detector.info.value_range)
    picture = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    options = DetectOptions(confidence=_FLOOR, scale=1.0)
    corners, scores, labels, view = [], [], [], []
    for number in range(_VIEWS):
        rotated = np.asarray(picture.rotate(number * _STEP, Image.Resampling.BICUBIC, expand=True)).transpose(2, 0, 1)
        with memory_scene(rotated) as shown:
            found = find_objects(detector, shown, options)
        angle = np.deg2rad(number * _STEP)  # counter-clockwise as seen; y points down
        back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        middle = np.array(rotated.shape[:0:-1]) / 2
        there = (found.boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]] - middle) @ back + np.array([width, height]) / 2
        corners.append(there * full / [width, height])
        scores.append(found.scores.astype(np.float64))
        labels.append(found.labels)
        view.append(np.full(len(found), number))
    return np.concatenate(corners), np.concatenate(scores), np.concatenate(labels), np.concatenate(view)


def _away(view: NDArray[np.int64], telling: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the views between each box and the nearest row direction: at most two, 0 if there is no direction."""
    if not telling.any():
        return np.zeros_like(view)
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
    """Choose the boxes that are kept, best first: they overlap no other box and do not lie across a row."""
    bodies = shapely.polygons(corners)
    area = shapely.area(bodies)
    i, j = shapely.STRtree(bodies).query(bodies, predicate="intersects")
    i, j = i[i < j], j[i < j]
    shared = shapely.area(shapely.intersection(bodies[i], bodies[j]))
    order = np.argsort(-fit, kind="stable")
    clash = shared > _SHARED * np.minimum(area[i], area[j])
    taken = independent_set(ranks(order), i[clash], j[clash])
    on_row = np.zeros(len(fit))
    for one, other in ((i, j), (j, i)):
        counts = taken[other] & in_row[other] & ~in_row[one]
        np.add.at(on_row, one[counts], shared[counts])
    kept: NDArray[np.intp] = order[(taken & (on_row <= _PIECED * area))[order]]
    return kept


def _upright(corners: FloatArray, degrees: NDArray[np.int64], width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Upright boxes of rotated boxes, clipped to the image, and the share of each that is inside."""
    low, high = corners.min(1), corners.max(1)
    half = (high - low) / 2 * (1 - _ROUND * np.abs(np.sin(2 * np.deg2rad(degrees))))[:, None]
    middle = (low + high) / 2
    limit = np.array([width, height])
    low, high = np.clip(middle - half, 0, limit), np.clip(middle + half, 0, limit)
    return np.concatenate((low, high), 1), (high - low).prod(1) / np.maximum((2 * half).prod(1), 1e-9)
