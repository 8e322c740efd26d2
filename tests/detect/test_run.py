import json
import zipfile

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

import nssa_gis
from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.run import detect_scene
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.testing import GSD, PlantedBackend, PlantedDetector, make_package, make_scene


def run(scene, output, package, events=None, backend=None, tta="none", **options):
    detector = PlantedDetector(package, backend, tta)
    progress = None if events is None else events.append
    return detect_scene(detector, scene, output, DetectOptions.parse(options), progress=progress)


@pytest.fixture
def package(tmp_path):
    return make_package(tmp_path)


def boxes_of(layer):
    frame = gpd.read_file(layer)
    boxes = np.stack([frame.x_px, frame.y_px, frame.x_px + frame.w_px, frame.y_px + frame.h_px, frame.class_id], 1)
    return boxes[np.lexsort(boxes.T)]


def ordered(objects):
    return objects[np.lexsort(objects.T)]


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "town.tif"
    return path, make_scene(path)


@pytest.mark.parametrize(
    "options", [{}, {"tile": 128}, {"tile": 1024, "overlap": 128}, {"batch_size": 7, "readers": 3}, {"batch_size": 1}]
)
def test_finds_every_object_once_in_its_place(tmp_path, scene, package, options):
    path, objects = scene
    result = run(path, tmp_path / "cars.gpkg", package, **options)
    assert result.objects == len(objects)
    np.testing.assert_allclose(boxes_of(result.output), ordered(objects))
    assert sum(result.classes.values()) == len(objects)
    assert result.tiles_skipped == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cars.gpkg", "planted.safetensors", "town.tif"]


@pytest.mark.parametrize("kind", ["flip", "rot"])
def test_views_find_the_same_and_say_so(tmp_path, scene, package, kind):
    path, objects = scene
    backend, events = PlantedBackend(), []
    plain = run(path, tmp_path / "a.gpkg", package, backend=backend)
    once = backend.tiles
    several = run(path, tmp_path / "b.gpkg", package, events, backend=backend, tta=kind)
    assert backend.tiles == 5 * once, "one view before, four now"
    assert several.objects == plain.objects == len(objects)
    np.testing.assert_allclose(boxes_of(tmp_path / "b.gpkg"), ordered(objects), atol=1e-6)
    assert events[0]["backend"] == f"planted, 4 views ({kind})"


def test_layer_lies_on_the_map(tmp_path, scene, package):
    path, objects = scene
    run(path, tmp_path / "cars.gpkg", package)
    layer = gpd.read_file(tmp_path / "cars.gpkg")
    assert layer.crs.to_epsg() == 32633
    assert layer.id.tolist() == list(range(1, len(objects) + 1))
    row = layer.iloc[0]
    expected = [
        500000 + GSD * row.x_px,
        5300000 - GSD * (row.y_px + row.h_px),
        500000 + GSD * (row.x_px + row.w_px),
        5300000 - GSD * row.y_px,
    ]
    np.testing.assert_allclose(row.geometry.bounds, expected, atol=1e-6)
    assert set(layer.model) == {"planted"}


def test_events_follow_the_protocol(tmp_path, scene, package):
    events = []
    result = run(scene[0], tmp_path / "cars.gpkg", package, events)
    names = [e["event"] for e in events]
    assert names[0] == "start"
    assert names[-2:] == ["write", "done"]
    assert names.index("merge") > max(i for i, n in enumerate(names) if n == "tile")
    tiles = [e for e in events if e["event"] == "tile"]
    assert tiles[-1]["done"] == tiles[-1]["total"] == events[0]["tiles"] == result.tiles
    json.dumps(events)


def test_scene_smaller_than_a_tile_and_scene_without_objects(tmp_path, package):
    make_scene(tmp_path / "small.tif", 50, 40, objects=[(5, 6, 15, 18, 0)])
    result = run(tmp_path / "small.tif", tmp_path / "small.gpkg", package)
    np.testing.assert_allclose(boxes_of(result.output), [[5, 6, 15, 18, 0]])
    make_scene(tmp_path / "empty.tif", 300, 300, objects=[])
    result = run(tmp_path / "empty.tif", tmp_path / "empty.gpkg", package)
    assert result.objects == 0
    assert pyogrio.read_info(tmp_path / "empty.gpkg")["features"] == 0
    assert "score" in pyogrio.read_info(tmp_path / "empty.gpkg")["fields"]


