import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import rasterio
import torch
from rasterio.windows import Window

from nssa_gis.runtime.package import load_package
from nssa_gis.runtime.torch_backend import TorchBackend

SCENE = Path(__file__).parents[2] / "sample_data" / "town.tif"


def test_an_exported_model_finds_the_same_boxes(cli, tmp_path):
    done = cli("export", "aerial-vehicles", "-o", tmp_path / "cars.onnx", "--input-size", 128)
    assert done.returncode == 0, done.stderr
    model = onnx.load(tmp_path / "cars.onnx")
    properties = {p.key: json.loads(p.value) for p in model.metadata_props}
    assert (properties["model_type"], properties["det_type"]) == ("Detector", "YOLO_Ultralytics")
    with rasterio.open(SCENE) as scene:
        tile = scene.read(window=Window(60, 3000, 128, 128))[None]  # a corner of a car park
    session = onnxruntime.InferenceSession(tmp_path / "cars.onnx", providers=["CPUExecutionProvider"])
    (out,) = session.run(None, {"images": tile.astype(np.float32) / 255})
    assert out.shape == (1, 5, 32 * 32 + 16 * 16)
    x, y, w, h, score = out[0]
    best = score.argmax()
    assert score[best] > 0.5
    backend = TorchBackend(load_package(), "cpu")
    backend.model.float()
    backend.dtype = torch.float32
    found = backend.predict(tile, float(score[best]) * 0.999)
    expected = np.clip(
        [x[best] - w[best] / 2, y[best] - h[best] / 2, x[best] + w[best] / 2, y[best] + h[best] / 2], 0, 128
    )
    np.testing.assert_allclose(found.boxes[0], expected, atol=0.05)
    assert found.scores[0] == pytest.approx(float(score[best]), abs=1e-3)


def test_refusals(cli, tmp_path):
    (tmp_path / "there.onnx").write_text("mine")
    for arguments, message in (
        (["-o", "there.onnx"], "exists already"),
        (["-o", "x.pt"], "ends in .onnx"),
        (["-o", "x.onnx", "--input-size", 100], "multiple of 64"),
        (["-o", "missing/x.onnx"], "does not exist"),
    ):
        done = cli("export", "aerial-vehicles", *arguments)
        assert done.returncode in (1, 2)
        assert message in done.stderr
    assert (tmp_path / "there.onnx").read_text() == "mine"
