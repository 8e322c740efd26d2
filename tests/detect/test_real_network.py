"""The built-in model over a part of the sample scene, plain and in other forms: the same objects in the same places."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window

from nssa_gis.detect.detector import Detector
from nssa_gis.detect.run import detect_scene

TOWN = Path(__file__).parents[2] / "sample_data" / "town.tif"
SIDE = 640
#: Metres; half a pixel of the scene is 0.1 m.
PIXEL = 0.2


@pytest.fixture(scope="module")
def detector():
    with Detector("aerial-vehicles", device="cpu") as model:
        yield model


@pytest.fixture(scope="module")
def town():
    """A car park and its streets: pixels, transform and CRS."""
    with rasterio.open(TOWN) as data:
        window = Window(0, 2560, SIDE, SIDE)
        return data.read(window=window), data.window_transform(window), data.crs


@pytest.fixture(scope="module")
def layer(tmp_path_factory, detector, town):
    """Write a scene and give the layer that is found in it."""

    def run(pixels, transform=None, gcps=None):
        folder = tmp_path_factory.mktemp("scene")
        shape = {"count": pixels.shape[0], "height": pixels.shape[1], "width": pixels.shape[2], "dtype": pixels.dtype}
        with rasterio.open(folder / "scene.tif", "w", driver="GTiff", photometric="rgb", **shape) as data:
            if gcps is None:
                data.crs, data.transform = town[2], transform
            else:
                data.gcps = (gcps, town[2])
            data.write(pixels)
        result = detect_scene(detector, folder / "scene.tif", folder / "cars.gpkg")
        assert result.warnings == ()
        return gpd.read_file(result.output)

    return run


@pytest.fixture(scope="module")
def plain(layer, town):
    found = layer(town[0], town[1])
    assert len(found) > 60
    return found


@pytest.fixture(scope="module")
def turned(town):
    """The middle of the town resampled to rows that run 30 degrees off the north: pixels, transform, ground in it."""
    side = 440
    x, y = town[1] @ (SIDE / 2, SIDE / 2)
    place = Affine.translation(x, y) @ Affine.rotation(30) @ Affine.scale(PIXEL, -PIXEL)
    place = place @ Affine.translation(-side / 2, -side / 2)
    pixels = np.zeros((3, side, side), np.uint8)
    frames = {"src_transform": town[1], "src_crs": town[2], "dst_transform": place, "dst_crs": town[2]}
    reproject(town[0], pixels, resampling=Resampling.cubic, **frames)
    # An object that the border cuts looks different there: only those 4 m from it are compared.
    low, high = 20, side - 20
    return pixels, place, shapely.Polygon([place @ c for c in ((low, low), (high, low), (high, high), (low, high))])


def control_points(transform, side):
    """Nine ground control points that say what a transform says."""
    grid = [(column, row) for row in (0, side / 2, side) for column in (0, side / 2, side)]
    return [GroundControlPoint(row, column, *(transform @ (column, row))) for column, row in grid]


def centres(layer):
    return np.stack([layer.geometry.centroid.x, layer.geometry.centroid.y], axis=1)


def within(layer, area):
    return layer[layer.geometry.centroid.within(area)].reset_index(drop=True)


def assert_same_places(found, expected, share):
    """Most objects of either layer have one of the same class in the other, within 0.5 m and without a shift.

    Returns the rows of the pairs. Sizes are not compared: a box along turned rows is larger around the same car.
    """
    offsets = centres(found)[None] - centres(expected)[:, None]
    distance = np.hypot(*offsets.transpose(2, 0, 1))
    distance[found.class_id.to_numpy()[None] != expected.class_id.to_numpy()[:, None]] = np.inf
    one, other = np.nonzero(
        (distance < 0.5)
        & (distance == distance.min(axis=1, keepdims=True))
        & (distance == distance.min(axis=0, keepdims=True))
    )
    assert len(one) >= share * max(len(found), len(expected)) > 0
    assert np.abs(offsets[one, other].mean(axis=0)).max() < PIXEL / 4
    assert np.median(distance[one, other]) < PIXEL
    return one, other


def test_rotated_scene(layer, plain, turned):
    pixels, transform, inside = turned
    found = layer(pixels, transform)
    assert_same_places(within(found, inside), within(plain, inside), 0.85)
    # Boxes follow the rows of the scene: their sides run 30 degrees off those of the map.
    corners = shapely.get_coordinates(found.geometry.iloc[0])
    angle = np.degrees(np.arctan2(*(corners[1] - corners[0])[::-1]))
    assert angle % 90 == pytest.approx(30, abs=1e-3)


def test_scene_placed_by_control_points(layer, plain, town):
    found = layer(town[0], gcps=control_points(town[1], SIDE))
    assert found.crs == plain.crs
    assert len(found) == len(plain)
    assert shapely.equals_exact(found.geometry, plain.geometry, 1e-6).all()
    np.testing.assert_allclose(found.score, plain.score, atol=1e-6)


def test_rotated_scene_placed_by_control_points(layer, plain, turned):
    pixels, transform, inside = turned
    found = layer(pixels, gcps=control_points(transform, pixels.shape[1]))
    assert_same_places(within(found, inside), within(plain, inside), 0.85)


def test_scene_of_16_bits(layer, plain, town):
    # Reflectances as a satellite gives them; the contrast is stretched, so that scores differ a little.
    found = layer(town[0].astype(np.uint16) * 40 + 300, town[1])
    own, others = assert_same_places(found, plain, 0.95)
    ratio = plain.geometry.area.to_numpy()[own] / found.geometry.area.to_numpy()[others]
    assert np.median(ratio) == pytest.approx(1, abs=0.05)
