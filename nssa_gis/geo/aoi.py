"""The area of interest, in scene pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import ArrayLike, NDArray

from nssa_gis.errors import NssaError
from nssa_gis.geo.crs import transformer
from nssa_gis.geo.frame import Frame, map_period

#: A long edge bends when the projection changes. It is split into pieces of this part of the scene's diagonal.
_PIECES = 256


class OutsideScene(NssaError):
    """An area does not meet the scene."""


class Area:
    """Polygons in scene pixels, clipped to the scene.

    Parameters
    ----------
    shape : shapely.Geometry
        Polygon or multipolygon in pixel edges.
    """

    def __init__(self, shape: shapely.Geometry) -> None:
        self.shape = shape
        shapely.prepare(self.shape)

    @classmethod
    def from_geometries(cls, geometries: Iterable[Any], crs: pyproj.CRS | None, frame: Frame) -> Area:
        """Transform polygons of any CRS to pixels of a scene.

        Parameters
        ----------
        geometries : iterable of shapely geometries
            Points and lines among them are ignored.
        crs : pyproj.CRS or None
            Of the geometries; None means the scene's own map coordinates.
        frame : Frame

        Raises
        ------
        OutsideScene
            It does not meet the scene.
        NssaError
            It has no polygon, or it has a CRS and the scene has none.
        """
        shapes = shapely.make_valid(np.array(list(geometries), dtype=object))
        shapes = shapely.get_parts(shapely.get_parts(shapes))
        shapes = shapes[np.isin(shapely.get_type_id(shapes), (3, 6))]
        if not len(shapes):
            raise NssaError("area of interest: it holds no polygon; give a polygon layer")
        if crs is not None and frame.crs is None:
            raise NssaError(
                f"area of interest: it is in {crs.name}, but the scene has no CRS; "
                "give an area in the scene's own coordinates, without CRS"
            )
        pixels = _to_pixels(shapely.union_all(shapes), crs, frame)
        inside = shapely.make_valid(pixels).intersection(shapely.box(0, 0, frame.width, frame.height))
        if not inside.area > 0:
            raise OutsideScene("area of interest: it does not meet the scene; check the area and its CRS")
        return cls(inside)

    @classmethod
    def from_bounds(cls, bounds: Sequence[float], crs: pyproj.CRS | None, frame: Frame) -> Area:
        """Take ``x0, y0, x1, y1`` of any CRS (None: the scene's own) as the area; corners in any order.

        Raises
        ------
        NssaError
            The bounds are empty or do not meet the scene.
        """
        x0, x1 = sorted((float(bounds[0]), float(bounds[2])))
        y0, y1 = sorted((float(bounds[1]), float(bounds[3])))
        if not (np.isfinite([x0, x1, y0, y1]).all() and x0 < x1 and y0 < y1):
            raise NssaError(f"bounds {x0},{y0},{x1},{y1}: they hold no area; give x0,y0,x1,y1")
        return cls.from_geometries([shapely.box(x0, y0, x1, y1)], crs, frame)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Bounding box ``x0, y0, x1, y1`` in pixels."""
        return tuple(self.shape.bounds)

    def contains(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether pixel positions (N, 2) lie in the area (edge included), bool (N,)."""
        points = np.asarray(points, np.float64).reshape(-1, 2)
        return np.asarray(shapely.intersects_xy(self.shape, points[:, 0], points[:, 1]))

    def touches(self, boxes: ArrayLike) -> NDArray[np.bool_]:
        """Whether pixel boxes (M, 4) share a point with the area, bool (M,)."""
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        return np.asarray(shapely.intersects(self.shape, shapely.box(*boxes.T)))


def _to_pixels(shape: shapely.Geometry, crs: pyproj.CRS | None, frame: Frame) -> shapely.Geometry:
    """Clip to the surroundings of the scene (a projection may not work far away), split long edges, project."""
    own = crs is None or frame.crs is None or crs.equals(frame.crs, ignore_axis_order=True)
    source = frame.crs if own else crs
    period = None if source is None else map_period(source)
    x0, y0, x1, y1 = _surroundings(frame, None if own else crs, period)
    if not own and period is not None and x1 - x0 > period:
        # A scene with a pole goes all around the earth: take it once, or the overlapping parts cancel.
        x0, x1 = (x0 + x1 - period) / 2, (x0 + x1 + period) / 2
    shifts = (0.0,) if period is None else (-period, 0.0, period)
    parts = [
        shapely.clip_by_rect(shapely.transform(shape, lambda c, s=s: c + np.array([s, 0.0])), x0, y0, x1, y1)
        for s in shifts
    ]
    near = shapely.segmentize(shapely.union_all(parts), np.hypot(x1 - x0, y1 - y0) / _PIECES)
    change = None if crs is None or frame.crs is None or own else transformer(crs, frame.crs)

    def project(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = coordinates.T
        if change is not None:
            x, y = change.transform(x, y)
            if frame.x_period is not None:
                middle = frame.to_map(frame.width / 2, frame.height / 2)[0]
                x = x - frame.x_period * np.round((x - middle) / frame.x_period)
        pixels = np.stack(frame.to_pixel(x, y), axis=-1)
        if not np.isfinite(pixels).all():
            raise NssaError("area of interest: part of it cannot be projected to the scene; draw it in the scene's CRS")
        return pixels

    return shapely.transform(near, project)


def _surroundings(frame: Frame, crs: pyproj.CRS | None, period: float | None) -> tuple[float, float, float, float]:
    """Bounds of the scene in a CRS (None: its own) with a margin; x goes on beyond 180 at the antimeridian."""
    x, y = frame.to_map(*np.meshgrid(np.linspace(0, frame.width, 33), np.linspace(0, frame.height, 33)))
    if crs is not None and frame.crs is not None:
        x, y = transformer(frame.crs, crs).transform(x, y)
        if period is not None:
            x = x - period * np.round((x - x[16, 16]) / period)
    seen = np.isfinite(x) & np.isfinite(y)
    if not seen.any():
        raise NssaError("area of interest: the scene cannot be projected to its CRS; draw it in the scene's CRS")
    x, y = x[seen], y[seen]
    margin = 0.05 * max(np.ptp(x), np.ptp(y))
    return x.min() - margin, y.min() - margin, x.max() + margin, y.max() + margin
