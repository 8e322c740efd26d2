"""From raw network output to the detections of a batch of tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.boxes.nms import nms

if TYPE_CHECKING:
    from torch import Tensor

    from nssa_gis.model.network import DetectionNetwork, Predictions

#: Candidates per tile, of all classes together, that enter NMS; a tile with more is noise.
_MAX_CANDIDATES = 6000


def detections_of(
    model: DetectionNetwork, out: Predictions, side: tuple[int, int], score_threshold: float, nms_iou: float
) -> TileDetections:
    """Threshold, decode and suppress.

    Parameters
    ----------
    model : DetectionNetwork
        Gives the points.
    out : Predictions
        Raw output of a batch.
    side : tuple of int
        Height and width of the images in pixels.
    score_threshold : float
        Boxes below this score are dropped.
    nms_iou : float
        IoU above which two boxes of a class are one object.

    Returns
    -------
    TileDetections
        ``item`` is the index in the batch; boxes in tile pixels, clipped to the tile.
    """
    parts = [
        _image_detections(model, out.logits[i], out.distances[i], side, score_threshold, nms_iou, i)
        for i in range(len(out.logits))
    ]
    return TileDetections.concat(parts)


def _image_detections(
    model: DetectionNetwork,
    logits: Tensor,
    distances: Tensor,
    side: tuple[int, int],
    score_threshold: float,
    nms_iou: float,
    number: int,
) -> TileDetections:
    from nssa_gis.model.head import decode_boxes

    height, width = side
    scores = logits.float().sigmoid()
    point, label = (scores >= score_threshold).nonzero(as_tuple=True)
    value = scores[point, label]
    if len(point) > _MAX_CANDIDATES:
        value, order = value.topk(_MAX_CANDIDATES)
        point, label = point[order], label[order]
    points, strides = model.points(height, width, logits.device)
    boxes = decode_boxes(points[point], strides[point], distances[point]).cpu().double().numpy()
    boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float64))
    found = TileDetections.of(boxes, value.cpu().numpy(), label.cpu().numpy(), number)
    found = found.take((boxes[:, 2:] > boxes[:, :2]).all(1))
    return found.take(nms(found.boxes, found.scores, found.labels, nms_iou))
