"""Reproject the coordinates of a layer; geometries across the antimeridian stay whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from nssa_gis.errors import NssaError
from nssa_gis.geo.crs import transformer
from nssa_gis.geo.frame import map_period


class Reprojection:
    """Convert map coordinates from one CRS to another.

    Only corners are converted: a box is a few metres wide, so its edges stay straight. In a target CRS that ends at
    the antimeridian (longitude, Mercator), a box across it would become as wide as the world. Its corners are moved to
    one side instead, so longitudes can exceed 180 a little.

    Parameters
    ----------
    source, target : pyproj.CRS
        Coordinates are always x, y (longitude, latitude), whatever the axis order of the CRS.

    Raises
    ------
    NssaError
        No way is known from one to the other.
    """

    def __init__(self, source: CRS, target: CRS) -> None:
        self.target = target
        same = source.equals(target, ignore_axis_order=True)
        self._transformer = None if same else transformer(source, target)
        self._period = map_period(target)

    def __call__(self, coords: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert.

        Parameters
        ----------
        coords : ndarray of float64, shape (N, K, 2)

        Returns
        -------
        ndarray of float64, shape (N, K, 2)

        Raises
        ------
        NssaError
            A point lies outside the area of the target CRS.
        """
        if self._transformer is None or not len(coords):
            return coords
        x, y = self._transformer.transform(coords[..., 0], coords[..., 1])
        out = np.stack([x, y], axis=-1)
        if not np.isfinite(out).all():
            raise NssaError(
                f"--t-crs {self.target.name}: some objects lie outside the area that this coordinate system can show; "
                "give another one and --resume"
            )
        return one_side(out, self._period) if self._period else out


def one_side(coords: NDArray[np.float64], period: float) -> NDArray[np.float64]:
    """Move the left corners of geometries wider than half the world by one period to the right.

    Parameters
    ----------
    coords : ndarray of float64, shape (N, K, 2)
    period : float
        Width of the world, in the units of x.
    """
    x = coords[..., 0]
    low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    moved = np.where((high - low > period / 2) & (x < (low + high) / 2), x + period, x)
    return np.stack([moved, coords[..., 1]], axis=-1)
