from affine import Affine
from pyproj import CRS, Transformer

from nssa_gis.geo.frame import Frame
from nssa_gis.scenes.batch import run_batch
from nssa_gis.scenes.overlaps import outline, overlapping
from nssa_gis.testing import PlantedDetector, make_scene

UTM, NEIGHBOUR = CRS.from_epsg(32632), CRS.from_epsg(32633)


def sheet(x, y=5300000.0, crs=UTM, size=1000):
    return Frame(size, size, crs, Affine(0.25, 0, x, 0, -0.25, y))


def shares(*frames):
    return {(a, b): round(share, 3) for a, b, share in overlapping("abcd", [outline(frame) for frame in frames])}


def test_the_share_of_the_smaller_scene_is_told():
    assert shares(sheet(500000), sheet(500200)) == {("a", "b"): 0.2}
    assert shares(sheet(500000), sheet(500100, size=200)) == {("a", "b"): 1.0}
    assert shares(sheet(500000), sheet(500125), sheet(500250)) == {("a", "b"): 0.5, ("b", "c"): 0.5}


def test_neighbours_that_touch_are_none():
    assert shares(sheet(500000), sheet(500250), sheet(500000, 5299750)) == {}
    assert shares(sheet(500000), sheet(500249.75)) == {}  # one column of pixels


def test_a_strip_that_holds_a_car_is_told():
    large, next_one = sheet(500000, size=40000), sheet(509994, size=40000)  # 10 km wide, 6 m of it in both
    assert shares(large, next_one) == {("a", "b"): 0.001}


def test_scenes_in_other_crs_and_without_one():
    assert shares(sheet(500000), Frame(10, 10, None, None), sheet(500000)) == {("a", "c"): 1.0}
    assert shares(sheet(500000, crs=UTM), sheet(500000, crs=NEIGHBOUR)) == {}
    # the same place in both zones
    x, y = Transformer.from_crs(UTM, NEIGHBOUR, always_xy=True).transform(700000, 5300000)
    ((pair, share),) = shares(sheet(700000), sheet(x, y, NEIGHBOUR)).items()
    assert pair == ("a", "b")
    assert 0.8 < share < 1  # the grids of the zones are turned against each other by some 4 degrees


def test_both_sides_of_the_antimeridian():
    """A scene that crosses 180 degrees is one piece, and does not cover the whole earth."""
    across = Frame(1000, 1000, CRS.from_epsg(4326), Affine(0.001, 0, 179.5, 0, -0.001, 10))
    far = Frame(1000, 1000, CRS.from_epsg(4326), Affine(0.001, 0, 20, 0, -0.001, 10))
    assert outline(across).area < 1.01
    assert shares(across, far) == {}


def test_a_batch_says_which_scenes_overlap(tmp_path):
    for name, x in (("a", 500000), ("b", 500020), ("c", 500900)):
        make_scene(tmp_path / f"{name}.tif", 100, 80, objects=[], transform=Affine(0.25, 0, x, 0, -0.25, 5300000))
    result = run_batch(PlantedDetector(), [tmp_path], tmp_path / "out")
    (told,) = result.warnings
    assert told.startswith(f"1 pair of scenes overlap: {tmp_path / 'a.tif'} and {tmp_path / 'b.tif'} by 20%")
    assert result.exit_code == 0
