"""The trunk: image to feature maps at strides 4, 8 and 16."""

from __future__ import annotations

from torch import Tensor, nn

from nssa_gis.model.blocks import ConvBlock, CrossStage, PoolPyramid
from nssa_gis.model.config import STRIDES, DetectorConfig
from nssa_gis.model.diffusion_wavelet import DiffusionWaveletConv


class Trunk(nn.Module):
    """Stem and three stages of stride-2 convolution and cross-stage block.

    Diffusion wavelet convolutions come before the down-sampling steps named in the config, where detail would be
    lost. There is no stage of stride 32: objects of 6 to 30 px do not need it.

    Parameters
    ----------
    config : DetectorConfig
        Widths, depths and the wavelet config.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.stem = ConvBlock(config.in_channels, config.stem, 3, 2)
        stages, c_in = [], config.stem
        for width, depth in zip(config.widths, config.depths, strict=True):
            stages.append(nn.Sequential(ConvBlock(c_in, width, 3, 2), CrossStage(width, width, depth)))
            c_in = width
        stages[-1].append(PoolPyramid(c_in))
        self.stages = nn.ModuleList(stages)
        self.wavelets = wavelets_of(config)

    def forward(self, image: Tensor) -> list[Tensor]:
        """``(B, C, H, W)`` to maps at strides 4, 8, 16."""
        x, maps = self.stem(image), []
        for stride, stage in zip(STRIDES, self.stages, strict=False):
            x = refine(self.wavelets, stride, stage(x))
            maps.append(x)
        return maps


def wavelets_of(config: DetectorConfig) -> nn.ModuleDict:
    """Build the diffusion wavelet convolutions of a trunk, keyed by stride."""
    w = config.wavelet
    if w is None:
        return nn.ModuleDict()
    width = dict(zip(STRIDES, config.widths, strict=False))
    return nn.ModuleDict(
        {str(s): DiffusionWaveletConv(width[s], w.form, w.bands, w.order, w.learnable) for s in sorted(w.strides)}
    )


def refine(wavelets: nn.ModuleDict, stride: int, x: Tensor) -> Tensor:
    """Run the wavelet convolution of a stride, if there is one."""
    return wavelets[str(stride)](x) if str(stride) in wavelets else x
