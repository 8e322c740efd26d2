"""Opening images, and what is said about what cannot be opened."""

import json
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.shutil import copy
from rasterio.transform import RPCTransformer
from rasterio.vrt import WarpedVRT

from nssa_gis.errors import NssaError
from nssa_gis.raster.scene import open_scene

SAMPLES = Path(__file__).parents[2].parent / "shared" / "data" / "geotiff_open"


def write(path, data, **profile):
    profile = {"crs": "EPSG:32631", "transform": Affine(0.25, 0, 593270, 0, -0.25, 5747657), **profile}
    if profile["transform"] is None:
        del profile["transform"]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(data),
        height=data.shape[1],
        width=data.shape[2],
        dtype=data.dtype,
        **profile,
    ) as file:
        file.write(data)
    return path


def noise(count=3, height=300, width=400, dtype="uint8"):
    return np.random.default_rng(1).integers(1, 255, (count, height, width)).astype(dtype)


def test_describes(tmp_path):
    path = write(tmp_path / "a.scene.tif", noise(), nodata=0)
    with open_scene(path) as scene:
        assert scene.name == "a.scene" and scene.path == str(path)
        assert (scene.frame.width, scene.frame.height, scene.count) == (400, 300, 3)
        assert scene.dtype == np.uint8 and scene.nodata == 0
        assert scene.color_interp == ("red", "green", "blue")
        assert scene.frame.crs.to_epsg() == 32631
        assert scene.frame.georeferenced
        assert scene.frame.gsd == pytest.approx((0.25, 0.25), rel=1e-3)


def test_no_georeference(tmp_path):
    with open_scene(write(tmp_path / "a.tif", noise(), crs=None, transform=None)) as scene:
        assert not scene.frame.georeferenced and scene.frame.crs is None and scene.frame.transform is None


def test_opening_warns_of_nothing(tmp_path, recwarn):
    path = write(tmp_path / "a.tif", noise(), crs=None, transform=None)
    recwarn.clear()
    open_scene(path).close()
    assert not recwarn.list


def test_pixel_is_point(tmp_path):
    """A file whose coordinates are of pixel centres still gives pixel edges."""
    path = write(tmp_path / "a.tif", noise())
    with rasterio.open(path, "r+") as file:
        file.update_tags(AREA_OR_POINT="Point")
    with open_scene(path) as scene, rasterio.open(path) as file:
        assert scene.frame.transform == file.transform


def test_gcp_only(tmp_path):
    path = write(tmp_path / "a.tif", noise(), crs=None, transform=None)
    points = [
        GroundControlPoint(row=r, col=c, x=593270 + c * 0.5, y=5747657 - r * 0.5) for r in (0, 300) for c in (0, 400)
    ]
    with rasterio.open(path, "r+") as file:
        file.gcps = (points, rasterio.CRS.from_epsg(32631))
    with open_scene(path) as scene:
        assert scene.frame.georeferenced and scene.frame.transform is None
        np.testing.assert_allclose(scene.frame.to_map(100, 100), (593320, 5747607), atol=1e-6)


def sensor():
    """A plausible RPC: a tilted, slightly bent view."""
    samp = [0.0, 1.01, 0.02, 0.03, 1e-3, 0, 0, 2e-3, 0, 0, *[0.0] * 10]
    line = [0.0, 0.02, -1.02, 0.02, -1e-3, 0, 0, 0, 1e-3, 0, *[0.0] * 10]
    one = [1.0, 1e-4, -2e-4, 0, *[0.0] * 16]
    return RPC(
        height_off=100, height_scale=500, lat_off=60, lat_scale=0.02, line_den_coeff=one, line_num_coeff=line,
        line_off=150, line_scale=150, long_off=5, long_scale=0.05, samp_den_coeff=one, samp_num_coeff=samp,
        samp_off=200, samp_scale=200, err_bias=0, err_rand=0,
    )  # fmt: skip


def test_rpc_agrees_with_gdal(tmp_path):
    path = write(tmp_path / "a.tif", noise(), crs=None, transform=None)
    with rasterio.open(path, "r+") as file:
        file.rpcs = sensor()
    with open_scene(path) as scene:
        frame = scene.frame
        x, y = (v.ravel() for v in np.meshgrid([0.0, 100, 200.5, 400], [0.0, 150.25, 300]))
        lon, lat = frame.to_map(x, y)
        np.testing.assert_allclose(frame.to_pixel(lon, lat), (x, y), atol=1e-4)
        with RPCTransformer(sensor(), rpc_height=100) as gdal:
            rows, cols = gdal.rowcol(lon, lat, op=np.positive)
        np.testing.assert_allclose((cols, rows), (x, y), atol=0.01)
        assert frame.crs.to_epsg() == 4326 and frame.gsd is not None


