"""Folders as people have them: which files are scenes, and what their layers are called."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy

from nssa_gis.pictures.preview import preview
from nssa_gis.scenes.batch import run_batch
from nssa_gis.scenes.finding import Found, NothingReadable, find_scenes, output_names
from nssa_gis.testing import PlantedDetector, make_scene

OBJECT = [(10, 10, 20, 20, 0)]


@pytest.fixture
def flights(tmp_path):
    folder = tmp_path / "flights"
    (folder / "more").mkdir(parents=True)
    for name in ("b.tif", "a.TIF", "more/c.tif"):
        make_scene(folder / name, 100, 80, objects=OBJECT)
    (folder / "readme.txt").write_text("hello")
    return folder


def paths(*inputs):
    return [one.path for one in find_scenes(list(map(str, inputs))).scenes]


def names(*inputs):
    found = find_scenes(list(map(str, inputs))).scenes
    return {one.path: path.name for one, path in zip(found, output_names(found, Path("out"), ".gpkg"), strict=True)}


def test_scenes_of_folders_patterns_and_files(flights):
    assert paths(flights) == [str(flights / "a.TIF"), str(flights / "b.tif")]
    assert paths(flights / "**" / "*.tif") == [str(flights / "b.tif"), str(flights / "more" / "c.tif")]
    assert paths(flights / "b.tif", flights) == [str(flights / "b.tif"), str(flights / "a.TIF")]
    assert paths(flights / "b.tif", flights / "more" / ".." / "b.tif") == [str(flights / "b.tif")]
    assert paths("/vsicurl/http://x/a.tif") == ["/vsicurl/http://x/a.tif"]
    for nothing in ([flights / "*.png"], []):
        with pytest.raises(NothingReadable, match=r"no scene found.*\*\*"):
            find_scenes([str(p) for p in nothing])


def test_a_folder_that_has_images_in_subfolders_says_so(flights):
    (note,) = find_scenes([flights]).notes
    assert "1 image in its subfolders left out" in note
    assert f"'{flights}/**/*.tif'" in note
    (flights / "b.tif").unlink()
    (flights / "a.TIF").unlink()
    with pytest.raises(NothingReadable, match=r"1 image in its subfolders"):
        find_scenes([flights])


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("ENVI", "a.dat"),
        ("ENVI", "a"),
        ("EHdr", "raw.bil"),
        ("GPKG", "tiles.gpkg"),
        ("BMP", "old.bmp"),
        ("HFA", "erdas.img"),
        ("PCIDSK", "x.pix"),
        ("WEBP", "x.webp"),
        ("MBTiles", "x.mbtiles"),
        ("RST", "x.rst"),
        ("Zarr", "x.zarr"),
    ],
)
def test_every_format_is_a_scene_and_its_parts_are_none(tmp_path, driver, name):
    make_scene(tmp_path / "b.tif", 128, 128, objects=OBJECT)
    try:
        copy(tmp_path / "b.tif", tmp_path / name, driver=driver)
    except rasterio.errors.RasterioError:
        pytest.skip("this GDAL cannot write it")
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(tmp_path / "b.tif", "r+") as data:
        data.build_overviews([2])
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(tmp_path / "b.tif", "r+") as data:
        data.write_mask(np.full((128, 128), 255, np.uint8))
    assert (tmp_path / "b.tif.ovr").exists()
    assert (tmp_path / "b.tif.msk").exists()
    assert paths(tmp_path) == sorted([str(tmp_path / name), str(tmp_path / "b.tif")])


def test_litter_is_no_scene(flights):
    for name in ("._b.tif", ".hidden.png", "Thumbs.db", "thumbs.tif~", ".ipynb_checkpoints/x.tif", "__MACOSX/x.tif"):
        (flights / name).parent.mkdir(exist_ok=True)
        (flights / name).write_text("x")
    (flights / "@eaDir").mkdir()
    make_scene(flights / "@eaDir" / "b.tif", 100, 80)
    assert paths(flights) == [str(flights / "a.TIF"), str(flights / "b.tif")]
    assert paths(flights / "**" / "*.tif") == [str(flights / "b.tif"), str(flights / "more" / "c.tif")]
    assert "1 image in" in find_scenes([flights]).notes[0]


def test_what_is_left_out_is_named(flights):
    (flights / "delivery.zip").write_text("packed")
    (flights / "heights.xyz").write_text("".join(f"{x} {y} 5\n" for y in range(4) for x in range(4)))
    assert paths(flights) == [str(flights / "a.TIF"), str(flights / "b.tif")]
    assert "left out delivery.zip, heights.xyz" in find_scenes([flights]).notes[0]


@pytest.mark.parametrize("name", ["x.ecw", "x.sid", "x.kea"])
def test_a_format_without_a_driver_is_told(flights, name):
    (flights / name).write_bytes(b"\x01\x02" * 500)
    result = run_batch(PlantedDetector(), [flights], flights.parent / "out")
    (bad,) = [outcome for outcome in result.outcomes if outcome.status != "done"]
    assert bad.scene.endswith(name)
    assert "cannot read the format (its GDAL has no driver" in bad.message
    assert "convert it to GeoTIFF" in bad.message


def test_pictures_drawn_here_are_no_scenes(flights):
    out = flights
    run_batch(PlantedDetector(), [flights / "b.tif"], out)
    preview(flights / "b.tif", out / "b.gpkg", out / "b.png")
    make_scene(flights / "photo.png", 100, 80, driver="PNG", crs=None, transform=None)
    assert paths(flights) == [str(flights / name) for name in ("a.TIF", "b.tif", "photo.png")]
    assert paths(flights / "*.png") == [str(flights / "photo.png")]


def test_a_name_does_not_depend_on_what_else_is_there(tmp_path):
    """A TIFF keeps its name beside a picture of the same name; below a pattern the folders come first, always."""
    (tmp_path / "one" / "odm_orthophoto").mkdir(parents=True)
    (tmp_path / "two" / "odm_orthophoto").mkdir(parents=True)
    make_scene(tmp_path / "one" / "odm_orthophoto" / "odm_orthophoto.tif", 50, 50)
    pattern = tmp_path / "*" / "odm_orthophoto" / "odm_orthophoto.tif"
    assert set(names(pattern).values()) == {"one_odm_orthophoto.gpkg"}
    make_scene(tmp_path / "two" / "odm_orthophoto" / "odm_orthophoto.tif", 50, 50)
    assert set(names(pattern).values()) == {"one_odm_orthophoto.gpkg", "two_odm_orthophoto.gpkg"}
    folder = tmp_path / "one" / "odm_orthophoto"
    make_scene(folder / "odm_orthophoto.jpg", 50, 50, driver="JPEG", crs=None, transform=None)
    assert sorted(names(folder).values()) == ["odm_orthophoto.gpkg", "odm_orthophoto_jpg.gpkg"]
    assert names(folder)[str(folder / "odm_orthophoto.tif")] == "odm_orthophoto.gpkg"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["x/a.tif", "y/a.tif", "y/a.png", "b.tif"], ["x_a", "y_a", "y_a_png", "b"]),
        (["p/x/a.tif", "q/x/a.tif"], ["p_x_a", "q_x_a"]),
        (["p/x/A.tif", "q/x/a.tif"], ["p_x_A", "q_x_a"]),
        (["s/1/odm/odm.tif", "s/2/odm/odm.tif"], ["1_odm", "2_odm"]),
        (["tile_0.tif", "tile_0.vrt"], ["tile_0", "tile_0_vrt"]),
        (["http://h/d/a.tif?token=1", "GPKG:d/f.gpkg:t", "GPKG:d/f.gpkg:u"], ["a", "f_gpkg_t", "f_gpkg_u"]),
        (["/vsizip/d.zip/a.tif", "d/a.tif"], None),
        (["a_b/c.tif", "a/b_c.tif", "x/c.tif", "x/b_c.tif"], None),
        (["x" * 240 + ".tif", "x" * 241 + ".tif"], None),
        (["ä.tif", "Ä.tif", "ä.TIF"], None),
    ],
)
def test_layers_never_share_a_name(given, wanted):
    found = [path.name for path in output_names([Found(path) for path in given], Path("out"), ".gpkg")]
    assert len({name.casefold() for name in found}) == len(given)
    assert max(len(name.encode()) for name in found) <= 190
    if wanted is not None:
        assert found == [name + ".gpkg" for name in wanted]
