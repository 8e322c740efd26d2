"""Where a layer goes: the format, the files, the layer's name and CRS, all checked before any work."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pyproj import CRS, Geod
from pyproj.exceptions import CRSError

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.files import check_folder
from nssa_gis.geo.crs import named_or_none, transformer
from nssa_gis.geo.frame import Frame
from nssa_gis.vector.geopackage import ExistingLayer, existing_layer, other_tables
from nssa_gis.vector.schema import GeometryKind

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

#: Characters that GDAL allows in the name of a layer, but not as the first one.
_NOT_FIRST = "`~!@#$%^&*()+-={}|[]\\:\";'<>?,./"
#: A CRS is stored right if the places that it gives are this near to those meant, metres.
_APART_M = 0.5

_SQLITE_SIDECARS = ("-wal", "-shm", "-journal")
_SHAPEFILE_PARTS = (".shx", ".dbf", ".prj", ".cpg")
# What other programs add beside a Shapefile and what would be wrong for a new one.
_SHAPEFILE_SIDECARS = (*_SHAPEFILE_PARTS, ".qpj", ".qix", ".sbn", ".sbx", ".shp.xml")


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
        Name of the layer in the container; of the table that carries the rows to an existing layer.
    mode : {"new", "overwrite", "append"}
        Whether there may be a file already, and what becomes of it.
    source_crs : pyproj.CRS or None
        CRS of the records that come: the scene's. None: image pixels.
    crs : pyproj.CRS or None
        CRS of the layer.
    step : float
        Length of a pixel in the coordinates of the layer.
    existing : ExistingLayer or None
        The layer to add to.
    others : tuple of str
        What else an existing GeoPackage holds; it stays.
    """

    path: Path
    driver: str
    layer: str
    mode: Mode
    source_crs: CRS | None
    crs: CRS | None
    step: float
    existing: ExistingLayer | None = None
    others: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """An extension of the format: GDAL takes some formats under no other; --of allows any."""
        return next(suffix for suffix, driver in DRIVERS.items() if driver == self.driver)

    @property
    def stale(self) -> list[Path]:
        """Files beside an older output that would be wrong for the new one."""
        if self.driver == "GPKG":
            # A write-ahead log of a program that has the old file open would be replayed into the new one.
            return [self.path.with_name(self.path.name + s) for s in _SQLITE_SIDECARS]
        return [self.path.with_suffix(s) for s in _SHAPEFILE_SIDECARS] if self.driver == "ESRI Shapefile" else []


def inspect_target(
    output: str | os.PathLike[str],
    frame: Frame,
    *,
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
    frame : Frame
        Of the scene.
    driver : str or None
        GPKG, GeoJSON, FlatGeobuf, Parquet, "ESRI Shapefile" or CSV; None: by the extension.
    mode : {"new", "overwrite", "append"}
        "new": the file must not exist. "overwrite": an older one is replaced; of a GeoPackage that holds other layers
        or tables, only the layer. "append": rows are added to the layer of an existing GeoPackage, in its CRS, numbers
        going on from its last ``id``; a file that does not exist is made.
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
        The output exists, its folder does not or is not writable, another program is writing to it, the existing layer
        does not fit, or the CRS cannot show the scene or cannot be stored in the format.
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
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise NssaError(f"{path}: is no ordinary file; give another name")
    check_folder(path)
    _check_length(path, name)
    there = path.exists() and name == "GPKG"
    layer = layer_name(path)
    existing = existing_layer(path, geometry, layer) if mode == "append" and there else None
    source = frame.crs if frame.georeferenced else None
    if name == "GeoJSON" and source is None and frame.placed:
        raise NssaError(
            f"{path}: GeoJSON is always in degrees, and the scene does not say in which CRS its map coordinates are; "
            "name it with --crs, or write .gpkg"
        )
    crs = _layer_crs(path, source, t_crs, name, existing)
    corners = _corners(frame, source, crs)
    if name == "ESRI Shapefile" and crs is not None:
        _check_shapefile_crs(path, crs, corners[0])
    return Target(
        path,
        name,
        layer="rows" if existing else layer,
        mode=mode,
        source_crs=source,
        crs=crs,
        step=_step(corners),
        existing=existing,
        others=other_tables(path, layer) if mode == "overwrite" and there else (),
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
    reserved = stem.lower().startswith(("gpkg", "sqlite_", "rtree_", "layer_styles"))
    return f"layer_{stem}" if reserved or stem.startswith(tuple(_NOT_FIRST)) else stem


def _check_length(path: Path, driver: str) -> None:
    """Raise an error for a name that leaves no room for the files that programs put beside a file of the format."""
    room = 255 - {"GPKG": len("-journal"), "ESRI Shapefile": len(".xml")}.get(driver, 0)
    length = len(os.fsencode(path.name))
    if length > room:
        raise NssaError(
            f"{path.parent}: the name of the output is too long for this format, {length} bytes; the limit is {room}"
        )


def _layer_crs(
    path: Path, scene: CRS | None, t_crs: str | CRS | None, driver: str, existing: ExistingLayer | None
) -> CRS | None:
    asked = named_or_none(t_crs, "--t-crs")
    if asked is not None and scene is None:
        raise UsageError(
            "--t-crs: the scene has no coordinate system to convert from; name it with --crs or leave the option out"
        )
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


def _corners(frame: Frame, source: CRS | None, crs: CRS | None) -> np.ndarray:
    """Pixels spread over the scene in the coordinates of the layer: (3, n, 2), a corner and its two neighbours.

    Raises
    ------
    NssaError
        The CRS of the layer cannot show the scene, or no way leads to it.
    """
    x, y = (v.ravel() for v in np.meshgrid(np.linspace(0, frame.width, 9), np.linspace(0, frame.height, 9)))
    corners = np.stack([np.stack(frame.to_map(x + dx, y + dy), axis=-1) for dx, dy in ((0, 0), (1, 0), (0, 1))])
    if source is not None and crs is not None and not source.equals(crs, ignore_axis_order=True):
        corners = np.stack(transformer(source, crs).transform(corners[..., 0], corners[..., 1]), axis=-1)
        corners = corners[:, np.isfinite(corners).all(axis=(0, 2))]
        if not corners.size:
            raise NssaError(
                f"--t-crs {crs.name}: the scene lies outside the area that this coordinate system can show; "
                "choose another one"
            )
    return corners


def _step(corners: np.ndarray) -> float:
    """Length of a pixel."""
    steps = np.hypot(*np.moveaxis(corners[1:] - corners[:1], -1, 0))
    return float(np.nanmedian(np.where(steps > 0, steps, np.nan))) if (steps > 0).any() else 1.0


def _check_shapefile_crs(path: Path, crs: CRS, points: np.ndarray) -> None:
    """Raise an error if a ``.prj`` would put the layer elsewhere: ESRI's WKT knows no datum shift, no rotated pole."""
    try:
        stored = CRS.from_wkt(crs.to_wkt("WKT1_ESRI"))
        if crs.is_engineering:  # no place on earth to compare
            return
        wgs84 = CRS.from_epsg(4326)
        meant, read = (np.stack(transformer(c, wgs84).transform(*points.T)) for c in (crs, stored))
        _, _, apart = Geod(ellps="WGS84").inv(*meant, *read)
        lost = f"the datum of its CRS (it would lie {np.max(apart):.0f} m beside)" if np.max(apart) > _APART_M else None
    except (CRSError, NssaError):
        lost = "its CRS"
    if lost:
        raise NssaError(f"{path}: a Shapefile cannot hold {lost}, {crs.name}; write .gpkg or .fgb, or give --t-crs")
