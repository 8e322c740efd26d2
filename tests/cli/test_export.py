import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import rasterio
from rasterio.windows import Window

from nssa_gis.runtime.backends import torch as torch_backend
from nssa_gis.runtime.package import load_package

SCENE = Path(__file__).parents[2] / "sample_data" / "town.tif"


@pytest.mark.slow
def test_an_exported_model_finds_the_same_boxes(cli, tmp_path, monkeypatch):
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
    rows = np.clip(np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1), 0, 128)
    monkeypatch.setattr(torch_backend, "cpu_has_bf16", lambda: False)
    backend = torch_backend.TorchBackend.of_package(load_package(), "cpu")
    assert backend.precision == "fp32"
    found = backend.predict(tile, 0.5)
    assert len(found) >= 5
    for box, value in zip(found.boxes, found.scores, strict=True):
        same = np.abs(rows - box).max(1) < 0.01
        assert score[same] == pytest.approx(value, abs=1e-5), box


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
