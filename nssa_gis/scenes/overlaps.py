"""Scenes that show the same ground: what lies there is in the layer of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from pyproj import CRS

from nssa_gis.geo.crs import transformer
from nssa_gis.geo.frame import Frame

#: A strip narrower than this holds no object of interest as a whole, metres; neighbours may share a row of pixels.
_NARROW = 2.0
_METRES_PER_DEGREE = 111_320
#: Points along each side of an outline.
_POINTS = 9


def outline(frame: Frame) -> shapely.Polygon | None:
    """Outline of a scene in longitude and latitude; None without a CRS, or where there are no such coordinates."""
    if frame.crs is None or not frame.placed:
        return None
    steps = np.linspace(0, 1, _POINTS)
    ends, zero = np.ones(_POINTS), np.zeros(_POINTS)
    x = np.concatenate([steps, ends, steps[::-1], zero]) * frame.width
    y = np.concatenate([zero, steps, ends, steps[::-1]]) * frame.height
    longitude, latitude = transformer(frame.crs, CRS.from_epsg(4326)).transform(*frame.to_map(x, y))
    longitude = longitude[0] + (longitude - longitude[0] + 180) % 360 - 180  # a scene on the antimeridian is one piece
    points = np.stack([longitude, latitude], axis=1)
    if not np.isfinite(points).all():
        return None
    made = shapely.make_valid(shapely.Polygon(points))
    return made if made.area > 0 else None


def overlapping(names: Sequence[str], outlines: Sequence[shapely.Polygon | None]) -> list[tuple[str, str, float]]:
    """List the pairs of scenes that overlap by more than a narrow strip, the largest overlap first.

    Parameters
    ----------
    names : sequence of str
    outlines : sequence of shapely.Polygon or None
        From :func:`outline`, one a name.

    Returns
    -------
    list of (str, str, float)
        Two names, and the share of the smaller scene that the other one covers, 0 to 1.
    """
    known = [k for k, shape in enumerate(outlines) if shape is not None]
    shapes = np.array([outlines[k] for k in known], object)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    first, second = first[first < second], second[first < second]
    both = shapely.intersection(shapes[first], shapes[second])
    share = shapely.area(both) / np.minimum(shapely.area(shapes[first]), shapely.area(shapes[second]))
    wide = [not shapely.buffer(_in_metres(shape), -_NARROW / 2).is_empty for shape in both]
    order = [k for k in np.argsort(-share, kind="stable").tolist() if wide[k]]
    return [(names[known[first[k]]], names[known[second[k]]], float(share[k])) for k in order]


def _in_metres(shape: shapely.Geometry) -> shapely.Geometry:
    """Give longitude and latitude the scale of the ground."""
    if shape.is_empty:
        return shape
    across = np.cos(np.radians((shape.bounds[1] + shape.bounds[3]) / 2))
    return shapely.transform(shape, lambda points: points * _METRES_PER_DEGREE * [across, 1])
