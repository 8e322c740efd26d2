"""Where rows go while a layer is being made: one class per kind of format.

A sink works inside a folder of its own. It takes chunks of any size, keeps its memory flat, and leaves
finished files there; moving them into place is the writer's task.
"""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyogrio
from pyproj import CRS

from nssa_gis.errors import NssaError
from nssa_gis.vector.schema import FIELDS, Chunk, LayerInfo, empty_chunk
from nssa_gis.vector.style import store_style

# 1.3: QGIS 3.22 warns on opening a GeoPackage 1.4, and nothing of 1.4 is needed.
_GPKG = {"VERSION": "1.3"}
# A .dbf record of this layer: one deletion mark and the field widths GDAL gives (a test checks it);
# a text of more than 80 bytes makes it longer.
_DBF_RECORD = 564
_DBF_LIMIT = 2**31 - 1


class Sink(Protocol):
    """Takes the rows of one layer."""

    def append(self, chunk: Chunk) -> None:
        """Add rows; coordinates are final."""

    def finish(self, found: Sequence[int]) -> list[Path]:
        """Close and name the finished files, the main one last; `found` are the class numbers that occur."""

    def close(self) -> None:
        """Let go of open files, finished or not."""


class GpkgSink:
    """A GeoPackage with a spatial index and the QGIS style inside.

    Rows are appended to a staging file without an index; at the end GDAL copies them into the final one as an
    Arrow stream and builds the index in one go. That is faster than keeping an index up to date while
    appending, and pyogrio has no other way to ask for one afterwards.

    Parameters
    ----------
    folder : Path
        Where to work.
    layer : str
        Name of the layer and stem of the file.
    info : LayerInfo
        ``info.crs`` is the CRS of the coordinates that come.
    """

    driver = "GPKG"
    suffix = ".gpkg"

    def __init__(self, folder: Path, layer: str, info: LayerInfo) -> None:
        self.info = info
        self.layer = layer
        self.target = folder / f"{layer}{self.suffix}"
        # In a folder of its own: beside the result it could bear the same name.
        self._stage = folder / "stage" / "rows.gpkg"
        self._stage.parent.mkdir()
        self._count = 0

    def append(self, chunk: Chunk) -> None:
        """Add rows to the staging file."""
        first = self._count == 0
        options = {"layer_options": _gpkg_layer(self.info, index=False), "dataset_options": _GPKG}
        _write(chunk, self._stage, self.layer, self.info, append=not first, **(options if first else {}))
        self._count += len(chunk)

    def finish(self, found: Sequence[int]) -> list[Path]:
        """Copy the staged rows into the final format and check that all arrived."""
        if self._count == 0:
            self.append(empty_chunk(self.info))
        self._copy()
        self._stage.unlink()
        _expect(self.target, self.layer, self._count)
        return self._complete(found)

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _complete(self, found: Sequence[int]) -> list[Path]:
        legend = [(k, self.info.classes[k]) for k in found or range(len(self.info.classes))]
        store_style(self.target, self.layer, legend, self.info.geometry)
        return [self.target]

    def _options(self) -> dict[str, Any]:
        return {
            "layer_options": _gpkg_layer(self.info, index=True),
            "dataset_options": _GPKG,
            "layer_metadata": self.info.all_metadata(),
        }

    def _copy(self) -> None:
        with (
            warnings.catch_warnings(),
            pyogrio.open_arrow(self._stage, layer=self.layer, use_pyarrow=False) as (meta, stream),
        ):
            # A missing CRS is said by the program itself; a shortened Shapefile field is documented.
            warnings.simplefilter("ignore")
            pyogrio.write_arrow(
                stream,
                self.target,
                layer=self.layer,
                driver=self.driver,
                geometry_name=meta["geometry_name"],
                geometry_type=meta["geometry_type"],
                crs=_wkt(self.info.crs),
                **self._options(),
            )


class FlatGeobufSink(GpkgSink):
    """A FlatGeobuf file with its packed index; the run's metadata is the layer's metadata."""

    driver = "FlatGeobuf"
    suffix = ".fgb"

    def _complete(self, found: Sequence[int]) -> list[Path]:
        return [self.target]

    def _options(self) -> dict[str, Any]:
        return {"layer_metadata": self.info.all_metadata()}


