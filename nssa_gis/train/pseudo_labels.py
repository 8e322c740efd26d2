"""Labels suggested by a model: boxes for unlabelled images (self-training), mistakes on empty ones (hard negatives)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.boxes.consensus import consensus
from nssa_gis.boxes.iou import overlapping_pairs
from nssa_gis.evaluate.sources import detect_image
from nssa_gis.labels.images import LabelledImage
from nssa_gis.labels.table import image_size
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.views import VIEWS
from nssa_gis.train.rotated_views import detect_turned

#: Lower scores are not looked at.
_FLOOR = 0.05
#: Of two labels with more IoU one may be an invention: the weaker becomes doubtful (vehicles parked side by side at a
#: slant share up to a quarter).
_CROWDED = 0.35


@dataclass(frozen=True)
class Doubt:
    """Where certainty begins and where interest ends, in mean score over the views.

    Attributes
    ----------
    sure : float
        From here on a detection becomes a label, unless it lies on a better one.
    doubt : float
        From here on it becomes an ignore area, or a mistake where the image is known to be empty.
    """

    sure: float = 0.6
    doubt: float = 0.15


def view_consensus(
    model: DetectionNetwork, image: LabelledImage, gsd: float, autocast: torch.dtype | None, nms_iou: float
) -> TileDetections:
    """Detect in four views (as is, mirrored both ways, half turn); the score is the mean over the views.

    A view without the object counts as 0, so what only one view shows stays doubtful. Boxes are the mean of the
    members, weighted by score. Boxes are in pixels of the image.
    """
    height, width = image.height, image.width
    parts = []
    zoom = image.gsd / gsd
    scale = np.array([width / max(1, round(width * zoom)), height / max(1, round(height * zoom))] * 2)
    for view in VIEWS["flip"]:
        pixels = view.show(image.pixels[None])[0]
        shown = replace(image, loaded=np.ascontiguousarray(pixels))
        found, _ = detect_image(model, shown, gsd, autocast, nms_iou)
        found = found.take(found.scores >= _FLOOR)
        boxes = view.back(found.boxes * scale, (height, width))
        parts.append(TileDetections.of(boxes, found.scores, found.labels, 0))
    return consensus(parts)


def suggest(
    model: DetectionNetwork,
    images: Sequence[LabelledImage],
    classes: Sequence[str],
    gsd: float,
    doubt: Doubt,
    empty: bool,
    autocast: torch.dtype | None,
    nms_iou: float = 0.5,
    report: Callable[[int], None] = lambda done: None,
    turned: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """Make a COCO table out of what a model sees.

    Parameters
    ----------
    model : DetectionNetwork
        In evaluation mode.
    images : sequence of LabelledImage
        Their own labels are not looked at.
    classes : sequence of str
        Names of the model's classes.
    gsd : float
        Metres per pixel to run at.
    doubt : Doubt
        The two thresholds.
    empty : bool
        The images are known to hold no object: detections become ``mistakes`` of their image, not annotations.
    autocast : torch.dtype or None
        bf16 where it wins.
    nms_iou : float
        IoU of the per-view NMS.
    report : callable
        Takes the number of images done.
    turned : bool
        Look in turned views, not in mirrored ones, and score by one:
        :func:`nssa_gis.train.rotated_views.detect_turned`.

    Returns
    -------
    dict
        COCO ``images`` (with ``gsd_m``, ``scene``, and ``mistakes`` as ``x, y, w, h``), ``annotations``
        (``iscrowd`` 1 where doubtful; ``score``) and ``categories``.
    """
    table: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(classes)],
    }
    for number, image in enumerate(images, 1):
        found = (detect_turned if turned else view_consensus)(model, image, gsd, autocast, nms_iou)
        found = found.take(found.scores >= doubt.doubt)
        width, height = image_size(image.path)  # of the file: what was much too fine was reduced
        scale = np.array([width / image.width, height / image.height] * 2)
        entry = {"id": number, "file_name": image.name, "width": width, "height": height}
        entry |= {"gsd_m": image.gsd / scale[0], "scene": image.scene}
        boxes = found.boxes * scale
        xywh = np.column_stack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2])).round(2)
        if empty:
            entry["mistakes"] = xywh.tolist()
        else:
            # in turned views it has been decided which bodies lie on others: upright boxes of long ones overlap more
            sure = (found.scores >= doubt.sure if turned else _certain(found, doubt.sure)).tolist()
            rows = zip(xywh.tolist(), found.scores.tolist(), found.labels.tolist(), sure, strict=True)
            for box, score, label, certain in rows:
                table["annotations"].append(
                    {
                        "id": len(table["annotations"]) + 1,
                        "image_id": number,
                        "category_id": label + 1,
                        "bbox": box,
                        "area": round(box[2] * box[3], 2),
                        "iscrowd": int(not certain),
                        "score": round(score, 3),
                    }
                )
        table["images"].append(entry)
        report(number)
    return table


def _certain(found: TileDetections, sure: float) -> NDArray[np.bool_]:
    """Tell which detections are labels: sure ones that do not lie on a better one of their class."""
    certain = found.scores >= sure
    labels = np.flatnonzero(certain)
    i, j, _ = overlapping_pairs(found.boxes[labels], found.labels[labels], _CROWDED)
    i, j = labels[i], labels[j]
    certain[np.where(found.scores[i] < found.scores[j], i, j)] = False
    return certain
