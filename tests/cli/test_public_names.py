"""What ``import nssa_gis`` gives, and when it is loaded."""

import subprocess
import sys

import pytest

import nssa_gis

PUBLIC = {
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
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


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


@pytest.mark.parametrize(
    "first", ["nssa_gis.detect", "import nssa_gis.detect", "import nssa_gis.detect.run", "from nssa_gis import detect"]
)
def test_a_room_is_called_like_its_function_whatever_was_imported_first(first):
    run(
        f"import nssa_gis\n{first}\n"
        "import nssa_gis.detect.run as run\n"
        "from nssa_gis import detect\n"
        "assert nssa_gis.detect is detect\n"
        "assert nssa_gis.detect.run is run\n"
        "try:\n    detect('no.tif', 'no.gpkg', confidence=7)\n"
        "except nssa_gis.UsageError as error:\n    assert '--confidence 7' in str(error)\n"
        "else:\n    raise SystemExit('not called')\n"
    )
