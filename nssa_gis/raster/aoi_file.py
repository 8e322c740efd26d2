"""The area of interest from a vector file."""

from __future__ import annotations

import os
import re

import numpy as np
import pyogrio
import pyproj
import shapely

from nssa_gis.errors import NssaError


def read_area(source: str | os.PathLike[str]) -> tuple[np.ndarray, pyproj.CRS | None]:
    """Read the polygons of a vector file of any format and CRS.

    Parameters
    ----------
    source : str or path
        ``FILE`` or ``FILE:LAYER``; the first layer if none is named.

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
    path, layer = _split(os.fspath(source))
    try:
        layers = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
        if layer is not None and layer not in layers:
            raise NssaError(f"{path}: it has no layer {layer!r}; its layers: {', '.join(layers)}")
        if not layers:
            raise NssaError(f"{path}: it has no vector layer; give a polygon layer")
        meta, _, wkb, _ = pyogrio.raw.read(path, layer=layer or layers[0], columns=[], force_2d=True)
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


def _split(source: str) -> tuple[str, str | None]:
    """Part ``FILE:LAYER``; a file of that whole name, an address and a drive letter are left alone."""
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
