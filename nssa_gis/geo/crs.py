"""Coordinate reference systems as users name them, and the way from one to another."""

from __future__ import annotations

import pyproj
from pyproj.exceptions import CRSError, ProjError

from nssa_gis.errors import NssaError, UsageError


def named_crs(text: str | pyproj.CRS, option: str) -> pyproj.CRS:
    """Read the CRS of a map from anything PROJ knows (``EPSG:4326``, WKT, PROJJSON).

    Parameters
    ----------
    text : str or pyproj.CRS
    option : str
        Where the user gave it, for the message.

    Raises
    ------
    UsageError
        It is not a CRS, or not one of a map: heights or earth-centred coordinates have no place in a plane.
    """
    try:
        crs = pyproj.CRS.from_user_input(text)
    except CRSError as error:
        raise UsageError(f"{option} {text}: not a known coordinate system; give one like EPSG:4326") from error
    if not (crs.is_projected or crs.is_geographic or crs.is_engineering):
        raise UsageError(
            f"{option} {text}: {crs.name} is a {crs.type_name}, which no map is drawn in; give a projected or "
            "geographic one like EPSG:4326"
        )
    return crs


def named_or_none(text: str | pyproj.CRS | None, option: str) -> pyproj.CRS | None:
    """Read a CRS as :func:`named_crs` does, if one is given."""
    return None if text is None else named_crs(text, option)


def transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    """Find the way from one CRS to another; coordinates are x, y (longitude, latitude), whatever the axis order.

    Raises
    ------
    NssaError
        There is none: a local grid that no map knows, or another celestial body.
    """
    try:
        return pyproj.Transformer.from_crs(source, target, always_xy=True)
    except ProjError as error:
        raise NssaError(
            f"no way is known from {source.name} to {target.name}; choose another coordinate system"
        ) from error
