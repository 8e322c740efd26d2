"""Sensor models and control points, against GDAL and against the formula written out."""

from dataclasses import FrozenInstanceError

import numpy as np
import pyproj
import pytest
from affine import Affine
from rasterio.rpc import RPC
from rasterio.transform import RPCTransformer

from nssa_gis.geo.frame import Frame
from nssa_gis.geo.mapping import GroundControlPoint, PolynomialMapping, RationalMapping, RationalPolynomials

WGS84 = pyproj.CRS(4326)
#: Powers of longitude, latitude and height in the twenty terms of RPC00B (STDI-0002, volume 1, appendix E).
POWERS = [
    *[(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (2, 0, 0), (0, 2, 0), (0, 0, 2)],
    *[(1, 1, 1), (3, 0, 0), (1, 2, 0), (1, 0, 2), (2, 1, 0), (0, 3, 0), (0, 1, 2), (2, 0, 1), (0, 2, 1), (0, 0, 3)],
]


def sensor(lon_off=5.0, height=420.0, **changes):
    """A model in which all eighty coefficients count, and no two scales are alike."""
    rng = np.random.default_rng(4)

    def terms(*first):
        return tuple(first) + tuple(rng.uniform(-0.02, 0.02, 20 - len(first)))

    values = {
        "samp_num": terms(0.01, 1.01, 0.12, 0.03),
        "line_num": terms(-0.02, 0.13, -1.02, 0.02),
        "samp_den": terms(1.0),
        "line_den": terms(1.0),
        "line_off": 1500.5,
        "line_scale": 1510.0,
        "samp_off": 2000.5,
        "samp_scale": 2030.0,
        "lon_off": lon_off,
        "lon_scale": 0.05,
        "lat_off": 60.0,
        "lat_scale": 0.02,
        "height_off": 100.0,
        "height_scale": 500.0,
        "height": height,
    }
    return RationalPolynomials(**values | changes)


def by_formula(r, lon, lat):
    """Column and row of one place."""
    x, y = (lon - r.lon_off) / r.lon_scale, (lat - r.lat_off) / r.lat_scale
    h = (r.height - r.height_off) / r.height_scale

    def polynomial(coefficients):
        return sum(c * x**a * y**b * h**e for c, (a, b, e) in zip(coefficients, POWERS, strict=True))

    column = polynomial(r.samp_num) / polynomial(r.samp_den) * r.samp_scale + r.samp_off
    return column, polynomial(r.line_num) / polynomial(r.line_den) * r.line_scale + r.line_off


def places(r):
    lon, lat = np.meshgrid(np.linspace(-0.9, 0.9, 5), np.linspace(-0.9, 0.9, 4))
    return r.lon_off + lon.ravel() * r.lon_scale, r.lat_off + lat.ravel() * r.lat_scale


def test_sensor_model_is_the_formula():
    r = sensor()
    lon, lat = places(r)
    got = RationalMapping(r).inverse(lon, lat)
    np.testing.assert_allclose(got, np.array([by_formula(r, *p) for p in zip(lon, lat, strict=True)]).T, rtol=1e-12)


def test_sensor_model_agrees_with_gdal():
    r = sensor()
    lon, lat = places(r)
    rpc = RPC(
        height_off=r.height_off, height_scale=r.height_scale, lat_off=r.lat_off, lat_scale=r.lat_scale,
        long_off=r.lon_off, long_scale=r.lon_scale, line_off=r.line_off - 0.5, line_scale=r.line_scale,
        samp_off=r.samp_off - 0.5, samp_scale=r.samp_scale, line_num_coeff=list(r.line_num),
        line_den_coeff=list(r.line_den), samp_num_coeff=list(r.samp_num), samp_den_coeff=list(r.samp_den),
        err_bias=0, err_rand=0,
    )  # fmt: skip
    with RPCTransformer(rpc, rpc_height=r.height) as gdal:
        rows, columns = gdal.rowcol(lon, lat, op=np.positive)
    np.testing.assert_allclose(RationalMapping(r).inverse(lon, lat), (columns, rows), atol=0.01)


def test_sensor_model_there_and_back():
    mapping = RationalMapping(sensor())
    x, y = (v.ravel() for v in np.meshgrid([300.0, 1500, 2500.25, 3600], [200.0, 1500.5, 2700]))
    np.testing.assert_allclose(mapping.inverse(*mapping.forward(x, y)), (x, y), atol=1e-4)


@pytest.mark.parametrize("turns", [-360.0, 360.0])
def test_longitudes_of_a_sensor_model_are_cyclic(turns):
    r = sensor(lon_off=179.99)
    lon, lat = places(r)
    assert lon.max() > 180
    mapping = RationalMapping(r)
    np.testing.assert_allclose(mapping.inverse(lon + turns, lat), mapping.inverse(lon, lat), atol=1e-6)


def test_a_frame_is_placed_by_its_sensor_model():
    r = sensor()
    frame = Frame(4000, 3000, WGS84, rpcs=r)
    assert frame.georeferenced
    np.testing.assert_allclose(frame.to_map(2000, 1500), RationalMapping(r).forward(np.array(2000.0), np.array(1500.0)))
    # 0.05 degrees of longitude at 60 degrees north are 2.79 km for 2030 columns.
    assert frame.gsd == pytest.approx((1.37, 1.47), abs=0.15)
    # What comes first places the frame: the transform before control points before the sensor model.
    corners = tuple(GroundControlPoint(c, w, c / 100, w / 50) for c, w in ((0, 0), (4000, 0), (0, 3000)))
    assert Frame(4000, 3000, WGS84, None, corners, r).to_map(100, 50) == (pytest.approx(1), pytest.approx(1))
    north_up = Affine(0.5, 0, 10, 0, -0.5, 50)
    assert Frame(4000, 3000, WGS84, north_up, corners, r).to_map(2, 2) == (11, 49)


def test_where_a_sensor_model_has_no_answer_is_nan():
    x, y = RationalMapping(sensor()).forward(np.array([2000.0, 1e7]), np.array([1500.0, -1e7]))
    assert np.isfinite([x[0], y[0]]).all()
    assert np.isnan([x[1], y[1]]).all()


def test_control_points_turn_and_shear_there_and_back():
    place = Affine.translation(593270, 5747657) @ Affine.rotation(130) @ Affine.shear(20) @ Affine.scale(0.3, -0.2)
    points = [GroundControlPoint(c, r, *(place @ (c, r))) for c, r in ((0, 0), (3000, 100), (2900, 2100), (-50, 1900))]
    mapping = PolynomialMapping(points)
    x, y = (v.ravel() for v in np.meshgrid([0.0, 1234.5, 3000], [0.0, 777.25, 2000]))
    there = mapping.forward(x, y)
    np.testing.assert_allclose(there, np.array([place @ p for p in zip(x, y, strict=True)]).T, atol=1e-6)
    np.testing.assert_allclose(mapping.inverse(*there), (x, y), atol=1e-5)


def test_control_points_on_one_coordinate():
    # All rows alike: the frame is a line, and no area can be placed by it.
    with pytest.raises(ValueError, match="on one line"):
        PolynomialMapping([GroundControlPoint(c, 7, c, 2 * c) for c in (0, 50, 90, 300)])
    with pytest.raises(ValueError, match="not a number"):
        PolynomialMapping([*(GroundControlPoint(c, c * c, c, c) for c in (0, 1)), GroundControlPoint(3, 4, np.nan, 1)])


def test_frames_do_not_change():
    frame = Frame(1, 1)
    assert frame.to_map(1, 1) == (1, 1)
    with pytest.raises(FrozenInstanceError):
        frame.width = 2
    for sizes in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="empty"):
            Frame(*sizes)
