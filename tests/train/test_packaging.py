from dataclasses import replace

import pytest
import torch

from nssa_gis.evaluate.calibration import PlattScaling
from nssa_gis.evaluate.coco import Accuracy
from nssa_gis.model.config import named_config
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.backends.torch import build_detector
from nssa_gis.runtime.package import load_package
from nssa_gis.train.description import tiling
from nssa_gis.train.options import TrainOptions
from nssa_gis.train.packaging import calibrated, package_of
from nssa_gis.train.recipe import recipe_of_folders
from nssa_gis.train.trainer import Trainer


@torch.no_grad()
def test_the_line_through_the_logits_is_in_the_weights():
    torch.manual_seed(0)
    model = DetectionNetwork(named_config("nssa-n", 2)).eval()
    for head in model.heads.values():
        head.classify[-1].weight.normal_(0, 0.3)
    x = torch.rand(1, 3, 64, 64)
    before = model(x)
    same = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(calibrated(model, [PlattScaling(1.6, -0.4), PlattScaling(0.7, 0.2)]))
    after = model(x)
    wanted = before.logits * torch.tensor([1.6, 0.7]) + torch.tensor([-0.4, 0.2])
    torch.testing.assert_close(after.logits, wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after.distances, before.distances)
    model.load_state_dict(same)
    assert calibrated(model, [PlattScaling()] * 2)["heads.4.classify.1.bias"].tolist() == pytest.approx(
        same["heads.4.classify.1.bias"].tolist()
    )


def accuracy(truths, threshold=0.4, line=None):
    figures = {k: 0.5 for k in ("ap", "ap50", "ap75", "precision", "recall", "f1")}
    return Accuracy(
        **figures, threshold=threshold, truths=truths, calibration_error=0.1, platt=(line or PlattScaling(1.5, 0.7),)
    )


@pytest.fixture
def trained(coco_folder, tmp_path):
    recipe = recipe_of_folders([coco_folder], ["vehicle=car"], 0.25, ["b"], "toy")
    made = Trainer(recipe, named_config("nssa-n", 1), TrainOptions(steps=1), tmp_path / "run", lambda event: None)
    made.load()
    return made


def test_scores_and_threshold_of_a_package_are_calibrated_together(trained, tmp_path):
    line = PlattScaling(1.5, 0.7)
    info = package_of(trained, {"toy": accuracy(300), "all": accuracy(300)}, "3", tmp_path / "m.safetensors")
    assert info.score_threshold == 0.4
    assert info.metrics["val"]["toy"]["threshold"] == 0.4
    assert info.metrics["calibration"] == {"vehicle": {"slope": 1.5, "offset": 0.7}}
    assert (info.version, info.tile, info.overlap) == ("3", 640, 128)
    package, x = load_package(tmp_path / "m.safetensors"), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        raw, kept = trained.average.module(x).logits.sigmoid(), build_detector(package)(x).logits.sigmoid()
    torch.testing.assert_close(kept, torch.from_numpy(line(raw.numpy())).float(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("longest", "trunk", "expected"),
    [
        (20.0, "csp", (640, 128)),
        (127.9, "csp", (640, 128)),
        (128.0, "csp", (768, 192)),
        (230.0, "csp", (1024, 256)),
        (700.0, "csp", (1280, 704)),
        (2000.0, "csp", (1280, 1216)),
        (80.0, "resnet", (1280, 128)),
    ],
)
def test_the_tile_grows_with_the_objects(longest, trunk, expected):
    assert tiling(longest, trunk) == expected


def test_a_package_without_calibration(trained, tmp_path):
    info = package_of(trained, {"all": replace(accuracy(199), platt=())}, "1", tmp_path / "m.safetensors")
    assert (info.score_threshold, info.metrics["calibration"]["vehicle"]["slope"]) == (0.4, 1.0)
    hopeless = package_of(trained, {"all": accuracy(300, 1e-4, PlattScaling())}, "1", tmp_path / "n.safetensors")
    assert hopeless.score_threshold == 0.01
