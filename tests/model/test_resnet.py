from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from nssa_gis.errors import NssaError
from nssa_gis.model.config import CrossLayerConfig, DetectorConfig, named_config
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.model.resnet import ResNetTrunk, load_resnet

SLIM = replace(
    named_config("nssa-paper", 2),
    stem=8,
    widths=(32, 64, 128, 256),
    neck=(32, 32, 32, 32),
    head_depth=1,
    cross_layer=CrossLayerConfig((4, 8, 16, 32), 8, 4),
)


def torchvision_names(stem, widths, depths):
    """Names and shapes of torchvision's ResNet, written down from its published layout, not from our modules."""
    shapes = {"conv1.weight": (stem, 3, 7, 7), "fc.weight": (1000, widths[-1]), "fc.bias": (1000,)}
    norms = {"bn1": stem}
    c_in = stem
    for layer, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
        planes = width // 4
        for block in range(depth):
            at = f"layer{layer}.{block}"
            shapes[f"{at}.conv1.weight"] = (planes, c_in, 1, 1)
            shapes[f"{at}.conv2.weight"] = (planes, planes, 3, 3)
            shapes[f"{at}.conv3.weight"] = (width, planes, 1, 1)
            norms |= {f"{at}.bn1": planes, f"{at}.bn2": planes, f"{at}.bn3": width}
            if block == 0:
                shapes[f"{at}.downsample.0.weight"] = (width, c_in, 1, 1)
                norms[f"{at}.downsample.1"] = width
            c_in = width
    for name, size in norms.items():
        shapes |= {f"{name}.{part}": (size,) for part in ("weight", "bias", "running_mean", "running_var")}
        shapes[f"{name}.num_batches_tracked"] = ()
    return shapes


def test_the_list_is_that_of_resnet50():
    shapes = torchvision_names(64, (256, 512, 1024, 2048), (3, 4, 6, 3))
    assert len(shapes) == 320
    learned = [s for k, s in shapes.items() if not k.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert sum(torch.Size(s).numel() for s in learned) == 25_557_032, "torchvision states this number"
    own = ResNetTrunk(named_config("nssa-paper-plain", 1)).state_dict()
    assert {k: tuple(v.shape) for k, v in own.items()} == {k: s for k, s in shapes.items() if not k.startswith("fc.")}


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(shape, generator=generator) if shape else torch.tensor(3)
        for name, shape in torchvision_names(SLIM.stem, SLIM.widths, SLIM.depths).items()
    }


def test_weights_load_by_name(tmp_path, weights):
    save_file(weights, tmp_path / "r.safetensors")
    trunk = DetectionNetwork(SLIM).trunk
    before = {k: v.clone() for k, v in trunk.state_dict().items() if k.startswith("wavelets.")}
    load_resnet(trunk, tmp_path / "r.safetensors")
    state = trunk.state_dict()
    assert before and all(torch.equal(state[k], v) for k, v in before.items())
    for name, value in weights.items():
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked"):
            assert torch.equal(state[name], value), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("layer2.0.bn1.weight"), "lacks layer2.0.bn1.weight"),
        (lambda w: w.update({"layer2.9.conv1.weight": torch.zeros(1)}), "unknown layer2.9.conv1.weight"),
        (lambda w: w.update({"conv1.weight": torch.zeros(8, 1, 7, 7)}), r"conv1.weight is \(8, 1, 7, 7\)"),
    ],
)
def test_other_weights_are_refused(tmp_path, weights, change, message):
    change(weights)
    save_file(weights, tmp_path / "r.safetensors")
    with pytest.raises(NssaError, match=message):
        load_resnet(DetectionNetwork(SLIM).trunk, tmp_path / "r.safetensors")


def test_no_pickle_is_read(tmp_path):
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "r.pth")
    with pytest.raises(NssaError, match=r"\.safetensors file is expected"):
        load_resnet(DetectionNetwork(SLIM).trunk, tmp_path / "r.pth")


@torch.no_grad()
def test_the_trunk_is_a_resnet():
    """Against the same function written out with torch.nn.functional."""
    from torch.nn import functional as F

    torch.manual_seed(0)
    config = replace(SLIM.plain(), depths=(1, 1, 1, 1))
    trunk = ResNetTrunk(config).eval()
    state = trunk.state_dict()

    def norm(x, name):
        part = [state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *part)

    image = torch.rand(1, 3, 64, 64)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (image - mean[:, None, None]) / deviation[:, None, None]
    x = F.max_pool2d(F.relu(norm(F.conv2d(x, state["conv1.weight"], None, 2, 3), "bn1")), 3, 2, 1)
    maps = []
    for layer in range(1, 5):
        at, stride = f"layer{layer}.0", 1 if layer == 1 else 2
        y = F.relu(norm(F.conv2d(x, state[f"{at}.conv1.weight"]), f"{at}.bn1"))
        y = F.relu(norm(F.conv2d(y, state[f"{at}.conv2.weight"], None, stride, 1), f"{at}.bn2"))
        y = norm(F.conv2d(y, state[f"{at}.conv3.weight"]), f"{at}.bn3")
        x = F.relu(y + norm(F.conv2d(x, state[f"{at}.downsample.0.weight"], None, stride), f"{at}.downsample.1"))
        maps.append(x)
    for got, expected in zip(trunk((image - 0.5) * 4), maps, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_config_round_trip_and_misfits():
    assert DetectorConfig.from_dict(SLIM.to_dict()) == SLIM
    for change in (
        {"trunk": "vgg"},
        {"pyramid": "path"},
        {"neck": (32, 32, 32, 64)},
        {"widths": (32, 64, 128)},
        {"head_strides": (4, 64)},
    ):
        with pytest.raises(ValueError):
            DetectorConfig.from_dict(SLIM.to_dict() | change)
    csp = named_config("nssa-s", 1).to_dict()
    with pytest.raises(ValueError, match="among"):
        DetectorConfig.from_dict(csp | {"head_strides": (4, 32)})
    for name in ("trunk", "pyramid"):  # packages of version 0.1 lack these
        del csp[name]
    assert DetectorConfig.from_dict(csp) == named_config("nssa-s", 1)
