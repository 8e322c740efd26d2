"""Pixels to the map and back, and ground sizes against the geodesic."""

import copy
import math

import numpy as np
import pyproj
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint as RasterioPoint
from rasterio.transform import GCPTransformer

from nssa_gis.geo.frame import Frame, map_period
from nssa_gis.geo.mapping import GroundControlPoint

UTM, WGS84, MERCATOR = pyproj.CRS(32631), pyproj.CRS(4326), pyproj.CRS(3857)
US_FEET = pyproj.CRS(2263)


def degrees_per_metre(lat):
    """Degrees of longitude and latitude that make a metre."""
    geod = pyproj.Geod(ellps="WGS84")
    east, _, _ = geod.fwd(0, lat, 90, 1.0)
    _, north, _ = geod.fwd(0, lat, 0, 1.0)
    return east, north - lat


def at_60_north(lon=5.0, pixel=0.25):
    east, north = degrees_per_metre(60)
    return Affine(pixel * east, 0, lon, 0, -pixel * north, 60.0)


def product(*affines):
    matrix = np.eye(3)
    for affine in affines:
        matrix = matrix @ np.array(affine).reshape(3, 3)
    return Affine(*matrix[:2].ravel())


def rotated(degrees, pixel=0.25):
    return product(Affine.translation(593270, 5747657), Affine.rotation(degrees), Affine.scale(pixel, -pixel))


def bent_points(scale=0.25):
    """Nine control points of a frame that bends a little (second order)."""
    col, row = (v.ravel() for v in np.meshgrid([0.0, 1500, 3000], [0.0, 1000, 2000]))
    u, v = col / 3000, row / 2000
    x = 593270 + scale * (col + 40 * u * v + 15 * u * u)
    y = 5747657 - scale * (row + 25 * v * v - 10 * u)
    return tuple(GroundControlPoint(*p) for p in zip(col, row, x, y, strict=True))


FRAMES = {
    "north-up": Frame(3000, 2000, UTM, Affine(0.25, 0, 593270, 0, -0.25, 5747657)),
    "rotated 30": Frame(3000, 2000, UTM, rotated(30)),
    "rotated 91": Frame(3000, 2000, UTM, rotated(91)),
    "sheared": Frame(3000, 2000, UTM, product(rotated(10), Affine.shear(12, -5))),
    "south-up": Frame(3000, 2000, UTM, Affine(0.25, 0, 593270, 0, 0.25, 5747657)),
    "non-square": Frame(3000, 2000, UTM, Affine(0.2, 0, 593270, 0, -0.5, 5747657)),
    "GCP": Frame(3000, 2000, UTM, None, bent_points()),
    "EPSG:4326 at 60 N": Frame(3000, 2000, WGS84, at_60_north()),
    "antimeridian": Frame(3000, 2000, WGS84, at_60_north(lon=180 - 0.005)),
    "web mercator": Frame(3000, 2000, MERCATOR, Affine(0.5, 0, 666000, 0, -0.5, 8390000)),
    "feet": Frame(3000, 2000, US_FEET, Affine(1, 0, 980000, 0, -1, 200000)),
    "polar": Frame(3000, 2000, pyproj.CRS(3413), Affine(1, 0, -1500, 0, -1, 1000)),
    "no CRS": Frame(3000, 2000),
}
GEODETIC = [name for name, frame in FRAMES.items() if frame.crs is not None]


def geodesic_lengths(frame, boxes):
    """Widths and heights between the middles of opposite sides, along the geodesic."""
    to_lonlat = pyproj.Transformer.from_crs(frame.crs, frame.crs.geodetic_crs, always_xy=True)
    x0, y0, x1, y1 = boxes.T
    xm, ym = (x0 + x1) / 2, (y0 + y1) / 2
    ends = []
    for x, y in ((x0, ym), (x1, ym), (xm, y0), (xm, y1)):
        ends.append(to_lonlat.transform(*frame.to_map(x, y)))
    geod = frame.crs.get_geod()
    width = geod.inv(*ends[0], *ends[1])[2]
    height = geod.inv(*ends[2], *ends[3])[2]
    return np.array(width), np.array(height)


@pytest.mark.parametrize("name", FRAMES)
@given(
    points=st.lists(st.tuples(st.floats(-100, 3100), st.floats(-100, 2100)), min_size=1, max_size=20),
)
@settings(max_examples=25, deadline=None)
def test_round_trip(name, points):
    x, y = np.array(points).T
    frame = FRAMES[name]
    back = frame.to_pixel(*frame.to_map(x, y))
    assert np.abs(back[0] - x).max() < 1e-3
    assert np.abs(back[1] - y).max() < 1e-3


