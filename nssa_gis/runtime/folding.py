"""Folding of BatchNorm into the convolution before it: the same function with fewer passes over memory."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nssa_gis.model.blocks import ConvBlock
from nssa_gis.model.diffusion_wavelet import DiffusionWaveletConv
from nssa_gis.model.resnet import Bottleneck, ResNetTrunk


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Fold every BatchNorm of a network in evaluation mode, in place.

    Parameters
    ----------
    model : Module
        The network; it cannot be trained any more.

    Returns
    -------
    Module
        The same object.
    """
    for module in model.modules():
        if isinstance(module, ConvBlock):
            conv, norm = module[0], module[1]
            assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            module[0], module[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
        elif isinstance(module, DiffusionWaveletConv):
            assert isinstance(module.norm, nn.BatchNorm2d)
            module.mix, module.norm = fuse_conv_bn_eval(module.mix, module.norm), nn.Identity()
        elif isinstance(module, (Bottleneck, ResNetTrunk)):
            for number in (1, 2, 3):
                _fold_numbered(module, number)
            if isinstance(module, Bottleneck) and module.downsample is not None:
                conv, norm = module.downsample[0], module.downsample[1]
                assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
                module.downsample[0], module.downsample[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return model


def _fold_numbered(module: nn.Module, number: int) -> None:
    """Fold ``bn<number>`` into ``conv<number>``, where a module has them."""
    conv, norm = getattr(module, f"conv{number}", None), getattr(module, f"bn{number}", None)
    if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
        setattr(module, f"conv{number}", fuse_conv_bn_eval(conv, norm))
        setattr(module, f"bn{number}", nn.Identity())
