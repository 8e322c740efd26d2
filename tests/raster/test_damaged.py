"""Whatever the bytes of a file: a scene opens and reads, or one line says why not."""

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nssa_gis.errors import NssaError
from nssa_gis.geo.grid import TileGrid
from nssa_gis.raster.radiometry import choose_bands, scaling_for
from nssa_gis.raster.reader import TileReader
from nssa_gis.raster.scene import open_scene

LAYOUTS = (
    {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16, "dtype": "uint8"},
    {"compress": "lzw", "dtype": "uint16"},
    {"compress": "jpeg", "photometric": "ycbcr", "interleave": "pixel", "dtype": "uint8"},
    {"nodata": 0, "dtype": "float32"},
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    for i, layout in enumerate(LAYOUTS):
        path = folder / f"{i}.tif"
        data = np.random.default_rng(i).integers(0, 200, (3, 50, 60)).astype(layout["dtype"])
        place = {"crs": "EPSG:32631", "transform": rasterio.Affine(0.25, 0, 5e5, 0, -0.25, 5e6)}
        with rasterio.open(path, "w", driver="GTiff", width=60, height=50, count=3, **layout, **place) as file:
            file.write(data)
    return folder


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes(files, tmp_path, capfd, data):
    content = bytearray((files / f"{data.draw(st.integers(0, len(LAYOUTS) - 1))}.tif").read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(content) - 1, 600)) | st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "scene.tif"
    path.write_bytes(content[: data.draw(st.just(len(content)) | st.integers(1, len(content)))])
    try:
        with open_scene(path) as scene:
            bands, _ = choose_bands(scene, None, 3)
            if scene.frame.width * scene.frame.height < 1e7:
                scaling = scaling_for(scene, bands)
                grid = TileGrid(scene.frame.width, scene.frame.height, 64, 0, 32)
                list(TileReader(scene, grid, bands=bands, scaling=scaling, ids=range(min(4, len(grid)))))
    except NssaError as error:
        assert "\n" not in str(error) and str(path) in str(error)
    assert "ERROR" not in capfd.readouterr().err