@given(
    turn=st.floats(-180, 180),
    shear=st.floats(-60, 60),
    width=st.floats(0.01, 100),
    height=st.floats(0.01, 100).flatmap(lambda v: st.sampled_from([v, -v])),
    east=st.floats(-2e7, 2e7),
    north=st.floats(-2e7, 2e7),
)
@settings(max_examples=200, deadline=None)
def test_round_trip_of_any_affine(turn, shear, width, height, east, north):
    affine = product(
        Affine.translation(east, north),
        Affine.rotation(turn),
        Affine.shear(shear),
        Affine.scale(width, height),
    )
    frame = Frame(20000, 20000, UTM, affine)
    x, y = np.meshgrid([0.0, 0.25, 10000.5, 20000.0], [0.0, 19999.75])
    back = frame.to_pixel(*frame.to_map(x, y))
    assert np.abs(back[0] - x).max() < 0.01
    assert np.abs(back[1] - y).max() < 0.01


def test_corners_are_those_of_the_affine():
    frame = FRAMES["rotated 30"]
    box = [[10.25, 20.5, 30.75, 60.125]]
    corners = np.array([[10.25, 20.5, 1], [30.75, 20.5, 1], [30.75, 60.125, 1], [10.25, 60.125, 1]])
    expected = corners @ np.array(frame.transform).reshape(3, 3)[:2].T
    np.testing.assert_allclose(frame.box_corners(box)[0], expected, atol=1e-8)


def test_no_boxes():
    frame = FRAMES["GCP"]
    assert frame.box_corners(np.empty((0, 4))).shape == (0, 4, 2)
    assert [v.shape for v in frame.box_sizes_m(np.empty((0, 4)))] == [(0,)] * 3


def test_without_a_place_map_is_pixels():
    frame = Frame(100, 50)
    assert not frame.georeferenced and frame.gsd is None
    np.testing.assert_array_equal(frame.box_corners([[1, 2, 3, 4]])[0], [[1, 2], [3, 2], [3, 4], [1, 4]])
    assert all(np.isnan(v).all() for v in frame.box_sizes_m([[1, 2, 3, 4]]))
    assert np.isnan(frame.gsd_at(5, 5)).all()


def test_a_world_file_gives_coordinates_but_no_metres():
    frame = Frame(100, 50, None, Affine(0.5, 0, 1000, 0, -0.5, 2000))
    assert not frame.georeferenced and frame.gsd is None
    assert frame.to_map(2, 2) == (1001.0, 1999.0)


@pytest.mark.parametrize("name", GEODETIC)
def test_box_sizes_agree_with_the_geodesic(name):
    frame = FRAMES[name]
    rng = np.random.default_rng(3)
    low = rng.uniform(0, [2900, 1900], (200, 2))
    boxes = np.hstack([low, low + rng.uniform(4, 100, (200, 2))])
    width, height, area = frame.box_sizes_m(boxes)
    true_width, true_height = geodesic_lengths(frame, boxes)
    np.testing.assert_allclose(width, true_width, rtol=1e-4)
    np.testing.assert_allclose(height, true_height, rtol=1e-4)
    if name not in ("sheared", "GCP"):
        np.testing.assert_allclose(area, true_width * true_height, rtol=1e-4)


def test_area_of_sheared_boxes_is_that_of_the_parallelogram():
    frame = FRAMES["sheared"]
    _, _, area = frame.box_sizes_m([[1000, 1000, 1100, 1050]])
    polygon = frame.box_corners([[1000, 1000, 1100, 1050]])[0]
    to_lonlat = pyproj.Transformer.from_crs(UTM, WGS84, always_xy=True)
    lon, lat = to_lonlat.transform(*polygon.T)
    assert area[0] == pytest.approx(abs(UTM.get_geod().polygon_area_perimeter(lon, lat)[0]), rel=1e-4)


@pytest.mark.parametrize("lat", [0, 30, 60, 75, -60])
def test_web_mercator_gsd_is_on_the_ground(lat):
    _, north = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(10, lat)
    frame = Frame(1000, 1000, MERCATOR, Affine(0.5, 0, 1e6, 0, -0.5, north + 250))
    assert frame.gsd == pytest.approx((0.5 * math.cos(math.radians(lat)),) * 2, rel=0.007)


def test_sizes_over_a_large_geographic_scene():
    """The lattice follows the change of the pixel size over 20 degrees."""
    frame = Frame(200_000, 200_000, WGS84, Affine(1e-4, 0, 0, 0, -1e-4, 75))
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 199_000, (500, 2))
    boxes = np.hstack([low, low + 20])
    width, height, _ = frame.box_sizes_m(boxes)
    true_width, true_height = geodesic_lengths(frame, boxes)
    np.testing.assert_allclose(width, true_width, rtol=1e-4)
    np.testing.assert_allclose(height, true_height, rtol=1e-4)


def test_gsd_is_that_of_the_middle():
    """A scene of 20 by 20 degrees, turned so that the pixel size changes along rows and along columns."""
    frame = Frame(2000, 1000, WGS84, product(Affine.translation(0, 50), Affine.rotation(30), Affine.scale(0.01, -0.02)))
    middle = np.array([[999.5, 499.5, 1000.5, 500.5]])
    width, height = geodesic_lengths(frame, middle)
    assert frame.gsd == pytest.approx((width[0], height[0]), rel=1e-4)
    for x, y in ((2000 / 3, 500), (2000, 500), (1000, 1000 / 3), (1000, 1000)):
        assert np.abs(np.array(frame.gsd_at(x, y)) / frame.gsd - 1).max() > 0.01


