import json
from dataclasses import replace

import pytest
import torch
from nssa_gis_cli.main import main

from nssa_gis.errors import NssaError
from nssa_gis.model.config import named_config
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.package import ModelInfo, load_package, save_package
from nssa_gis.train.warm_start import take_weights


def package(path, classes, size="nssa-n"):
    torch.manual_seed(5)
    config, classes = named_config(size, len(classes)), tuple(classes)
    info = ModelInfo(
        name="earlier", version="3", network=config.to_dict(), classes=classes, gsd=0.25, gsd_range=(0.1, 0.5)
    )
    save_package(path, DetectionNetwork(config).state_dict(), info)
    return load_package(path)


def last_layers(model):
    return [head.classify[-1].weight for head in model.heads.values()]


def test_classes_are_found_by_name_and_the_others_start_anew(tmp_path):
    earlier = package(tmp_path / "e.safetensors", ["boat", "car"])
    source = earlier.load_weights()
    torch.manual_seed(6)
    model = DetectionNetwork(named_config("nssa-n", 3))
    fresh = [w.clone() for w in last_layers(model)]
    assert take_weights(model, ("car", "plane", "boat"), earlier) == (["plane"], [])
    for (stride, head), before in zip(model.heads.items(), fresh, strict=True):
        key = f"heads.{stride}.classify.{len(head.classify) - 1}.weight"
        new = head.classify[-1].weight
        assert torch.equal(new[[2, 0]], source[key].float())
        assert torch.equal(new[1], before[1])
    for key, value in model.state_dict().items():
        if value.shape == source[key].shape:
            assert torch.equal(value, source[key].to(value.dtype)), key


def test_a_head_at_a_further_stride_starts_anew(tmp_path):
    earlier = package(tmp_path / "e.safetensors", ["car"])
    source = earlier.load_weights()
    torch.manual_seed(6)
    model = DetectionNetwork(replace(named_config("nssa-n", 2), head_strides=(4, 8, 16)))
    fresh = {k: v.clone() for k, v in model.state_dict().items()}
    assert take_weights(model, ("car", "ship"), earlier) == (["ship"], [16])
    for key, value in model.state_dict().items():
        expected = source.get(key, fresh[key])
        if value.shape == expected.shape:
            assert torch.equal(value, expected.to(value.dtype)), key
    assert sum(key.startswith("heads.16.") for key in fresh) > 4


def test_a_head_that_the_network_lacks_is_left_out(tmp_path):
    earlier = package(tmp_path / "e.safetensors", ["car"])
    model = DetectionNetwork(replace(named_config("nssa-n", 1), head_strides=(4,)))
    assert take_weights(model, ("car",), earlier) == ([], [])
    assert torch.equal(model.heads["4"].classify[-1].bias, earlier.load_weights()[_last_bias(model)].float())


def _last_bias(model):
    return f"heads.4.classify.{len(model.heads['4'].classify) - 1}.bias"


def test_a_network_with_other_levels_is_refused_in_one_line(tmp_path):
    earlier = package(tmp_path / "e.safetensors", ["car"])
    config = replace(
        named_config("nssa-paper", 1), stem=8, widths=(32,) * 4, depths=(1,) * 4, neck=(32,) * 4, head_depth=1
    )
    with pytest.raises(NssaError, match=r"network nssa-n is not the nssa-paper asked for \(stem, .*trunk.* differ\)"):
        take_weights(DetectionNetwork(config), ("car",), earlier)


def test_all_classes_known_gives_the_same_network(tmp_path):
    earlier = package(tmp_path / "e.safetensors", ["boat", "car"])
    model = DetectionNetwork(named_config("nssa-n", 2))
    assert take_weights(model, ("boat", "car"), earlier) == ([], [])
    for key, value in model.state_dict().items():
        assert torch.equal(value, earlier.load_weights()[key].to(value.dtype))


def run(folder, tmp_path, *extra, size="n"):
    args = [folder, "-o", tmp_path / "m.safetensors", "--run", tmp_path / "run", "--classes", "vehicle=car"]
    args += ["--val-scenes", "b", "--size", size, "--batch", 2, "--crop", 64, "--workers", 0]
    return main(["train", *map(str, (*args, *extra)), "--progress", "none"])


def test_command_starts_from_a_package_and_says_so_in_the_new_one(coco_folder, tmp_path):
    earlier = package(tmp_path / "e.safetensors", ["vehicle"])
    # so small a rate that the weights are still the package's
    assert run(coco_folder, tmp_path, "--init", earlier.path, "--steps", 1, "--learning-rate", 1e-9) == 0
    written = load_package(tmp_path / "m.safetensors")
    for key, value in earlier.load_weights().items():
        if not key.endswith(("running_mean", "running_var", "num_batches_tracked")):
            torch.testing.assert_close(written.load_weights()[key], value, rtol=1e-3, atol=1e-4, msg=key)
    assert written.info.metrics["training"]["started_from"] == "earlier 3"
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert events[0] == {"event": "init", "model": "earlier 3", "new_classes": [], "new_heads": []}
    (tmp_path / "m.safetensors").unlink()
    earlier.path.unlink()  # the checkpoint knows all
    assert run(coco_folder, tmp_path, "--init", earlier.path, "--steps", 2, "--resume") == 0
    assert load_package(tmp_path / "m.safetensors").info.metrics["training"]["started_from"] == "earlier 3"


@pytest.mark.parametrize(
    ("init", "told"), [("e.safetensors", "is not the nssa-n-plain asked for (neck"), ("nothing", "no model 'nothing'")]
)
def test_another_network_is_refused_and_nothing_is_written(coco_folder, tmp_path, capsys, init, told):
    package(tmp_path / "e.safetensors", ["vehicle"], "nssa-s")
    init = tmp_path / init if init != "nothing" else init
    assert run(coco_folder, tmp_path, "--init", init, "--steps", 1, size="n-plain") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert told.partition(" (")[0] in error
    assert not (tmp_path / "run").exists()
