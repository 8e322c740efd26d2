"""Bands and values."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.raster.coverage import written_blocks
from nssa_gis.raster.radiometry import choose_bands, scaling_for
from nssa_gis.raster.scene import open_scene


def make(path, data, colours=None, names=None, mask=None, palette=None, **profile):
    options = {"driver": "GTiff", "count": len(data), "dtype": data.dtype, "crs": "EPSG:32631", **profile}
    options.setdefault("transform", rasterio.transform.from_origin(593270, 5747657, 0.25, 0.25))
    height, width = data.shape[1:]
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", height=height, width=width, **options) as file,
    ):
        if colours:
            file.colorinterp = [ColorInterp[c] for c in colours]
        if palette:
            file.write_colormap(1, palette)
        file.write(data)
        for band, name in enumerate(names or (), 1):
            file.set_band_description(band, name)
        if mask is not None:
            file.write_mask(mask)
    return path


def converted(path, wanted=3, asked=None, value_range=None):
    """Bands and the whole scene as the model sees it."""
    with open_scene(path) as scene:
        bands, _ = choose_bands(scene, asked, wanted)
        scaling = scaling_for(scene, bands, value_range)
        box = (0, 0, scene.frame.width, scene.frame.height)
        raw, valid = scene.read(scene.dataset, scaling.reads, box)
        pixels, valid = scaling.convert(raw, valid)
        return bands, scaling, pixels[list(scaling.channels)], valid


def ramp(count=1, dtype="uint16", low=0, high=1000, side=100):
    one = np.linspace(low, high, side * side).reshape(1, side, side)
    return np.repeat(one, count, axis=0).astype(dtype)


def test_uint8_stays(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, (3, 60, 50), np.uint8)
    bands, _, pixels, valid = converted(make(tmp_path / "a.tif", data, ("red", "green", "blue")))
    assert bands == (1, 2, 3) and valid is None
    np.testing.assert_array_equal(pixels, data)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("uint16", 100, 3000),
        ("int16", -3000, 2000),
        ("int32", -100_000, 90_000),
        ("uint32", 10, 4e9),
        ("float32", -0.5, 1.5),
        ("float64", 1e9, 1e9 + 50),
        ("int8", -100, 100),
    ],
)
def test_wide_values_are_stretched(tmp_path, dtype, low, high):
    path = make(tmp_path / "a.tif", ramp(3, dtype, low, high))
    _, scaling, pixels, valid = converted(path)
    assert valid is None
    span = high - low
    assert scaling.lo[0] == pytest.approx(low + 0.005 * span, abs=0.02 * span)
    assert scaling.hi[0] == pytest.approx(low + 0.995 * span, abs=0.02 * span)
    assert pixels.min() == 0 and pixels.max() == 255
    middle = pixels[0].ravel()[pixels[0].size // 2]
    assert abs(int(middle) - 128) < 4


def test_one_band_is_repeated(tmp_path):
    path = make(tmp_path / "a.tif", ramp())
    with open_scene(path) as scene:
        bands, warnings = choose_bands(scene, None, 3)
    assert bands == (1, 1, 1) and len(warnings) == 1
    _, scaling, pixels, _ = converted(path)
    assert scaling.reads == (1,)
    assert pixels.shape == (3, 100, 100) and (pixels[0] == pixels[2]).all()


def test_declared_colours_decide(tmp_path):
    data = ramp(4, "uint8", 0, 255)
    path = make(tmp_path / "a.tif", data, ("blue", "green", "red", "undefined"))
    with open_scene(path) as scene:
        assert choose_bands(scene, None, 3) == ((3, 2, 1), ())


def test_names_decide_where_colours_are_not_declared(tmp_path):
    names = ("Coastal", "Blue", "Green", "Yellow", "Red", "RedEdge", "NIR1", "NIR2")
    path = make(tmp_path / "a.tif", ramp(8), ("gray",) + ("undefined",) * 7, names)
    with open_scene(path) as scene:
        assert choose_bands(scene, None, 3) == ((5, 3, 2), ())


def test_many_bands_without_colours(tmp_path):
    path = make(tmp_path / "a.tif", ramp(8), ("gray",) + ("undefined",) * 7)
    with open_scene(path) as scene:
        bands, (warning,) = choose_bands(scene, None, 3)
        assert bands == (1, 2, 3) and "--bands" in warning
        assert choose_bands(scene, (5, 3, 2), 3) == ((5, 3, 2), ())
        assert choose_bands(scene, None, 4)[0] == (1, 2, 3, 4)


def test_wrong_choices(tmp_path):
    with open_scene(make(tmp_path / "a.tif", ramp(2))) as scene:
        with pytest.raises(NssaError, match="2 bands"):
            choose_bands(scene, None, 3)
        with pytest.raises(UsageError, match="bands 1 to 2"):
            choose_bands(scene, (1, 2, 3), 3)
        with pytest.raises(UsageError, match="needs 3"):
            choose_bands(scene, (1, 2), 3)
        assert choose_bands(scene, (2,), 3)[0] == (2, 2, 2)


def test_grey_with_alpha(tmp_path):
    data = ramp(2, "uint8", 1, 250)
    data[1] = 255
    data[1, :10] = 0
    bands, _, pixels, valid = converted(make(tmp_path / "a.tif", data, ("gray", "alpha")))
    assert bands == (1, 1, 1)
    assert not valid[:10].any() and valid[10:].all()
    assert (pixels[:, :10] == 0).all()


def test_nodata_does_not_count(tmp_path):
    data = ramp(1, "uint16", 1000, 2000)
    data[0, 40:60, 40:60] = 65535
    data[0, :30] = 65535
    _, scaling, pixels, valid = converted(make(tmp_path / "a.tif", data, nodata=65535))
    assert scaling.hi[0] < 2001
    assert (~valid).sum() == 20 * 20 + 30 * 100
    assert (pixels[:, ~valid] == 0).all()


def test_black_in_one_band_is_not_nodata(tmp_path):
    data = np.full((3, 20, 20), 90, np.uint8)
    data[2, 5] = 0
    data[:, 7] = 0
    _, _, _, valid = converted(make(tmp_path / "a.tif", data, ("red", "green", "blue"), nodata=0))
    assert valid[5].all() and not valid[7].any()


def test_nan_is_invalid_and_infinity_too(tmp_path):
    data = ramp(3, "float32", 0, 1)
    data[1, 3, 3] = np.nan
    data[0, 4, 4] = np.inf
    for nodata in (None, np.nan):
        path = make(tmp_path / f"{nodata}.tif", data, nodata=nodata)
        _, scaling, pixels, valid = converted(path)
        assert np.isfinite(scaling.lo + scaling.hi).all()
        assert not valid[3, 3] and not valid[4, 4] and valid.sum() == 10_000 - 2
        assert (pixels[:, 3, 3] == 0).all()


def test_float32_nodata(tmp_path):
    """The declared -3.4028234663852886e+38 is found although float64 and float32 write it differently."""
    data = ramp(1, "float32", 5, 10)
    data[0, :10] = np.finfo(np.float32).min
    _, _, _, valid = converted(make(tmp_path / "a.tif", data, nodata=float(np.finfo(np.float32).min)))
    assert not valid[:10].any() and valid[10:].all()


def test_mask_band(tmp_path):
    mask = np.full((100, 100), 255, np.uint8)
    mask[20:30] = 0
    path = make(tmp_path / "a.tif", ramp(3, "uint8", 1, 255), ("red", "green", "blue"), mask=mask)
    _, _, pixels, valid = converted(path)
    np.testing.assert_array_equal(valid, mask > 0)
    assert (pixels[:, 20:30] == 0).all()


def test_palette(tmp_path):
    data = np.array([[[0, 1, 2, 3]]], np.uint8)
    palette = {0: (0, 0, 0, 0), 1: (255, 0, 0, 255), 2: (10, 20, 30, 255), 3: (9, 8, 7, 255)}
    bands, _, pixels, valid = converted(make(tmp_path / "a.tif", data, palette=palette))
    assert bands == (1, 1, 1)
    np.testing.assert_array_equal(pixels[:, 0, 1:].T, [palette[i][:3] for i in (1, 2, 3)])
    # GeoTIFF keeps no opacity in a palette: only drivers that do can take a colour out.
    assert valid is None or not valid[0, 0]


def test_cmyk(tmp_path):
    data = np.zeros((4, 16, 16), np.uint8)
    data[0, :8] = 255
    data[3, :, 8:] = 255
    path = make(tmp_path / "a.tif", data, photometric="CMYK")
    bands, _, pixels, valid = converted(path)
    assert bands == (1, 2, 3) and valid is None
    assert pixels[:, 0, 0].tolist() == [0, 255, 255]
    assert pixels[:, 15, 0].tolist() == [255, 255, 255]
    assert pixels[:, 15, 15].tolist() == [0, 0, 0]


@pytest.mark.parametrize("photometric", ["YCbCr", "CMYK"])
def test_jpeg_in_tiff(tmp_path, photometric):
    count = 4 if photometric == "CMYK" else 3
    data = np.full((count, 64, 64), 40, np.uint8)
    data[0] = 200
    options = {"compress": "JPEG", "photometric": photometric, "interleave": "pixel", "jpeg_quality": 95}
    _, _, pixels, _ = converted(make(tmp_path / "a.tif", data, **options))
    expected = [200, 40, 40] if count == 3 else [46, 181, 181]
    assert np.abs(pixels.astype(int) - np.array(expected)[:, None, None]).max() <= 6


def test_all_nodata(tmp_path):
    path = make(tmp_path / "a.tif", np.zeros((1, 50, 50), np.uint16), nodata=0)
    _, scaling, pixels, valid = converted(path)
    assert (scaling.lo, scaling.hi) == ((0.0,), (1.0,))
    assert not valid.any() and not pixels.any()


def test_constant(tmp_path):
    _, _, pixels, _ = converted(make(tmp_path / "a.tif", np.full((1, 50, 50), 700, np.uint16)))
    assert (pixels == pixels.flat[0]).all()


def test_undeclared_collar_does_not_count(tmp_path):
    data = ramp(3, "uint16", 1000, 2000)
    data[:, :50] = 0
    _, scaling, _, valid = converted(make(tmp_path / "a.tif", data))
    assert scaling.lo[0] > 1400 and valid is None


def test_value_range_of_the_model(tmp_path):
    path = make(tmp_path / "a.tif", ramp(3, "uint16", 0, 4095), ("red", "green", "blue"))
    _, scaling, pixels, _ = converted(path, value_range=[(0, 2047)])
    assert scaling.hi == (2047.0,) * 3
    assert pixels[0, 50, 0] == 255 and pixels[0, 25, 0] == pytest.approx(127, abs=2)
    pairs = [(0, 1), (0, 2), (0, 3)]
    assert converted(path, value_range=pairs)[1].hi == (1.0, 2.0, 3.0)
    assert converted(path, asked=(3, 3, 1), value_range=pairs)[1].hi == (1.0, 3.0), "pairs are of the model's bands"
    with pytest.raises(UsageError, match="the first number must be below"):
        converted(path, value_range=[(5, 5)])
    with pytest.raises(UsageError, match="2 pairs"):
        converted(path, value_range=pairs[:2])
    eight = make(tmp_path / "b.tif", ramp(3, "uint8", 0, 255), ("red", "green", "blue"))
    assert converted(eight, value_range=[(0, 2047)])[1].lo == ()


def test_large_scene_is_sampled_not_read(tmp_path):
    """A sparse scene of 1.6e9 pixels with one written corner: the statistics find that corner."""
    path = tmp_path / "a.tif"
    options = {"driver": "GTiff", "width": 40_000, "height": 40_000, "count": 1, "dtype": "uint16"}
    with rasterio.open(path, "w", tiled=True, SPARSE_OK=True, compress="deflate", **options) as file:
        file.write(ramp(1, "uint16", 500, 900, 1000), window=Window(30_000, 20_000, 1000, 1000))
    with open_scene(path) as scene:
        assert written_blocks(scene, (1,)).sum() == 25
        scaling = scaling_for(scene, (1, 1, 1))
    assert 495 < scaling.lo[0] < 510 and 890 < scaling.hi[0] < 905


def test_large_striped_scene(tmp_path):
    path = tmp_path / "a.tif"
    options = {"driver": "GTiff", "width": 5000, "height": 4000, "count": 1, "dtype": "uint16"}
    rows = np.linspace(100, 1100, 4000)[:, None]
    with rasterio.open(path, "w", **options) as file:
        file.write(np.broadcast_to(rows, (4000, 5000)).astype(np.uint16), 1)
    with open_scene(path) as scene:
        scaling = scaling_for(scene, (1, 1, 1))
    assert scaling.lo[0] == pytest.approx(105, abs=10) and scaling.hi[0] == pytest.approx(1095, abs=10)


def test_overview_statistics(tmp_path):
    path = make(tmp_path / "a.tif", ramp(1, "uint16", 0, 1000, 3000), tiled=True)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8], rasterio.enums.Resampling.average)
    scaling = converted(path)[1]
    assert scaling.lo[0] == pytest.approx(5, abs=2) and scaling.hi[0] == pytest.approx(995, abs=2)
