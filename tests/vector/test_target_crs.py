"""A CRS that the layer cannot have is refused before the work; a coordinate keeps a hundredth of a pixel everywhere."""

import json

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from pyproj import CRS

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.geo.frame import Frame
from nssa_gis.vector.reader import read_layer
from nssa_gis.vector.schema import records
from nssa_gis.vector.target import inspect_target
from nssa_gis.vector.writer import write_layer

UTM = CRS.from_epsg(25832)
HERE = Affine(0.2, 0, 564000, 0, -0.2, 5935000)
LOCAL = CRS.from_wkt('LOCAL_CS["mine grid",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]')
SHIFTED = CRS.from_user_input(
    "+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=3500000 +y_0=0 +ellps=bessel "
    "+towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7 +units=m +no_defs"
)
POLE = CRS.from_user_input("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +ellps=WGS84")


def frame_in(crs, transform=HERE):
    return Frame(2000, 2000, crs, transform)


@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:4326",
        "EPSG:3857",
        "EPSG:4979",
        "EPSG:7415",
        "ESRI:54030",
        "+proj=ortho +lat_0=50 +lon_0=10",
        SHIFTED,
        POLE,
    ],
)
def test_a_map_of_the_place_is_taken(tmp_path, crs):
    target = inspect_target(tmp_path / "a.gpkg", frame_in(UTM), t_crs=crs)
    assert target.crs == CRS.from_user_input(crs) and target.step > 0


@pytest.mark.parametrize(
    ("crs", "error", "words"),
    [
        ("EPSG:5773", UsageError, "EGM96 height is a Vertical CRS"),
        ("EPSG:4978", UsageError, "Geocentric CRS"),
        ("EPSG:999999", UsageError, "not a known coordinate system"),
        ("IAU_2015:30100", NssaError, "no way is known"),
        (LOCAL, NssaError, "no way is known from ETRS89 / UTM zone 32N to mine grid"),
        ("+proj=ortho +lat_0=-40 +lon_0=170", NssaError, "the scene lies outside the area"),
    ],
)
def test_what_shows_no_map_of_the_place_is_refused(tmp_path, crs, error, words):
    with pytest.raises(error, match=words):
        inspect_target(tmp_path / "a.gpkg", frame_in(UTM), t_crs=crs)
    assert list(tmp_path.iterdir()) == []


def test_a_local_grid_leads_nowhere(tmp_path):
    assert inspect_target(tmp_path / "a.gpkg", frame_in(LOCAL)).crs == LOCAL
    for name, options in (("a.geojson", {}), ("a.csv", {"t_crs": "EPSG:25832"})):
        with pytest.raises(NssaError, match="no way is known from mine grid"):
            inspect_target(tmp_path / name, frame_in(LOCAL), **options)


@pytest.mark.parametrize(
    "crs", [UTM, CRS.from_epsg(31467), CRS.from_epsg(4326), CRS.from_epsg(27700), CRS.from_epsg(2263)]
)
def test_a_shapefile_holds_ordinary_systems(tmp_path, crs, info, detections):
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(*crs_middle(crs))
    step = 2e-6 if crs.is_geographic else 0.2
    frame = frame_in(crs, Affine(step, 0, x, 0, -step, y))
    write_layer([records(detections(3), frame, info)], inspect_target(tmp_path / "a.shp", frame), info)
    there = read_layer(tmp_path / "a.shp").crs
    a, b = (pyproj.Transformer.from_crs(c, 4326, always_xy=True).transform(x, y) for c in (crs, there))
    np.testing.assert_allclose(a, b, atol=1e-5)


def crs_middle(crs):
    west, south, east, north = crs.area_of_use.bounds
    return (west + east) / 2, (south + north) / 2


@pytest.mark.parametrize(
    ("crs", "transform", "words"),
    [
        (SHIFTED, Affine(0.2, 0, 3535000, 0, -0.2, 5540000), r"the datum of its CRS \(it would lie 1\d\d m beside\)"),
        (POLE, Affine(1e-6, 0, -5, 0, -1e-6, 3), "a Shapefile cannot hold its CRS"),
    ],
)
def test_a_shapefile_that_would_lie_elsewhere_is_refused(tmp_path, crs, transform, words):
    with pytest.raises(NssaError, match=words):
        inspect_target(tmp_path / "a.shp", frame_in(crs, transform))
    with pytest.raises(NssaError, match="Shapefile"):
        inspect_target(tmp_path / "a.shp", frame_in(UTM), t_crs=crs)
    target = inspect_target(tmp_path / "a.shp", frame_in(crs, transform), t_crs="EPSG:4326")
    assert target.crs.to_epsg() == 4326


@pytest.mark.parametrize("name", ["a.csv", "a.geojson", "a.gpkg", "a.fgb", "a.parquet", "a.shp"])
@pytest.mark.parametrize(
    ("crs", "step"),
    [
        (UTM, 0.2),
        (None, 1.8e-6),
        (CRS.from_user_input("+proj=utm +zone=32 +ellps=GRS80 +units=km +no_defs"), 2e-4),
        (CRS.from_epsg(4326), 1e-7),
    ],
    ids=["metres", "degrees without CRS", "kilometres", "centimetres in degrees"],
)
def test_a_coordinate_keeps_a_hundredth_of_a_pixel(tmp_path, name, crs, step, info, detections):
    if crs is None and name == "a.geojson":
        pytest.skip("refused: see below")
    x, y = {0.2: (564000, 5935000), 2e-4: (564, 5935)}.get(step, (9.97, 53.55))
    frame = frame_in(crs, Affine(step, 0, x, 0, -step, y))
    found = detections(20)
    target = inspect_target(tmp_path / name, frame)
    write_layer([records(found, frame, info)], target, info)
    read = read_layer(tmp_path / name)
    wanted = frame.box_corners(found.boxes)
    pixel = step
    if crs is not None and name.endswith("json"):
        to = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
        wanted = np.stack(to.transform(wanted[..., 0], wanted[..., 1]), axis=-1)
        pixel = np.ptp(wanted[..., 1], axis=1).max() / np.ptp(found.boxes[:, 1::2], axis=1).max()
    np.testing.assert_allclose(
        shapely.bounds(read.shapes)[np.argsort(read.columns["id"])],  # FlatGeobuf sorts by place
        np.concatenate([wanted.min(1), wanted.max(1)], axis=1),
        atol=0.01 * pixel,
        rtol=0,
    )


def test_geojson_without_a_crs_does_not_claim_degrees(tmp_path, info, detections):
    with pytest.raises(NssaError, match="name it with --crs"):
        inspect_target(tmp_path / "a.geojson", frame_in(None))
    image = Frame(2000, 2000)
    write_layer([records(detections(2), image, info)], inspect_target(tmp_path / "a.geojson", image), info)
    table = json.loads((tmp_path / "a.geojson").read_text())
    assert table["crs"] is None and "image pixels" in table["nssa_gis"]["coordinates"]
