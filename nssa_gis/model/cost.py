"""Cost of a network: parameters and multiply-adds, counted while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from nssa_gis.model.config import STRIDES, DetectorConfig
from nssa_gis.model.network import DetectionNetwork


@dataclass(frozen=True)
class PartCost:
    """Cost of one part.

    Attributes
    ----------
    part : str
        Name of the part.
    stride : str
        Stride of its level, in pixels; a range where several levels take part.
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
    """Count parameters and multiply-adds of each part by running the network once on an empty image.

    Element-wise operations (activations, norms, softmax, shuffles) are not counted, because they need memory traffic
    rather than multiply-adds.

    Parameters
    ----------
    config : DetectorConfig
        The network.
    side : int
        Side of the square image, pixels.

    Returns
    -------
    list of PartCost
        In the order in which the data pass through; the sums are those of the whole network.
    """
    model = DetectionNetwork(config).eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(1, config.in_channels, side, side))
    counts = {name.partition(".")[2]: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    sizes = {name: sum(p.numel() for p in module.parameters()) for name, module in model.named_modules()}
    costs = []
    for part, stride, names, without in _parts(config):
        parameters, flops = (
            sum(table.get(n, 0) for n in names) - sum(table.get(n, 0) for n in without) for table in (sizes, counts)
        )
        costs.append(PartCost(part, stride, parameters, flops / 2e9))
    missing = sum(p.numel() for p in model.parameters()) - sum(c.parameters for c in costs)
    if missing:
        raise RuntimeError(f"{missing} parameters belong to no part")
    return costs


def total(costs: list[PartCost]) -> PartCost:
    """Sum of all parts."""
    return PartCost("whole network", "", sum(c.parameters for c in costs), sum(c.gmacs for c in costs))


class _Part(NamedTuple):
    """Name, stride and modules of a part, and the modules inside these that belong to other parts."""

    part: str
    stride: str
    modules: list[str]
    without: tuple[str, ...] = ()


def _parts(config: DetectorConfig) -> Iterator[_Part]:
    resnet = config.trunk == "resnet"
    yield _Part("trunk stem", "4" if resnet else "2", ["trunk.conv1", "trunk.bn1"] if resnet else ["trunk.stem"])
    for k, stride in enumerate(config.strides):
        yield _Part("trunk stage", str(stride), [f"trunk.layer{k + 1}" if resnet else f"trunk.stages.{k}"])
        if config.wavelet and stride in config.wavelet.strides:
            yield _Part("diffusion wavelet convolution", str(stride), [f"trunk.wavelets.{stride}"])
    for k, stride in enumerate(config.strides):
        yield _Part("neck lateral", str(stride), [f"neck.lateral.{k}"])
    if config.pyramid == "path":
        yield _Part("neck top-down", "8", ["neck.down3"])
        yield _Part("neck top-down", "4", ["neck.down2"])
    elif not config.cross_layer:
        for k, stride in enumerate(config.strides):
            yield _Part("neck smoothing", str(stride), [f"neck.smooth.{k}"])
    if config.cross_layer:
        yield from _cross_layer_parts(config.cross_layer.strides)
    for stride in config.sparse_attention.strides if config.sparse_attention else ():
        yield _Part("non-semantic sparse attention", str(stride), [f"neck.attention.{stride}"])
    if config.pyramid == "path":
        yield _Part("neck bottom-up", "8", ["neck.step3", "neck.up3"])
        if 16 in config.head_strides:
            yield _Part("neck bottom-up", "16", ["neck.step4", "neck.up4"])
    for stride in (s for s in STRIDES if s in config.head_strides):
        yield _Part("head", str(stride), [f"heads.{stride}"])


def _cross_layer_parts(strides: tuple[int, ...]) -> Iterator[_Part]:
    """Separate what the cross-layer attention does on each level from what it does across the levels."""
    block, every = "neck.cross_layer", []
    for i, stride in enumerate(strides):
        modules = [f"{block}.{name}.{i}" for name in ("before", "qkv", "out", "act", "after", "mlp")]
        yield _Part("cross-layer attention, level", str(stride), modules)
        every += modules
    yield _Part("cross-layer attention, channels", f"{min(strides)}-{max(strides)}", [block], tuple(every))
