"""What a network costs: parameters and multiply-adds, counted while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from nssa_gis.model.config import STRIDES, DetectorConfig
from nssa_gis.model.detector import Detector


@dataclass(frozen=True)
class PartCost:
    """Cost of one part.

    Attributes
    ----------
    part : str
        What it is.
    stride : str
        The level it works at, in pixels; a range where levels meet.
    parameters : int
        Learned numbers.
    gmacs : float
        10^9 multiply-adds of convolutions and matrix products for the image measured.
    """

    part: str
    stride: str
    parameters: int
    gmacs: float


def cost_of(config: DetectorConfig, side: int = 640) -> list[PartCost]:
    """Count parameters and multiply-adds per part by running the network once on an empty image.

    Element-wise work (activations, norms, softmax, shuffles) is not counted; it costs memory traffic, not
    multiply-adds.

    Parameters
    ----------
    config : DetectorConfig
        The network.
    side : int
        Side of the square image, pixels.

    Returns
    -------
    list of PartCost
        In the order of the data's way; their sums are those of the whole network.
    """
    model = Detector(config).eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(1, config.in_channels, side, side))
    counts = {name.partition(".")[2]: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    costs = []
    for part, stride, names in _parts(config):
        modules = [model.get_submodule(name) for name in names]
        parameters = sum(p.numel() for m in modules for p in m.parameters())
        costs.append(PartCost(part, stride, parameters, sum(counts.get(n, 0) for n in names) / 2e9))
    missing = sum(p.numel() for p in model.parameters()) - sum(c.parameters for c in costs)
    assert missing == 0, f"{missing} parameters belong to no part"
    return costs


def total(costs: list[PartCost]) -> PartCost:
    """Sum up."""
    return PartCost("whole network", "", sum(c.parameters for c in costs), sum(c.gmacs for c in costs))


def _parts(config: DetectorConfig) -> Iterator[tuple[str, str, list[str]]]:
    """Name, stride and module names of every part."""
    resnet = config.trunk == "resnet"
    yield "trunk stem", "4" if resnet else "2", ["trunk.conv1", "trunk.bn1"] if resnet else ["trunk.stem"]
    for k, stride in enumerate(config.strides):
        yield "trunk stage", str(stride), [f"trunk.layer{k + 1}" if resnet else f"trunk.stages.{k}"]
        if config.wavelet and stride in config.wavelet.strides:
            yield "diffusion wavelet convolution", str(stride), [f"trunk.wavelets.{stride}"]
    for k, stride in enumerate(config.strides):
        yield "neck lateral", str(stride), [f"neck.lateral.{k}"]
    if config.pyramid == "path":
        yield "neck top-down", "8", ["neck.down3"]
        yield "neck top-down", "4", ["neck.down2"]
    if config.cross_layer:
        s = config.cross_layer.strides
        yield "cross-layer channel attention", f"{min(s)}-{max(s)}", ["neck.cross_layer"]
    for stride in config.sparse_attention.strides if config.sparse_attention else ():
        yield "non-semantic sparse attention", str(stride), [f"neck.attention.{stride}"]
    if config.pyramid == "path":
        yield "neck bottom-up", "8", ["neck.step3", "neck.up3"]
        if 16 in config.head_strides:
            yield "neck bottom-up", "16", ["neck.step4", "neck.up4"]
    for stride in (s for s in STRIDES if s in config.head_strides):
        yield "head", str(stride), [f"heads.{stride}"]
