"""The size of the working grid: exact arithmetic on frames, no file."""

from types import SimpleNamespace

import pyproj
import pytest
from affine import Affine

from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.working_grid import tile_grid, working_grid
from nssa_gis.errors import UsageError
from nssa_gis.geo.frame import Frame
from nssa_gis.testing import planted_info

UTM = pyproj.CRS(32631)
SQUARE = Frame(1000, 600, UTM, Affine(0.5, 0, 593270, 0, -0.5, 5747657))


def size(frame, native=None, **options):
    warnings = []
    scene = SimpleNamespace(frame=frame, path="town.tif")
    info = planted_info(gsd=0.25, gsd_range=(0.1, 0.5))
    return working_grid(scene, info, DetectOptions(**options), native, warnings.append), warnings


def test_the_scene_is_brought_to_the_model():
    (width, height, gsd), _ = size(SQUARE)
    assert (width, height, gsd) == (round(2000 * SQUARE.gsd[0] / 0.5), round(1200 * SQUARE.gsd[1] / 0.5), 0.25)


@pytest.mark.parametrize(("gsd", "told"), [(0.05, True), (0.1, False), (0.3, False), (0.5, False), (0.8, True)])
def test_a_working_gsd_outside_the_range_of_the_model_is_told(gsd, told):
    _, warnings = size(Frame(1000, 600, UTM, Affine(0.2, 0, 593270, 0, -0.2, 5747657)), gsd=gsd)
    assert any("objects may be missed" in text for text in warnings) == told


def test_a_tile_that_is_no_multiple_is_refused_with_one_that_is():
    info = planted_info()
    with pytest.raises(UsageError, match=r"such as 192$"):
        tile_grid(1000, 600, info, DetectOptions(tile=250))


def test_oblong_pixels_become_square():
    oblong = Frame(1000, 600, UTM, Affine(0.2, 0, 593270, 0, -0.5, 5747657))
    (width, height, _), _ = size(oblong)
    assert width == pytest.approx(800, abs=2) and height == pytest.approx(1200, abs=2)
    assert oblong.gsd[0] * 1000 / width == pytest.approx(oblong.gsd[1] * 600 / height, rel=1e-2)


def test_a_scale_factor_of_the_projection_alone_resamples_nothing():
    frame = Frame(1000, 600, UTM, Affine(0.2501, 0, 593270, 0, -0.2501, 5747657))
    assert size(frame)[0] == (1000, 600, 0.25)


def test_no_crs_keeps_the_pixels_unless_their_size_is_known():
    (width, height, gsd), warnings = size(Frame(1000, 600))
    assert (width, height, gsd) == (1000, 600, None)
    assert "processed at native resolution" in warnings[0]
    assert size(Frame(1000, 600), native=0.125) == ((500, 300, 0.25), [])
    assert size(Frame(1000, 600), scale=2)[0] == (2000, 1200, None)


def test_a_known_pixel_size_takes_the_place_of_the_frame():
    assert size(SQUARE, native=0.25)[0] == (1000, 600, 0.25)


def test_a_working_gsd_that_leaves_no_pixel_is_refused():
    with pytest.raises(UsageError, match="less than one pixel"):
        size(SQUARE, gsd=1e9)
