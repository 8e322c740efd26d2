"""The threads of PyTorch do not survive a fork: workers detect with one thread, and never wait for ever."""

import json
import multiprocessing
import os
import subprocess
import sys

import pytest

from nssa_gis.testing import make_scene
from nssa_gis.testing.labels import write_coco

PROGRAM = """
import json, multiprocessing, sys
import nssa_gis
scene, folder, before = sys.argv[1:]

def detect(name, **options):
    return nssa_gis.detect(scene, f"{folder}/{name}.gpkg", device="cpu", tile=256, overlap=64, **options)

def in_worker(name):
    found = detect(name, threads=2)
    return found.objects, found.backend

def with_mine(name):
    found = nssa_gis.detect(scene, f"{folder}/{name}.gpkg", detector=mine, tile=256, overlap=64)
    return found.objects, found.backend

if __name__ == "__main__":
    mine = nssa_gis.Detector(device="cpu")
    if before == "detect":
        detect("first", threads=2)
    elif before == "torch":  # another part of the program used it
        import torch
        torch.set_num_threads(2)
        torch.randn(2000, 2000) @ torch.randn(2000, 2000)
    elif before == "detector":
        nssa_gis.detect(scene, f"{folder}/first.gpkg", detector=mine, tile=256, overlap=64)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(json.dumps(pool.map(with_mine if before == "detector" else in_worker, "ab")))
"""


@pytest.mark.slow
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.parametrize("before", ["nothing", "detect", "detector", "torch"])
def test_workers_detect_after_a_fork(tmp_path, before):
    make_scene(tmp_path / "s.tif", 256, 256)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "s.tif"), str(tmp_path), before]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found[0] == found[1]
    assert f"{2 if before == 'nothing' else 1} threads" in found[0][1]


TRAIN = """
import json, os, sys
import nssa_gis
scene, folder, data = sys.argv[1:]
nssa_gis.detect(scene, f"{folder}/first.gpkg", device="cpu", tile=256, overlap=64, threads=2)
child = os.fork()
if not child:
    options = dict(classes="car", steps=1, size="n", batch=1, crop=64, workers=0, threads=2, device="cpu")
    nssa_gis.train(data, f"{folder}/model.safetensors", run=f"{folder}/run", **options)
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_training_after_a_fork(tmp_path):
    make_scene(tmp_path / "s.tif", 256, 256)
    data = write_coco(tmp_path / "data")
    command = [sys.executable, "-c", TRAIN, str(tmp_path / "s.tif"), str(tmp_path), str(data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model.safetensors").exists()
