"""Read an area of interest from a vector file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import numpy as np
import pyogrio
import pyproj
import shapely

from nssa_gis.errors import NssaError
from nssa_gis.files import check_name
from nssa_gis.vector.paths import gdal_path
from nssa_gis.vector.reader import read_layer
from nssa_gis.vector.target import DRIVERS


def read_area(
    source: str | os.PathLike[str], warn: Callable[[str], None] | None = None
) -> tuple[np.ndarray, pyproj.CRS | None]:
    """Read the polygons of a vector file of any format and CRS.

    Parameters
    ----------
    source : str or path
        ``FILE`` or ``FILE:LAYER``. Without a layer name, the first layer that can hold polygons is read.
    warn : callable, optional
        Receives a message if the file has several polygon layers and none is named.

    Returns
    -------
    geometries : ndarray of shapely geometries, shape (n,)
    crs : pyproj.CRS or None
        None if the file has none.

    Raises
    ------
    NssaError
        The file or the layer does not exist, it is not a vector file, or it has no geometries.
    """
    path, layer = split_area(source)
    if DRIVERS.get(os.path.splitext(path)[1].lower()) == "Parquet":  # GDAL reads it only where it was built for it
        read = read_layer(path, [])
        wkb, crs = read.wkb, read.crs
    else:
        wkb, crs = _read(path, layer, warn)
    shapes = shapely.force_2d(shapely.from_wkb(wkb))
    shapes = shapes[~shapely.is_missing(shapes) & ~shapely.is_empty(shapes)]
    if not len(shapes):
        raise NssaError(f"{path}: the area is empty; give a polygon layer")
    return shapes, crs


def _read(path: str, layer: str | None, warn: Callable[[str], None] | None) -> tuple[np.ndarray, pyproj.CRS | None]:
    """Geometries as WKB and the CRS of a layer, read by GDAL."""
    try:
        with gdal_path(path) as plain:
            kinds = {str(name): str(kind) for name, kind in pyogrio.list_layers(plain)}
            if layer is not None and layer not in kinds:
                raise NssaError(f"{path}: it has no layer {layer!r}; its layers: {', '.join(kinds)}")
            if not kinds:
                raise NssaError(f"{path}: it has no vector layer; give a polygon layer")
            meta, _, wkb, _ = pyogrio.raw.read(plain, layer=layer or _choose(path, kinds, warn), columns=[])
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError, ValueError) as error:
        text = " ".join(str(error).split())
        raise NssaError(
            f"{path}: the area cannot be read; give a polygon layer such as a GeoPackage ({text})"
        ) from error
    crs = pyproj.CRS.from_user_input(meta["crs"]) if meta.get("crs") else None
    return np.empty(0, object) if wkb is None else wkb, crs


def _choose(path: str, kinds: dict[str, str], warn: Callable[[str], None] | None) -> str:
    """Choose the first layer that can hold polygons; attribute tables such as styles cannot."""
    fit = [name for name, kind in kinds.items() if any(word in kind for word in ("Polygon", "Surface", "Unknown"))]
    if len(fit) > 1 and warn is not None:
        names = ", ".join(fit)
        warn(f"{path}: it has several polygon layers ({names}); reading {fit[0]}; give another one as {path}:LAYER")
    return next(iter(fit or kinds))


def split_area(source: str | os.PathLike[str]) -> tuple[str, str | None]:
    """Split ``FILE:LAYER`` into the file and the layer.

    The colon belongs to the file if a file of the whole name exists, after a drive letter, and in a URL.

    Returns
    -------
    path : str
    layer : str or None
        None if no layer is named.

    Raises
    ------
    UsageError
        The name is empty.
    NssaError
        The file does not exist.
    """
    source = os.fspath(source)
    check_name(source, "the area")
    path, colon, layer = source.rpartition(":")
    local = "://" not in source and not source.startswith("/vsi")
    if not colon or layer.startswith("//") or (local and os.path.exists(source)):
        return _existing(source), None
    if re.fullmatch(r"[A-Za-z]", path) or "/" in layer or "\\" in layer:
        return _existing(source), None
    return _existing(path), layer


def _existing(path: str) -> str:
    if "://" not in path and not path.startswith("/vsi") and not os.path.exists(path):
        raise NssaError(f"{path}: no such file; check the path of the area")
    return path
