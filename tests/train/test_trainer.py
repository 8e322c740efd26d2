import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from nssa_gis.errors import NssaError
from nssa_gis.model.config import named_config
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.train.checkpoint import load_checkpoint, save_checkpoint
from nssa_gis.train.ema import MovingAverage
from nssa_gis.train.log import read_log
from nssa_gis.train.optimisation import autocast_type, learning_rate, parameter_groups
from nssa_gis.train.options import TrainOptions
from nssa_gis.train.recipe import recipe_of_folders
from nssa_gis.train.trainer import Trainer


def trainer(folder, run, steps=6, events=None, size="nssa-n", **kw):
    recipe = recipe_of_folders([folder], ["vehicle=car"], 0.25, ["b"], "toy")
    options = TrainOptions(steps=steps, batch=2, crop=64, workers=0, seed=3, **kw)
    report = events.append if events is not None else (lambda event: None)
    return Trainer(recipe, named_config(size, 1), options, run, report)


@pytest.mark.slow
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


def test_resume_compares_what_the_checkpoint_knows(coco_folder, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(NssaError, match="no checkpoint"):
        trainer(coco_folder, run).resume()
    assert not run.exists()
    one = trainer(coco_folder, run)
    one.save()
    with pytest.raises(NssaError, match="assigner gaussian, not tal"):
        trainer(coco_folder, run, assigner="tal").resume()
    parts, progress = load_checkpoint(one.checkpoint)
    del progress["setting"]  # as written by earlier versions
    save_checkpoint(one.checkpoint, parts, progress)
    trainer(coco_folder, run, assigner="tal").resume()


def test_stop_ends_after_the_step_and_resume_goes_on(coco_folder, tmp_path):
    one = trainer(coco_folder, tmp_path / "run", steps=5)
    original = one._train_step

    def stopped(*args):
        if one.step == 2:
            one.stop()
        return original(*args)

    one._train_step = stopped
    with pytest.raises(KeyboardInterrupt):
        one.run()
    again = trainer(coco_folder, tmp_path / "run", steps=5)
    again.resume()
    assert again.step == 3
    with pytest.raises(KeyboardInterrupt):
        again.stop()


@pytest.mark.slow
def test_time_budget_counts_waiting_but_not_validation(coco_folder, tmp_path, monkeypatch):
    one = trainer(coco_folder, tmp_path / "run", steps=3, validate_every=1e-9)
    monkeypatch.setattr(one, "_validate", lambda limit=None: time.sleep(0.5) or {})
    batches = one._batches

    def slow(crops):
        for batch in batches(crops):
            time.sleep(0.1)
            yield batch

    monkeypatch.setattr(one, "_batches", slow)
    monkeypatch.setattr(one, "_train_step", lambda *a: setattr(one, "step", one.step + 1) or {})
    one.run()
    assert 0.3 <= one.elapsed < 1.3


def test_data_is_reported_and_nothing_held_out_is_warned_of(coco_folder, tmp_path):
    events = []
    one = trainer(coco_folder, tmp_path / "run", steps=1, events=events)
    one.run()
    figures = {"images": 2, "boxes": 8, "ignored": 0}
    assert events[0] == {"event": "data", "train": figures, "val": figures, "dropped": 0, "unused": {}}
    events.clear()
    one = trainer(coco_folder, tmp_path / "other", steps=1, events=events)
    one.recipe = recipe_of_folders([coco_folder], ["vehicle=car"], 0.25, [], "toy")
    one.run()
    assert events[1]["event"] == "warning"


def test_a_resume_on_another_schedule_is_told(coco_folder, tmp_path):
    trainer(coco_folder, tmp_path / "run", steps=3).run()
    events = []
    again = trainer(coco_folder, tmp_path / "run", steps=5, events=events, learning_rate=1e-3)
    again.resume()
    again.run()
    told = [e["message"] for e in events if e["event"] == "warning"]
    assert any("steps 3, not 5" in text for text in told)
    assert any("learning_rate 0.002, not 0.001" in text for text in told)
    assert len(told) == 2


def test_a_resume_with_other_labels_or_scenes_is_told(coco_folder, tmp_path):
    more = tmp_path / "more.json"
    more.write_text((coco_folder / "instances.json").read_text())

    def run(additions, val_scenes, resume):
        events = []
        made = trainer(coco_folder, tmp_path / "run", steps=2, events=events)
        (source,) = made.recipe.sources
        changes = {"additions": str(additions) if additions else None, "val_scenes": val_scenes}
        made.recipe = made.recipe.model_copy(update={"sources": (source.model_copy(update=changes),)})
        if resume:
            made.resume()
        made.run()
        return [e["message"] for e in events if e["event"] == "warning" and "sources" in e["message"]]

    assert run(more, ("b",), resume=False) == []
    assert run(more, ("b",), resume=True) == []
    assert len(run(more, ("a",), resume=True)) == 1
    more.write_text(more.read_text().replace("230", "231") + " ")
    assert len(run(more, ("b",), resume=True)) == 1


def test_position_biases_are_not_decayed():
    model = DetectionNetwork(named_config("nssa-s", 1))
    heavy, light = (group["params"] for group in parameter_groups(model, 0.05))
    bias = model.neck.cross_layer.bias
    assert bias.ndim == 4
    assert any(p is bias for p in light) and not any(p is bias for p in heavy)
    assert len(heavy) + len(light) == len(list(model.parameters()))
    assert any(p is model.trunk.stem[0].weight for p in heavy)


@torch.no_grad()
def test_moving_average_follows_its_formula():
    """Also where it goes on from what a checkpoint holds: weights and the number of updates."""
    torch.manual_seed(0)
    model = DetectionNetwork(named_config("nssa-n", 1))
    average = MovingAverage(model)
    expected = {name: value.double().numpy() for name, value in model.state_dict().items()}
    assert not average.module.training and not any(p.requires_grad for p in average.parameters())
    for n in range(1, 41):
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        model.train()(torch.rand(1, 3, 64, 64))  # the statistics of BatchNorm move, and its counters
        average.update_parameters(model)
        keep = min(0.9998, (1 + n) / (10 + n))
        for name, value in model.state_dict().items():
            counted = not value.is_floating_point()
            expected[name] = value.numpy() if counted else keep * expected[name] + (1 - keep) * value.double().numpy()
        if n == 20:
            kept, state = average.n_averaged.clone(), average.module.state_dict()
            average = MovingAverage(model)
            average.module.load_state_dict(state)
            average.n_averaged.copy_(kept)
    for name, value in average.module.state_dict().items():
        np.testing.assert_allclose(value.double().numpy(), expected[name], rtol=1e-6, atol=1e-6, err_msg=name)
    assert expected["trunk.stem.1.num_batches_tracked"] == 40


def test_fp16_scales_the_loss_and_keeps_the_scale_in_the_checkpoint(coco_folder, tmp_path, monkeypatch):
    """What an older GPU does, on the CPU: a step that overflows is left out, and halves the scale."""
    monkeypatch.setattr("nssa_gis.train.trainer.autocast_type", lambda device: torch.float16)
    events = []
    one = trainer(coco_folder, tmp_path / "run", steps=3, events=events, size="nssa-n-plain")
    one.scaler.load_state_dict({**one.scaler.state_dict(), "scale": 2.0**40})
    before = {k: v.clone() for k, v in one.model.named_parameters()}
    one._validate = lambda limit=None: {}
    step, moved = one._train_step, []

    def watch(*args):
        figures = step(*args)
        moved.append(any(not torch.equal(v, before[k]) for k, v in one.model.named_parameters()))
        if one.step == 1:
            one.scaler.update(2.0**8)
        return figures

    one._train_step = watch
    one.run()
    assert moved == [False, True, True]
    steps = [e for e in events if e["event"] == "step"]
    assert not math.isfinite(steps[0]["norm"]) and math.isfinite(steps[1]["norm"])
    assert 0.1 < steps[1]["norm"] < 100  # unscaled before it is clipped
    again = trainer(coco_folder, tmp_path / "run", size="nssa-n-plain")
    again.resume()
    assert again.scaler.get_scale() == one.scaler.get_scale() == 2.0**8


def test_precision_goes_by_the_device(monkeypatch):
    cuda = torch.device("cuda")
    for native, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True, n=native: n)
        assert autocast_type(cuda) is expected
    assert autocast_type(torch.device("mps")) is None
    assert autocast_type(torch.device("cpu")) in (torch.bfloat16, None)


