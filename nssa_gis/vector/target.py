"""Where a layer goes: the format, the files, the layer's name and CRS, all checked before any work."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyogrio
from pyproj import CRS

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.files import check_folder
from nssa_gis.vector.reproject import parse_crs
from nssa_gis.vector.schema import FIELDS, GeometryKind

Mode = Literal["new", "overwrite", "append"]

#: Formats by file extension; the values are GDAL's driver names.
DRIVERS: dict[str, str] = {
    ".gpkg": "GPKG",
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".fgb": "FlatGeobuf",
    ".parquet": "Parquet",
    ".geoparquet": "Parquet",
    ".shp": "ESRI Shapefile",
    ".csv": "CSV",
}
_NAMES = tuple(dict.fromkeys(DRIVERS.values()))
_ALIASES = {**{name.lower(): name for name in _NAMES}, "geoparquet": "Parquet", "shapefile": "ESRI Shapefile"}

_SQLITE_SIDECARS = ("-wal", "-shm", "-journal")
_SHAPEFILE_PARTS = (".shx", ".dbf", ".prj", ".cpg")
# What other programs add beside a Shapefile and what would be wrong for a new one.
_SHAPEFILE_SIDECARS = (*_SHAPEFILE_PARTS, ".qpj", ".qix", ".sbn", ".sbx", ".shp.xml")


@dataclass(frozen=True)
class ExistingLayer:
    """A layer of a GeoPackage that rows are to be added to.

    Attributes
    ----------
    name : str
        The layer named like the file, or the only one.
    crs : pyproj.CRS or None
    next_id : int
        One more than the largest ``id``.
    rows : int
        Number of rows.
    state : tuple of int
        See :func:`file_state`.
    """

    name: str
    crs: CRS | None
    next_id: int
    rows: int
    state: tuple[int, int]


@dataclass(frozen=True)
class Target:
    """A place for a layer; get one from :func:`inspect_target`.

    Attributes
    ----------
    path : Path
        The output; where a symbolic link was given, the file it points to.
    driver : str
        GDAL's name of the format.
    layer : str
        Name of the layer in the container.
    mode : {"new", "overwrite", "append"}
        Whether there may be a file already, and what becomes of it.
    source_crs : pyproj.CRS or None
        CRS of the records that come: the scene's. None: image pixels.
    crs : pyproj.CRS or None
        CRS of the layer.
    existing : ExistingLayer or None
        The layer to add to.
    """

    path: Path
    driver: str
    layer: str
    mode: Mode
    source_crs: CRS | None
    crs: CRS | None
    existing: ExistingLayer | None = None

    @property
    def proper_name(self) -> str:
        """Name of the file with an extension of the format: GDAL takes some formats under no other; --of allows it."""
        proper = [suffix for suffix, driver in DRIVERS.items() if driver == self.driver]
        return self.path.name if self.path.suffix.lower() in proper else self.path.name + proper[0]

    @property
    def replaces(self) -> bool:
        """Whether a file of this name may be there at the end of the work."""
        return self.mode == "overwrite" or self.existing is not None

    @property
    def stale(self) -> list[Path]:
        """Files beside an older output that would be wrong for the new one."""
        if self.driver == "GPKG":
            # A write-ahead log of a program that has the old file open would be replayed into the new one.
            return [self.path.with_name(self.path.name + s) for s in _SQLITE_SIDECARS]
        return [self.path.with_suffix(s) for s in _SHAPEFILE_SIDECARS] if self.driver == "ESRI Shapefile" else []


def inspect_target(
    output: str | os.PathLike[str],
    *,
    crs: CRS | None,
    driver: str | None = None,
    mode: Mode = "new",
    t_crs: str | CRS | None = None,
    geometry: GeometryKind = "polygon",
) -> Target:
    """Find out before any work whether a layer can be written, and how.

    Parameters
    ----------
    output : path
        Output file.
    crs : pyproj.CRS or None
        CRS of the scene; None where it has none.
    driver : str or None
        GPKG, GeoJSON, FlatGeobuf, Parquet, "ESRI Shapefile" or CSV; None: by the extension.
    mode : {"new", "overwrite", "append"}
        "new": the file must not exist. "overwrite": an older one is replaced. "append": rows are added to the layer of
        an existing GeoPackage, in its CRS, numbers going on from its last ``id``; a file that does not exist is made.
    t_crs : str, pyproj.CRS or None
        CRS of the layer; None: that of the scene. GeoJSON is always WGS 84.
    geometry : {"polygon", "point"}
        What the layer will hold.

    Returns
    -------
    Target

    Raises
    ------
    UsageError
        Unknown format or CRS, or options that make no sense together.
    NssaError
        The output exists, its folder does not or is not writable, or the existing layer does not fit.
    """
    path = Path(output)
    name = driver_of(path, driver)
    if mode == "append" and name != "GPKG":
        raise UsageError(f"{path}: only a GeoPackage can be appended to; end the name in .gpkg")
    if path.is_dir():
        raise NssaError(f"{path}: is a folder; give the name of a file in it")
    for file in output_files(path, driver):
        if mode == "new" and file.exists():
            raise NssaError(f"{file}: exists already; give another name or --overwrite")
    if not path.parent.is_dir():
        raise NssaError(f"{path}: the folder {path.parent} does not exist; create it first")
    path = Path(os.path.realpath(path))
    check_folder(path)
    existing = _existing_layer(path, geometry) if mode == "append" and path.exists() else None
    return Target(
        path,
        name,
        layer=existing.name if existing else layer_name(path),
        mode=mode,
        source_crs=crs,
        crs=_layer_crs(path, crs, t_crs, name, existing),
        existing=existing,
    )


def driver_of(path: str | os.PathLike[str], driver: str | None = None) -> str:
    """Choose the format.

    Parameters
    ----------
    path : path
        Output file.
    driver : str or None
        Format asked for, in any case; None: by the extension.

    Returns
    -------
    str
        A value of `DRIVERS`.

    Raises
    ------
    UsageError
        Unknown format, or no extension to go by.
    """
    suffix = Path(path).suffix.lower()
    if driver is None:
        if suffix not in DRIVERS:
            raise UsageError(
                f"{path}: cannot tell the format from '{suffix}'; end the name in {', '.join(DRIVERS)} or give --of"
            )
        return DRIVERS[suffix]
    name = _ALIASES.get(driver.lower())
    if name is None:
        raise UsageError(f"--of {driver}: not a format nssa-gis writes; it writes {', '.join(_NAMES)}")
    if name == "ESRI Shapefile" and suffix != ".shp":
        raise UsageError(f"{path}: the name of a Shapefile must end in .shp")
    return name


def output_files(path: str | os.PathLike[str], driver: str | None = None) -> list[Path]:
    """List the files of an output, whether they are there or not; a Shapefile has several.

    Raises
    ------
    UsageError
        Unknown format.
    """
    path = Path(path)
    parts = _SHAPEFILE_PARTS if driver_of(path, driver) == "ESRI Shapefile" else ()
    return [path, *(path.with_suffix(part) for part in parts)]


def layer_name(path: str | os.PathLike[str]) -> str:
    """Name of the layer in the container: the file's name without extension, where a GeoPackage allows it."""
    stem = Path(path).stem
    reserved = stem.lower().startswith(("gpkg_", "sqlite_", "rtree_"))
    return f"layer_{stem}" if reserved or stem.lower() == "layer_styles" else stem


