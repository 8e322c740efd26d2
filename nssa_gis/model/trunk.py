"""The trunk: image to feature maps at strides 4, 8 and 16."""

from __future__ import annotations

from torch import Tensor, nn

from nssa_gis.model.blocks import ConvBlock, CrossStage, PoolPyramid
from nssa_gis.model.config import DetectorConfig
from nssa_gis.model.diffusion_wavelet import DiffusionWaveletConv


class Trunk(nn.Module):
    """Stem and three stages of stride-2 convolution and cross-stage block.

    Diffusion wavelet convolutions stand before the down-sampling steps named in the config, where detail would be
    lost. No stride-32 stage: objects of 6 to 30 px do not need it.

    Parameters
    ----------
    config : DetectorConfig
        Widths, depths and the wavelet config.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.stem = ConvBlock(config.in_channels, config.stem, 3, 2)
        stages, wavelets, c_in = [], {}, config.stem
        for stride, width, depth in zip((4, 8, 16), config.widths, config.depths, strict=True):
            stages.append(nn.Sequential(ConvBlock(c_in, width, 3, 2), CrossStage(width, width, depth)))
            if config.wavelet and stride in config.wavelet.strides:
                w = config.wavelet
                wavelets[str(stride)] = DiffusionWaveletConv(width, w.form, w.bands, w.order)
            c_in = width
        stages[-1].append(PoolPyramid(c_in))
        self.stages = nn.ModuleList(stages)
        self.wavelets = nn.ModuleDict(wavelets)

    def forward(self, image: Tensor) -> list[Tensor]:
        """``(B, C, H, W)`` to maps at strides 4, 8, 16."""
        x, maps = self.stem(image), []
        for stride, stage in zip((4, 8, 16), self.stages, strict=True):
            x = stage(x)
            if str(stride) in self.wavelets:
                x = self.wavelets[str(stride)](x)
            maps.append(x)
        return maps
