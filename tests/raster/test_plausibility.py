"""What a file says of itself is checked against its pixels: strips, overviews, alpha, inverted grey, collars."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp, Resampling

from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.run import find_objects
from nssa_gis.errors import NssaError
from nssa_gis.geo.grid import TileGrid
from nssa_gis.raster.coverage import choose_overview, empty_tiles, written_blocks
from nssa_gis.raster.radiometry import scaling_for
from nssa_gis.raster.scene import open_scene
from nssa_gis.testing import PlantedDetector

PLACE = {"crs": "EPSG:32633", "transform": Affine(0.25, 0, 500000, 0, -0.25, 5300000)}


def write(path, pixels, **options):
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=count, dtype=pixels.dtype, **PLACE | options
    ) as data:
        data.write(pixels)
    return path


def smooth(count=3, height=512, width=512, seed=0, low=40, high=200):
    """An image without sharp edges, so that every good overview is near its means."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(low, high, (count, height // 32 + 2, width // 32 + 2))
    fine = coarse.repeat(32, axis=1).repeat(32, axis=2)
    kernel = np.ones(33) / 33
    for axis in (1, 2):
        fine = np.apply_along_axis(np.convolve, axis, fine, kernel, "same")
    return fine[:, 16 : 16 + height, 16 : 16 + width]


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("compress", [None, "deflate", "lzw"])
def test_one_tall_strip_is_not_taken_for_a_sparse_file(tmp_path, interleave, compress):
    pixels = np.zeros((3, 2600, 64), np.uint8)
    pixels[0, 2500:2510, 20:30] = 250
    path = write(tmp_path / "a.tif", pixels, tiled=False, blockysize=2600, interleave=interleave, compress=compress)
    with open_scene(path) as scene:
        assert written_blocks(scene, (1, 2, 3)) is None
        found = find_objects(PlantedDetector(), scene)
    np.testing.assert_allclose(found.boxes, [[20, 2500, 30, 2510]])


