"""The necks: from trunk maps to pyramid levels, with the two attention modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nssa_gis.model.blocks import ConvBlock, CrossStage
from nssa_gis.model.config import STRIDES, DetectorConfig
from nssa_gis.model.cross_layer import CrossLayerChannelAttention
from nssa_gis.model.nssa import NonSemanticSparseAttention


class _Attention(nn.Module):
    """Cross-layer attention over the named levels, then sparse attention on the named levels."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        width = dict(zip(config.strides, config.neck, strict=True))
        self.cross_layer: CrossLayerChannelAttention | None = None
        self.cross_strides: tuple[int, ...] = ()
        if config.cross_layer:
            c = config.cross_layer
            self.cross_strides = c.strides
            self.cross_layer = CrossLayerChannelAttention(
                [width[s] for s in c.strides],
                c.hidden,
                c.heads,
                c.activation,
                c.mlp_ratio,
                [i for i, s in enumerate(c.strides) if s <= max(config.head_strides)],
            )
        self.attention = nn.ModuleDict()
        if config.sparse_attention:
            a = config.sparse_attention
            for s in a.strides:
                self.attention[str(s)] = NonSemanticSparseAttention(width[s], a.partition, a.window, a.head_dim)

    def attend(self, levels: dict[int, Tensor]) -> None:
        """Change the levels, keyed by stride, in place."""
        if self.cross_layer is not None:
            mixed = self.cross_layer([levels[s] for s in self.cross_strides])
            levels.update(zip(self.cross_strides, mixed, strict=True))
        for stride, block in self.attention.items():
            levels[int(stride)] = block(levels[int(stride)])


class CrossNeck(_Attention):
    """Levels of equal width that only the cross-layer attention connects (CFPT, arXiv 2407.19696).

    Each trunk map goes through a 1x1 convolution; there is no top-down path. CFPT has levels at strides 8 to 64 and a
    spatial attention beside the channel attention; the paper does not mention the latter. Without the cross-layer
    attention the neck is a feature pyramid, the usual baseline (FPN, Lin et al., CVPR 2017: top-down sum, then a 3x3
    convolution on each level).

    Parameters
    ----------
    config : DetectorConfig
        Trunk widths, neck widths and module configs.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__(config)
        self.lateral = nn.ModuleList(
            ConvBlock(c_in, c_out, 1) for c_in, c_out in zip(config.widths, config.neck, strict=True)
        )
        self.smooth = nn.ModuleList(ConvBlock(c, c, 3) for c in config.neck if not config.cross_layer)

    def forward(self, maps: list[Tensor]) -> dict[int, Tensor]:
        """Trunk maps, finest first, to pyramid levels, keyed by stride."""
        levels = {s: conv(x) for s, conv, x in zip(STRIDES, self.lateral, maps, strict=False)}
        before = dict(levels)
        if self.cross_layer is None:
            for fine, coarse in zip(STRIDES[-2::-1], STRIDES[:0:-1], strict=True):
                levels[fine] = levels[fine] + F.interpolate(levels[coarse], scale_factor=2.0, mode="nearest")
            levels = {s: conv(x) for (s, x), conv in zip(levels.items(), self.smooth, strict=True)}
        self.attend(levels)
        for stride in self.cross_strides:
            levels[stride] = levels[stride] + before[stride]
        return levels


class PathNeck(_Attention):
    """Top-down, cross-layer attention, sparse attention, bottom-up.

    Parameters
    ----------
    config : DetectorConfig
        Trunk widths, neck widths, head strides and module configs.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__(config)
        n2, n3, n4 = config.neck
        w2, w3, w4 = config.widths
        self.lateral = nn.ModuleList((ConvBlock(w2, n2, 1), ConvBlock(w3, n3, 1), ConvBlock(w4, n4, 1)))
        self.down3 = CrossStage(n3 + n4, n3, 1)
        self.down2 = CrossStage(n2 + n3, n2, 1)
        self.step3 = ConvBlock(n2, n2, 3, 2)
        self.up3 = CrossStage(n2 + n3, n3, 1)
        self.with_p4 = 16 in config.head_strides
        if self.with_p4:
            self.step4 = ConvBlock(n3, n3, 3, 2)
            self.up4 = CrossStage(n3 + n4, n4, 1)

    def forward(self, maps: list[Tensor]) -> dict[int, Tensor]:
        """Trunk maps at strides 4, 8, 16 to pyramid levels, keyed by stride."""
        p2, p3, p4 = (conv(x) for conv, x in zip(self.lateral, maps, strict=True))
        p3 = self.down3(torch.cat((p3, F.interpolate(p4, scale_factor=2.0, mode="nearest")), 1))
        p2 = self.down2(torch.cat((p2, F.interpolate(p3, scale_factor=2.0, mode="nearest")), 1))
        levels = {4: p2, 8: p3, 16: p4}
        self.attend(levels)
        levels[8] = self.up3(torch.cat((self.step3(levels[4]), levels[8]), 1))
        if self.with_p4:
            levels[16] = self.up4(torch.cat((self.step4(levels[8]), levels[16]), 1))
        return levels
