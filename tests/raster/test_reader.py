"""Tiles: right pixels, in order, whatever the threads; nothing read where nothing is."""

import threading
import time

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.env import get_gdal_config
from rasterio.windows import Window

from nssa_gis.errors import NssaError
from nssa_gis.geo.grid import TileGrid
from nssa_gis.raster.coverage import choose_overview, empty_tiles
from nssa_gis.raster.radiometry import choose_bands, scaling_for
from nssa_gis.raster.reader import TileReader
from nssa_gis.raster.resample import resample, taps
from nssa_gis.raster.scene import open_scene


def make(path, data, mask=None, **profile):
    options = {"driver": "GTiff", "count": len(data), "dtype": data.dtype, **profile}
    options.setdefault("transform", Affine(0.25, 0, 593270, 0, -0.25, 5747657))
    options.setdefault("crs", "EPSG:32631")
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", height=data.shape[1], width=data.shape[2], **options) as file,
    ):
        file.write(data)
        if mask is not None:
            file.write_mask(mask)
    return path


def picture(height=700, width=900, count=3, seed=0):
    """Noise with structure, never 0."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 256, (count, height, width)).astype(np.uint8)


TILED = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"}


@pytest.fixture(scope="module")
def scene_path(tmp_path_factory):
    return make(tmp_path_factory.mktemp("scene") / "scene.tif", picture(), **TILED)


def read_all(path, grid, wanted=3, **options):
    """All batches, and the reader; tiles known to be empty are left out, as a plan does."""
    with open_scene(path) as scene:
        bands, _ = choose_bands(scene, None, wanted)
        scaling = scaling_for(scene, bands)
        options.setdefault("ids", np.flatnonzero(~empty_tiles(scene, grid, scaling.reads)[0]))
        overview, _ = choose_overview(scene, grid, scaling.reads)
        with TileReader(scene, grid, bands=bands, scaling=scaling, overview=overview, **options) as reader:
            return list(reader), reader


def mosaic(batches, grid, channels=3):
    """Tiles laid over each other; asserts that they agree wherever they overlap."""
    image = np.full((channels, grid.height + grid.tile, grid.width + grid.tile), -1, np.int16)
    for batch in batches:
        for tile, window in zip(batch.pixels, grid.windows(batch.ids), strict=True):
            x0, y0, x1, y1 = window
            there = image[:, y0:y1, x0:x1]
            seen = there >= 0
            assert (there[seen] == tile[seen]).all()
            there[:] = tile
    return image[:, : grid.height, : grid.width]


@pytest.mark.parametrize("options", [TILED, {}, {"interleave": "pixel"}, {"tiled": True}], ids=str)
def test_own_resolution_is_the_file(tmp_path, options):
    data = picture()
    grid = TileGrid(900, 700, 256, 64, 32)
    batches, _ = read_all(make(tmp_path / "a.tif", data, **options), grid)
    np.testing.assert_array_equal(mosaic(batches, grid), data)
    assert np.concatenate([b.ids for b in batches]).tolist() == list(range(len(grid)))


def test_batches(scene_path):
    grid = TileGrid(900, 700, 256, 64, 32)
    batches, _ = read_all(scene_path, grid, batch_size=4)
    sizes = [len(b.ids) for b in batches]
    assert sizes == [4] * (len(grid) // 4) + ([len(grid) % 4] if len(grid) % 4 else [])
    for batch in batches:
        assert batch.pixels.shape == (len(batch.ids), 3, 256, 256)
        assert batch.pixels.dtype == np.uint8 and batch.pixels.flags.c_contiguous
        hang = (grid.windows(batch.ids)[:, 2:] > (900, 700)).any()
        assert (batch.valid is None) == (not hang)
        if batch.valid is not None:
            assert batch.valid.shape == (len(batch.ids), 256, 256)
            assert (batch.pixels[:, 0][~batch.valid] == 0).all()


def test_scene_smaller_than_a_tile(tmp_path):
    data = picture(40, 30)
    (batch,), _ = read_all(make(tmp_path / "a.tif", data), TileGrid(30, 40, 128, 32, 32))
    np.testing.assert_array_equal(batch.pixels[0, :, :40, :30], data)
    assert batch.valid[0, :40, :30].all() and batch.valid.sum() == 1200
    assert not batch.pixels[0, :, 40:].any()


def test_one_pixel(tmp_path):
    (batch,), _ = read_all(make(tmp_path / "a.tif", np.full((3, 1, 1), 7, np.uint8)), TileGrid(5, 3, 32))
    assert (batch.pixels[0, :, :3, :5] == 7).all()


@pytest.mark.parametrize("size", [(900, 700), (450, 350), (371, 299), (899, 699), (1800, 1400), (1111, 803), (90, 803)])
def test_threads_and_batches_change_nothing(scene_path, size):
    grid = TileGrid(*size, 128, 32, 32)
    one, _ = read_all(scene_path, grid, batch_size=1, workers=1, prefetch=0)
    many, _ = read_all(scene_path, grid, batch_size=7, workers=6, prefetch=3)
    np.testing.assert_array_equal(np.concatenate([b.pixels for b in one]), np.concatenate([b.pixels for b in many]))
    whole = mosaic(one, grid)
    other = TileGrid(*size, 320, 64, 32)
    np.testing.assert_array_equal(mosaic(read_all(scene_path, other)[0], other), whole)


def test_half_size_is_the_mean_of_four(scene_path):
    grid = TileGrid(450, 350, 128, 32, 32)
    means = picture().reshape(3, 350, 2, 450, 2).mean(axis=(2, 4))
    assert np.abs(mosaic(read_all(scene_path, grid)[0], grid) - means).max() <= 0.5


def test_shrinking_is_the_exact_area_average(scene_path):
    grid = TileGrid(371, 299, 128, 32, 32)
    rows, cols = overlaps(700, 299), overlaps(900, 371)
    expected = rows @ picture().astype(float) @ cols.T
    assert np.abs(mosaic(read_all(scene_path, grid)[0], grid) - expected).max() <= 0.51


def overlaps(source, target):
    """Share of each source pixel in each target pixel, by brute force."""
    edges = np.arange(target + 1) * source / target
    low, high = (
        np.maximum(edges[:-1, None], np.arange(source)),
        np.minimum(edges[1:, None], np.arange(source) + 1),
    )
    return np.clip(high - low, 0, None) / (source / target)


def test_enlarging_keeps_a_plane(tmp_path):
    """Bilinear is exact on a plane: no shift by half a pixel."""
    x, y = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    plane = np.stack([2 * x, 3 * y, x + y]).round().astype(np.uint8)
    grid = TileGrid(320, 180, 64, 32, 32)
    got = mosaic(read_all(make(tmp_path / "a.tif", plane), grid)[0], grid)
    u, v = np.meshgrid((np.arange(320) + 0.5) / 4, (np.arange(180) + 0.5) / 3)
    inside = (slice(None), slice(3, -3), slice(4, -4))
    assert np.abs(got - np.stack([2 * u, 3 * v, u + v]))[inside].max() <= 1.01


@given(st.integers(1, 300), st.integers(1, 300), st.data())
@settings(max_examples=150, deadline=None)
def test_taps(source, target, data):
    first = data.draw(st.integers(0, target - 1))
    last = data.draw(st.integers(first + 1, target))
    part = taps(source, target, first, last)
    np.testing.assert_allclose(part.weight.sum(axis=1), 1, atol=1e-5)
    assert part.low >= 0 and part.high <= source
    assert part.index.min() >= 0 and part.index.max() < part.high - part.low
    whole = taps(source, target, 0, target)
    dense = np.zeros((2, last - first, source))
    for out, t, run in ((dense[0], part, slice(None)), (dense[1], whole, slice(first, last))):
        index, weight = t.index[run] + t.low, t.weight[run]
        np.add.at(out, (np.arange(last - first)[:, None], index), weight)
    np.testing.assert_allclose(dense[0], dense[1], atol=1e-7)
    if target <= source:
        np.testing.assert_allclose(dense[0], overlaps(source, target)[first:last], atol=1e-5)


def test_invalid_pixels_have_no_part_in_averages():
    pixels = np.full((1, 8, 8), 100, np.uint8)
    valid = np.ones((8, 8), np.bool_)
    valid[:, 3:] = False
    pixels[:, ~valid] = 0
    out, mask = resample(pixels, valid, taps(8, 4, 0, 4), taps(8, 4, 0, 4))
    assert mask.tolist() == [[True, True, False, False]] * 4
    assert out[0].tolist() == [[100, 100, 0, 0]] * 4


def test_strong_shrink_without_and_with_overviews(tmp_path):
    rng = np.random.default_rng(5)
    coarse = np.repeat(np.repeat(rng.integers(1, 255, (3, 8, 8)), 256, axis=1), 256, axis=2).astype(np.uint8)
    path = make(tmp_path / "a.tif", coarse, **TILED)
    grid = TileGrid(64, 64, 32, 0, 32)
    plain = mosaic(read_all(path, grid)[0], grid)
    np.testing.assert_array_equal(plain, coarse[:, 16::32, 16::32])
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8, 16], rasterio.enums.Resampling.average)
    np.testing.assert_array_equal(mosaic(read_all(path, grid)[0], grid), plain)


def test_ids(scene_path):
    grid = TileGrid(900, 700, 256, 64, 32)
    batches, _ = read_all(scene_path, grid, ids=[7, 2, 2, 11])
    assert np.concatenate([b.ids for b in batches]).tolist() == [2, 7, 11]
    batches, _ = read_all(scene_path, grid, ids=[])
    assert batches == []


def test_all_nodata(tmp_path):
    grid = TileGrid(900, 700, 256, 64, 32)
    batches, _ = read_all(make(tmp_path / "a.tif", np.zeros((3, 700, 900), np.uint8), nodata=0), grid)
    assert batches == []


@pytest.mark.parametrize("size", [(1024, 1024), (512, 512), (1500, 1500)])
@pytest.mark.parametrize("overviews", [False, True])
@pytest.mark.parametrize("kind", ["nodata", "mask"])
@pytest.mark.slow
def test_empty_tiles_are_skipped(tmp_path, kind, overviews, size):
    data, mask = picture(1024, 1024), np.full((1024, 1024), 255, np.uint8)
    mask[:, 300:] = 0
    mask[1000:, 1000:] = 255
    data[:, mask == 0] = 0
    options = {"nodata": 0} if kind == "nodata" else {"mask": mask}
    path = make(tmp_path / "a.tif", data, **options, **TILED)
    if overviews:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
            file.build_overviews([2, 4, 8], rasterio.enums.Resampling.nearest)
    grid = TileGrid(*size, 128, 32, 32)
    batches, reader = read_all(path, grid)
    got = np.concatenate([b.ids for b in batches])
    shown = overlaps(1024, size[0]) @ (mask > 0) @ overlaps(1024, size[1]).T >= 0.5
    expected = [i for i, (x0, y0, x1, y1) in enumerate(grid.windows(np.arange(len(grid)))) if shown[y0:y1, x0:x1].any()]
    assert set(expected) <= set(got.tolist())
    assert len(got) <= len(expected) + 2
    if overviews:
        assert len(reader.ids) < len(grid)


def test_sparse_blocks_are_never_read(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    options = {"driver": "GTiff", "width": 60_000, "height": 60_000, "count": 3, "dtype": "uint8"}
    options |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "SPARSE_OK": True, "interleave": "pixel"}
    with rasterio.open(path, "w", **options) as file:
        file.write(picture(1000, 1000), window=Window(41_000, 30_000, 1000, 1000))
    grid = TileGrid(60_000, 60_000, 640, 128, 32)
    start = time.monotonic()
    batches, _ = read_all(path, grid)
    assert time.monotonic() - start < 10
    ids = np.concatenate([b.ids for b in batches])
    windows = grid.windows(np.arange(len(grid)))
    written = (windows[:, :2] < [42_000, 31_000]).all(1) & (windows[:, 2:] > [41_000, 30_000]).all(1)
    assert set(np.flatnonzero(written).tolist()) <= set(ids.tolist())
    assert len(ids) < 40


def test_sparse_valid_zeros_beside_pixels_stay_valid(tmp_path):
    path = tmp_path / "a.tif"
    options = {"driver": "GTiff", "width": 1024, "height": 1024, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", tiled=True, blockxsize=256, blockysize=256, SPARSE_OK=True, **options) as file:
        file.write(np.full((1, 256, 256), 9, np.uint8), window=Window(0, 0, 256, 256))
    (batch,), reader = read_all(path, TileGrid(1024, 1024, 512, 0, 32))
    assert batch.ids.tolist() == [0] and batch.valid is None and reader.ids.tolist() == [0]


def test_grey_scene_for_a_colour_model(tmp_path):
    grid = TileGrid(300, 200, 128, 32, 32)
    data = np.random.default_rng(0).integers(100, 3000, (1, 200, 300)).astype(np.uint16)
    batches, _ = read_all(make(tmp_path / "a.tif", data), grid)
    assert all((b.pixels[:, 0] == b.pixels[:, 2]).all() and b.pixels.shape[1] == 3 for b in batches)
    assert all(b.pixels.flags.c_contiguous for b in batches)


def test_stopping_early_ends_the_threads(scene_path):
    before = threading.active_count()
    with open_scene(scene_path) as scene:
        bands, _ = choose_bands(scene, None, 3)
        grid = TileGrid(900, 700, 64, 32, 32)
        reader = TileReader(scene, grid, bands=bands, scaling=scaling_for(scene, bands), batch_size=2, workers=4)
        for _ in reader:
            break
        reader.close()
        reader.close()
    assert threading.active_count() == before


def test_an_abandoned_iterator_closes(scene_path):
    before = threading.active_count()
    with open_scene(scene_path) as scene:
        bands, _ = choose_bands(scene, None, 3)
        iterator = iter(TileReader(scene, TileGrid(900, 700, 64), bands=bands, scaling=scaling_for(scene, bands)))
        next(iterator)
        iterator.close()
    assert threading.active_count() == before


def test_opens_a_path_itself(scene_path):
    with open_scene(scene_path) as scene:
        bands, _ = choose_bands(scene, None, 3)
        scaling = scaling_for(scene, bands)
    with TileReader(scene_path, TileGrid(900, 700, 512), bands=bands, scaling=scaling) as reader:
        assert sum(len(b.ids) for b in reader) == 4


def test_gdal_cache_is_bounded_while_a_scene_is_open(scene_path):
    with rasterio.Env():
        before = get_gdal_config("GDAL_CACHEMAX")
    with open_scene(scene_path):
        with open_scene(scene_path):
            pass
        with rasterio.Env():
            assert int(get_gdal_config("GDAL_CACHEMAX")) == 64 << 20
    with pytest.raises(NssaError), open_scene(scene_path.parent / "none.tif"):
        pass
    with rasterio.Env():
        assert get_gdal_config("GDAL_CACHEMAX") == before


def test_little_is_read_ahead(scene_path):
    grid = TileGrid(900, 700, 32)
    with open_scene(scene_path) as scene:
        bands, _ = choose_bands(scene, None, 3)
        reader = TileReader(scene, grid, bands=bands, scaling=scaling_for(scene, bands), batch_size=2, prefetch=1)
        made = []
        plain = reader._read_tile
        reader._read_tile = lambda tile_id: (made.append(tile_id), plain(tile_id))[1]
        iterator = iter(reader)
        next(iterator)
        time.sleep(0.2)
        assert len(made) <= 6
        iterator.close()


@pytest.mark.parametrize("workers", [1, 4])
def test_a_damaged_block_names_the_file(tmp_path, workers):
    path = make(tmp_path / "a.tif", picture(1024, 1024), **TILED)
    with rasterio.open(path) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_4_4", "TIFF", bidx=1))
    content = bytearray(path.read_bytes())
    content[offset : offset + 500] = b"\xff" * 500
    path.write_bytes(content)
    before = threading.active_count()
    with pytest.raises(NssaError, match=r"cannot be read") as caught:
        read_all(path, TileGrid(1024, 1024, 256), workers=workers)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert "512,512" in str(caught.value)
    assert threading.active_count() == before


def test_the_file_is_cut_while_it_is_read(tmp_path):
    path = make(tmp_path / "a.tif", picture(2048, 2048), **TILED)
    with open_scene(path) as scene:
        bands, _ = choose_bands(scene, None, 3)
        scaling = scaling_for(scene, bands)
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size // 2)
        with pytest.raises(NssaError, match="truncated or damaged"):
            list(TileReader(scene, TileGrid(2048, 2048, 256), bands=bands, scaling=scaling))