class ShapefileSink(GpkgSink):
    """A Shapefile: ``model_version`` becomes ``model_vers``, UTF-8, no run metadata, 2 GB at most."""

    driver = "ESRI Shapefile"
    suffix = ".shp"

    def append(self, chunk: Chunk) -> None:
        """Add rows; refuse early what would not fit."""
        if (self._count + len(chunk)) * _DBF_RECORD > _DBF_LIMIT:
            raise NssaError(
                f"{self.target.name}: a Shapefile holds at most 2 GB, about {_DBF_LIMIT // _DBF_RECORD} "
                "objects; write .gpkg or .fgb instead"
            )
        super().append(chunk)

    def _complete(self, found: Sequence[int]) -> list[Path]:
        parts = sorted(p for p in self.target.parent.iterdir() if p.is_file())
        return [p for p in parts if p != self.target] + [self.target]

    def _options(self) -> dict[str, Any]:
        return {"layer_options": {"ENCODING": "UTF-8", "2GB_LIMIT": "YES"}}


class GpkgAppendSink:
    """Adds rows to a layer of an existing GeoPackage, in a copy of it.

    Other layers, styles and metadata stay as they are; the spatial index is kept up to date by GDAL.

    Parameters
    ----------
    folder : Path
        Where to work.
    existing : ExistingLayer
        The layer to add to.
    info : LayerInfo
        ``info.crs`` is the CRS of the layer.
    """

    def __init__(self, folder: Path, existing: ExistingLayer, info: LayerInfo) -> None:
        self.info = info
        self._layer = existing
        self._count = 0
        self.target = folder / existing.path.name
        # SQLite's own copy includes what another program still has in the write-ahead log.
        source, copy = sqlite3.connect(existing.path), sqlite3.connect(self.target)
        try:
            source.backup(copy)
        finally:
            source.close()
            copy.close()

    def append(self, chunk: Chunk) -> None:
        """Add rows to the copy."""
        _write(chunk, self.target, self._layer.name, self.info, append=True)
        self._count += len(chunk)

    def finish(self, found: Sequence[int]) -> list[Path]:
        """Check that all rows arrived and that nobody changed the original meanwhile."""
        _expect(self.target, self._layer.name, self._layer.rows + self._count)
        if self._layer.state() != self._layer.seen:
            raise NssaError(f"{self._layer.path}: was changed by another program meanwhile; run again")
        return [self.target]

    def close(self) -> None:
        """Nothing stays open between calls."""


class ExistingLayer:
    """A layer of a GeoPackage that rows are to be added to.

    Parameters
    ----------
    path : Path
        The GeoPackage.
    info : LayerInfo
        What is to be added; geometry kinds must agree.

    Attributes
    ----------
    name : str
        The layer named like the file, or the only one.
    crs : pyproj.CRS or None
    next_id : int
        One more than the largest ``id``.
    rows : int
        Number of rows.
    seen : tuple
        `state` of the file when it was looked at.

    Raises
    ------
    NssaError
        The file is no GeoPackage, or its layer has other fields or another geometry.
    """

    def __init__(self, path: Path, info: LayerInfo) -> None:
        self.path = path
        self.seen = self.state()
        try:
            connection = sqlite3.connect(path)
            try:
                self._read(connection, info)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise NssaError(f"{path}: cannot be appended to ({error}); give a GeoPackage or use --overwrite") from error

    def state(self) -> tuple[int, int]:
        """Something that changes when the file does."""
        stat = self.path.stat()
        return stat.st_mtime_ns, stat.st_size

    def _read(self, connection: sqlite3.Connection, info: LayerInfo) -> None:
        layers = connection.execute(
            "SELECT table_name, geometry_type_name, srs_id FROM gpkg_geometry_columns"
        ).fetchall()
        chosen = [row for row in layers if row[0] == self.path.stem] or layers
        if len(chosen) != 1:
            raise NssaError(
                f"{self.path}: has {len(layers)} layers and none named {self.path.stem}; append to a file "
                "that nssa-gis wrote"
            )
        self.name, kind, srs_id = chosen[0]
        quoted = '"' + self.name.replace('"', '""') + '"'
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({quoted})")}
        missing = [f.name for f in FIELDS if f.name not in columns]
        if missing:
            raise NssaError(
                f"{self.path}: its layer {self.name} lacks the field {missing[0]}; append to a layer that "
                "nssa-gis wrote"
            )
        if kind.lower() != info.geometry:
            raise NssaError(f"{self.path}: its layer {self.name} holds {kind.lower()}s; give --geometry {kind.lower()}")
        self.rows, last = connection.execute(f"SELECT count(*), max(id) FROM {quoted}").fetchone()
        self.next_id = (last or 0) + 1
        self.crs = None
        if srs_id > 0:
            text = pyogrio.read_info(self.path, layer=self.name)["crs"]
            self.crs = CRS.from_user_input(text) if text else None