LAYOUTS = st.fixed_dictionaries(
    {
        "interleave": st.sampled_from(["pixel", "band"]),
        "compress": st.sampled_from([None, "deflate", "lzw", "packbits", "zstd"]),
        "blocks": st.sampled_from([None, 16, 64, 256, "strip", "rows"]),
        "sparse": st.booleans(),
        "bigtiff": st.sampled_from(["NO", "YES"]),
        "nodata": st.sampled_from([None, 0, 10, 255]),
        "overviews": st.sampled_from([None, "average", "nearest"]),
        "mask": st.booleans(),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=LAYOUTS, x=st.integers(0, 480), y=st.integers(0, 2180))
def test_no_layout_changes_what_is_found(tmp_path, layout, x, y):
    """Two planted objects in a tall image, in any layout that GDAL writes, with nodata, overviews and masks."""
    # GDAL itself cannot read the internal mask of a tall compressed strip ("Invalid strip byte count"): loud, not lost
    assume(not (layout["mask"] and layout["blocks"] == "strip"))
    width, height = 500, 2200
    pixels = np.full((3, height, width), 60, np.uint8)
    pixels[:, : height // 3] = 0 if layout["sparse"] else 60
    boxes = [[x, y, x + 12, y + 9], [200, 1500, 214, 1512]]
    for x0, y0, x1, y1 in boxes:
        pixels[0, y0:y1, x0:x1] = 250
    options = {"interleave": layout["interleave"], "compress": layout["compress"], "BIGTIFF": layout["bigtiff"]}
    options |= {"SPARSE_OK": layout["sparse"], "nodata": layout["nodata"]}
    blocks = layout["blocks"]
    if isinstance(blocks, int):
        options |= {"tiled": True, "blockxsize": blocks, "blockysize": blocks}
    elif blocks is not None:
        options |= {"tiled": False, "blockysize": height if blocks == "strip" else 1}
    path = tmp_path / "a.tif"
    write(path, pixels, **options)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as data:
        if layout["mask"]:
            data.write_mask(np.full((height, width), 255, np.uint8))
        if layout["overviews"]:
            data.build_overviews([2, 4, 8], Resampling[layout["overviews"]])
    with open_scene(path) as scene:
        found = find_objects(PlantedDetector(), scene)
    got, wanted = (np.array(sorted(np.asarray(b).tolist())) for b in (found.boxes, boxes))
    overlap = abs(x - 200) < 16 and abs(y - 1500) < 14
    if not overlap:
        np.testing.assert_allclose(got, wanted)


def overviews_of(path, levels=(2, 4), how=Resampling.average):
    with rasterio.open(path, "r+") as data:
        data.build_overviews(list(levels), how)


def test_overviews_that_call_pixels_nodata_are_not_believed(tmp_path):
    pixels = smooth().astype(np.uint8)
    path = write(tmp_path / "a.tif", np.zeros_like(pixels), nodata=0, tiled=True, blockxsize=128, blockysize=128)
    overviews_of(path)
    with rasterio.open(path, "r+") as data:
        data.write(pixels)
    with open_scene(path) as scene:
        empty, warnings = empty_tiles(scene, TileGrid(512, 512, 128), (1, 2, 3))
    assert not empty.any()
    assert "overviews" in warnings[0] and str(path) in warnings[0]


def test_good_overviews_still_save_the_empty_part(tmp_path):
    pixels = smooth().astype(np.uint8)
    pixels[:, :, 256:] = 0
    path = write(tmp_path / "a.tif", pixels, nodata=0, tiled=True, blockxsize=128, blockysize=128)
    overviews_of(path)
    with open_scene(path) as scene:
        empty, warnings = empty_tiles(scene, TileGrid(512, 512, 64), (1, 2, 3))
    assert warnings == () and empty.reshape(8, 8)[:, 5:].all() and not empty.reshape(8, 8)[:, :4].any()


@pytest.mark.parametrize("how", ["average", "bilinear", "cubic", "gauss"])
def test_good_overviews_are_read_where_the_scene_shrinks(tmp_path, how):
    path = write(tmp_path / "a.tif", smooth().astype(np.uint8))
    overviews_of(path, how=Resampling[how])
    with open_scene(path) as scene:
        assert choose_overview(scene, TileGrid(128, 128, 64), (1, 2, 3)) == (0, ())
        assert choose_overview(scene, TileGrid(512, 512, 64), (1, 2, 3)) == (None, ())


def test_overviews_of_another_image_are_not_read_and_this_is_said(tmp_path):
    path = write(tmp_path / "a.tif", smooth(seed=1).astype(np.uint8))
    overviews_of(path)
    with rasterio.open(path, "r+") as data:
        data.write(smooth(seed=2).astype(np.uint8))
    with open_scene(path) as scene:
        level, warnings = choose_overview(scene, TileGrid(128, 128, 64), (1, 2, 3))
    assert level is None and "they show another image" in warnings[0]


def test_the_scaling_comes_from_the_pixels_not_from_an_overview(tmp_path):
    wanted = write(tmp_path / "plain.tif", smooth(1, low=1000, high=3000).astype(np.uint16))
    path = write(tmp_path / "a.tif", smooth(1, low=20000, high=30000).astype(np.uint16))
    overviews_of(path)
    with rasterio.open(path, "r+") as data:
        data.write(smooth(1, low=1000, high=3000).astype(np.uint16))
    with open_scene(wanted) as plain, open_scene(path) as scene:
        assert scaling_for(scene, (1,)).lo == scaling_for(plain, (1,)).lo
        assert scaling_for(scene, (1,)).hi == scaling_for(plain, (1,)).hi


def test_an_alpha_that_is_near_infrared_is_no_mask(tmp_path):
    pixels = np.concatenate([smooth(), smooth(1, seed=5, low=-100, high=250).clip(0)]).astype(np.uint8)
    path = write(tmp_path / "a.tif", pixels, photometric="RGB")
    with rasterio.open(path, "r+") as data:
        data.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    with open_scene(path) as scene:
        assert scene.alpha is None and not scene.masked
        assert "band 4" in scene.notes[0] and "varies like an image" in scene.notes[0]
        assert scene.read(scene.dataset, (1, 2, 3), (0, 0, 512, 512))[1] is None


@pytest.mark.parametrize("edge", [0, 3, 12])
def test_a_true_alpha_stays_a_mask_unless_it_is_asked_for(tmp_path, edge):
    column = np.clip(255 - 255 * (np.arange(512) - 300) / max(edge, 0.5), 0, 255)
    opacity = np.broadcast_to(column, (1, 512, 512))
    path = write(tmp_path / "a.tif", np.concatenate([smooth(), opacity]).astype(np.uint8), photometric="RGB")
    with rasterio.open(path, "r+") as data:
        data.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    with open_scene(path) as scene:
        assert (scene.alpha, scene.notes) == (4, ())
        valid = scene.read(scene.dataset, (1, 2, 3), (0, 0, 512, 512))[1]
        assert valid[:, :300].all() and not valid[:, 320:].any()
        assert scene.read(scene.dataset, (4, 1, 2), (0, 0, 512, 512))[1] is None
    with open_scene(path, use_alpha=False) as scene:
        assert not scene.masked and scene.read(scene.dataset, (1, 2, 3), (0, 0, 512, 512))[1] is None


@pytest.mark.parametrize(("dtype", "top"), [("uint8", 255), ("uint16", 65535)])
def test_white_stored_as_zero_is_turned_round(tmp_path, dtype, top):
    shown = (smooth(1) * (top // 255)).astype(dtype)
    path = write(tmp_path / "a.tif", top - shown, photometric="MINISWHITE")
    with open_scene(path) as scene:
        pixels, valid = scene.read(scene.dataset, (1,), (0, 0, 512, 512))
    assert valid is None and pixels.dtype == dtype
    np.testing.assert_array_equal(pixels, shown)


@pytest.mark.parametrize(
    ("dtype", "collar"),
    [("int16", -9999), ("int16", -32768), ("uint16", 65535), ("float32", -3.4e38), ("float32", 1e30)],
)
def test_an_undeclared_collar_is_left_out_of_the_scaling(tmp_path, dtype, collar):
    values = smooth(3, low=400, high=2400).astype(dtype)
    framed = values.copy()
    framed[:, :, :100] = collar
    with (
        open_scene(write(tmp_path / "a.tif", framed)) as scene,
        open_scene(write(tmp_path / "b.tif", framed, nodata=np.array(collar, dtype).item())) as declared,
    ):
        scaling, wanted = scaling_for(scene, (1, 2, 3)), scaling_for(declared, (1, 2, 3))
    assert (scaling.lo, scaling.hi) == (wanted.lo, wanted.hi)
    assert "20%" in scaling.warnings[0] and "not declared as nodata" in scaling.warnings[0]
    assert wanted.warnings == ()


def test_a_scene_without_a_collar_is_not_suspected(tmp_path):
    values = smooth(3, low=400, high=2400).astype(np.uint16)
    values[:, :40, :40] = 4095  # a white roof: saturated, but not much of it
    with open_scene(write(tmp_path / "a.tif", values)) as scene:
        assert scaling_for(scene, (1, 2, 3)).warnings == ()


def test_further_images_of_a_file_are_told(tmp_path):
    path = write(tmp_path / "a.tif", smooth().astype(np.uint8))
    write(path, smooth(seed=3).astype(np.uint8), APPEND_SUBDATASET="YES")
    with open_scene(path) as scene:
        assert "holds 2 images and only the first one is used" in scene.notes[0]
        assert f"GTIFF_DIR:2:{path}" in scene.notes[0]
    plain = write(tmp_path / "b.tif", smooth().astype(np.uint8))
    overviews_of(plain)
    with open_scene(plain) as scene:
        assert scene.notes == ()


def test_a_compression_that_is_missing_is_not_called_damage(tmp_path):
    path = write(tmp_path / "a.tif", smooth().astype(np.uint8), compress="deflate", ENDIANNESS="LITTLE")
    data = bytearray(path.read_bytes())
    start = int.from_bytes(data[4:8], "little")
    for number in range(int.from_bytes(data[start : start + 2], "little")):
        place = start + 2 + 12 * number
        if int.from_bytes(data[place : place + 2], "little") == 259:
            data[place + 8 : place + 10] = (34661).to_bytes(2, "little")  # JBIG
    path.write_bytes(data)
    with pytest.raises(NssaError, match="cannot read its compression") as caught, open_scene(path) as scene:
        find_objects(PlantedDetector(), scene, DetectOptions())
    assert "damaged" not in str(caught.value)
