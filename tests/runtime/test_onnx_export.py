"""ONNX against PyTorch, for every network there is."""

import json
from dataclasses import replace

import onnx
import pytest
import torch

from nssa_gis.model.config import SIZES, CrossLayerConfig, SparseAttentionConfig, WaveletConfig, named_config
from nssa_gis.model.detector import Detector
from nssa_gis.runtime.folding import fold_batch_norm
from nssa_gis.runtime.onnx_export import difference, metadata, onnx_bytes
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
    **{name: named_config(name, 2) for name in SIZES if name != "nssa-paper"},
    "nssa-s-plain": named_config("nssa-s-plain", 2),
    "paper": PAPER,
    "paper-plain": PAPER.plain(),
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


def shaken(config):
    """A folded detector whose every part speaks: modules start near identity, which would hide their errors."""
    torch.manual_seed(0)
    model = Detector(config).eval()
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if value.is_floating_point() and not name.endswith(("kernel", "mean", "deviation")) and value.ndim != 4:
                value.add_(torch.rand_like(value) * 0.2)
            elif value.ndim == 4 and not value.any():
                value.add_(torch.randn_like(value) * 0.1)
    fold_batch_norm(model)
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_every_network_runs_in_onnx_runtime(name):
    model = shaken(CONFIGS[name])
    data = onnx_bytes(model, 17, 128, {})
    assert difference(model, data, 128) < 1e-4
    assert onnx.load_model_from_string(data).opset_import[0].version == 17


def test_the_output_layout_and_metadata_of_the_default_model(tmp_path):
    info = load_package().info
    facts = metadata(info, 640)
    assert json.loads(facts["resolution"]) == pytest.approx(info.gsd * 100)
    assert json.loads(facts["class_names"]) == {"0": "vehicle"}
    assert json.loads(facts["tiles_overlap"]) == round(100 * info.overlap / 640)
    assert json.loads(facts["nssa_gis"])["network"]["name"] == info.network["name"]
