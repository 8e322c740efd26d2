"""The area of interest from a vector file."""

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


def read_area(
    source: str | os.PathLike[str], warn: Callable[[str], None] | None = None
) -> tuple[np.ndarray, pyproj.CRS | None]:
    """Read the polygons of a vector file of any format and CRS.

    Parameters
    ----------
    source : str or path
        ``FILE`` or ``FILE:LAYER``; the first layer that may hold polygons if none is named.
    warn : callable, optional
        Told which layer is taken where several could have been meant.

    Returns
    -------
    geometries : ndarray of shapely geometries, shape (n,)
    crs : pyproj.CRS or None
        None where the file has none.

    Raises
    ------
    NssaError
        No such file or layer, not a vector file, or nothing in it.
    """
    path, layer = split_area(source)
    try:
        kinds = {str(name): str(kind) for name, kind in pyogrio.list_layers(path)}
        layers = list(kinds)
        if layer is not None and layer not in layers:
            raise NssaError(f"{path}: it has no layer {layer!r}; its layers: {', '.join(layers)}")
        if not layers:
            raise NssaError(f"{path}: it has no vector layer; give a polygon layer")
        meta, _, wkb, _ = pyogrio.raw.read(path, layer=layer or _choose(path, kinds, warn), columns=[], force_2d=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError, ValueError) as error:
        text = " ".join(str(error).split())
        raise NssaError(
            f"{path}: the area cannot be read; give a polygon layer such as a GeoPackage ({text})"
        ) from error
    shapes = shapely.from_wkb(wkb) if wkb is not None else np.empty(0, object)
    shapes = shapes[~shapely.is_missing(shapes) & ~shapely.is_empty(shapes)]
    if not len(shapes):
        raise NssaError(f"{path}: the area is empty; give a polygon layer")
    return shapes, pyproj.CRS.from_user_input(meta["crs"]) if meta.get("crs") else None


def _choose(path: str, kinds: dict[str, str], warn: Callable[[str], None] | None) -> str:
    """Take the first layer that may hold polygons (attribute tables such as styles hold none)."""
    fit = [name for name, kind in kinds.items() if any(word in kind for word in ("Polygon", "Surface", "Unknown"))]
    if len(fit) > 1 and warn is not None:
        warn(f"{path}: it has several polygon layers ({', '.join(fit)}); taking {fit[0]}, name another as {path}:LAYER")
    return next(iter(fit or kinds))


def split_area(source: str | os.PathLike[str]) -> tuple[str, str | None]:
    """Part ``FILE:LAYER``; a file of that whole name, an address and a drive letter are left alone.

    Returns
    -------
    path : str
    layer : str or None
        None where none is named.

    Raises
    ------
    NssaError
        There is no such file.
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