def test_learning_rate_warms_up_and_falls_as_a_cosine():
    rates = [learning_rate(2e-3, 64, done) for done in (0.0, 0.015, 0.03, 0.515, 1.0, 1.2)]
    assert rates == pytest.approx([4e-5, 2e-3, 4e-3, 4e-3 * 0.51, 8e-5, 8e-5])


SCRIPT = """
import sys
from nssa_gis_cli.main import run
run(["train", sys.argv[1], "-o", sys.argv[2], "--classes", "vehicle=car", "--val-scenes", "b", "--size", "n-plain",
     "--steps", "20", "--batch", "2", "--crop", "64", "--run", sys.argv[3], "--checkpoint-every", "0.1s",
     "--progress", "json", *sys.argv[4:]])
"""


@pytest.mark.slow
def test_killed_training_resumes_to_the_same_losses(coco_folder, tmp_path):
    """As the user does it: SIGKILL, then the same command with --resume; the log is that of a run left alone."""
    whole = tmp_path / "whole"
    args = [coco_folder, "-o", tmp_path / "w.safetensors", "--run", whole, "--classes", "vehicle=car"]
    args += ["--size", "n-plain"]
    torch.set_num_threads(1)
    assert cli(*args, "--val-scenes", "b", "--steps", 20, "--batch", 2, "--crop", 64, "--workers", 0) == 0
    model, folder = tmp_path / "m.safetensors", tmp_path / "run"
    command = [sys.executable, "-c", SCRIPT, coco_folder, model, folder]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        event = json.loads(line)
        if event["event"] == "step" and event["step"] >= 8:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    assert not model.exists()
    done = subprocess.run([*command, "--resume"], stderr=subprocess.PIPE, text=True, check=True)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert next(e["step"] for e in events if e["event"] == "step") > 3
    expected, got = ([e for e in read_log(run / "log.jsonl") if e["event"] == "step"] for run in (whole, folder))
    assert [e["step"] for e in got] == [e["step"] for e in expected] == [*range(1, 21)]
    for name in ("loss", "norm", "rate"):
        assert [e[name] for e in got] == pytest.approx([e[name] for e in expected], rel=1e-3), name
    assert model.exists()
    from nssa_gis.runtime.package import load_package

    info = load_package(model).info
    assert info.classes == ("vehicle",)
    assert "all" in info.metrics["val"]
    assert info.overlap == 128


