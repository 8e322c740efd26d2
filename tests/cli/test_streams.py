"""A run does not depend on where its output goes, nor on the folder that it is started in."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pyogrio
import pytest

from nssa_gis.errors import NssaError
from nssa_gis.testing import make_scene
from nssa_gis.train.log import TrainingLog

NAME = "münchen 東京 ☃"
COMMAND = [sys.executable, "-m", "nssa_gis_cli.main"]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="closes descriptors as POSIX does")]


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / f"{NAME}.tif"
    make_scene(path, 128, 128, objects=[])
    return path


def run(*arguments, encoding="utf-8", closed=(), **how):
    env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    pipes = {name: None if number in closed else -1 for number, name in ((1, "stdout"), (2, "stderr"))} | how
    close = (lambda: [os.close(number) for number in closed]) if closed else None
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], env=env, preexec_fn=close, timeout=300, check=False, **pipes
    )


def detect(scene, *options, **how):
    """Run, expect a layer; returns what was printed."""
    output = scene.with_suffix(".gpkg")
    done = run("detect", scene, "-o", output, "--tile", "128", "--overlap", "32", *options, **how)
    assert pyogrio.read_info(output)["features"] >= 0
    assert b"Traceback" not in (done.stderr or b"")
    return done


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii", "utf-16-le"])
@pytest.mark.parametrize("mode", ["none", "json", "bar"])
def test_letters_that_an_encoding_lacks(scene, encoding, mode):
    done = detect(scene, "--progress", mode, encoding=encoding)
    assert done.returncode == 0, done.stderr
    if mode == "json":
        events = [json.loads(line) for line in done.stderr.decode(encoding).splitlines()]
        assert events[0]["scene"] == str(scene)
        assert events[-1]["event"] == "done"


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2), (0, 1, 2)])
def test_closed_streams(scene, closed):
    assert detect(scene, "--progress", "json", closed=closed).returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full disk")
def test_full_disks(scene):
    with open("/dev/full", "wb") as full:
        assert detect(scene, "--progress", "json", stderr=full).returncode == 0
        done = detect(scene, "--overwrite", stdout=full)
        shown = run("info", scene, "--json", stdout=full)
    for run_ in (done, shown):
        assert run_.returncode == 1
        (line,) = run_.stderr.decode().splitlines()
        assert line.startswith("nssa-gis: error: standard output cannot be written (No space left on device)")


@pytest.mark.parametrize("command", [["info"], ["batch", "-o", "layers", "--tile", "128", "--overlap", "32"]])
def test_other_commands_print_names(scene, command, tmp_path):
    done = run(command[0], scene, *command[1:], encoding="cp1252", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"m\xfcnchen \\u6771\\u4eac \\u2603" in done.stdout


def test_an_error_names_the_file_in_any_encoding(tmp_path):
    done = run("info", tmp_path / f"{NAME}.tif", encoding="ascii")
    (line,) = done.stderr.splitlines()
    assert b"no such file" in line


@pytest.mark.parametrize(
    "command", ["detect {scene} -o {output}", "doctor", "batch {scene} -o {output}", "info {scene}"]
)
def test_a_working_folder_that_is_gone(scene, tmp_path, command):
    before = sorted(tmp_path.iterdir())
    given = shlex.split(command.format(scene=shlex.quote(str(scene)), output=shlex.quote(str(tmp_path / "o.gpkg"))))
    script = 'mkdir "$0"; cd "$0" && rmdir "$0" && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, str(tmp_path / "gone"), *COMMAND, *given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("nssa-gis: error: the working folder cannot be used any more")
    assert sorted(tmp_path.iterdir()) == before


def test_a_detector_says_that_the_working_folder_is_gone(tmp_path):
    """Else a library ends the whole process, a notebook with it."""
    program = """
import os, sys, nssa_gis
os.chdir(sys.argv[1]); os.rmdir(sys.argv[1])
try:
    nssa_gis.Detector(device="cpu").description
except nssa_gis.NssaError as error:
    print(error)
"""
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "gone")], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("the working folder cannot be used any more"), done.stderr


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder where not even root can make another")
def test_a_run_folder_that_cannot_be_made(tmp_path):

    with pytest.raises(NssaError, match=r"/proc/runs: the folder cannot be made .*--run"):
        TrainingLog(Path("/proc/runs/log.jsonl")).write({"event": "data"})