def _gpkg_layer(info: LayerInfo, *, index: bool) -> dict[str, str]:
    options = {"SPATIAL_INDEX": "YES" if index else "NO"}
    if info.crs is None:
        options["SRID"] = "-1"  # "undefined cartesian": without it GDAL writes "undefined geographic"
    return options


def _expect(path: Path, layer: str, rows: int) -> None:
    # GDAL reports a write that fails on closing a file only in its log.
    stored = pyogrio.read_info(path, layer=layer, force_feature_count=True)["features"]
    if stored != rows:
        raise OSError(f"only {stored} of {rows} objects were stored")


def _wkt(crs: CRS | None) -> str | None:
    return None if crs is None else crs.to_wkt()


def _write(chunk: Chunk, path: Path, layer: str, info: LayerInfo, *, append: bool, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.raw.write(
            path,
            chunk.wkb(),
            [chunk.columns[f.name] for f in FIELDS],
            np.array([f.name for f in FIELDS]),
            layer=layer,
            driver="GPKG",
            geometry_type="Point" if info.geometry == "point" else "Polygon",
            crs=_wkt(info.crs),
            append=append,
            **options,
        )


class ParquetSink:
    """GeoParquet 1.1, one row group a chunk, zstd; the run's metadata under the key ``nssa_gis``.

    Parameters are those of `GpkgSink`.

    Raises
    ------
    NssaError
        pyarrow is not installed.
    """

    suffix = ".parquet"

    def __init__(self, folder: Path, layer: str, info: LayerInfo) -> None:
        require_pyarrow()
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.info = info
        self.target = folder / f"{layer}{self.suffix}"
        types = {"object": pa.string(), "int64": pa.int64(), "int32": pa.int32(), "float64": pa.float64()}
        point = info.geometry == "point"
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": ["Point" if point else "Polygon"],
            # An explicit null: a missing key would mean longitude and latitude.
            "crs": None if info.crs is None else info.crs.to_json_dict(),
        }
        if not point:
            column["orientation"] = "counterclockwise"
        geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
        self._schema = pa.schema(
            [pa.field(f.name, types[f.dtype]) for f in FIELDS] + [pa.field("geometry", pa.binary())],
            metadata={"geo": json.dumps(geo), "nssa_gis": json.dumps(info.all_metadata())},
        )
        self._writer = pq.ParquetWriter(self.target, self._schema, compression="zstd")

    def append(self, chunk: Chunk) -> None:
        """Add a row group."""
        import pyarrow as pa

        arrays = [pa.array(chunk.columns[f.name], self._schema.field(f.name).type, from_pandas=True) for f in FIELDS]
        arrays.append(pa.array(chunk.wkb(), pa.binary()))
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def finish(self, found: Sequence[int]) -> list[Path]:
        """Write the footer."""
        self._writer.close()
        return [self.target]

    def close(self) -> None:
        """Let go of the file."""
        self._writer.close()


def require_pyarrow() -> None:
    """Check that GeoParquet can be written.

    Raises
    ------
    NssaError
        pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise NssaError(
            'GeoParquet output needs pyarrow: run pip install "nssa-gis[parquet]", or write .gpkg'
        ) from error
