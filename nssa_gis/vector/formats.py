"""What each format needs: options of GDAL's drivers, extra columns, and what pyarrow writes (GeoParquet and CSV)."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pyogrio
import shapely
from pyproj import CRS

from nssa_gis.errors import NssaError
from nssa_gis.vector.geopackage import ExistingLayer
from nssa_gis.vector.schema import GEOMETRY, LayerInfo
from nssa_gis.vector.target import Target
from nssa_gis.vector.wkb import from_wkb, to_wkb

# 1e-9 of a degree is 0.1 mm; RFC 7946 section 11.2 asks not to write more than is meant.
_DEGREE_DECIMALS = 9
_MAP_DECIMALS = 4
#: A .dbf record of this layer: one deletion mark and the field widths GDAL gives (a test checks it);
#: a text of more than 80 bytes makes it longer.
_DBF_RECORD = 564
_DBF_LIMIT = 2**31 - 1


def write_rows(rows: pa.RecordBatchReader, path: Path, target: Target, info: LayerInfo) -> None:
    """Write a stream of rows as a new file with one layer.

    Parameters
    ----------
    rows : pyarrow.RecordBatchReader
        All fields and the geometry, final; they are taken batch by batch.
    path : Path
        The file.
    target : Target
        Format, layer and CRS.
    info : LayerInfo
        Geometry kind and metadata.

    Raises
    ------
    OSError, RuntimeError
        As pyarrow and pyogrio raise them.
    """
    if target.driver == "Parquet":
        _write_parquet(rows, path, target, info)
        return
    if target.driver == "CSV":
        _write_csv(rows, path)
        return
    options = _OPTIONS[target.driver](target, info)
    with warnings.catch_warnings():
        # A missing CRS is said by the program itself; a shortened Shapefile field is documented.
        warnings.simplefilter("ignore")
        pyogrio.write_arrow(
            rows,
            path,
            layer=target.layer,
            driver=target.driver,
            geometry_name=GEOMETRY,
            geometry_type=_geometry_type(target, info),
            crs=None if target.crs is None else target.crs.to_wkt(),
            **options,
        )


def check_size(target: Target, rows: int) -> None:
    """Refuse early what would not fit.

    Raises
    ------
    NssaError
        Too many rows for a Shapefile.
    """
    if target.driver == "ESRI Shapefile" and rows * _DBF_RECORD > _DBF_LIMIT:
        raise NssaError(
            f"{target.path.name}: a Shapefile holds at most 2 GB, about {_DBF_LIMIT // _DBF_RECORD} "
            "objects; write .gpkg or .fgb instead"
        )


def check_rows(path: Path, target: Target, rows: int) -> None:
    """Check that a written layer is whole: GDAL reports a write that fails on closing a file only in its log.

    Raises
    ------
    OSError
        It is not.
    """
    if target.driver in ("GPKG", "FlatGeobuf", "ESRI Shapefile"):
        named = target.layer if target.driver == "GPKG" else None
        stored = pyogrio.read_info(path, layer=named, force_feature_count=True)["features"]
        if stored != rows:
            raise OSError(f"only {stored} of {rows} objects were stored")
    elif target.driver == "GeoJSON":
        with path.open("rb") as file:
            file.seek(-len(_GEOJSON_END), os.SEEK_END)
            if file.read() != _GEOJSON_END:
                raise OSError("the end of the file is missing")


def columns_for(batch: pa.RecordBatch, target: Target) -> pa.RecordBatch:
    """Give rows the coordinates and columns that the format of the target wants."""
    if target.driver == "GeoJSON" and target.crs is not None:
        return with_geometry(batch, _into_range(from_wkb(batch[GEOMETRY])))
    if target.existing is not None and (target.existing.multi or target.existing.has_z):
        return batch.set_column(batch.schema.get_field_index(GEOMETRY), GEOMETRY, _as_there(batch, target.existing))
    if target.driver != "CSV":
        return batch
    decimals = _decimals(target)
    shapes = shapely.from_wkb(batch[GEOMETRY].to_numpy(zero_copy_only=False))
    text = shapely.to_wkt(shapes, rounding_precision=decimals) if len(batch) else []
    x, y = np.round(from_wkb(batch[GEOMETRY]).mean(axis=1), decimals).T
    batch = batch.remove_column(batch.schema.get_field_index(GEOMETRY))
    added = {"WKT": pa.array(text, pa.string()), "center_x": pa.array(x), "center_y": pa.array(y)}
    return pa.record_batch([*added.values(), *batch.columns], names=[*added, *batch.schema.names])


def _as_there(batch: pa.RecordBatch, there: ExistingLayer) -> pa.Array:
    """Geometries in the form that an existing layer has: of several parts, with heights (0)."""
    shapes = shapely.from_wkb(batch[GEOMETRY].to_numpy(zero_copy_only=False))
    if there.multi:
        make = shapely.multipoints if "POINT" in there.geometry else shapely.multipolygons
        shapes = make(shapes, indices=np.arange(len(shapes))) if len(shapes) else shapes
    return pa.array(shapely.to_wkb(shapely.force_3d(shapes) if there.has_z else shapes), pa.binary())


def _decimals(target: Target) -> int:
    """Decimals of a coordinate in a text format: a hundredth of a pixel in any unit."""
    usual = _DEGREE_DECIMALS if target.crs is not None and target.crs.is_geographic else _MAP_DECIMALS
    return max(usual, math.ceil(2 - math.log10(target.step)))


def with_geometry(batch: pa.RecordBatch, coords: np.ndarray[Any, np.dtype[np.float64]]) -> pa.RecordBatch:
    """Exchange the geometries of rows."""
    return batch.set_column(batch.schema.get_field_index(GEOMETRY), GEOMETRY, to_wkb(coords))


def _into_range(coords: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Turn longitudes by whole turns so that each geometry begins in [-180, 180); GDAL cuts what goes past 180."""
    west = coords[..., 0].min(axis=1, keepdims=True)
    turns = np.floor((west + 180) / 360)
    return np.stack([coords[..., 0] - 360 * turns, coords[..., 1]], axis=-1)


