"""Dynamic element-activated cross-layer channel attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nssa_gis.model.activation import build_activation


def overlap_channels(x: Tensor, ratio: int) -> Tensor:
    """Rearrange a level to the coarsest grid as overlapping channel windows.

    Pixel-unshuffle by ``ratio`` turns each channel into ratio^2 sub-pixel channels. The window of channel j holds
    these and, in front, the last sub-pixel of channel j-1 (zero for j = 0). This equals an unfold along the channel
    axis with size ratio^2 + 1, stride ratio^2 and padding 1; it uses plain slices, which ONNX can hold. At ratio 1 a
    window is the channel alone.

    Parameters
    ----------
    x : Tensor, shape (B, h, H, W)
        H and W are multiples of ``ratio``.
    ratio : int
        Side ratio to the coarsest level.

    Returns
    -------
    Tensor, shape (B, h, w, N)
        w = ratio^2 + 1 (1 at ratio 1) and N positions of the coarsest level.
    """
    b, h, height, width = x.shape
    parts = F.pixel_unshuffle(x, ratio) if ratio > 1 else x
    parts = parts.reshape(b, h, ratio * ratio, (height // ratio) * (width // ratio))
    if ratio == 1:
        return parts
    last = parts[:, :, -1:]
    before = torch.cat((torch.zeros_like(last[:, :1]), last[:, :-1]), 1)
    return torch.cat((before, parts), 2)


def fold_channels(windows: Tensor, ratio: int, height: int, width: int) -> Tensor:
    """Reverse :func:`overlap_channels`: back to ``(B, h, H, W)``; overlapping values are summed.

    Parameters
    ----------
    windows : Tensor, shape (B, h, w, N)
        Channel windows.
    ratio : int
        Side ratio to the coarsest level.
    height, width : int
        H and W of the level.
    """
    b, h, _, _ = windows.shape
    if ratio > 1:
        front, parts = windows[:, :, :1], windows[:, :, 1:]
        after = torch.cat((front[:, 1:], torch.zeros_like(front[:, :1])), 1)
        windows = torch.cat((parts[:, :, :-1], parts[:, :, -1:] + after), 2)
    grid = windows.reshape(b, h * ratio * ratio, height // ratio, width // ratio)
    return F.pixel_shuffle(grid, ratio) if ratio > 1 else grid


class CrossLayerChannelAttention(nn.Module):
    r"""Attention between the channels of several levels, which are rearranged to overlapping windows.

    With levels i = 0..L-1 (finest first), r_i the side ratio to the coarsest level and N its positions::

        X_i += GELU(DW3(X_i));             Q_i, K_i, V_i = windows(Conv1x1(X_i), r_i)       (B, h, w_i, N) each
        Q, K, V = concatenate over levels  (T = sum w_i = 23 for three levels)
        A = softmax(norm(Q) norm(K)^T + P);                        Y_i = Conv1x1(fold(A V)_i)
        X_i += act(Y_i);  X_i += GELU(DW3(X_i));  [X_i += MLP(act(X_i))]

    Tokens are channel sub-pixels and features are positions. Nothing is pooled, so a strong response on one level
    reinforces a weak one on another level at the same place. ``norm`` is the L2 norm over the N positions (cosine
    similarity, no temperature), P a learned bias per head group.

    Stated by the paper: cross-layer channel attention, channels rearranged and overlapped, a smooth element-wise
    activation instead of normalisation. From CFPT (arXiv 2407.19696): the block. Inferred: DyT as the activation;
    no spatial attention beside it; a free T x T bias instead of CFPT's interpolated table. Deliberate deviation: q, k
    and v get windows of their own, so no channel of K contains a part of Q. The block starts near the identity,
    because its weights start small or at zero.

    Cost: 2 h T^2 N multiply-adds, small beside the 1x1 and 3x3 convolutions.

    Parameters
    ----------
    channels : sequence of int
        Channels of the levels, finest first; each level is exactly twice the next one's size.
    hidden, heads : int
        Channel windows h, and groups of them that share a bias.
    activation : {"dyt", "dyisru", "derf", "layernorm"}
        Activation that replaces the normalisation.
    mlp_ratio : int
        Width of the point-wise MLP; 0 for none.
    mlp_levels : sequence of int, optional
        Numbers of the levels that have an MLP; by default all. On a level that nothing reads, an MLP would not learn.
    """

    def __init__(
        self,
        channels: Sequence[int],
        hidden: int = 16,
        heads: int = 4,
        activation: str = "dyt",
        mlp_ratio: int = 0,
        mlp_levels: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if not 2 <= len(channels) <= 4:
            raise ValueError(f"2 to 4 levels, not {len(channels)}")
        if hidden % heads:
            raise ValueError(f"heads {heads} does not divide hidden {hidden}")
        self.hidden, self.heads = hidden, heads
        self.ratios = [2 ** (len(channels) - 1 - i) for i in range(len(channels))]
        self.sizes = [r * r + 1 if r > 1 else 1 for r in self.ratios]
        self.before = nn.ModuleList(_zero_depthwise(c) for c in channels)
        self.qkv = nn.ModuleList(nn.Conv2d(c, 3 * hidden, 1) for c in channels)
        self.out = nn.ModuleList(nn.Conv2d(hidden, c, 1) for c in channels)
        self.act = nn.ModuleList(build_activation(activation, c, gain=1e-2) for c in channels)
        self.after = nn.ModuleList(_zero_depthwise(c) for c in channels)
        self.bias = nn.Parameter(torch.zeros(heads, 1, sum(self.sizes), sum(self.sizes)))
        with_mlp = range(len(channels)) if mlp_levels is None else mlp_levels
        self.mlp = nn.ModuleDict({str(i): _mlp(channels[i], mlp_ratio, activation) for i in with_mlp if mlp_ratio})

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Map the levels ``(B, C_i, H_i, W_i)``, finest first, to the same shapes.

        Raises
        ------
        ValueError
            A level is not exactly twice the size of the next one: pad the image, not the maps.
        """
        coarsest = levels[-1].shape[-2:]
        for level, ratio in zip(levels, self.ratios, strict=True):
            if level.shape[-2:] != (coarsest[0] * ratio, coarsest[1] * ratio):
                raise ValueError(f"levels of {[tuple(x.shape[-2:]) for x in levels]} do not double exactly")
        levels = [x + F.gelu(conv(x)) for x, conv in zip(levels, self.before, strict=True)]
        mixed = self._attend([conv(x) for x, conv in zip(levels, self.qkv, strict=True)])
        out = []
        for i, x in enumerate(levels):
            x = x + self.act[i](self.out[i](mixed[i]))
            x = x + F.gelu(self.after[i](x))
            out.append(x + self.mlp[str(i)](x) if str(i) in self.mlp else x)
        return out

    def _attend(self, projected: list[Tensor]) -> list[Tensor]:
        """``(B, 3h, H_i, W_i)`` per level to ``(B, h, H_i, W_i)`` per level."""
        thirds = [z.chunk(3, 1) for z in projected]
        q, k, v = (
            torch.cat([overlap_channels(t[part], r) for t, r in zip(thirds, self.ratios, strict=True)], 2)
            for part in range(3)
        )
        # an eps of 1e-12 would be 0 in half precision and give 0 / 0 on an empty map
        logits = F.normalize(q, dim=-1, eps=1e-6) @ F.normalize(k, dim=-1, eps=1e-6).transpose(-1, -2)
        b, h, t, _ = logits.shape
        logits = logits.reshape(b, self.heads, h // self.heads, t, t) + self.bias
        mixed = logits.softmax(-1).reshape(b, h, t, t).to(v.dtype) @ v
        parts = torch.split(mixed, self.sizes, 2)
        return [
            fold_channels(part, ratio, *z.shape[-2:])
            for part, ratio, z in zip(parts, self.ratios, projected, strict=True)
        ]


def _zero_depthwise(channels: int) -> nn.Conv2d:
    """3x3 depth-wise convolution that starts at zero (GELU'(0) = 1/2 lets it learn)."""
    conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    nn.init.zeros_(conv.weight)
    return conv


def _mlp(channels: int, ratio: int, activation: str) -> nn.Module:
    """MLP with an activation instead of a norm before it (CFPT has a norm); its output starts at zero."""
    last = nn.Conv2d(ratio * channels, channels, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(
        build_activation(activation, channels), nn.Conv2d(channels, ratio * channels, 1), nn.GELU(), last
    )
