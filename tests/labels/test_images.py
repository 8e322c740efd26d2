"""A labelled image is read as a detection reads its scene."""

import numpy as np
import pytest
import rasterio
from PIL import Image

from nssa_gis.errors import NssaError
from nssa_gis.geo.grid import TileGrid
from nssa_gis.labels.frames import read_header
from nssa_gis.labels.images import labelled_image, read_pixels
from nssa_gis.labels.table import Entry
from nssa_gis.raster import whole
from nssa_gis.raster.radiometry import choose_bands, scaling_for
from nssa_gis.raster.reader import TileReader
from nssa_gis.raster.scene import open_scene

RNG = np.random.default_rng(3)
COLOURS = np.kron(RNG.integers(0, 256, (10, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
HEIGHT, WIDTH = COLOURS.shape[:2]


def geotiff(path, pixels, **profile):
    settings = {"driver": "GTiff", "count": len(pixels), "dtype": pixels.dtype, "height": HEIGHT, "width": WIDTH}
    settings |= {"crs": "EPSG:32633", "transform": rasterio.Affine(0.25, 0, 500000, 0, -0.25, 5300000)}
    with rasterio.open(path, "w", **settings | profile) as data:
        data.write(pixels)
    return path


def sixteen_bit(path):
    return geotiff(path, (COLOURS.transpose(2, 0, 1).astype(np.uint16) * 9 + 500))


def float_with_nan(path):
    pixels = COLOURS.transpose(2, 0, 1) / np.float32(255)
    pixels[:, :20, :30] = np.nan
    return geotiff(path, pixels)


def nodata(path):
    pixels = COLOURS.transpose(2, 0, 1).copy()
    pixels[:, 50:] = 7
    return geotiff(path, pixels, nodata=7)


def saved(mode, **settings):
    def make(path):
        Image.fromarray(COLOURS).convert(mode).save(path, **settings)
        return path

    return make


def turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me by 90 degrees"
    Image.fromarray(COLOURS).save(path, exif=exif, quality=95)
    return path


def see_through(path):
    Image.fromarray(np.dstack((COLOURS, np.where(COLOURS[..., 0] > 40, 255, 0).astype(np.uint8)))).save(path)
    return path


KINDS = {
    "rgb.png": saved("RGB"),
    "grey.png": saved("L"),
    "palette.png": saved("P"),
    "cmyk.jpg": saved("CMYK", quality=95),
    "turned.jpg": turned,
    "alpha.png": see_through,
    "16bit.tif": sixteen_bit,
    "float.tif": float_with_nan,
    "nodata.tif": nodata,
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (WIDTH * 5 // 8, HEIGHT * 5 // 8), (WIDTH * 2 - 1, HEIGHT * 2)])
def test_pixels_are_those_of_a_detection(tmp_path, monkeypatch, name, size):
    path = KINDS[name](tmp_path / name)
    monkeypatch.setattr(whole, "_CHUNK", 700)  # several strips
    pixels = read_pixels(path, *size)
    with open_scene(path) as scene:
        bands, _ = choose_bands(scene, None, 3)
        grid = TileGrid(*size, 256, 64, 32)
        (batch,) = TileReader(scene, grid, bands=bands, scaling=scaling_for(scene, bands))
    np.testing.assert_array_equal(pixels, batch.pixels[0, :, : size[1], : size[0]])
    assert pixels.std() > 20


def test_colours_are_those_of_the_file(tmp_path):
    for name in ("rgb.png", "cmyk.jpg"):
        path = KINDS[name](tmp_path / name)
        with Image.open(path) as opened:
            np.testing.assert_array_equal(
                read_pixels(path, WIDTH, HEIGHT), np.array(opened.convert("RGB")).transpose(2, 0, 1)
            )


def test_boxes_refer_to_the_pixels_as_they_are_stored(tmp_path):
    path = turned(tmp_path / "turned.jpg")
    assert read_header(path).size == (WIDTH, HEIGHT)
    entry = Entry(path, path.name, np.array([[8.0, 16, 24, 32]]), np.zeros(1, np.int64))
    image = labelled_image(entry, np.array([0]), np.zeros(1, bool), 0.25, 0.25)
    assert image.pixels.shape == (3, HEIGHT, WIDTH)
    assert image.boxes.tolist() == [[8, 16, 24, 32]]
    assert np.abs(image.pixels.transpose(1, 2, 0).astype(int) - COLOURS).mean() < 12


def test_an_unreadable_image_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    for read in (read_header, lambda path: read_pixels(path, 10, 10)):
        with pytest.raises(NssaError, match=r"a\.png: not an image"):
            read(tmp_path / "a.png")
