"""Reading the area of interest."""

import geopandas
import pytest
import shapely

from nssa_gis.errors import NssaError
from nssa_gis.vector.areas import read_area


@pytest.fixture
def areas(tmp_path):
    path = tmp_path / "areas.gpkg"
    for i, layer in enumerate(("town", "port")):
        frame = geopandas.GeoDataFrame({"n": [i]}, geometry=[shapely.box(i, 0, i + 1, 1)], crs=4326)
        frame.to_file(path, layer=layer)
    return path


def test_layers(areas):
    shapes, crs = read_area(areas)
    assert shapes[0].equals(shapely.box(0, 0, 1, 1)) and crs.to_epsg() == 4326
    shapes, _ = read_area(f"{areas}:port")
    assert shapes[0].equals(shapely.box(1, 0, 2, 1))


@pytest.mark.parametrize("name", ["a.geojson", "a.shp", "a.fgb"])
def test_formats(tmp_path, name):
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(5e5, 5e6, 6e5, 6e6)], crs=32631)
    frame.to_file(tmp_path / name)
    shapes, crs = read_area(tmp_path / name)
    assert len(shapes) == 1
    assert crs is not None and crs.to_epsg() == 32631


def test_without_crs(tmp_path):
    geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 9, 9)]).to_file(tmp_path / "a.shp")
    assert read_area(tmp_path / "a.shp")[1] is None


def test_what_cannot_be_read(areas, tmp_path):
    with pytest.raises(NssaError, match="no such file"):
        read_area(tmp_path / "nowhere.gpkg")
    with pytest.raises(NssaError, match=r"no layer 'sea'.*town, port"):
        read_area(f"{areas}:sea")
    text = tmp_path / "a.gpkg"
    text.write_text("no")
    with pytest.raises(NssaError, match="cannot be read"):
        read_area(text)
    empty = tmp_path / "empty.geojson"
    empty.write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(NssaError, match="empty"):
        read_area(empty)


def test_the_layer_taken_is_named_where_several_hold_polygons(areas, tmp_path):
    heard = []
    read_area(areas, heard.append)
    read_area(f"{areas}:port", heard.append)
    assert len(heard) == 1
    assert "town, port" in heard[0]
    assert "reading town" in heard[0]
    path = tmp_path / "mixed.gpkg"
    geopandas.GeoDataFrame(geometry=[shapely.Point(0, 0)], crs=4326).to_file(path, layer="signs")
    geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=4326).to_file(path, layer="zone")
    shapes, _ = read_area(path, heard.append)
    assert shapes[0].equals(shapely.box(0, 0, 1, 1))
    assert len(heard) == 1


def test_name_that_is_not_utf8(tmp_path):
    with pytest.raises(NssaError, match="rename the file"):
        read_area(f"{tmp_path}/a\udcff.gpkg")
