"""What the doctor says of an installation in which one part is broken."""

import os
import subprocess
import sys
import tempfile

import pyogrio
import pytest
import rasterio

from nssa_gis.detect import diagnosis
from nssa_gis.detect.diagnosis import diagnose
from nssa_gis.runtime import package

SECTIONS = ["program", "libraries", "coordinates", "images", "vector formats", "machine", "model"]


def doctor(**variables):
    command = [sys.executable, "-m", "nssa_gis_cli.main", "doctor"]
    env = os.environ | {name: str(value) for name, value in variables.items()}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)


def other_library(folder, name, text):
    """Put a library of another program in front of ours."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(text)
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def problem_of(done):
    assert done.returncode == 1, done.stdout
    assert done.stderr == ""
    assert done.stdout.endswith("detect will not work\n")
    return [line for line in done.stdout.splitlines() if line.startswith("problem: ")]


def test_a_whole_installation():
    found = diagnose()
    assert found.problems == ()
    assert list(found.facts) == SECTIONS
    assert found.facts["model"]["seconds_first_tile"] > 0
    assert found.facts["images"]["GTiff"] == "readable"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "safetensors", "shapely", "rasterio", "pyogrio"])
def test_a_missing_library(tmp_path, name):
    path = other_library(tmp_path, name, f"raise ModuleNotFoundError(\"No module named '{name}'\")")
    problems = problem_of(doctor(PYTHONPATH=path))
    assert problems[0].startswith(f"problem: libraries: {name} cannot be loaded (No module named '{name}'); install")
    assert len(problems) == 1  # what follows from it is not told again


@pytest.mark.slow
@pytest.mark.parametrize(("name", "version", "needed"), [("filelock", "2.0", ">=3.21"), ("shapely", "1.8.5", ">=2.0")])
def test_a_library_of_another_version(tmp_path, name, version, needed):
    path = other_library(tmp_path, name, f"__version__ = '{version}'")
    problem = problem_of(doctor(PYTHONPATH=path))[0]
    assert f"{name} {version} in {tmp_path} does not fit, {needed} is needed" in problem
    assert f"PYTHONPATH={path} brings libraries of another program, unset it" in problem


def test_bounds_of_versions(monkeypatch):
    bounds = "<2.14,>=2.6"
    fitting = [
        v for v in ("2.5.9", "2.6", "2.6.0", "2.13.1+cpu", "2.14", "2.14.0rc1", "3") if diagnosis._fits(v, bounds)
    ]
    assert fitting == ["2.6", "2.6.0", "2.13.1+cpu"]
    stated = ["torch<2.14,>=2.6", 'tomli>=2; python_version < "3.11"', 'onnx>=1.16; extra == "onnx"', "numpy>=1.26"]
    monkeypatch.setattr(diagnosis.importlib.metadata, "requires", lambda name: stated)
    assert diagnosis._requirements() == {"torch": "<2.14,>=2.6", "numpy": ">=1.26"}


def test_a_damaged_model(monkeypatch, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    monkeypatch.setattr(package, "built_in_models", lambda: {package.DEFAULT_MODEL: tmp_path / "bad.safetensors"})
    (problem,) = diagnose().problems
    assert problem.startswith(f"model: {tmp_path / 'bad.safetensors'}: ")


def test_a_missing_model(monkeypatch):
    monkeypatch.setattr(package, "built_in_models", dict)
    (problem,) = diagnose().problems
    assert problem.startswith("model: ")
    assert package.DEFAULT_MODEL in problem


def test_a_network_that_does_not_run(monkeypatch):
    from nssa_gis.runtime.backends.torch import TorchBackend

    def predict(self, batch, threshold):
        raise RuntimeError("could not\nrun")

    monkeypatch.setattr(TorchBackend, "predict", predict)
    (problem,) = diagnose().problems
    assert problem == "model: RuntimeError: could not run; install nssa-gis again in a fresh environment"


def test_no_folder_for_temporary_files(monkeypatch):
    def refuse(*arguments, **options):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    (problem,) = diagnose().problems
    assert problem.startswith("program: no folder takes temporary files (No usable temporary directory found)")
    assert "TMPDIR" in problem


def test_a_folder_for_temporary_files_that_is_not_there(monkeypatch, tmp_path):
    """The system takes another one, so detect works; the fact is shown."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    found = diagnose()
    assert found.problems == ()
    assert found.facts["program"]["not usable for temporary files"] == str(tmp_path / "gone")


def test_missing_drivers(monkeypatch):
    monkeypatch.setattr(pyogrio, "list_drivers", lambda write: {"GeoJSON": "rw"})
    monkeypatch.setattr(rasterio.Env, "drivers", lambda self: {"PNG": "PNG"})
    found = diagnose()
    assert [problem.split(";")[0] for problem in found.problems] == [
        "images: GDAL cannot read GTiff",
        "vector formats: GDAL cannot write GeoPackages",
    ]
    assert found.facts["vector formats"]["GeoJSON"] == "writable"


@pytest.mark.parametrize("library", ["rasterio", "pyproj", "pyogrio"])
@pytest.mark.parametrize("kind", ["wrong", "fails"])
def test_a_library_that_puts_a_place_wrong(monkeypatch, library, kind):
    def wrong(x, y):
        if kind == "fails":
            raise RuntimeError("no database")
        return 15.0001, 45.1534772

    monkeypatch.setitem(diagnosis._TRANSFORMS, library, wrong)
    (problem,) = diagnose().problems
    said = "puts a known place at 15.000100" if kind == "wrong" else "cannot use its PROJ database (RuntimeError: no"
    assert problem.startswith(f"coordinates: {library} {said}")
