from dataclasses import replace

import pytest

from nssa_gis.model.config import SIZES, named_config
from nssa_gis.model.cost import cost_of, total
from nssa_gis.model.network import DetectionNetwork


@pytest.mark.parametrize("name", ["nssa-n", "nssa-s", "nssa-m", "nssa-s-plain", "nssa-paper", "nssa-paper-plain"])
def test_parts_add_up_to_the_network(name):
    config = named_config(name, 3)
    costs = cost_of(config, 128)
    assert total(costs).parameters == sum(p.numel() for p in DetectionNetwork(config).parameters())
    assert all(c.parameters > 0 and c.gmacs > 0 for c in costs)


def test_counts_are_those_of_the_formulas():
    config = named_config("nssa-s", 1)
    costs = {(c.part, c.stride): c for c in cost_of(config, 128)}
    # 3x3, 3 to 24 channels, 64 x 64 positions
    assert costs["trunk stem", "2"].gmacs * 1e9 == 3 * 9 * 24 * 64 * 64
    # sparse attention at stride 8: projections 4 C^2, attention 2 n C, exchange 9 C; the gate has one position
    positions, c, n = 16 * 16, 64, 64
    expected = positions * (4 * c * c + 2 * n * c + 9 * c) + c * c
    assert costs["non-semantic sparse attention", "8"].gmacs * 1e9 == expected
    # diffusion wavelets at stride 4: three depth-wise 3x3 and a 1x1 from 4 C
    positions, c = 32 * 32, 48
    # cross-layer attention at stride 4: two depth-wise 3x3, to 3 h = 48 and back from h; channels: 2 h T^2 N
    cross = costs["cross-layer attention, level", "4"]
    assert cross.gmacs * 1e9 == positions * (2 * 9 * 64 + 64 * 48 + 16 * 64)
    assert costs["cross-layer attention, channels", "4-16"].gmacs * 1e9 == 2 * 16 * 23**2 * 64
    assert costs["diffusion wavelet convolution", "4"].gmacs * 1e9 == positions * (3 * 9 * c + 4 * c * c)


def test_every_parameter_of_the_large_networks_learns_something():
    """An MLP on a level that nothing reads would only look like capacity."""
    import torch

    model = DetectionNetwork(named_config("nssa-m", 1))
    out = model(torch.rand(1, 3, 64, 64))
    (out.logits.sum() + out.distances.sum()).backward()
    idle = sum(p.numel() for p in model.parameters() if p.grad is None)
    assert idle < 0.005 * sum(p.numel() for p in model.parameters())


def test_the_paper_network_has_a_resnet50_in_it():
    config = replace(SIZES["nssa-paper"], wavelet=None)
    trunk = sum(c.parameters for c in cost_of(config, 64) if c.part.startswith("trunk"))
    assert trunk == 25_557_032 - 2048 * 1000 - 1000