def test_gsd_at_the_corners_of_the_scene():
    frame = FRAMES["EPSG:4326 at 60 N"]
    for x, y in ((0, 0), (3000, 0), (0, 2000), (3000, 2000)):
        # beyond the scene the nearest edge counts
        assert frame.gsd_at(x, y) == frame.gsd_at(x * 3 - 3000, y * 3 - 2000) == pytest.approx((0.25, 0.25), rel=1e-3)


def test_map_period_follows_the_central_meridian_and_the_unit():
    paris = pyproj.CRS(4807)  # NTF (Paris): grads
    assert map_period(paris) == pytest.approx(400)
    assert map_period(pyproj.CRS("+proj=eqc +lon_0=90 +datum=WGS84")) == pytest.approx(2 * math.pi * 6378137)


def test_sizes_on_an_engineering_plane():
    axes = 'CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["foot",0.3048]'
    wkt = f'ENGCRS["site",EDATUM["site"],{axes}]'
    frame = Frame(100, 100, pyproj.CRS(wkt), Affine(2, 0, 0, 0, -1, 0))
    assert frame.gsd == pytest.approx((0.6096, 0.3048))


def test_antimeridian_runs_on():
    frame = FRAMES["antimeridian"]
    x, _ = frame.to_map([0, 3000], [0, 0])
    assert x[0] < 180 < x[1]
    assert frame.gsd == pytest.approx((0.25, 0.25), rel=1e-3)


def gdal_points(points):
    return [RasterioPoint(row=p.row, col=p.col, x=p.x, y=p.y) for p in points]


@pytest.mark.parametrize("count", [3, 4, 5, 6, 9, 12])
def test_gcp_agree_with_gdal(count):
    rng = np.random.default_rng(count)
    col, row = rng.uniform(0, 3000, count), rng.uniform(0, 2000, count)
    x = 593270 + 0.25 * col + rng.normal(0, 0.5, count)
    y = 5747657 - 0.25 * row + rng.normal(0, 0.5, count)
    points = tuple(GroundControlPoint(*p) for p in zip(col, row, x, y, strict=True))
    frame = Frame(3000, 2000, UTM, None, points)
    px, py = (v.ravel() for v in np.meshgrid(np.linspace(0, 3000, 7), np.linspace(0, 2000, 5)))
    with GCPTransformer(gdal_points(points)) as gdal:
        expected = gdal.xy(py, px, offset="ul")
    got = frame.to_map(px, py)
    np.testing.assert_allclose(got, expected, atol=0.01 * 0.25)


def test_gcp_second_order_is_exact():
    frame = FRAMES["GCP"]
    for p in bent_points():
        np.testing.assert_allclose(frame.to_map(p.col, p.row), (p.x, p.y), atol=1e-6)


def test_gcp_across_the_antimeridian():
    points = tuple(
        GroundControlPoint(c, r, lon if lon <= 180 else lon - 360, 60 - r * 1e-6)
        for c in (0, 1000)
        for r in (0, 1000)
        for lon in [179.9995 + c * 1e-6]
    )
    frame = Frame(1000, 1000, WGS84, None, points)
    x, y = frame.to_map([0, 1000], [0, 0])
    assert np.ptp(x) == pytest.approx(1e-3)
    np.testing.assert_allclose(frame.to_pixel(x, y), [[0, 1000], [0, 0]], atol=0.01)


def test_gcp_on_a_conic_fall_back_to_first_order():
    points = tuple(
        GroundControlPoint(500 + 400 * math.cos(a), 500 + 400 * math.sin(a), math.cos(a), math.sin(a))
        for a in np.linspace(0, 6, 8)
    )
    frame = Frame(1000, 1000, UTM, None, points)
    np.testing.assert_allclose(frame.to_map(500, 500), (0, 0), atol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_useless_gcp(count):
    points = tuple(GroundControlPoint(i, i, i, i) for i in range(count))
    with pytest.raises(ValueError, match="control points"):
        Frame(10, 10, UTM, None, points)


def test_degenerate_transform():
    with pytest.raises(ValueError, match="degenerate"):
        Frame(10, 10, UTM, Affine(1, 1, 0, 1, 1, 0))
    with pytest.raises(ValueError, match="empty"):
        Frame(0, 10)


def test_frames_travel():
    frame = FRAMES["GCP"]
    assert copy.deepcopy(frame) == frame
    assert frame.gsd == copy.deepcopy(frame).gsd


def test_map_period():
    assert map_period(WGS84) == pytest.approx(360)
    assert map_period(MERCATOR) == pytest.approx(2 * math.pi * 6378137)
    assert map_period(UTM) is None
