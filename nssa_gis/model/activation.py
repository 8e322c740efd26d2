"""Element-wise dynamic activations that replace a normalisation layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class ElementActivation(nn.Module):
    r"""Squash every element on its own, smoothly and without statistics.

    ======== ==================================== ===========================================
    kind     y                                    source
    ======== ==================================== ===========================================
    dyt      ``g * tanh(a x) + b``                Zhu et al., CVPR 2025 (arXiv 2503.10622)
    dyisru   ``g * x / sqrt(s + x^2) + b``        Stollenwerk, arXiv 2503.21708
    derf     ``g * erf(a x + m) + b``             Chen et al., arXiv 2512.10938
    ======== ==================================== ===========================================

    Stated by the paper: a smooth, element-wise activation that squashes extremes replaces a costly
    normalisation. Inferred: that it is DyT (the default), and that it replaces the two LayerNorms of CFPT's block.

    Parameters
    ----------
    channels : int
        C of the input ``(B, C, H, W)``.
    kind : {"dyt", "dyisru", "derf"}
        The formula, as in the table.
    gain : float
        Start value of the gain ``g`` of each channel. With a small one a residual branch starts near zero.
    """

    def __init__(self, channels: int, kind: str = "dyt", gain: float = 1.0) -> None:
        super().__init__()
        if kind not in ("dyt", "dyisru", "derf"):
            raise ValueError(f"unknown activation {kind!r}")
        self.kind = kind
        self.gain = nn.Parameter(torch.full((channels, 1, 1), gain))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        if kind == "dyisru":
            # softplus(raw) = 2 at the start: between the linear and the squashed regime for unit-variance input
            self.raw = nn.Parameter(torch.tensor(math.log(math.expm1(2.0))))
        else:
            self.alpha = nn.Parameter(torch.tensor(0.5))
            if kind == "derf":
                self.shift = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Squash ``x``, any shape that broadcasts with ``(C, 1, 1)``."""
        if self.kind == "dyisru":
            wide = x.float() if x.dtype == torch.float16 else x  # in float16 a square over 65504 would be infinite
            y = (wide * torch.rsqrt(nn.functional.softplus(self.raw) + wide * wide)).to(x.dtype)
        elif self.kind == "dyt":
            y = torch.tanh(self.alpha.clamp(0.05, 5.0) * x)
        else:
            y = torch.erf(self.alpha.clamp(0.05, 5.0) * x + self.shift)
        return self.gain * y + self.bias


class ChannelLayerNorm(nn.Module):
    """LayerNorm over the channels of ``(B, C, H, W)``: the baseline of the ablation."""

    def __init__(self, channels: int, gain: float = 1.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        nn.init.constant_(self.norm.weight, gain)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each position over its channels."""
        normed: Tensor = self.norm(x.permute(0, 2, 3, 1))
        return normed.permute(0, 3, 1, 2)


def build_activation(kind: str, channels: int, gain: float = 1.0) -> nn.Module:
    """Make the activation ``kind``, one of dyt, dyisru, derf, layernorm."""
    if kind == "layernorm":
        return ChannelLayerNorm(channels, gain)
    return ElementActivation(channels, kind, gain)
