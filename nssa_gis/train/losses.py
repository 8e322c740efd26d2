"""Losses, in float32 and in pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from nssa_gis.train.assigner import Assigner
from nssa_gis.train.measures import distance_iou, wasserstein_similarity

if TYPE_CHECKING:
    from nssa_gis.model.network import DetectionNetwork, Predictions

#: Weight of the box loss relative to the class loss.
BOX_WEIGHT = 2.0


class Truth(NamedTuple):
    """Labels of one crop as tensors.

    Attributes
    ----------
    boxes : Tensor of float32, shape (G, 4)
    labels : Tensor of int64, shape (G,)
    ignore : Tensor of float32, shape (M, 4)
        Ignore regions: no class loss there.
    ignore_class : Tensor of int64, shape (M,)
        Class that an ignore region is for; -1 for all.
    """

    boxes: Tensor
    labels: Tensor
    ignore: Tensor
    ignore_class: Tensor


class Losses(NamedTuple):
    """Scalars of one batch: ``total`` to differentiate; ``classes`` and ``boxes`` to report; ``positives``.

    If several processes share a batch, these are the terms of one process; their sum is the loss of the batch.
    """

    total: Tensor
    classes: Tensor
    boxes: Tensor
    positives: int


def detection_loss(
    model: DetectionNetwork,
    out: Predictions,
    truth: Sequence[Truth],
    assign: Assigner,
    side: int,
    over_all: Callable[[Tensor], Tensor] | None = None,
) -> Losses:
    """Soft-target BCE over all points plus DIoU and NWD over the positives, both divided by the sum of targets.

    Parameters
    ----------
    model : DetectionNetwork
        Gives the points.
    out : Predictions
        Raw output of a batch.
    truth : sequence of Truth
        One per crop.
    assign : Assigner
        Chooses the positives.
    side : int
        Side of the crops in pixels.
    over_all : callable, optional
        Sums a number over the processes that share the batch, so that the divisor is that of the whole batch.
    """
    points, strides = model.points(side, side, out.logits.device)
    boxes = model.boxes(out, side, side)
    logits = out.logits.float()
    target, weight = torch.zeros_like(logits), torch.ones_like(logits)
    box_terms, qualities = [], []
    for i, t in enumerate(truth):
        weight[i] = _class_weight(points, t, logits.shape[-1])
        found = assign(points, strides, boxes[i].detach(), logits[i].detach().sigmoid(), t.boxes, t.labels)
        if len(found.points) == 0:
            continue
        target[i, found.points, t.labels[found.objects]] = found.quality
        weight[i, found.points, t.labels[found.objects]] = 1.0
        mine, wanted = boxes[i, found.points], t.boxes[found.objects]
        term = 0.5 * (1 - distance_iou(mine, wanted)) + 0.5 * (1 - wasserstein_similarity(mine, wanted))
        box_terms.append(term * found.quality)
        qualities.append(found.quality)
    total = torch.cat(qualities).sum() if qualities else logits.new_zeros(())
    total = (over_all(total) if over_all else total).clamp(min=1.0)
    classes = (F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight).sum() / total
    # without positives the boxes still get a gradient of 0, because all processes must reduce the same gradients
    box = (torch.cat(box_terms) if box_terms else boxes[:, :0]).sum() / total
    return Losses(classes + BOX_WEIGHT * box, classes.detach(), box.detach(), sum(map(len, qualities)))


def _class_weight(points: Tensor, truth: Truth, classes: int) -> Tensor:
    """Weights ``(P, classes)``: zero in ignore regions, for the classes that these are for."""
    weight = torch.ones(len(points), classes, device=points.device)
    if len(truth.ignore):
        area = truth.ignore[:, None]
        inside = ((points >= area[..., :2]) & (points < area[..., 2:])).all(-1)
        for c in range(classes):
            concerned = (truth.ignore_class == c) | (truth.ignore_class == -1)
            weight[:, c] = (~inside[concerned].any(0)).float()
    return weight
