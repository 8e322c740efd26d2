"""Databases, drivers and settings of other programs in the environment must not change a layer."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyogrio
import pyproj.datadir
import pytest
import rasterio

from nssa_gis.testing import make_scene

MERCATOR = {"crs": "EPSG:3857", "transform": rasterio.Affine(0.4, 0, 1113194.9, 0, -0.4, 6446275.8)}
#: Detects with the planted detector and prints the CRS, the bounds and the length in metres of the one object.
DETECT = """
import json, sys
{before}
import nssa_gis
from nssa_gis.testing import PlantedDetector
{after}
scene, output = sys.argv[1:]
nssa_gis.detect(scene, output, detector=PlantedDetector())
import pyogrio
info = pyogrio.read_info(output, force_total_bounds=True)
row = pyogrio.raw.read(output)
print(json.dumps([info["crs"], list(info["total_bounds"]), float(row[3][list(row[0]["fields"]).index("length_m")][0])]))
"""
USE_RASTERIO = """
import rasterio
with rasterio.Env():
    try:
        rasterio.CRS.from_epsg(4326)
    except rasterio.errors.CRSError:
        pass
"""
SET_LATER = "import os; os.environ.update({name: %r for name in ('PROJ_LIB', 'PROJ_DATA', 'GDAL_DATA')})"


def clean():
    return {k: v for k, v in os.environ.items() if not k.startswith(("PROJ_", "GDAL_", "OGR_", "GTIFF_", "OSR_"))}


def python(program, *arguments, **variables):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, env=clean() | variables, capture_output=True, text=True, timeout=300, check=False)


def nssa(*arguments, **variables):
    command = [sys.executable, "-m", "nssa_gis_cli.main", *map(str, arguments)]
    return subprocess.run(command, env=clean() | variables, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def scene(tmp_path):
    make_scene(tmp_path / "scene.tif", 200, 160, objects=[(40, 50, 60, 60, 0)], **MERCATOR)
    return tmp_path / "scene.tif"


def foreign(folder, layout):
    """A data folder of another PROJ; `layout` is that of its database, "text" no database at all, None no file."""
    folder.mkdir()
    if layout == "text":
        (folder / "proj.db").write_text("hello")
    elif layout is not None:
        shutil.copy(Path(pyproj.datadir.get_data_dir(), "proj.db"), folder / "proj.db")
        with sqlite3.connect(folder / "proj.db") as table:
            table.execute("UPDATE metadata SET value = ? WHERE key LIKE 'DATABASE.LAYOUT.VERSION.M%'", (layout,))
    return str(folder)


def detected(tmp_path, scene, name, before="", after="", **variables):
    done = python(DETECT.format(before=before, after=after), scene, tmp_path / f"{name}.gpkg", **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("layout", [0, 99, "text", None])
def test_foreign_databases_change_nothing(tmp_path, scene, layout):
    crs, bounds, length = wanted = detected(tmp_path, scene, "clean")
    assert "3857" in crs
    assert bounds == pytest.approx([1113210.9, 6446251.8, 1113218.9, 6446255.8], abs=0.2)  # half a pixel
    # 8 m of the map at 50 degrees north are 5.15 m of the ground
    assert length == pytest.approx(5.15, abs=0.15)
    data = foreign(tmp_path / "data", layout)
    named = {"PROJ_LIB": data, "PROJ_DATA": data, "GDAL_DATA": data, "GDAL_DRIVER_PATH": data}
    assert detected(tmp_path, scene, "named", **named) == wanted
    assert detected(tmp_path, scene, "rasterio_first", before=USE_RASTERIO, **named) == wanted
    assert detected(tmp_path, scene, "later", after=SET_LATER % data) == wanted
    doctor = nssa("doctor", "--json", **named)
    assert doctor.returncode == 0, doctor.stdout
    facts = json.loads(doctor.stdout)["coordinates"]
    assert facts["rasterio"] == facts["pyproj"] == facts["pyogrio"] == "transforms a known place rightly"
    assert f"PROJ_DATA={data}" in facts["not used from the environment"]


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "cause"), [(0, "DATABASE.LAYOUT"), (None, "proj.db")])
def test_databases_that_have_to_stay_are_refused_where_they_do_not_fit(tmp_path, scene, layout, cause):
    """A rasterio without databases of its own uses those that the environment names."""
    data = foreign(tmp_path / "data", layout)
    program = f"""
import nssa_gis, nssa_gis.environment, os, sys
nssa_gis.environment._has_own_databases = lambda: False
{SET_LATER % data}
from nssa_gis.detect.diagnosis import diagnose
print("problems", diagnose().problems)
try:
    from nssa_gis.raster.scene import open_scene
    open_scene(sys.argv[1])
except nssa_gis.NssaError as error:
    print("refused", error)
"""
    said = python(program, scene).stdout.splitlines()
    assert [line.split()[0] for line in said] == ["problems", "refused"]
    for line in said:
        assert "rasterio cannot use its PROJ database" in line
        assert cause in line
        assert "unset PROJ_DATA and PROJ_LIB" in line


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["GDAL_SKIP=GTiff", "GTIFF_POINT_GEO_IGNORE=YES"])
def test_settings_of_gdal_change_no_layer(tmp_path, scene, variable):
    with rasterio.open(scene, "r+") as data:
        data.update_tags(AREA_OR_POINT="Point")  # with GTIFF_POINT_GEO_IGNORE it moves by half a pixel
    for name, variables in {"clean": {}, "set": dict([variable.split("=")])}.items():
        done = nssa("info", scene, "--json", **variables)
        assert done.returncode == 0, done.stderr
        (tmp_path / name).write_text(done.stdout)
    assert (tmp_path / "clean").read_text() == (tmp_path / "set").read_text()


@pytest.mark.slow
def test_drivers_are_not_left_out():
    done = nssa("doctor", "--json", OGR_SKIP="GPKG,FlatGeobuf", GDAL_SKIP="GTiff")
    assert done.returncode == 0
    assert set(json.loads(done.stdout)["vector formats"].values()) == {"writable"}


@pytest.mark.slow
def test_a_world_file_is_found_whatever_the_environment_says(tmp_path):
    make_scene(tmp_path / "s.png", 100, 80, objects=[], driver="PNG", crs=None, transform=None)
    (tmp_path / "s.pgw").write_text("0.5\n0\n0\n-0.5\n1000.25\n1999.75\n")
    assert "1000" in nssa("info", tmp_path / "s.png").stdout
    assert "1000" in nssa("info", tmp_path / "s.png", GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR").stdout


@pytest.mark.slow
def test_a_setting_that_is_not_used_is_named(tmp_path, scene):
    done = nssa("detect", scene, "-o", tmp_path / "a.gpkg", "--tile", "256", OGR_WKT_PRECISION="2")
    assert done.returncode == 0
    assert "warning: not used from the environment: OGR_WKT_PRECISION" in done.stderr
    assert pyogrio.read_info(tmp_path / "a.gpkg")["crs"] == "EPSG:3857"


def test_what_reaches_a_network_stays():
    program = "import os; from nssa_gis.environment import use_own_settings as u; u(); print(sorted(os.environ))"
    kept = {"GDAL_HTTP_TIMEOUT": "5", "AWS_REGION": "x", "GDAL_CACHEMAX": "99", "CPL_VSIL_CURL_USE_HEAD": "NO"}
    assert kept.keys() <= set(eval(python(program, **kept).stdout))  # noqa: S307
