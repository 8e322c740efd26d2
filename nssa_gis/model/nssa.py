"""Non-semantic sparse attention: self-attention inside small groups of positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Added to the logits of padded keys. Not -inf: a row of -inf is NaN after the softmax, in half precision too.
_MASKED = -1e4


class NonSemanticSparseAttention(nn.Module):
    r"""Attention inside local windows, gated by channel, as a residual.

    For every window (or interleaved group) of n positions, with heads of width d::

        Q, K, V = split(Conv1x1(X));   L = Q K^T / sqrt(d) + R + M;   O = Conv1x1(softmax(L) V)
        g = sigmoid(Conv1x1(mean(X)));   Y = X + lambda * (g * O);   Y = Y + DW3(Y)

    R is a learned relative position bias (local form), M masks padded keys. The layer mixes only ``window`` x
    ``window`` positions. So it cannot learn what the scene means; it works on edges and textures.

    Stated by the paper (Liu et al., Sci Rep 16, 11577): attention stays inside local patches. Inferred: contiguous
    8x8 windows (SMA-YOLO's and SparseViT's code interleave: ``partition="dilated"``), the relative bias, the gate's
    place, the residual with a small lambda, the depth-wise convolution that lets neighbouring windows exchange
    their borders (zero at the start).

    Cost: 4HWC^2 + 2HW n C multiply-adds, n = window^2 (local) or HW/window^2 (dilated: quadratic in area).

    Parameters
    ----------
    channels : int
        C of the map ``(B, C, H, W)``; any H and W (padded inside, padded keys masked).
    partition : {"local", "dilated"}
        How positions are grouped.
    window : int
        Window side (local) or sparsity (dilated).
    head_dim : int
        Channels per head; divides C.
    """

    bias_index: Tensor

    def __init__(self, channels: int, partition: str = "local", window: int = 8, head_dim: int = 16) -> None:
        super().__init__()
        if partition not in ("local", "dilated"):
            raise ValueError(f"unknown partition {partition!r}")
        if channels % head_dim:
            raise ValueError(f"head_dim {head_dim} does not divide {channels} channels")
        self.partition, self.window, self.heads = partition, window, channels // head_dim
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        self.gate = nn.Conv2d(channels, channels, 1)
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 1e-2))
        self.exchange = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        nn.init.zeros_(self.exchange.weight)
        if partition == "local":
            self.bias = nn.Parameter(torch.zeros(self.heads, (2 * window - 1) ** 2))
            self.register_buffer("bias_index", _relative_index(window), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        height, width = x.shape[-2:]
        down, right = -height % self.window, -width % self.window
        qkv = self.qkv(F.pad(x, (0, right, 0, down)) if down or right else x)
        q, k, v = self._group(qkv)
        logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        if self.partition == "local":
            logits = logits + self.bias[:, self.bias_index]
        if down or right:
            logits = logits + self._key_mask(x, down, right)
        mixed = self._ungroup(logits.softmax(-1).to(v.dtype) @ v, x.shape[0], height + down, width + right)
        mixed = self.out(mixed[..., :height, :width])
        gate = torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        y: Tensor = x + self.scale * (gate * mixed)
        y = y + self.exchange(y)
        return y

    def _split(self, x: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """View rows and columns as (outer, inner) and name the axes that index a group, then its members."""
        s = self.window
        b, c, h, w = x.shape
        grid = x.reshape(b, c, h // s, s, w // s, s)
        return grid, ((2, 4, 3, 5) if self.partition == "local" else (3, 5, 2, 4))

    def _group(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, 3C, H, W)`` to three tensors ``(B, groups, heads, n, d)``."""
        grid, (g1, g2, m1, m2) = self._split(qkv)
        b, c = grid.shape[:2]
        axes = (0, g1, g2, 1, m1, m2)
        tokens = grid.permute(axes)
        groups, members = tokens.shape[1] * tokens.shape[2], tokens.shape[4] * tokens.shape[5]
        tokens = tokens.reshape(b, groups, 3, self.heads, c // (3 * self.heads), members)
        q, k, v = tokens.transpose(-1, -2).unbind(2)
        return q, k, v

    def _ungroup(self, tokens: Tensor, batch: int, height: int, width: int) -> Tensor:
        """``(B, groups, heads, n, d)`` back to ``(B, C, H, W)``."""
        s = self.window
        rows, cols = height // s, width // s
        outer = (rows, cols) if self.partition == "local" else (s, s)
        inner = (s, s) if self.partition == "local" else (rows, cols)
        grid = tokens.transpose(-1, -2).reshape(batch, *outer, -1, *inner)
        order = (0, 3, 1, 4, 2, 5) if self.partition == "local" else (0, 3, 4, 1, 5, 2)
        return grid.permute(order).reshape(batch, -1, height, width)

    def _key_mask(self, x: Tensor, down: int, right: int) -> Tensor:
        """``(1, groups, 1, 1, n)``: a large negative number on padded positions."""
        height, width = x.shape[-2:]
        padded = F.pad(x.new_zeros(1, 1, height, width), (0, right, 0, down), value=_MASKED)
        grid, (g1, g2, m1, m2) = self._split(padded)
        mask = grid.permute(0, g1, g2, 1, m1, m2)
        return mask.reshape(1, mask.shape[1] * mask.shape[2], 1, 1, mask.shape[4] * mask.shape[5])


def _relative_index(window: int) -> Tensor:
    """Index of the bias table for each (query, key) of a window: ``(n, n)`` int64."""
    rows, cols = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    at = torch.stack((rows.flatten(), cols.flatten()))
    apart = at[:, :, None] - at[:, None, :] + window - 1
    return apart[0] * (2 * window - 1) + apart[1]
