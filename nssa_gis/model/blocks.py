"""Convolution blocks shared by trunk, neck and head."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvBlock(nn.Sequential):
    """Convolution, BatchNorm, SiLU: ``(B, C_in, H, W)`` to ``(B, C_out, H/stride, W/stride)``."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.03),
            nn.SiLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvBlock(channels, channels), ConvBlock(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        out: Tensor = x + self.body(x)
        return out


class CrossStage(nn.Module):
    """CSP block: 1x1 convolution and split, residual blocks on one half, concatenation, 1x1 convolution."""

    def __init__(self, c_in: int, c_out: int, depth: int) -> None:
        super().__init__()
        half = c_out // 2
        self.split = ConvBlock(c_in, 2 * half, 1)
        self.body = nn.Sequential(*(Residual(half) for _ in range(depth)))
        self.join = ConvBlock(2 * half, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, c_in, H, W)`` to ``(B, c_out, H, W)``."""
        kept, worked = self.split(x).chunk(2, 1)
        out: Tensor = self.join(torch.cat((kept, self.body(worked)), 1))
        return out


class PoolPyramid(nn.Module):
    """SPPF: three 5x5 max pools one after another, concatenated. It adds context at the coarsest level at low cost."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.reduce = ConvBlock(channels, half, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.join = ConvBlock(4 * half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        parts = [self.reduce(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        out: Tensor = self.join(torch.cat(parts, 1))
        return out