def test_scene_is_resampled_to_the_model(tmp_path, package):
    fine = [(100, 100, 140, 132, 0), (600, 300, 632, 340, 1)]
    fine_pixels = Affine(GSD / 4, 0, 500000, 0, -GSD / 4, 5300000)
    make_scene(tmp_path / "fine.tif", 1200, 800, objects=fine, transform=fine_pixels)
    events = []
    result = run(tmp_path / "fine.tif", tmp_path / "fine.gpkg", package, events)
    assert (events[-1]["gsd"], events[0]["width"]) == (GSD, pytest.approx(300, abs=1))
    np.testing.assert_allclose(boxes_of(result.output), ordered(np.array(fine)), atol=2.1)
    result = run(tmp_path / "fine.tif", tmp_path / "own.gpkg", package, scale=1)
    assert result.gsd == pytest.approx(GSD / 4, rel=1e-3)
    assert any("processing the scene at" in w for w in result.warnings)


def test_gsd_option_sets_the_working_grid(tmp_path, scene, package):
    result = run(scene[0], tmp_path / "cars.gpkg", package, gsd=GSD / 2)
    assert result.gsd == GSD / 2
    assert result.objects == len(scene[1])


def test_coarse_scene_is_warned_of(tmp_path, package):
    make_scene(tmp_path / "coarse.tif", 60, 60, objects=[], transform=Affine(1, 0, 500000, 0, -1, 5300000))
    result = run(tmp_path / "coarse.tif", tmp_path / "coarse.gpkg", package)
    assert any("objects will be missed" in w for w in result.warnings)


def test_scene_without_crs_works_in_pixels_and_says_so(tmp_path, package):
    objects = make_scene(tmp_path / "plain.tif", crs=None)
    result = run(tmp_path / "plain.tif", tmp_path / "plain.gpkg", package)
    assert any("no CRS" in w and "as pixels" in w for w in result.warnings)
    np.testing.assert_allclose(boxes_of(result.output), ordered(objects))
    assert result.gsd is None
    with pytest.raises(UsageError, match=r"--gsd.*use --scale"):
        run(tmp_path / "plain.tif", tmp_path / "other.gpkg", package, gsd=0.2)


def test_tiles_of_nothing_but_nodata_are_skipped(tmp_path, package):
    objects = [(720, 20, 730, 30, 0), (800, 500, 812, 510, 1)]
    make_scene(tmp_path / "holes.tif", objects=objects, nodata=0, tiled=True, blockxsize=64, blockysize=64)
    with rasterio.open(tmp_path / "holes.tif", "r+") as data:
        pixels = data.read()
        pixels[:, :, :600] = 0
        data.write(pixels)
    with rasterio.open(tmp_path / "holes.tif", "r+") as data:
        data.build_overviews([2, 4])
    backend = PlantedBackend()
    result = run(tmp_path / "holes.tif", tmp_path / "holes.gpkg", package, backend=backend)
    assert result.tiles_skipped > 0 and result.tiles == backend.tiles
    np.testing.assert_allclose(boxes_of(result.output), ordered(np.array(objects)))


def test_scene_of_nothing_but_nodata_gives_an_empty_layer(tmp_path, package):
    make_scene(tmp_path / "void.tif", objects=[], nodata=10)
    result = run(tmp_path / "void.tif", tmp_path / "void.gpkg", package)
    assert (result.objects, result.tiles) == (0, 0)
    assert any("no tile holds a valid pixel" in w for w in result.warnings)
    assert (tmp_path / "void.gpkg").exists()


