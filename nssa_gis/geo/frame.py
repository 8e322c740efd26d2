"""The frame of a scene: its shape, its CRS, and the mapping between pixels and map coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from nssa_gis.geo.mapping import (
    AffineMapping,
    GroundControlPoint,
    Mapping,
    PolynomialMapping,
    RationalMapping,
    RationalPolynomials,
)
from nssa_gis.geo.metric import GroundMetric, ground_metric

Floats = NDArray[np.float64]

#: Projection methods whose x is proportional to longitude.
_CYLINDRICAL = ("Popular Visualisation Pseudo Mercator", "Mercator (variant", "Equidistant Cylindrical")


@dataclass(frozen=True)
class Frame:
    """An immutable pixel frame; pixel edges, float64, never rounded.

    The first one that is given of ``transform``, ``gcps`` and ``rpcs`` is used. Without any of them the map coordinates
    are the pixel coordinates (y downwards).

    Attributes
    ----------
    width, height : int
        Pixels.
    crs : pyproj.CRS or None
        Of the map coordinates; axes are always x (east, longitude) then y.
    transform : affine.Affine or None
        Geotransform, pixel edges.
    gcps : tuple of GroundControlPoint
        Fitted by a polynomial as GDAL does by default: order 2 from six points on, else 1.
    rpcs : RationalPolynomials or None
        Sensor model at one height; map coordinates are longitude and latitude.

    Raises
    ------
    ValueError
        Empty frame, degenerate transform, too few or collinear control points.
    """

    width: int
    height: int
    crs: pyproj.CRS | None = None
    transform: Affine | None = None
    gcps: tuple[GroundControlPoint, ...] = ()
    rpcs: RationalPolynomials | None = None

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a frame of {self.width} x {self.height} pixels is empty")
        _ = self._mapping  # a frame without a valid mapping fails here, not in the middle of a run

    @property
    def georeferenced(self) -> bool:
        """Whether the map coordinates have a CRS. With a world file alone they have none, and there are no metres."""
        return self.crs is not None and self.placed

    def to_map(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Transform pixel positions to map coordinates.

        Parameters
        ----------
        x, y : array_like
            Pixels (edges), broadcast against each other.

        Returns
        -------
        X, Y : ndarray of float64
        """
        return self._mapping.forward(*_pair(x, y))

    def to_pixel(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Transform map coordinates to pixel positions; reverses `to_map` to better than 1e-4 pixels.

        Returns
        -------
        x, y : ndarray of float64
            NaN where the control-point polynomial has no solution (far outside the scene).
        """
        return self._mapping.inverse(*_pair(x, y))

    def box_corners(self, boxes: ArrayLike) -> Floats:
        """Corners of pixel boxes on the map.

        Parameters
        ----------
        boxes : array_like, shape (N, 4)
            ``x0, y0, x1, y1``.

        Returns
        -------
        ndarray of float64, shape (N, 4, 2)
            (x0, y0), (x1, y0), (x1, y1), (x0, y1).
        """
        boxes = _boxes(boxes)
        return np.stack(self.to_map(boxes[:, [0, 2, 2, 0]], boxes[:, [1, 1, 3, 3]]), axis=-1)

    @cached_property
    def gsd(self) -> tuple[float, float] | None:
        """Ground metres per pixel along columns (x) and rows (y) at the scene centre; None without a CRS.

        These are metres on the ground, not degrees, feet or the enlarged metres of web mercator.
        """
        if self._metric is None:
            return None
        gx, gy = self.gsd_at(self.width / 2, self.height / 2)
        return (float(gx), float(gy)) if np.isfinite(gx) and np.isfinite(gy) else None

    def gsd_at(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Ground metres per pixel along columns and along rows at pixel positions; NaN without a CRS."""
        x, y = _pair(x, y)
        if self._metric is None:
            return np.full(x.shape, np.nan), np.full(x.shape, np.nan)
        gx, gy, _ = self._metric.at(x, y)
        return gx, gy

    def box_sizes_m(self, boxes: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Ground size of pixel boxes by the pixel size at their centres.

        Parameters
        ----------
        boxes : array_like, shape (N, 4)

        Returns
        -------
        width_m, height_m, area_m2 : ndarray of float64, shape (N,)
            Along columns, along rows, and of the parallelogram; NaN without a CRS.
        """
        boxes = _boxes(boxes)
        if self._metric is None:
            nothing = np.full(len(boxes), np.nan)
            return nothing, nothing.copy(), nothing.copy()
        gx, gy, area = self._metric.at((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
        w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        return w * gx, h * gy, w * h * area

    @property
    def x_period(self) -> float | None:
        """Map x repeats after this many units (once around the earth); None where it does not."""
        if self.crs is None:
            return None
        return map_period(self.crs)

    @property
    def placed(self) -> bool:
        """Whether there is a mapping to map coordinates, with a CRS or without; else they are the pixels."""
        return self.transform is not None or bool(self.gcps) or self.rpcs is not None

    @cached_property
    def _mapping(self) -> Mapping:
        if self.transform is not None:
            return AffineMapping(self.transform)
        if self.gcps:
            return PolynomialMapping(self.gcps, self.x_period)
        if self.rpcs is not None:
            return RationalMapping(self.rpcs)
        return AffineMapping(Affine.identity())

    @cached_property
    def _metric(self) -> GroundMetric | None:
        if self.crs is None or not self.placed:
            return None
        return ground_metric(self.to_map, self.crs, self.width, self.height)


def map_period(crs: pyproj.CRS) -> float | None:
    """Length of the earth's way around in map x, for CRSs whose x is longitude or proportional to it."""
    if crs.is_geographic:
        return float(2 * np.pi / crs.axis_info[0].unit_conversion_factor)
    operation = crs.coordinate_operation if crs.is_projected else None
    if operation is None or not operation.method_name.startswith(_CYLINDRICAL):
        return None
    geodetic = crs.geodetic_crs
    if geodetic is None:
        return None
    x, _ = pyproj.Transformer.from_crs(geodetic, crs, always_xy=True).transform([0.0, 1.0], [0.0, 0.0])
    return float(abs(x[1] - x[0]) * map_period(geodetic))


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    return a, b


def _boxes(boxes: ArrayLike) -> Floats:
    return np.asarray(boxes, np.float64).reshape(-1, 4)
