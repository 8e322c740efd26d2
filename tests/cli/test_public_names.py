"""What ``import nssa_gis`` gives, and when it is loaded."""

import subprocess
import sys

import pytest

import nssa_gis

PUBLIC = {
    "Evaluation",
    "Suggestions",
    "evaluate",
    "suggest",
    "TrainResult",
    "train",
    "BatchResult",
    "DetectResult",
    "Detector",
    "ExportResult",
    "ModelPackage",
    "NssaError",
    "UsageError",
    "__version__",
    "batch",
    "detect",
    "export",
    "load_model",
    "preview",
}


def run(code):
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_dir_lists_the_public_names_and_nothing_else():
    assert set(dir(nssa_gis)) == set(nssa_gis.__all__) == PUBLIC
    assert len(dir(nssa_gis)) == len(PUBLIC)


def test_every_public_name_is_there():
    for name in PUBLIC:
        assert getattr(nssa_gis, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'pipeline'"):
        nssa_gis.pipeline  # noqa: B018


def test_the_import_is_light_and_names_load_what_they_need():
    run(
        "import sys, nssa_gis\n"
        "assert not {'torch', 'rasterio', 'pydantic', 'numpy'} & set(sys.modules)\n"
        "nssa_gis.detect, nssa_gis.Detector, nssa_gis.load_model, nssa_gis.export, nssa_gis.DetectResult\n"
        "assert 'torch' not in sys.modules"
    )


CALLS = {
    "detect": ("run", "'no.tif', 'no.gpkg', confidence=7", "--confidence 7"),
    "evaluate": ("evaluation", "'aerial-vehicles', 'no', limit=0", "--limit 0"),
    "train": ("training", "'no', 'no.safetensors', steps=0", "--steps 0"),
}


@pytest.mark.parametrize("room", CALLS)
@pytest.mark.parametrize("first", ["nssa_gis.{}", "import nssa_gis.{}", "import nssa_gis.{}.options"])
@pytest.mark.slow
def test_a_room_is_called_like_its_function_whatever_was_imported_first(room, first):
    module, arguments, words = CALLS[room]
    run(
        f"import nssa_gis\n{first.format(room)}\n"
        f"import nssa_gis.{room}.{module} as module\n"
        f"from nssa_gis import {room} as called\n"
        f"assert nssa_gis.{room} is called\n"
        f"assert nssa_gis.{room}.{module} is module\n"
        f"try:\n    called({arguments})\n"
        f"except nssa_gis.UsageError as error:\n    assert {words!r} in str(error), error\n"
        "else:\n    raise SystemExit('not called')\n"
    )