def test_classes_and_confidence(tmp_path, scene, package):
    path, objects = scene
    result = run(path, tmp_path / "boats.gpkg", package, classes="Boat")
    assert result.classes == {"boat": int((objects[:, 4] == 1).sum())}
    few = run(path, tmp_path / "sure.gpkg", package, confidence=0.8)
    assert 0 < few.objects < len(objects)
    assert gpd.read_file(few.output).score.min() >= 0.8
    with pytest.raises(UsageError, match=r"--classes plane: not a class .* car, boat"):
        run(path, tmp_path / "none.gpkg", package, classes="plane")


def test_bounds_read_only_their_tiles_and_keep_only_their_objects(tmp_path, scene, package):
    path, objects = scene
    centres = (objects[:, :2] + objects[:, 2:4]) / 2
    inside = ((centres >= [100, 100]) & (centres <= [260, 200])).all(1)
    box = [500000 + 100 * GSD, 5300000 - 200 * GSD, 500000 + 260 * GSD, 5300000 - 100 * GSD]
    backend = PlantedBackend()
    text = ",".join(map(str, box))
    result = run(path, tmp_path / "part.gpkg", package, backend=backend, bounds=text)
    np.testing.assert_allclose(boxes_of(result.output), ordered(objects[inside]))
    assert backend.tiles < 10
    area = gpd.GeoDataFrame(geometry=gpd.GeoSeries.from_wkt(["POLYGON EMPTY"]), crs=32633)
    area.geometry = gpd.GeoSeries([shapely.box(*box)], crs=32633)
    area.to_crs(3857).to_file(tmp_path / "aoi.gpkg", layer="zone")
    same = run(path, tmp_path / "same.gpkg", package, aoi=f"{tmp_path / 'aoi.gpkg'}:zone")
    np.testing.assert_allclose(boxes_of(same.output), ordered(objects[inside]))
    with pytest.raises(UsageError, match="not a known coordinate system"):
        run(path, tmp_path / "x.gpkg", package, bounds=text, bounds_crs="EPSG:nonsense")
    with pytest.raises(NssaError, match="does not meet the scene"):
        run(path, tmp_path / "x.gpkg", package, bounds="0,0,1,1")
    assert not (tmp_path / "x.gpkg").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"tile": 200}, "multiple of 64"), ({"tile": 128, "overlap": 100}, "at most 64"), ({"bands": "1,2,9"}, "bands")],
)
def test_options_that_do_not_fit(tmp_path, scene, package, options, words):
    with pytest.raises(UsageError, match=words):
        run(scene[0], tmp_path / "x.gpkg", package, **options)


def test_existing_output_is_kept_unless_told_otherwise(tmp_path, scene, package):
    output = tmp_path / "cars.gpkg"
    first = run(scene[0], output, package)
    with pytest.raises(NssaError, match="--overwrite"):
        run(scene[0], output, package)
    run(scene[0], output, package, overwrite=True)
    assert pyogrio.read_info(output)["features"] == first.objects
    run(scene[0], output, package, append=True)
    layer = gpd.read_file(output)
    assert len(layer) == 2 * first.objects
    assert layer.id.is_unique


def test_output_must_not_be_an_input(tmp_path, scene, package):
    with pytest.raises(UsageError, match="also an input"):
        run(scene[0], scene[0], package, overwrite=True, of="GPKG")


def test_output_driver_crs_and_geometry(tmp_path, scene, package):
    result = run(scene[0], tmp_path / "cars.geojson", package, geometry="point")
    layer = gpd.read_file(result.output)
    assert layer.crs.to_epsg() == 4326
    assert set(layer.geom_type) == {"Point"}
    run(scene[0], tmp_path / "web.fgb", package, t_crs="EPSG:3857")
    assert gpd.read_file(tmp_path / "web.fgb").crs.to_epsg() == 3857
    backend = PlantedBackend()
    for output, options in [("a.xyz", {}), ("a.gpkg", {"t_crs": "nonsense"}), ("a.gpkg", {"of": "PNG"})]:
        with pytest.raises(NssaError):
            run(scene[0], tmp_path / output, package, backend=backend, **options)
    assert backend.tiles == 0
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(("a.", ".a."))]


