"""ONNX against PyTorch, for every network there is."""

import json
from dataclasses import replace

import onnx
import pytest
import torch

from nssa_gis.model.config import SIZES, CrossLayerConfig, SparseAttentionConfig, WaveletConfig, named_config
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.export import OnnxDetector, difference, metadata, onnx_bytes
from nssa_gis.runtime.folding import fold_batch_norm
from nssa_gis.runtime.package import load_package

SMALL = named_config("nssa-n", 2)
#: nssa-paper with an eighth of its channels and the fewest blocks.
PAPER = replace(
    named_config("nssa-paper", 2),
    stem=16,
    widths=(64, 64, 128, 128),
    depths=(1, 1, 1, 1),
    neck=(32, 32, 32, 32),
    head_depth=1,
    cross_layer=CrossLayerConfig((4, 8, 16, 32), 8, 4, "dyt", 2),
)
CONFIGS = {
    **{f"{name}{end}": named_config(f"{name}{end}", 2) for name in SIZES for end in ("", "-plain")},
    "paper, slim": PAPER,
    "dilated": replace(SMALL, sparse_attention=SparseAttentionConfig(partition="dilated")),
    "window 5": replace(SMALL, sparse_attention=SparseAttentionConfig(window=5)),
    "chebyshev": replace(SMALL, wavelet=WaveletConfig(form="chebyshev", learnable=True)),
    "learned atrous": replace(SMALL, wavelet=WaveletConfig(bands=2, learnable=True)),
    "three levels": replace(SMALL, neck=(48, 48, 48), cross_layer=CrossLayerConfig(), head_strides=(4, 8, 16)),
    **{
        name: replace(SMALL, cross_layer=CrossLayerConfig((8, 16), activation=name))
        for name in ("dyisru", "derf", "layernorm")
    },
}
#: A module, and what makes it silent.
SILENCED = {
    "sparse attention": lambda m: [b.scale.zero_() for b in m.neck.attention.values()],
    "position bias": lambda m: [b.bias.zero_() for b in m.neck.attention.values()],
    "cross-layer attention": lambda m: [a.gain.zero_() for a in m.neck.cross_layer.act],
    "wavelets": lambda m: [w.mix.weight.zero_() for w in m.trunk.wavelets.values()],
}


def noise(seed):
    return torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def shaken(config):
    """A folded detector whose every part speaks: modules start near identity, which would hide their errors."""
    torch.manual_seed(0)
    model = DetectionNetwork(config)
    for name, value in model.named_parameters():
        last = name.rsplit(".", 1)[-1]
        if last in ("gain", "scale") or (value.ndim == 1 and last == "weight"):  # gates and norms
            value.uniform_(0.5, 1.0)
        elif last == "bias" and value.ndim in (2, 4):  # position biases
            value.normal_(0, 1.0)
        elif value.ndim == 4 and not value.any():
            value.normal_(0, 0.2)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    model.train()(noise(2))  # every norm learns its statistics: the signal keeps its size through the layers
    model.eval()
    for head in model.heads.values():
        head.classify[-1].bias.zero_()
    # not more: fifty random layers amplify the rounding of float32 itself to 1e-3 of whatever comes out
    spread = model(noise(2)).logits.std()
    for head in model.heads.values():
        head.classify[-1].weight.mul_(0.3 / spread)
    fold_batch_norm(model)
    return model


def scores(model):
    with torch.no_grad():
        return OnnxDetector(model, 128, 128)(noise(1))[:, 4:]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.slow
def test_every_network_runs_in_onnx_runtime(name):
    model = shaken(CONFIGS[name])
    assert scores(model).std() > 0.05, "the scores must depend on the image for the comparison to mean anything"
    data = onnx_bytes(model, 17, 128, {})
    assert difference(model, data, 128) < 1e-4
    assert onnx.load_model_from_string(data).opset_import[0].version == 17


@pytest.mark.parametrize("part", SILENCED)
def test_the_comparison_would_notice_a_module_that_is_wrong(part):
    model = shaken(named_config("nssa-s", 2))
    before = scores(model)
    with torch.no_grad():
        SILENCED[part](model)
    assert (scores(model) - before).abs().max() > 50 * 1e-4


def test_the_output_layout_and_metadata_of_the_default_model(tmp_path):
    info = load_package().info
    facts = metadata(info, 640)
    assert json.loads(facts["resolution"]) == pytest.approx(info.gsd * 100)
    assert json.loads(facts["class_names"]) == {"0": "vehicle"}
    assert json.loads(facts["tiles_overlap"]) == round(100 * info.overlap / 640)
    assert json.loads(facts["nssa_gis"])["network"]["name"] == info.network["name"]
