"""The anchor-free head: class logits and box distances at every point."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nssa_gis.model.blocks import ConvBlock


class LevelHead(nn.Module):
    """Decoupled head of one level.

    Parameters
    ----------
    channels : int
        C of the level.
    classes : int
        Number of classes.
    depth : int
        3x3 convolutions per branch.
    """

    def __init__(self, channels: int, classes: int, depth: int) -> None:
        super().__init__()
        self.classify = _branch(channels, depth, classes, -math.log(99))  # every class starts at 1 %
        self.regress = _branch(channels, depth, 4, math.log(1.5))  # boxes of 1.5 strides to each side

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C, H, W)`` to logits ``(B, HW, classes)`` and raw distances ``(B, HW, 4)``."""
        logits, distances = (branch(x).flatten(2).transpose(1, 2) for branch in (self.classify, self.regress))
        return logits, distances


def _branch(channels: int, depth: int, outputs: int, bias: float) -> nn.Sequential:
    last = nn.Conv2d(channels, outputs, 1)
    nn.init.normal_(last.weight, std=0.01)
    assert last.bias is not None
    nn.init.constant_(last.bias, bias)
    return nn.Sequential(*(ConvBlock(channels, channels) for _ in range(depth)), last)


def points_of(height: int, width: int, stride: int, device: torch.device | None = None) -> Tensor:
    """Point centres ``((i + 1/2) * stride)`` of a level in image pixels: float32 ``(HW, 2)`` as x, y."""
    ys = (torch.arange(height, device=device) + 0.5) * stride
    xs = (torch.arange(width, device=device) + 0.5) * stride
    gy, gx = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack((gx.flatten(), gy.flatten()), 1)


def decode_boxes(points: Tensor, strides: Tensor, raw: Tensor) -> Tensor:
    """Boxes from raw distances: ``stride * exp(clamp(raw, -6, 6))`` to left, top, right, bottom.

    Parameters
    ----------
    points : Tensor, shape (P, 2)
        x, y in pixels.
    strides : Tensor, shape (P,)
        Stride of each point's level.
    raw : Tensor, shape (..., P, 4)
        Network output.

    Returns
    -------
    Tensor, shape (..., P, 4)
        float32 ``x0, y0, x1, y1`` in pixels.
    """
    sides = strides[:, None] * raw.float().clamp(-6, 6).exp()
    return torch.cat((points - sides[..., :2], points + sides[..., 2:]), -1)