def truncate(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def bad_file(kind, folder):
    path = folder / "scene.tif"
    if kind == "missing":
        return folder / "nowhere.tif"
    if kind == "text":
        path.write_text("not a picture at all\n")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "folder":
        path.mkdir()
    elif kind == "geojson":
        path = folder / "cars.geojson"
        point = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [5, 60]}}
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [point]}))
    elif kind == "gpkg":
        path = folder / "cars.gpkg"
        geopandas.GeoDataFrame(geometry=[shapely.Point(5, 60)], crs=4326).to_file(path)
    elif kind == "header":
        truncate(write(path, noise()), 0.0002)
    elif kind == "cut":
        truncate(write(path, noise(), compress="deflate", tiled=True, blockxsize=128, blockysize=128), 0.6)
    elif kind == "cut strips":
        truncate(write(path, noise()), 0.99)
    elif kind == "complex":
        write(path, noise(1).astype("complex64"))
    elif kind == "degenerate":
        write(path, noise(), transform=Affine(0.25, 0.25, 5, 0.25, 0.25, 5))
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such file"),
        ("text", "not an image"),
        ("empty", "empty"),
        ("folder", "folder"),
        ("geojson", "vector layer"),
        ("gpkg", "vector layer"),
        ("header", "truncated or damaged"),
        ("cut", "truncated"),
        ("cut strips", "truncated"),
        ("complex", "complex"),
        ("degenerate", "degenerate"),
    ],
)
def test_what_cannot_be_opened(kind, says, tmp_path):
    path = bad_file(kind, tmp_path)
    with pytest.raises(NssaError, match=says) as caught:
        open_scene(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_container_lists_its_images(tmp_path):
    path = tmp_path / "a.gpkg"
    for table in ("first", "second"):
        more = {"RASTER_TABLE": table, "APPEND_SUBDATASET": "YES" if path.exists() else "NO"}
        source = write(tmp_path / f"{table}.tif", noise())
        copy(source, path, driver="GPKG", **more)
    with pytest.raises(NssaError, match=r"(?i)holds 2 images.*first.*second"):
        open_scene(path)
    with open_scene(f"GPKG:{path}:SECOND") as scene:
        assert scene.frame.width == 400


def test_vrt_and_vsi(tmp_path):
    path = write(tmp_path / "a.tif", noise())
    with rasterio.open(path) as file:
        with WarpedVRT(file) as warped:
            copy(warped, tmp_path / "a.vrt", driver="VRT")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "inner.tif")
    for other in (tmp_path / "a.vrt", f"/vsizip/{tmp_path}/a.zip/inner.tif"):
        with open_scene(other) as scene:
            pixels, valid = scene.read(scene.dataset, (1, 2, 3), (0, 0, 400, 300))
            np.testing.assert_array_equal(pixels, noise())
            assert valid is None


def test_missing_address():
    with pytest.raises(NssaError, match="cannot be opened"):
        open_scene("/vsizip/nowhere.zip/a.tif")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample GeoTIFFs beside the repository")
def test_real_scenes_open():
    for path in sorted(SAMPLES.glob("*.tif")):
        with open_scene(path) as scene:
            assert scene.frame.georeferenced
            assert 0.05 < scene.frame.gsd[0] < 1.1, path
            x, y = scene.frame.to_pixel(*scene.frame.to_map([0, 10.5], [0, 20.25]))
            np.testing.assert_allclose((x, y), ([0, 10.5], [0, 20.25]), atol=1e-3)


def test_files_are_all_that_is_read(tmp_path):
    settings = {"width": 8, "height": 8, "count": 1, "dtype": "uint8"}
    with rasterio.open(tmp_path / "source.tif", "w", driver="GTiff", **settings) as data:
        data.write(np.ones((1, 8, 8), np.uint8))
    for name, source in (("inner.vrt", "source.tif"), ("outer.vrt", "inner.vrt")):
        (tmp_path / name).write_text(
            '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{source}</SourceFilename><SourceBand>1</SourceBand>'
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
    with open_scene(tmp_path / "outer.vrt") as scene:
        assert {Path(path).name for path in scene.files} == {"outer.vrt", "inner.vrt", "source.tif"}
    grid = {**settings, "crs": "EPSG:32632", "transform": Affine(1, 0, 5e5, 0, -1, 5e6), "RASTER_TABLE": "ras"}
    with rasterio.open(tmp_path / "ras.gpkg", "w", driver="GPKG", **grid) as data:
        data.write(np.ones((1, 8, 8), np.uint8))
    with open_scene(f"GPKG:{tmp_path / 'ras.gpkg'}:ras") as scene:
        assert str(tmp_path / "ras.gpkg") in scene.files