def file_state(path: Path) -> tuple[int, int]:
    """Give two numbers that change when a file does: its time of change and its size."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _layer_crs(
    path: Path, scene: CRS | None, t_crs: str | CRS | None, driver: str, existing: ExistingLayer | None
) -> CRS | None:
    asked = None if t_crs is None else parse_crs(t_crs)
    if asked is not None and scene is None:
        raise UsageError("--t-crs: the scene has no coordinate system to convert from; leave the option out")
    if existing is not None:
        if (existing.crs is None) != (scene is None):
            have, lack = ("layer", "scene") if scene is None else ("scene", "layer")
            raise NssaError(f"{path}: the {have} has a coordinate system and the {lack} has none; write another file")
        if asked is not None and not asked.equals(existing.crs, ignore_axis_order=True):
            raise UsageError(f"--t-crs: rows appended to {path} take its own CRS; leave the option out")
        return existing.crs
    if driver == "GeoJSON" and scene is not None:
        wgs84 = CRS.from_epsg(4326)
        if asked is not None and not asked.equals(wgs84, ignore_axis_order=True):
            raise UsageError("--t-crs: GeoJSON is always longitude and latitude on WGS 84; write .gpkg instead")
        return wgs84
    return asked or scene


def _existing_layer(path: Path, geometry: GeometryKind) -> ExistingLayer:
    state = file_state(path)
    try:
        connection = sqlite3.connect(path)
        try:
            return _inspect(connection, path, geometry, state)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise NssaError(f"{path}: cannot be appended to ({error}); give a GeoPackage or use --overwrite") from error


def _inspect(
    connection: sqlite3.Connection, path: Path, geometry: GeometryKind, state: tuple[int, int]
) -> ExistingLayer:
    layers = connection.execute("SELECT table_name, geometry_type_name, srs_id FROM gpkg_geometry_columns").fetchall()
    chosen = [row for row in layers if row[0] == path.stem] or layers
    if len(chosen) != 1:
        raise NssaError(
            f"{path}: has {len(layers)} layers and none named {path.stem}; append to a file that nssa-gis wrote"
        )
    name, kind, srs_id = chosen[0]
    quoted = '"' + name.replace('"', '""') + '"'
    columns = {row[1] for row in connection.execute(f"PRAGMA table_info({quoted})")}
    missing = [f.name for f in FIELDS if f.name not in columns]
    if missing:
        raise NssaError(f"{path}: its layer {name} lacks the field {missing[0]}; append to a layer that nssa-gis wrote")
    if kind.lower() != geometry:
        raise NssaError(f"{path}: its layer {name} holds {kind.lower()}s; give --geometry {kind.lower()}")
    rows, last = connection.execute(f"SELECT count(*), max(id) FROM {quoted}").fetchone()
    text = pyogrio.read_info(path, layer=name)["crs"] if srs_id > 0 else None
    return ExistingLayer(name, CRS.from_user_input(text) if text else None, (last or 0) + 1, rows, state)
