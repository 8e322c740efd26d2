import pyogrio
import pytest

from nssa_gis.detect.options import DetectOptions
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.scenes.batch import NothingReadable, find_scenes, output_names, run_batch
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


def test_scenes_of_folders_patterns_and_files(flights):
    assert find_scenes([flights]) == [str(flights / "a.TIF"), str(flights / "b.tif")]
    assert find_scenes([str(flights / "**" / "*.tif")]) == [str(flights / "b.tif"), str(flights / "more" / "c.tif")]
    assert find_scenes([flights / "b.tif", flights]) == [str(flights / "b.tif"), str(flights / "a.TIF")]
    assert find_scenes(["/vsicurl/http://x/a.tif"]) == ["/vsicurl/http://x/a.tif"]
    for nothing in ([flights / "*.png"], []):
        with pytest.raises(NothingReadable, match="no scene found"):
            find_scenes([str(p) for p in nothing])


def test_scenes_of_one_name_get_their_own_layers(tmp_path):
    names = output_names(["x/a.tif", "y/a.tif", "y/a.png", "b.tif"], tmp_path, ".gpkg")
    assert [n.name for n in names] == ["x_a.tif.gpkg", "y_a.tif.gpkg", "y_a.png.gpkg", "b.gpkg"]
    with pytest.raises(NssaError, match="one layer"):
        output_names(["p/x/a.tif", "q/x/a.tif"], tmp_path, ".gpkg")


def test_failed_scene_never_stops_the_rest(tmp_path, flights):
    (flights / "aa.tif").write_text("no image")
    events = []
    result = batch(tmp_path, [flights], events)
    assert [o.status for o in result.outcomes] == ["done", "unreadable", "done"]
    assert result.exit_code == 1
    assert "aa.tif" in result.outcomes[1].message
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.gpkg", "b.gpkg"]
    assert {e["number"] for e in events} == {1, 2, 3}
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
    assert not [e for e in events if e["event"] == "warning"]


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
