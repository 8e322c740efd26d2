import numpy as np
import pytest
import torch

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.model.config import named_config
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.backends import torch as torch_backend
from nssa_gis.runtime.backends.protocol import create_backend
from nssa_gis.runtime.folding import fold_batch_norm
from nssa_gis.runtime.package import ModelInfo, load_package, save_package


def randomised(name="nssa-n", classes=2):
    """A detector whose norms and gates are away from their start values."""
    torch.manual_seed(0)
    model = DetectionNetwork(named_config(name, classes))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
        for head in model.heads.values():
            head.classify[-1].bias.fill_(-1.5)
            head.classify[-1].weight.normal_(0, 0.3)
    return model.eval()


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "toy.safetensors"
    network = named_config("nssa-n", 2).to_dict()
    info = ModelInfo(name="toy", version="1", network=network, classes=("a", "b"), gsd=0.25, gsd_range=(0.1, 0.5))
    save_package(path, randomised().state_dict(), info)
    return load_package(path)


@pytest.fixture(scope="module")
def tiles():
    return np.random.default_rng(0).integers(0, 255, (3, 3, 128, 128)).astype(np.uint8)


@pytest.mark.parametrize("name", ["nssa-n", "nssa-s"])
@torch.no_grad()
def test_folding_changes_nothing(name):
    model, x = randomised(name), torch.rand(2, 3, 64, 64)
    before = model(x)
    after = fold_batch_norm(model)(x)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    torch.testing.assert_close(after.logits, before.logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(after.distances, before.distances, rtol=1e-3, atol=1e-3)


def test_detections_do_not_depend_on_the_batch(package, tiles):
    backend = create_backend(package, "cpu")
    together = backend.predict(tiles, 0.2)
    assert len(together) > 10
    for i in range(3):
        alone = backend.predict(tiles[i : i + 1], 0.2)
        part = together.take(together.item == i)
        np.testing.assert_array_equal(part.boxes, alone.boxes)
        np.testing.assert_array_equal(part.scores, alone.scores)
    assert together.boxes.min() >= 0
    assert together.boxes.max() <= 128
    assert together.scores.min() >= 0.2


def test_bf16_stays_close_to_float32(package, tiles, monkeypatch):
    scores = []
    for has in (True, False):
        monkeypatch.setattr(torch_backend, "cpu_has_bf16", lambda has=has: has)
        backend = create_backend(package, "cpu")
        assert ("bf16" in backend.description) == has
        with torch.inference_mode():
            scores.append(backend.model(backend._upload(tiles)).logits.float().sigmoid())
    assert (scores[0] - scores[1]).abs().max() < 0.06


def test_same_object_is_reported_once(package, tiles):
    found = create_backend(package, "cpu").predict(tiles[:1], 0.05)
    from nssa_gis.evaluate.coco import iou_matrix

    for label in (0, 1):
        boxes = found.boxes[found.labels == label]
        overlap = iou_matrix(boxes, boxes) - np.eye(len(boxes))
        assert overlap.max() <= package.info.nms_iou + 1e-6


def test_threads_and_devices(package):
    before = torch.get_num_threads()
    try:
        assert "1 threads" in create_backend(package, "cpu", threads=1).description
    finally:
        torch.set_num_threads(before)
    with pytest.raises(UsageError, match="unknown device"):
        create_backend(package, "gpu0")
    with pytest.raises(UsageError, match="unknown backend"):
        create_backend(package, "cpu", "tensorflow")
    if not torch.cuda.is_available():
        with pytest.raises(NssaError, match="not available"):
            create_backend(package, "cuda:0")


def test_cuda_path_takes_pinned_batches_under_autocast(package, tiles, monkeypatch):
    """The CUDA branch, run on the CPU: what is pinned, copied and autocast is recorded, not skipped."""
    backend = create_backend(package, "cpu")
    expected = backend.predict(tiles, 0.2)
    calls = []
    backend.device = torch.device("cuda")
    backend.dtype, backend._autocast_type = torch.float32, torch.bfloat16
    backend.model.float()
    to = torch.Tensor.to

    def fake_to(tensor, *args, **kw):
        if args and isinstance(args[0], torch.device) and args[0].type == "cuda":
            calls.append(("copy", kw.get("non_blocking"), len(tensor)))
            return tensor
        return to(tensor, *args, **kw)

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda t: calls.append(("pin", len(t))) or t)
    monkeypatch.setattr(torch.Tensor, "to", fake_to)
    autocast = torch.autocast
    monkeypatch.setattr(
        torch, "autocast", lambda device, dtype: calls.append((device, dtype)) or autocast("cpu", dtype)
    )
    found = backend.predict(tiles, 0.2)
    assert ("cuda", torch.bfloat16) in calls
    assert ("pin", 3) in calls
    assert ("copy", True, 3) in calls
    assert abs(len(found) - len(expected)) <= 0.1 * len(expected) + 2
    assert set(found.item.tolist()) == {0, 1, 2}
