import math

import pytest
import torch

from nssa_gis.model.config import SIZES, DetectorConfig, named_config
from nssa_gis.model.head import decode_boxes, points_of
from nssa_gis.model.network import DetectionNetwork


@pytest.mark.parametrize("name", [*SIZES, "nssa-s-plain"])
@torch.no_grad()
def test_sizes_run_and_have_the_stated_parameters(name):
    model = DetectionNetwork(named_config(name, 10)).eval()
    out = model(torch.rand(1, 3, 128, 64))
    points = 32 * 16 + 16 * 8 + (8 * 4 + 4 * 2 if "paper" in name else 0)
    assert out.logits.shape == (1, points, 10)
    assert out.distances.shape == (1, points, 4)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    stated = {"nssa-n": 0.63, "nssa-s": 1.3, "nssa-m": 2.3, "nssa-s-plain": 1.3, "nssa-paper": 46.7}[name]
    assert stated * 0.8 < millions < stated * 1.25


@torch.no_grad()
def test_every_module_can_be_switched_off_by_itself():
    from dataclasses import replace

    base = named_config("nssa-n", 1)
    full = sum(p.numel() for p in DetectionNetwork(base).parameters())
    for module in ("sparse_attention", "cross_layer", "wavelet"):
        model = DetectionNetwork(replace(base, **{module: None}))
        assert sum(p.numel() for p in model.parameters()) < full
        model.eval()(torch.rand(1, 3, 64, 64))


@torch.no_grad()
def test_a_third_head_at_stride_16():
    from dataclasses import replace

    model = DetectionNetwork(replace(named_config("nssa-n", 1), head_strides=(4, 8, 16))).eval()
    out = model(torch.rand(1, 3, 64, 64))
    assert out.logits.shape[1] == 16 * 16 + 8 * 8 + 4 * 4
    assert model.boxes(out, 64, 64).shape == (1, 336, 4)


@torch.no_grad()
def test_modules_start_near_the_plain_network():
    torch.manual_seed(0)
    full = DetectionNetwork(named_config("nssa-s", 2)).eval()
    plain = DetectionNetwork(named_config("nssa-s-plain", 2)).eval()
    plain.load_state_dict({k: v for k, v in full.state_dict().items() if k in plain.state_dict()})
    x = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(full(x).logits, plain(x).logits, rtol=0, atol=0.05)


@torch.no_grad()
def test_start_of_the_head():
    model = DetectionNetwork(named_config("nssa-n", 3)).eval()
    out = model(torch.rand(1, 3, 64, 64))
    assert out.logits.sigmoid().mean().item() == pytest.approx(0.01, rel=0.3)
    boxes = model.boxes(out, 64, 64)[0]
    sides = (boxes[:, 2:] - boxes[:, :2]).mean(1)
    assert sides[0].item() == pytest.approx(2 * 1.5 * 4, rel=0.2)
    assert sides[-1].item() == pytest.approx(2 * 1.5 * 8, rel=0.2)


def test_points_are_cell_centres_and_boxes_decode():
    points = points_of(2, 3, 8)
    assert points.tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]]
    raw = torch.tensor([[0.0, math.log(2), math.log(3), 50.0]]).expand(6, 4)
    box = decode_boxes(points, torch.full((6,), 8.0), raw)[0]
    assert box.tolist() == pytest.approx([4 - 8, 4 - 16, 4 + 24, 4 + 8 * math.exp(6)], rel=1e-5)


def test_config_round_trip_and_unknown_keys():
    import json

    for config in SIZES.values():
        for c in (config, config.plain()):
            assert DetectorConfig.from_dict(json.loads(json.dumps(c.to_dict()))) == c
    values = SIZES["nssa-n"].to_dict()
    values["dropout"] = 1
    with pytest.raises(ValueError, match="dropout"):
        DetectorConfig.from_dict(values)
    del values["dropout"], values["sparse_attention"]["partition"]
    with pytest.raises(ValueError, match="sparse_attention lacks partition"):
        DetectorConfig.from_dict(values)
    with pytest.raises(ValueError, match="nssa-x"):
        named_config("nssa-x", 1)