@pytest.mark.slow
def test_interrupted_training_keeps_a_checkpoint(coco_folder, tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-c", SCRIPT, coco_folder, tmp_path / "m.safetensors", folder]
    command += ["--steps", "2000", "--checkpoint-every", "1h"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if '"step": 3,' in line:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    assert process.wait() == 130
    assert all(line.startswith("{") for line in lines), "".join(lines)
    assert "--resume" in json.loads(lines[-1])["message"]
    step = load_checkpoint(folder / "checkpoint.safetensors")[1]["step"]
    assert step >= 3
    logged = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert logged[-1]["step"] == step


@pytest.mark.slow
def test_a_worker_that_is_ended_prints_no_traceback():
    """Its thread that hands over batches tells of a broken pipe through the hook."""
    script = "import sys\nfrom nssa_gis.train.loading import _keep_quiet\n_keep_quiet(0)\n"
    script += "sys.excepthook(OSError, OSError(), None)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def cli(*args):
    from nssa_gis_cli.main import main

    return main(["train", *map(str, args), "--progress", "none"])


def test_nothing_is_replaced_unasked(coco_folder, tmp_path, capsys):
    model, run = tmp_path / "m.safetensors", tmp_path / "run"
    args = [coco_folder, "-o", model, "--run", run, "--classes", "vehicle=car", "--val-scenes", "b", "--size", "n"]
    args += ["--steps", 1, "--batch", 2, "--crop", 64, "--workers", 0]
    assert cli(*args) == 0
    log = (run / "log.jsonl").read_text()
    assert cli(*args) == 1
    assert "m.safetensors: exists already" in capsys.readouterr().err
    model.unlink()
    assert cli(*args) == 1
    assert "holds a run already" in capsys.readouterr().err
    assert (run / "log.jsonl").read_text() == log
    assert cli(*args, "--overwrite") == 0
    assert len((run / "log.jsonl").read_text().splitlines()) == len(log.splitlines())


@pytest.mark.parametrize(
    ("extra", "code", "told"),
    [
        (["--val-scenes", "a", "--val-scenes", "b", "--steps", "1"], 1, "no training images"),
        (["--steps", "1", "--resume"], 1, "no checkpoint"),
        (["--time-budget", "0s"], 2, "greater than 0"),
        (["--steps", "1", "--learning-rate", "-1"], 2, "--learning-rate"),
    ],
)
def test_refused_runs_leave_no_folder(coco_folder, tmp_path, capsys, extra, code, told):
    run = tmp_path / "run"
    assert cli(coco_folder, "-o", tmp_path / "m.safetensors", "--run", run, "--classes", "car", *extra) == code
    assert told in capsys.readouterr().err
    assert not run.exists()