def _gpkg(target: Target, info: LayerInfo) -> dict[str, Any]:
    layer = {"SPATIAL_INDEX": "YES"}
    if target.crs is None:
        layer["SRID"] = "-1"  # "undefined cartesian": without it GDAL writes "undefined geographic"
    return {
        "layer_options": layer,
        # 1.3: QGIS 3.22 warns on opening a GeoPackage 1.4, and nothing of 1.4 is needed.
        "dataset_options": {"VERSION": "1.3"},
        "layer_metadata": info.all_metadata(),
    }


def _flatgeobuf(target: Target, info: LayerInfo) -> dict[str, Any]:
    return {"layer_metadata": info.all_metadata()}


def _shapefile(target: Target, info: LayerInfo) -> dict[str, Any]:
    # GDAL shortens ``model_version`` to ``model_vers``; there is no place for run metadata.
    return {"layer_options": {"ENCODING": "UTF-8", "2GB_LIMIT": "YES"}}


def _geojson(target: Target, info: LayerInfo) -> dict[str, Any]:
    """Options for RFC 7946; it does not foresee an image without place, whose layer says so as older GeoJSON did."""
    members: dict[str, Any] = {"nssa_gis": info.all_metadata()}
    if target.crs is None:
        members["crs"] = None
        members["nssa_gis"]["coordinates"] = "image pixels, y upwards (row 10 is y = -10): the scene has no CRS"
    options = {
        "RFC7946": "NO" if target.crs is None else "YES",
        "COORDINATE_PRECISION": str(_decimals(target)),
        "AUTODETECT_JSON_STRINGS": "NO",
        "FOREIGN_MEMBERS_COLLECTION": json.dumps(members, ensure_ascii=False),
    }
    return {"layer_options": options}


_OPTIONS: Mapping[str, Callable[[Target, LayerInfo], dict[str, Any]]] = {
    "GPKG": _gpkg,
    "GeoJSON": _geojson,
    "FlatGeobuf": _flatgeobuf,
    "ESRI Shapefile": _shapefile,
}
#: How a whole file ends.
_GEOJSON_END = b"]\n}\n"


def _geometry_type(target: Target, info: LayerInfo) -> str:
    there = target.existing
    if there is None:
        return info.geometry.capitalize()
    return f"{'Multi' if there.multi else ''}{info.geometry.capitalize()}{' Z' if there.has_z else ''}"


def _write_parquet(rows: pa.RecordBatchReader, path: Path, target: Target, info: LayerInfo) -> None:
    """Write GeoParquet 1.1, one row group a batch, zstd; the run's metadata under the key ``nssa_gis``."""
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": [_geometry_type(target, info)],
        # An explicit null: a missing key would mean longitude and latitude.
        "crs": _projjson(target.crs),
    }
    if info.geometry == "polygon":
        column["orientation"] = "counterclockwise"
    geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    schema = rows.schema.with_metadata({"geo": json.dumps(geo), "nssa_gis": json.dumps(info.all_metadata())})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)


def _write_csv(rows: pa.RecordBatchReader, path: Path) -> None:
    """Write CSV; the format has no place for the CRS or for run metadata. GDAL takes three times as long."""
    with csv.CSVWriter(path, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)


def _projjson(crs: CRS | None) -> dict[str, Any] | None:
    return None if crs is None else crs.to_json_dict()
