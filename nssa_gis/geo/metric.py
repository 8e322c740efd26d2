"""Ground size of a pixel, anywhere in a scene.

The step from one pixel to the next is transformed to the ellipsoid and measured there in earth-centred coordinates.
So one method works for projected, geographic and polar frames, for feet and degrees, and for web mercator (whose map
metres are not ground metres). The result varies slowly, so it is computed on a lattice over the scene and interpolated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyproj
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Project = Callable[[Floats, Floats], tuple[Floats, Floats]]

#: Lattice nodes a side; odd, so that the scene centre is a node.
_NODES = 65


@dataclass(frozen=True)
class GroundMetric:
    """Lattice of ground lengths.

    Attributes
    ----------
    width, height : int
        Scene pixels.
    lattice : ndarray of float64, shape (3, n, n)
        Metres per pixel along columns (x), along rows (y), and square metres per pixel, row-major.
    """

    width: int
    height: int
    lattice: Floats

    def at(self, x: Floats, y: Floats) -> Floats:
        """Interpolate bilinearly at pixel positions; outside the scene the value of the nearest edge is used.

        Returns
        -------
        ndarray of float64, shape (3, ...)
            Metres per pixel along x, along y, and square metres per pixel.
        """
        n = self.lattice.shape[1] - 1
        u = np.clip(x / self.width * n, 0, n)
        v = np.clip(y / self.height * n, 0, n)
        i, j = np.minimum(u.astype(np.intp), n - 1), np.minimum(v.astype(np.intp), n - 1)
        u, v = u - i, v - j
        flat = self.lattice.reshape(3, -1)
        node = j * (n + 1) + i
        top = flat[:, node] * (1 - u) + flat[:, node + 1] * u
        bottom = flat[:, node + n + 1] * (1 - u) + flat[:, node + n + 2] * u
        return np.asarray(top * (1 - v) + bottom * v)


def ground_metric(project: Project, crs: pyproj.CRS, width: int, height: int) -> GroundMetric:
    """Measure the pixels of a scene.

    Parameters
    ----------
    project : callable
        Pixels to map coordinates.
    crs : pyproj.CRS
        Of the map coordinates.
    width, height : int
        Scene pixels.
    """
    x, y = np.meshgrid(np.linspace(0, width, _NODES), np.linspace(0, height, _NODES))
    to_ground = _ground_coordinates(crs)

    def step(dx: float, dy: float) -> Floats:
        # One pixel, centred: above the float64 noise of the earth's radius (1e-9 m), far below any curvature.
        ahead, behind = to_ground(*project(x + dx, y + dy)), to_ground(*project(x - dx, y - dy))
        return ahead - behind

    with np.errstate(invalid="ignore"):
        along_x, along_y = step(0.5, 0.0), step(0.0, 0.5)
        area = np.linalg.norm(np.cross(along_x, along_y, axis=0), axis=0)
        lattice = np.stack([np.linalg.norm(along_x, axis=0), np.linalg.norm(along_y, axis=0), area])
    lattice[:, ~np.isfinite(lattice).all(axis=0)] = np.nan
    return GroundMetric(width, height, lattice)


def _ground_coordinates(crs: pyproj.CRS) -> Callable[[Floats, Floats], Floats]:
    """Map coordinates to cartesian metres (3, ...): earth-centred, or the plane of an engineering CRS."""
    geodetic = crs.geodetic_crs
    if geodetic is None or geodetic.ellipsoid is None:
        unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        return lambda x, y: np.stack([x * unit, y * unit, np.zeros_like(x)])
    radian = geodetic.axis_info[0].unit_conversion_factor
    transformer = None if crs.is_geographic else pyproj.Transformer.from_crs(crs, geodetic, always_xy=True)
    major = geodetic.ellipsoid.semi_major_metre
    flat = 0.0 if not geodetic.ellipsoid.inverse_flattening else 1 / geodetic.ellipsoid.inverse_flattening
    eccentricity2 = flat * (2 - flat)

    def earth_centred(x: Floats, y: Floats) -> Floats:
        lon, lat = (x, y) if transformer is None else transformer.transform(x, y)
        lon, lat = np.asarray(lon) * radian, np.asarray(lat) * radian
        sin, cos = np.sin(lat), np.cos(lat)
        normal = major / np.sqrt(1 - eccentricity2 * sin * sin)
        return np.stack([normal * cos * np.cos(lon), normal * cos * np.sin(lon), normal * (1 - eccentricity2) * sin])

    return earth_centred
