import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nssa_gis.errors import UsageError
from nssa_gis.train.checkpoint import load_checkpoint
from nssa_gis.train.distributed import ALONE, Ranks, joined
from nssa_gis.train.loading import shares

sys.path.insert(0, str(Path(__file__).parent))
from ranks_worker import small_trainer, state_after

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def both(kept_folder, tmp_path_factory):
    """Steps 2 and 3 of one run: by this process, and by two that share the batch."""
    place, folder = tmp_path_factory.mktemp("ranks"), kept_folder
    torch.set_num_threads(1)
    begun = small_trainer(folder, place / "run", [], steps=8)
    step, alone, losses = begun._train_step, {}, []

    def stop_after_three(*args):
        if begun.step == 1:
            begun.save()
            (place / "run" / "checkpoint.safetensors").rename(place / "start")
        figures = step(*args)
        losses.append([figures["loss"], figures["boxes"], figures["positives"]])
        if begun.step == 3:
            alone.update(state_after(begun))
            begun.stop()
        return figures

    begun._train_step = stop_after_three
    with pytest.raises(KeyboardInterrupt):
        begun.run()
    (place / "start").rename(begun.checkpoint)
    worker = Path(__file__).with_name("ranks_worker.py")
    command = [sys.executable, worker, folder, place / "run", place / "out"]
    with socket.create_server(("localhost", 0)) as free:
        port = str(free.getsockname()[1])
    settings = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(command, env={**settings, "RANK": number, "LOCAL_RANK": number}) for number in ("0", "1")
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    shared = [load_file(f"{place / 'out'}.{number}") for number in (0, 1)]
    return alone, losses[-1], shared, begun.checkpoint


@pytest.mark.slow
def test_gradients_and_parameters_are_those_of_one_process(both):
    alone, losses, (first, second), _ = both
    assert any("cross_layer" in k for k in alone) and any("wavelet" in k or "dwc" in k.lower() for k in alone)
    assert first["losses"].tolist() == pytest.approx(losses, rel=1e-5)
    assert {k for k in first if k.startswith(("grad/", "state/"))} == set(alone)
    for key, value in alone.items():
        torch.testing.assert_close(first[key], second[key], rtol=0, atol=0, msg=key)
        scale = max(float(value.abs().max()), 1e-3)
        # the bound asked for is 1e-5; the network is float64, but the loss sums its logits in float32
        assert (first[key] - value).abs().max() <= 1e-6 * scale, key


@pytest.mark.slow
def test_shared_norm_is_batch_norm_of_the_whole_batch(both):
    first = both[2][0]
    batch = torch.randn(4, 3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    torch.manual_seed(1)
    norm = torch.nn.BatchNorm2d(3, eps=1e-3, momentum=0.03).double()
    torch.nn.init.normal_(norm.weight)
    out = norm(batch)
    out.square().mul(torch.arange(out.shape[-1])).sum().backward()
    expected = {"out": out, "grad_x": batch.grad, "grad_weight": norm.weight.grad, "grad_bias": norm.bias.grad}
    expected |= norm.state_dict()
    assert {k.removeprefix("norm/") for k in first if k.startswith("norm/")} == set(expected)
    for key, value in expected.items():
        torch.testing.assert_close(first[f"norm/{key}"], value.detach(), rtol=1e-10, atol=1e-12, msg=key)


def test_a_stop_of_one_process_stops_all_after_the_same_step(both):
    _, _, shared, checkpoint = both
    assert [int(part["stopped"]) for part in shared] == [3, 3]
    parts, progress = load_checkpoint(checkpoint)
    assert progress["step"] == 3
    for key, value in parts["model"].items():  # the plain names, and what the step left
        assert torch.equal(value, shared[0][f"state/{key}"]), key
    assert set(parts["ema"]) == set(parts["model"])


def test_crop_numbers_of_a_step_do_not_depend_on_the_processes():
    for count in (1, 2, 3):
        steps = zip(*(shares(5, 8, 6, Ranks(number, count)) for number in range(count)), strict=True)
        assert [[i for part in step for i in part] for step in steps] == [[*range(6 * s, 6 * s + 6)] for s in (5, 6, 7)]


def test_what_cannot_be_shared_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="--batch 16: must be a multiple of the 3 processes"):
        Ranks(0, 3).share(16)
    for name in ("cuda:1", "mps"):
        with pytest.raises(UsageError, match="several processes need auto, cuda"):
            Ranks(0, 2).device(name)
    monkeypatch.setattr("nssa_gis.train.distributed.choose_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Ranks(5, 8, 1).device("auto") == torch.device("cuda", 1)
    with pytest.raises(UsageError, match="more processes than the 2 GPUs"):
        Ranks(2, 4, 2).device("cuda")
    with joined("cpu") as ranks:
        assert ranks is ALONE


@pytest.mark.slow
def test_torchrun_trains_from_the_command_line(coco_folder, tmp_path):
    model, run = tmp_path / "m.safetensors", tmp_path / "run"
    command = [*TORCHRUN, "-m", "--", "nssa_gis_cli.main", "train", coco_folder, "-o", model, "--run", run]
    command += ["--classes", "vehicle=car", "--val-scenes", "b", "--size", "n-plain", "--crop", "64", "--steps", "3"]
    done = subprocess.run([*command, "--batch", "4", "--workers", "0"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote") == 1
    from nssa_gis.runtime.backends.torch import build_detector
    from nssa_gis.runtime.package import load_package
    from nssa_gis.train.log import read_log

    assert [e["step"] for e in read_log(run / "log.jsonl") if e["event"] == "step"] == [1, 2, 3]
    package = load_package(model)
    assert package.info.metrics["training"] == {"steps": 3, "crops": 12, "max_object": 17.0}
    build_detector(package)
    assert sorted(os.listdir(run)) == ["checkpoint.safetensors", "log.jsonl"]
