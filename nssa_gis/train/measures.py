"""Differentiable similarity of two boxes."""

from __future__ import annotations

import torch
from torch import Tensor


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes ``(..., 4)`` pair by pair (broadcasting)."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area_a = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1)
    area_b = (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)
    return shared / (area_a + area_b - shared).clamp(min=1e-6)


def distance_iou(a: Tensor, b: Tensor) -> Tensor:
    """DIoU (Zheng et al., AAAI 2020): IoU minus the squared centre distance over the squared hull diagonal."""
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    return box_iou(a, b) - apart.square().sum(-1) / hull.square().sum(-1).clamp(min=1e-6)


def wasserstein_similarity(boxes: Tensor, truth: Tensor) -> Tensor:
    """NWD exp(-W / sqrt(w_g h_g)) (Wang et al. 2021), scaled by the object's own size.

    W^2 = |centre difference|^2 + |size difference|^2 / 4; boxes ``(..., 4)`` in pixels, broadcasting.
    """
    size_b, size_t = boxes[..., 2:] - boxes[..., :2], truth[..., 2:] - truth[..., :2]
    apart = (boxes[..., :2] + boxes[..., 2:] - truth[..., :2] - truth[..., 2:]) / 2
    w2 = apart.square().sum(-1) + (size_b - size_t).square().sum(-1) / 4
    scale = size_t.clamp(min=1e-3).prod(-1).sqrt()
    return torch.exp(-(w2 + 1e-9).sqrt() / scale)
