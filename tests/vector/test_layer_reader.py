from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import CRS, Transformer

from nssa_gis.errors import NssaError
from nssa_gis.geo.frame import Frame
from nssa_gis.vector.reader import read_layer
from nssa_gis.vector.schema import FIELDS, records
from nssa_gis.vector.target import inspect_target
from nssa_gis.vector.writer import write_layer

FORMATS = ["gpkg", "geojson", "fgb", "parquet", "shp", "csv"]


def write(path, info, frame, found):
    write_layer([records(found, frame, info)], inspect_target(path, frame, geometry=info.geometry), info)
    return path


@pytest.mark.parametrize("ext", FORMATS)
@pytest.mark.parametrize("geometry", ["polygon", "point"])
def test_a_layer_comes_back_from_every_format(ext, geometry, tmp_path, frame, info, detections):
    info = replace(info, geometry=geometry)
    found = detections(30)
    layer = read_layer(write(tmp_path / f"cars.{ext}", info, frame, found))
    order = np.argsort(layer.columns["id"])
    batch = records(found, frame, info)
    assert list(layer.columns) == [*(["center_x", "center_y"] if ext == "csv" else []), *(f.name for f in FIELDS)]
    assert layer.columns["id"][order].tolist() == list(range(1, 31))
    for field in FIELDS[1:]:
        values = layer.columns[field.name][order]
        assert values.tolist() == pytest.approx(batch[field.name].to_pylist())
        assert values.dtype.kind == {"string": "O", "float64": "f"}.get(field.dtype, "i")
    assert layer.crs == {"csv": None, "geojson": CRS.from_epsg(4326)}.get(ext, frame.crs)
    expected = shapely.from_wkb(batch["geometry"].to_pylist())
    if ext == "geojson":
        change = Transformer.from_crs(frame.crs, 4326, always_xy=True).transform
        expected = shapely.transform(expected, lambda xy: np.stack(change(*xy.T), -1))
    tolerance = 1e-8 if ext == "geojson" else 1e-4
    shapes = layer.shapes[order]
    assert shapely.equals_exact(shapely.normalize(shapes), shapely.normalize(expected), tolerance).all()


@pytest.mark.parametrize("ext", FORMATS)
def test_unknown_sizes_are_nan_and_a_missing_crs_is_none(ext, tmp_path, bare_info, detections):
    layer = read_layer(write(tmp_path / f"a.{ext}", bare_info, Frame(4000, 4000), detections(4)), ["score", "width_m"])
    assert list(layer.columns) == ["score", "width_m"] and np.isnan(layer.columns["width_m"]).all()
    # GDAL takes a GeoJSON without a CRS for longitude and latitude
    assert layer.crs == (CRS.from_epsg(4326) if ext == "geojson" else None)


@pytest.mark.parametrize("ext", FORMATS)
def test_columns_that_are_asked_for(ext, tmp_path, frame, info, detections):
    layer = read_layer(write(tmp_path / f"a.{ext}", info, frame, detections(4)), ["model_version", "lost"])
    assert list(layer.columns) == ["model_version"] and layer.columns["model_version"].tolist() == ["1.2"] * 4
    assert len(layer) == 4


def test_the_layer_that_is_asked_for(tmp_path):
    for name in ("one", "two"):
        square = shapely.to_wkb([shapely.box(0, 0, 1, 1)] * len(name))
        path = tmp_path / "a.gpkg"
        pyogrio.raw.write(
            path, square, [], [], layer=name, driver="GPKG", geometry_type="Polygon", crs="EPSG:32632", append=True
        )
    assert read_layer(path, layer="two").crs == CRS.from_epsg(32632)
    with pytest.raises(NssaError, match=r"a\.gpkg: cannot be read"):
        read_layer(path, layer="three")


def test_what_is_no_layer_is_told_in_one_line(tmp_path):
    for name in ("text.gpkg", "text.parquet", "text.csv", "text.geojson"):
        (tmp_path / name).write_text("no layer")
    for name in ("text.gpkg", "text.parquet", "text.geojson", "lost.fgb"):
        with pytest.raises(NssaError, match=rf"{name}: cannot be read") as told:
            read_layer(tmp_path / name)
        assert "\n" not in str(told.value)
    with pytest.raises(NssaError, match=r"text\.csv: it has no layer with geometry"):
        read_layer(tmp_path / "text.csv")


def test_text_in_a_field_of_numbers_is_told_in_one_line(tmp_path):
    (tmp_path / "a.csv").write_text('WKT,class,class_id\n"POINT (1 2)",car,first\n')
    with pytest.raises(NssaError, match=r"a\.csv: cannot be read \(.*first"):
        read_layer(tmp_path / "a.csv")
