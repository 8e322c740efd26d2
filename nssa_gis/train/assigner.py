"""Which points learn which object, and their target score."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from nssa_gis.train.measures import box_iou, wasserstein_similarity


class Assignment(NamedTuple):
    """Positives of one image.

    Attributes
    ----------
    points : Tensor of int64, shape (Q,)
        Indices of positive points.
    objects : Tensor of int64, shape (Q,)
        Ground-truth index of each.
    quality : Tensor of float32, shape (Q,)
        Class target and weight, 0 to 1.
    """

    points: Tensor
    objects: Tensor
    quality: Tensor


class Assigner(Protocol):
    """Interface of all assigners."""

    def __call__(
        self, points: Tensor, strides: Tensor, boxes: Tensor, scores: Tensor, truth: Tensor, labels: Tensor
    ) -> Assignment:
        """Assign points to objects.

        Parameters
        ----------
        points : Tensor, shape (P, 2)
            Point centres in pixels.
        strides : Tensor, shape (P,)
            Stride of each point's level.
        boxes : Tensor, shape (P, 4)
            Predicted boxes, detached.
        scores : Tensor, shape (P, classes)
            Predicted probabilities, detached.
        truth : Tensor, shape (G, 4)
            Ground-truth boxes in pixels.
        labels : Tensor of int64, shape (G,)
            Ground-truth classes.
        """
        ...


def gaussian_similarity(points: Tensor, sides: Tensor, truth: Tensor) -> Tensor:
    """RFLA's similarity 1 / (1 + KL) between a point's field and an object, both as Gaussians: ``(G, P)``.

    KL = 1/2 [w_p^2/w_g^2 + h_p^2/h_g^2 + 4 dx^2/w_g^2 + 4 dy^2/h_g^2 + ln(w_g^2/w_p^2) + ln(h_g^2/h_p^2) - 2]
    (Xu et al., ECCV 2022).

    Parameters
    ----------
    points : Tensor, shape (P, 2)
        Centres in pixels.
    sides : Tensor, shape (P,)
        Side of the box of each point, pixels.
    truth : Tensor, shape (G, 4)
        Boxes in pixels.
    """
    size2 = (truth[:, None, 2:] - truth[:, None, :2]).clamp(min=1e-3).square()
    apart2 = (points - (truth[:, None, :2] + truth[:, None, 2:]) / 2).square()
    side2 = sides.square()[None, :, None]
    kl = 0.5 * (side2 / size2 + 4 * apart2 / size2 + torch.log(size2 / side2) - 1).sum(-1)
    return 1 / (1 + kl)


class GaussianTopK:
    """Top-k points by Gaussian similarity; the target is the IoU of the current prediction.

    Every point has a box of ``field`` strides. Each object takes its k most similar points over all levels; they need
    not lie inside it. A point that two objects want goes to the one with the larger similarity. An object without a
    point takes the nearest free point of the finest level.

    Parameters
    ----------
    top : int
        k.
    field : float
        Side of a point's box in strides (3: 12 px at stride 4, 24 px at stride 8).
    floor : float
        Minimum target of a positive.
    """

    def __init__(self, top: int = 3, field: float = 3.0, floor: float = 0.1) -> None:
        self.top, self.field, self.floor = top, field, floor

    def __call__(
        self, points: Tensor, strides: Tensor, boxes: Tensor, scores: Tensor, truth: Tensor, labels: Tensor
    ) -> Assignment:
        """See :class:`Assigner`."""
        if len(truth) == 0:
            return _nothing(points)
        similarity = gaussian_similarity(points, strides * self.field, truth)
        value, index = similarity.topk(min(self.top, len(points)), 1)
        owner = _resolve(index.flatten(), value.flatten(), index.shape[1], len(points))
        self._serve_orphans(owner, points, strides, truth)
        chosen = (owner >= 0).nonzero().flatten()
        objects = owner[chosen]
        quality = box_iou(boxes[chosen], truth[objects]).clamp(min=self.floor)
        return Assignment(chosen, objects, quality)

    @staticmethod
    def _serve_orphans(owner: Tensor, points: Tensor, strides: Tensor, truth: Tensor) -> None:
        """Give each object without a point its nearest free point of the finest level (in place)."""
        served = torch.zeros(len(truth), dtype=torch.bool, device=owner.device)
        served[owner[owner >= 0]] = True
        finest = (strides == strides.min()).nonzero().flatten()
        for g in (~served).nonzero().flatten().tolist():
            free = finest[owner[finest] < 0]
            if len(free) == 0:
                return
            centre = (truth[g, :2] + truth[g, 2:]) / 2
            owner[free[(points[free] - centre).square().sum(1).argmin()]] = g


class TaskAligned:
    """TAL (Feng et al., ICCV 2021) with a minimum size in pixels for tiny objects and a mixed IoU / Wasserstein metric.

    Candidates are points inside the object (its sides at least ``floor``); alignment = p^alpha * u^beta with
    u = (IoU + NWD) / 2; the top k over all levels; conflicts go to the larger u; target = a / max(a) * max(u).

    Parameters
    ----------
    top : int
        k.
    alpha, beta : float
        Exponents.
    floor : float
        Minimum side of the candidate area, pixels of the network's input. The usual rule, in strides, has no effect on
        objects of 6 to 30 px with a level at stride 4.
    """

    def __init__(self, top: int = 10, alpha: float = 0.5, beta: float = 4.0, floor: float = 12.0) -> None:
        self.top, self.alpha, self.beta, self.floor = top, alpha, beta, floor

    def __call__(
        self, points: Tensor, strides: Tensor, boxes: Tensor, scores: Tensor, truth: Tensor, labels: Tensor
    ) -> Assignment:
        """See :class:`Assigner`."""
        if len(truth) == 0:
            return _nothing(points)
        centre = (truth[:, :2] + truth[:, 2:]) / 2
        reach = (truth[:, 2:] - truth[:, :2]).clamp(min=self.floor) / 2
        inside = ((points[None] - centre[:, None]).abs() < reach[:, None]).all(-1)
        overlap = 0.5 * (box_iou(truth[:, None], boxes[None]) + wasserstein_similarity(boxes[None], truth[:, None]))
        aligned = scores[:, labels].T.pow(self.alpha) * overlap.pow(self.beta) * inside
        value, index = aligned.topk(min(self.top, len(points)), 1)
        u = overlap.gather(1, index)
        u = torch.where(value > 0, u, torch.full_like(u, -1.0))
        owner = _resolve(index.flatten(), u.flatten(), index.shape[1], len(points))
        chosen = (owner >= 0).nonzero().flatten()
        objects = owner[chosen]
        a = aligned[objects, chosen]
        best_a = torch.zeros(len(truth), device=a.device).scatter_reduce(0, objects, a, "amax")
        best_u = torch.zeros(len(truth), device=a.device).scatter_reduce(0, objects, overlap[objects, chosen], "amax")
        quality = a / best_a[objects].clamp(min=1e-9) * best_u[objects]
        return Assignment(chosen, objects, quality)


ASSIGNERS: dict[str, type] = {"gaussian": GaussianTopK, "tal": TaskAligned}


def _resolve(points: Tensor, value: Tensor, per_object: int, total: int) -> Tensor:
    """Owner per point ``(total,)``: the object that wants it with the largest positive value, else -1.

    ``points`` and ``value`` list the candidates object by object, ``per_object`` for each.
    """
    objects = torch.arange(len(points), device=points.device) // per_object
    owner = torch.full((total,), -1, dtype=torch.int64, device=points.device)
    wanted = value > 0
    order = value[wanted].argsort(stable=True)
    # written from the smallest to the largest value: the last one stays
    at, who = points[wanted][order], objects[wanted][order]
    last = torch.full((total,), -1, dtype=torch.int64, device=points.device)
    last.scatter_reduce_(0, at, torch.arange(len(at), device=at.device), "amax")
    taken = last >= 0
    owner[taken] = who[last[taken]]
    return owner


def _nothing(points: Tensor) -> Assignment:
    none = torch.empty(0, dtype=torch.int64, device=points.device)
    return Assignment(none, none, torch.empty(0, device=points.device))
