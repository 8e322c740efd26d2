"""Any name that the file system allows works for layers and areas, in every format."""

import numpy as np
import pytest
import shapely

from nssa_gis.errors import NssaError
from nssa_gis.vector.areas import read_area
from nssa_gis.vector.paths import gdal_path
from nssa_gis.vector.reader import count_rows, read_layer
from nssa_gis.vector.schema import records
from nssa_gis.vector.target import inspect_target
from nssa_gis.vector.writer import write_layer

NAMES = [
    "a!b", "a;b", "a?", "a?b", "a#b", "it's", 'a"b', "100%", "a%20b", "a&b", "a|b", "[x]", "{a,b}", "(1)", "-1", "~t",
    "$HOME",
    " lead", "trail ", "a\\b", "Süd öst", "日本", "gpkgcars", "GPKG2020", ".hidden", "#1", "select", "a\tb", "x.y",
    "layer_styles", "rtree_x", "sqlite_x", "a*b",
]  # fmt: skip


def write(path, frame, info, found, **options):
    target = inspect_target(path, frame, **options)
    write_layer([records(found, frame, info)], target, info)


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "fgb", "parquet", "shp", "csv"])
@pytest.mark.slow
def test_names(tmp_path, suffix, frame, info, detections):
    found = detections(4)
    folder = tmp_path / "f!o;l'd{e}r #1?"
    folder.mkdir()
    for name in NAMES:
        path = folder / f"{name}.{suffix}"
        write(path, frame, info, found)
        assert len(read_layer(path)) == count_rows(path) == 4, name
        if suffix == "gpkg":
            write(path, frame, info, found, mode="append")
            write(path, frame, info, found, mode="append")
            assert count_rows(path) == 12, name
        if suffix != "csv":
            shapes, crs = read_area(path)
            assert len(shapes) >= 4 and crs.is_geographic == (suffix == "geojson")
    left = {p.name.rpartition(".")[2] for p in folder.iterdir()} - {suffix, "shx", "dbf", "prj", "cpg"}
    assert not left


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp"])
def test_long_names_work_or_are_refused_by_their_length(tmp_path, suffix, frame, info, detections):
    for length in (200, 240, 250, 255):
        path = tmp_path / ("n" * (length - len(suffix) - 1) + f".{suffix}")
        try:
            write(path, frame, info, detections(4))
        except NssaError as error:
            assert "too long" in str(error) and length > 245 and suffix != "geojson"
            assert not path.exists()
        else:
            assert count_rows(path) == 4


def test_addresses_stay_as_they_are(tmp_path):
    for text in ("/vsizip/a!b.zip/c.shp", "https://example.org/a;b.gpkg", str(tmp_path / "plain.gpkg")):
        with gdal_path(text) as plain:
            assert plain == text
    with gdal_path("no/such/folder!/a.gpkg") as plain:
        assert plain == "no/such/folder!/a.gpkg"


def test_an_area_as_geoparquet(tmp_path, frame, info, detections):
    import geopandas
    import pandas

    table = geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.box(5e5, 4.9e6, 5.1e5, 5e6)], crs="EPSG:32632")
    table.to_parquet(tmp_path / "a.parquet")
    table.to_crs(4326).to_parquet(tmp_path / "b.geoparquet")
    shapes, crs = read_area(tmp_path / "a.parquet")
    assert crs.to_epsg() == 32632 and shapely.equals(shapes, table.geometry.to_numpy()).all()
    shapes, crs = read_area(tmp_path / "b.geoparquet")
    assert crs.is_geographic
    np.testing.assert_allclose(shapely.bounds(shapes)[0], table.to_crs(4326).total_bounds)
    pandas.DataFrame({"a": [1]}).to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(NssaError, match="without geometry"):
        read_area(tmp_path / "plain.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(NssaError, match="cannot be read"):
        read_area(tmp_path / "broken.parquet")
