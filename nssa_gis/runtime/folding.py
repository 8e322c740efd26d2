"""Folding BatchNorm into the convolution before it: the same function, fewer passes over memory."""

from __future__ import annotations

import torch
from torch import nn

from nssa_gis.model.blocks import ConvBlock
from nssa_gis.model.diffusion_wavelet import DiffusionWaveletConv


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Fold every BatchNorm of a detector in evaluation mode, in place.

    Parameters
    ----------
    model : Module
        A detector; its training is over.

    Returns
    -------
    Module
        The same object.
    """
    for module in model.modules():
        if isinstance(module, ConvBlock):
            module[0], module[1] = _folded(module[0], module[1]), nn.Identity()
        elif isinstance(module, DiffusionWaveletConv):
            module.mix, module.norm = _folded(module.mix, module.norm), nn.Identity()
    return model


@torch.no_grad()
def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    fused = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        groups=conv.groups,
        bias=True,
    )
    fused.weight.copy_(conv.weight * scale[:, None, None, None])
    assert fused.bias is not None
    fused.bias.copy_(norm.bias - norm.running_mean * scale)
    return fused.requires_grad_(False)
