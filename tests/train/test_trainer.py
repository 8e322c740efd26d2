import json
import os
import signal
import subprocess
import sys

import pytest
import torch

from nssa_gis.errors import NssaError
from nssa_gis.model.config import named_config
from nssa_gis.model.detector import Detector
from nssa_gis.train.ema import MovingAverage
from nssa_gis.train.recipe import recipe_of_folders
from nssa_gis.train.trainer import Trainer, TrainOptions


def trainer(folder, run, steps=6, events=None, **kw):
    recipe = recipe_of_folders([folder], ["vehicle=car"], 0.25, ["b"], "toy")
    options = TrainOptions(steps=steps, batch=2, crop=64, workers=0, seed=3, **kw)
    report = events.append if events is not None else (lambda event: None)
    return Trainer(recipe, named_config("nssa-n", 1), options, run, report)


def test_loss_falls_and_validation_reports_every_source(coco_folder, tmp_path):
    events = []
    found = trainer(coco_folder, tmp_path / "run", steps=40, events=events, learning_rate=4e-3).run()
    losses = [e["loss"] for e in events if e["event"] == "step"]
    assert len(losses) == 40
    assert sum(losses[-8:]) < 0.8 * sum(losses[:8])
    assert set(found) == {"toy", "all"}
    assert found["toy"].truths == 8


def test_resume_gives_the_same_losses_as_one_run(coco_folder, tmp_path):
    whole, first, second = [], [], []
    trainer(coco_folder, tmp_path / "whole", events=whole).run()
    half = trainer(coco_folder, tmp_path / "half", events=first)
    original = half._train_step

    def stop_after_three(*args):
        if half.step == 3:
            half.save()
            raise KeyboardInterrupt
        return original(*args)

    half._train_step = stop_after_three
    with pytest.raises(KeyboardInterrupt):
        half.run()
    again = trainer(coco_folder, tmp_path / "half", events=second)
    again.resume()
    assert again.step == 3
    again.run()
    got = [e["loss"] for e in first + second if e["event"] == "step"]
    expected = [e["loss"] for e in whole if e["event"] == "step"]
    assert got == pytest.approx(expected, rel=2e-2)


def test_checkpoint_of_another_network_is_refused(coco_folder, tmp_path):
    one = trainer(coco_folder, tmp_path / "run")
    one.save()
    recipe = one.recipe
    other = Trainer(recipe, named_config("nssa-n-plain", 1), one.options, tmp_path / "run", lambda e: None)
    with pytest.raises(NssaError, match="another network"):
        other.resume()
    one.checkpoint.write_bytes(b"\x80\x04}q\x00.")
    with pytest.raises(NssaError, match="not a safetensors"):
        one.resume()


def test_moving_average_carries_buffers():
    model = Detector(named_config("nssa-n", 1))
    average = MovingAverage(model)
    model.train()(torch.rand(2, 3, 64, 64))
    for _ in range(50):
        average.update(model)
    mine, theirs = (dict(m.named_buffers())["trunk.stem.1.running_mean"] for m in (average.model, model))
    assert theirs.abs().max() > 0
    torch.testing.assert_close(mine, theirs, rtol=0.05, atol=0.01)
    assert dict(average.model.named_buffers())["trunk.stem.1.num_batches_tracked"] == 1


SCRIPT = """
import sys
from nssa_gis_cli.main import run
run(["train", sys.argv[1], "-o", sys.argv[2], "--classes", "vehicle=car", "--val-scenes", "b", "--size", "n", "--steps",
     "60", "--batch", "2", "--crop", "64", "--run", sys.argv[3], "--checkpoint-every", "0.1s", "--progress", "json",
     *sys.argv[4:]])
"""


def test_killed_training_resumes_from_the_command_line(coco_folder, tmp_path):
    model, folder = tmp_path / "m.safetensors", tmp_path / "run"
    command = [sys.executable, "-c", SCRIPT, coco_folder, model, folder]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        event = json.loads(line)
        if event["event"] == "step" and event["step"] >= 10:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    assert not model.exists()
    done = subprocess.run([*command, "--resume"], stderr=subprocess.PIPE, text=True, check=True)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    steps = [e["step"] for e in events if e["event"] == "step"]
    assert steps[0] > 3
    assert steps[-1] == 60
    assert model.exists()
    from nssa_gis.runtime.package import load_package

    info = load_package(model).info
    assert info.classes == ("vehicle",)
    assert "all" in info.metrics["val"]