def test_no_input_is_written_over(tmp_path, scene, package):
    area = gpd.GeoDataFrame(geometry=[shapely.box(500000, 5299900, 500100, 5300000)], crs=32633)
    area.to_file(tmp_path / "aoi.gpkg", layer="zone")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for output, options in (
        (tmp_path / "aoi.gpkg", {"aoi": f"{tmp_path / 'aoi.gpkg'}:zone"}),
        (package.path, {"of": "GPKG"}),
    ):
        with pytest.raises(UsageError, match="also an input"):
            run(scene[0], output, package, overwrite=True, **options)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_far_too_coarse_scene_needs_a_word(tmp_path, package):
    make_scene(tmp_path / "coarse.tif", 60, 60, objects=[], transform=Affine(10, 0, 500000, 0, -10, 5300000))
    with pytest.raises(NssaError, match=r"coarse\.tif: its pixels are 10 m .*planted, made for 0.1 to 0.5 m"):
        run(tmp_path / "coarse.tif", tmp_path / "coarse.gpkg", package)
    assert run(tmp_path / "coarse.tif", tmp_path / "coarse.gpkg", package, scale=1).tiles == 1


@pytest.mark.parametrize("options", [{"gsd": 1e-9}, {"gsd": 1e-320}, {"gsd": 1e9}, {"scale": 1e-9}])
def test_absurd_working_grids_are_refused(tmp_path, scene, package, options):
    with pytest.raises(UsageError, match=f"--{next(iter(options))}"):
        run(scene[0], tmp_path / "out.gpkg", package, **options)


def test_area_errors_name_the_file(tmp_path, scene, package):
    area = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=32633)
    area.to_file(tmp_path / "far.gpkg")
    with pytest.raises(NssaError, match=r"far\.gpkg.*does not meet the scene"):
        run(scene[0], tmp_path / "out.gpkg", package, aoi=str(tmp_path / "far.gpkg"))


def test_what_belongs_to_the_detector_is_no_option_of_a_run(tmp_path, scene, package):
    for options in ({"model": "other"}, {"device": "cpu"}, {"threads": 2}):
        with pytest.raises(UsageError, match=f"no such option: {next(iter(options))}"):
            run(scene[0], tmp_path / "out.gpkg", package, **options)


def test_the_public_function_takes_a_detector_or_its_options(tmp_path, scene, package):
    detector = PlantedDetector(package)
    result = nssa_gis.detect(scene[0], tmp_path / "a.gpkg", detector=detector, classes="boat")
    assert set(result.classes) == {"boat"}
    with pytest.raises(UsageError, match="no such option: model"):
        nssa_gis.detect(scene[0], tmp_path / "b.gpkg", detector=detector, model="other")
    with pytest.raises(NssaError, match="no model 'other'"):
        nssa_gis.detect(scene[0], tmp_path / "b.gpkg", model="other")


def test_metadata_names_the_scene_the_model_and_what_was_chosen(tmp_path, scene, package, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("town.tif", "cars.gpkg", package, tile=128)
    text = (tmp_path / "cars.gpkg").read_bytes().decode("latin-1")
    assert str(tmp_path / "town.tif") in text
    assert package.digest in text
    assert "tile=128" in text
    assert "overlap=" not in text


def test_metadata_hold_no_password(tmp_path, scene, package):
    with zipfile.ZipFile(tmp_path / "sig=abc123.zip", "w") as archive:
        archive.write(scene[0], "town.tif")
    run(f"/vsizip/{tmp_path}/sig=abc123.zip/town.tif", tmp_path / "cars.gpkg", package)
    written = (tmp_path / "cars.gpkg").read_bytes()
    assert b"/vsizip/" in written and b"abc123" not in written


def test_names_that_cannot_be(tmp_path, scene, package):
    with pytest.raises(UsageError, match="empty"):
        run(scene[0], "", package)
    with pytest.raises(NssaError, match=r"a\\udcff\.gpkg.*rename the file"):
        run(scene[0], tmp_path / "a\udcff.gpkg", package)
