"""Read a layer back, of any format that is written here, with the same names and types of columns."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from nssa_gis.errors import NssaError
from nssa_gis.vector.paths import gdal_path
from nssa_gis.vector.schema import FIELDS
from nssa_gis.vector.target import DRIVERS

_TYPES = {f.name: np.dtype(f.dtype) for f in FIELDS if f.dtype != "string"}
#: Fields by the names that a Shapefile gives them.
_FULL_NAMES = {f.short: f.name for f in FIELDS if f.short != f.name}


@dataclass(frozen=True)
class Layer:
    """N rows of a layer.

    Attributes
    ----------
    wkb : ndarray of bytes, shape (N,)
        Geometries; None where a row has none.
    crs : pyproj.CRS or None
        None: image pixels, or unknown.
    columns : dict of str to ndarray, each of shape (N,)
        The fields. Text is in arrays of object, None where it is missing; a missing number is NaN.
    """

    wkb: NDArray[np.object_]
    crs: CRS | None
    columns: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.wkb)

    @property
    def shapes(self) -> NDArray[np.object_]:
        """Geometries as shapely objects, shape (N,), without z."""
        return np.asarray(shapely.force_2d(shapely.from_wkb(self.wkb)))


def read_layer(path: str | os.PathLike[str], columns: Sequence[str] | None = None, layer: str | None = None) -> Layer:
    """Read a layer.

    Parameters
    ----------
    path : path
        GeoPackage, GeoJSON, FlatGeobuf, GeoParquet, Shapefile, CSV, or another vector file that GDAL reads.
    columns : sequence of str, optional
        Fields wanted; those that the layer lacks are left out. None: all.
    layer : str, optional
        Name of the layer; None: the first one with geometry.

    Returns
    -------
    Layer
        Rows in the order of the file.

    Raises
    ------
    NssaError
        The file cannot be read, or has no such layer with geometry.
    """
    path = Path(path)
    try:
        if DRIVERS.get(path.suffix.lower()) == "Parquet":
            wkb, crs, values = _read_parquet(path, columns)
        else:
            wkb, crs, values = _read_gdal(path, columns, layer)
        known = None if crs is None else CRS.from_user_input(crs)
        names = {name: _FULL_NAMES.get(name, name) for name in values}
        typed = {names[name]: _typed(column, names[name]) for name, column in values.items()}
    except (RuntimeError, OSError, KeyError, ValueError, CRSError) as error:
        raise _unreadable(path, error) from error
    if known is not None and "Engineering" in known.type_name:
        known = None  # what GeoPackage and Shapefile have in the place of a missing CRS
    return Layer(wkb, known, typed)


def count_rows(path: str | os.PathLike[str]) -> int:
    """Count the rows of a layer; of several layers the first one with geometry counts.

    Raises
    ------
    NssaError
        The file cannot be read, or has no layer with geometry.
    """
    path = Path(path)
    try:
        if DRIVERS.get(path.suffix.lower()) == "Parquet":
            import pyarrow.parquet as pq

            return int(pq.read_metadata(path).num_rows)
        with gdal_path(path) as plain:
            return int(pyogrio.read_info(plain, layer=_first_layer(path, plain), force_feature_count=True)["features"])
    except (RuntimeError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> NssaError:
    return NssaError(f"{path}: cannot be read ({' '.join(str(error).split())}); give the file that detect wrote")


def _first_layer(path: Path, plain: str) -> str:
    """Name of the first layer with geometry: the styles of a GeoPackage are a layer without."""
    name: str | None = next((name for name, kind in pyogrio.list_layers(plain) if kind is not None), None)
    if name is None:
        raise NssaError(f"{path}: it has no layer with geometry; give the file that detect wrote")
    return name


def _read_gdal(
    path: Path, columns: Sequence[str] | None, layer: str | None
) -> tuple[NDArray[np.object_], Any, dict[str, NDArray[Any]]]:
    wanted = None if columns is None else [*columns, *(short for short, name in _FULL_NAMES.items() if name in columns)]
    options = {"KEEP_GEOM_COLUMNS": "NO"} if path.suffix.lower() == ".csv" else {}
    with gdal_path(path) as plain:
        named = layer or _first_layer(path, plain)
        meta, _, wkb, values = pyogrio.raw.read(plain, layer=named, columns=wanted, **options)
    return wkb, meta["crs"], dict(zip(meta["fields"], values, strict=True))


def _read_parquet(
    path: Path, columns: Sequence[str] | None
) -> tuple[NDArray[np.object_], Any, dict[str, NDArray[Any]]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        if b"geo" not in (file.schema_arrow.metadata or {}):
            raise NssaError(f"{path}: a Parquet file without geometry; give a GeoParquet file")
        geo = json.loads(file.schema_arrow.metadata[b"geo"])
        place = geo["primary_column"]
        names = [name for name in file.schema_arrow.names if columns is None or name in columns]
        table = file.read([place, *(name for name in names if name != place)])
    wkb = table[place].to_numpy()
    crs = geo["columns"][place].get("crs", "OGC:CRS84")  # a missing one means longitude and latitude
    return wkb, crs, {name: table[name].to_numpy() for name in table.column_names if name != place}


def _typed(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Turn text into numbers: all fields of a CSV are text, empty where there is no value."""
    wanted = _TYPES.get(name)
    if wanted is None or values.dtype != object:
        return values
    numbers = np.array([np.nan if text in (None, "") else float(text) for text in values], np.float64)
    return numbers if np.isnan(numbers).any() else numbers.astype(wanted)
