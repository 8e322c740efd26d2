import json

import pyogrio
import pytest
from affine import Affine

from nssa_gis.detect.options import DetectOptions
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.scenes.batch import run_batch
from nssa_gis.testing import PlantedDetector, make_scene


def batch(tmp_path, inputs, events=None, **options):
    progress = None if events is None else events.append
    return run_batch(PlantedDetector(), inputs, tmp_path / "out", DetectOptions.parse(options), progress=progress)


@pytest.fixture
def flights(tmp_path):
    folder = tmp_path / "flights"
    (folder / "more").mkdir(parents=True)
    for name in ("b.tif", "a.TIF", "more/c.tif"):
        make_scene(folder / name, 100, 80, objects=[(10, 10, 20, 20, 0)])
    (folder / "readme.txt").write_text("hello")
    return folder


def test_failed_scene_never_stops_the_rest(tmp_path, flights):
    (flights / "aa.tif").write_text("no image")
    events = []
    result = batch(tmp_path, [flights], events)
    assert [o.status for o in result.outcomes] == ["done", "unreadable", "done"]
    assert result.exit_code == 1
    assert "aa.tif" in result.outcomes[1].message
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.gpkg", "b.gpkg"]
    assert {e["number"] for e in events if "scene" in e} == {1, 2, 3}
    assert {e["event"] for e in events if "scene" not in e} == {"warning"}  # on what concerns several scenes
    assert [e["scene"] for e in events if e["event"] == "error"] == [str(flights / "aa.tif")]


def test_exit_codes(tmp_path, flights):
    assert batch(tmp_path, [flights]).exit_code == 0
    again = batch(tmp_path, [flights])
    assert [o.status for o in again.outcomes] == ["failed", "failed"]
    assert again.exit_code == 1
    assert batch(tmp_path, [flights / "readme.txt", tmp_path / "missing.tif"]).exit_code == 3


def test_resume_leaves_finished_layers_alone(tmp_path, flights):
    batch(tmp_path, [flights / "a.TIF"])
    before = (tmp_path / "out" / "a.gpkg").stat().st_mtime_ns
    events = []
    result = batch(tmp_path, [flights], events, resume=True)
    assert [o.status for o in result.outcomes] == ["present", "done"]
    assert result.exit_code == 0
    assert (tmp_path / "out" / "a.gpkg").stat().st_mtime_ns == before
    assert [o.objects for o in result.outcomes] == [1, 1]
    told = [e["message"] for e in events if e["event"] == "warning"]
    assert ["subfolders" in told[0], "overlap" in told[1]] == [True, True]  # a and b lie in one place
    assert len(told) == 2


@pytest.mark.parametrize("driver", ["GPKG", "GeoJSON", "FlatGeobuf", "Parquet", "ESRI Shapefile", "CSV"])
def test_a_resumed_batch_counts_what_was_there(tmp_path, flights, driver):
    batch(tmp_path, [flights / "a.TIF"], of=driver)
    (outcome,) = batch(tmp_path, [flights / "a.TIF"], of=driver, resume=True).outcomes
    assert (outcome.status, outcome.objects) == ("present", 1)


def test_a_layer_that_cannot_be_read_is_not_taken_for_complete(tmp_path, flights):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.gpkg").write_text("no layer")
    result = batch(tmp_path, [flights / "a.TIF"], resume=True)
    assert result.exit_code == 1
    assert "--overwrite" in result.outcomes[0].message


def area(tmp_path, left, top):
    shape = {
        "type": "Polygon",
        "coordinates": [[[left, top], [left + 9, top], [left + 9, top - 9], [left, top - 9], [left, top]]],
    }
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    features = [{"type": "Feature", "properties": {}, "geometry": shape}]
    (tmp_path / "area.geojson").write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    return str(tmp_path / "area.geojson")


@pytest.mark.parametrize("option", ["aoi", "bounds"])
def test_scenes_outside_the_area_are_no_failures(tmp_path, option):
    make_scene(tmp_path / "near.tif", 100, 80, objects=[(10, 10, 20, 20, 0)])
    far = Affine(0.25, 0, 600000, 0, -0.25, 5300000)
    make_scene(tmp_path / "far.tif", 100, 80, objects=[(10, 10, 20, 20, 0)], transform=far)

    def run(left, *more):
        given = (
            {"aoi": area(tmp_path, left, 5300000)}
            if option == "aoi"
            else {"bounds": (left, 5299991, left + 9, 5300000)}
        )
        return batch(tmp_path, [tmp_path / "near.tif", tmp_path / "far.tif", *more], overwrite=True, **given)

    some = run(500000)
    assert [(o.status, o.objects) for o in some.outcomes] == [("done", 1), ("outside", None)]
    assert some.exit_code == 0
    assert not (tmp_path / "out" / "far.gpkg").exists()
    (tmp_path / "bad.tif").write_text("no image")
    broken = run(500000, tmp_path / "bad.tif")
    assert ([o.status for o in broken.outcomes][2], broken.exit_code) == ("unreadable", 1)
    none = run(300000)
    assert [o.status for o in none.outcomes] == ["outside", "outside"]
    assert none.exit_code == 1
    assert any("no scene meets the area" in text for text in none.warnings)


def test_an_output_that_is_named_like_a_layer(tmp_path, flights):
    with pytest.raises(UsageError, match=r"merged.gpkg: batch writes one layer a scene.*give a folder"):
        run_batch(PlantedDetector(), [flights], tmp_path / "merged.gpkg")
    assert not (tmp_path / "merged.gpkg").exists()


@pytest.mark.parametrize(
    ("driver", "extension"), [("geojson", ".geojson"), ("ESRI Shapefile", ".shp"), ("CSV", ".csv")]
)
def test_format_of_all_layers(tmp_path, flights, driver, extension):
    result = batch(tmp_path, [flights / "b.tif"], of=driver)
    assert result.outcomes[0].output.name == "b" + extension
    assert pyogrio.read_info(result.outcomes[0].output)["features"] == 1


def test_what_would_fail_for_every_scene_is_raised(tmp_path, flights):
    with pytest.raises(UsageError, match="--of"):
        batch(tmp_path, [flights], of="PNG")
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(NssaError, match="output folder"):
        batch(tmp_path, [flights])
