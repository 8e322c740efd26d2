"""Mappings from pixels to the map: affine, ground control points, rational polynomials.

All of them take and return float64 arrays; pixel edges (the centre of the first pixel is 0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]


class Mapping(Protocol):
    """A pair of transforms that are inverse to each other."""

    def forward(self, x: Floats, y: Floats) -> Pair:
        """Pixels to map coordinates."""

    def inverse(self, x: Floats, y: Floats) -> Pair:
        """Map coordinates to pixels."""


@dataclass(frozen=True)
class GroundControlPoint:
    """One known point: pixel edges ``col, row`` and map coordinates ``x, y``."""

    col: float
    row: float
    x: float
    y: float


@dataclass(frozen=True)
class RationalPolynomials:
    """RPC00B sensor model at one constant height.

    Attributes
    ----------
    line_num, line_den, samp_num, samp_den : tuple of 20 floats
        Coefficients in the order of RPC00B (STDI-0002).
    line_off, samp_off : float
        Pixel edges (RPC counts from pixel centres: half a pixel is added where the file is read).
    line_scale, samp_scale, lon_off, lon_scale, lat_off, lat_scale, height_off, height_scale : float
        Normalisation.
    height : float
        Metres above the ellipsoid that all pixels are assumed to lie at.
    """

    line_num: tuple[float, ...]
    line_den: tuple[float, ...]
    samp_num: tuple[float, ...]
    samp_den: tuple[float, ...]
    line_off: float
    line_scale: float
    samp_off: float
    samp_scale: float
    lon_off: float
    lon_scale: float
    lat_off: float
    lat_scale: float
    height_off: float
    height_scale: float
    height: float


@dataclass(frozen=True)
class AffineMapping:
    """A geotransform; rotation, shear and south-up rows included."""

    affine: Affine

    def __post_init__(self) -> None:
        values = tuple(self.affine)[:6]
        if not all(math.isfinite(v) for v in values) or self.affine.determinant == 0:
            raise ValueError("the geotransform is degenerate")

    def forward(self, x: Floats, y: Floats) -> Pair:
        """Pixels to map coordinates."""
        t = self.affine
        return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f

    def inverse(self, x: Floats, y: Floats) -> Pair:
        """Map coordinates to pixels."""
        t = self.affine
        # The origin is subtracted first: an inverse matrix with a large constant term would lose digits.
        u, v, det = x - t.c, y - t.f, t.a * t.e - t.b * t.d
        return (t.e * u - t.b * v) / det, (t.a * v - t.d * u) / det


class PolynomialMapping:
    """Least-squares polynomial through ground control points, as GDAL's default GCP transformer.

    The order is 2 from six points on and 1 below, as in GDAL. For the inverse, GDAL fits a second polynomial, which is
    not exactly inverse to the first. Here the first one is inverted (Newton), so that a box returns to its own
    pixels.

    Parameters
    ----------
    points : sequence of GroundControlPoint
        Three or more, not on one line.
    period : float or None
        Period of the map x (360 for degrees): points on the two sides of the antimeridian are moved together.

    Raises
    ------
    ValueError
        Too few points, or all on one line.
    """

    def __init__(self, points: Sequence[GroundControlPoint], period: float | None = None) -> None:
        if len(points) < 3:
            raise ValueError(f"{len(points)} ground control points are too few (3 are needed)")
        table = np.array([(p.col, p.row, p.x, p.y) for p in points], np.float64)
        if not np.isfinite(table).all():
            raise ValueError("a ground control point is not a number")
        if period is not None and np.ptp(table[:, 2]) > period / 2:
            table[:, 2] -= period * np.round((table[:, 2] - table[0, 2]) / period)
        self._centre = table.mean(axis=0)
        spread = np.abs(table - self._centre).max(axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)
        normal = (table - self._centre) / self._spread
        self._order = 2 if len(points) >= 6 else 1
        coefficients = self._fit(normal)
        if coefficients is None and self._order == 2:
            self._order = 1  # points on a conic, such as four corners and two edge points in a row
            coefficients = self._fit(normal)
        if coefficients is None:
            raise ValueError("the ground control points lie on one line")
        self._coefficients = coefficients
        linear, *_ = np.linalg.lstsq(_terms(normal[:, 0], normal[:, 1], 1).T, normal[:, 2:], rcond=None)
        self._start = np.linalg.pinv(linear[1:].T), linear[0]

    def _fit(self, normal: Floats) -> Floats | None:
        terms = _terms(normal[:, 0], normal[:, 1], self._order)
        solution, _, rank, _ = np.linalg.lstsq(terms.T, normal[:, 2:], rcond=1e-9)
        return np.asarray(solution, np.float64) if rank == len(terms) else None

    def forward(self, x: Floats, y: Floats) -> Pair:
        """Pixels to map coordinates."""
        c, s = self._centre, self._spread
        terms = _terms((x - c[0]) / s[0], (y - c[1]) / s[1], self._order)
        fitted = np.tensordot(self._coefficients, terms, axes=(0, 0))
        return fitted[0] * s[2] + c[2], fitted[1] * s[3] + c[3]

    def inverse(self, x: Floats, y: Floats) -> Pair:
        """Map coordinates to pixels; NaN where the polynomial has no solution (far outside the image)."""
        c, s = self._centre, self._spread
        matrix, offset = self._start
        u, v = (x - c[2]) / s[2] - offset[0], (y - c[3]) / s[3] - offset[1]
        start = (
            (matrix[0, 0] * u + matrix[0, 1] * v) * s[0] + c[0],
            (matrix[1, 0] * u + matrix[1, 1] * v) * s[1] + c[1],
        )
        return _newton(self.forward, (x, y), start, (1.0, 1.0))


@dataclass(frozen=True)
class RationalMapping:
    """RPC sensor model; map coordinates are longitude and latitude in degrees (WGS 84)."""

    rpc: RationalPolynomials

    def inverse(self, x: Floats, y: Floats) -> Pair:
        """Longitude, latitude to pixels; the direction in which RPCs are defined."""
        r = self.rpc
        lon = x - r.lon_off
        lon = lon - 360.0 * np.round(lon / 360.0)
        terms = _rpc_terms(lon / r.lon_scale, (y - r.lat_off) / r.lat_scale, self._height())
        samp, line = (
            np.tensordot(np.asarray(num), terms, axes=(0, 0)) / np.tensordot(np.asarray(den), terms, axes=(0, 0))
            for num, den in ((r.samp_num, r.samp_den), (r.line_num, r.line_den))
        )
        return samp * r.samp_scale + r.samp_off, line * r.line_scale + r.line_off

    def forward(self, x: Floats, y: Floats) -> Pair:
        """Pixels to longitude, latitude; NaN where the model cannot be inverted."""
        r = self.rpc
        start = np.full_like(x, r.lon_off), np.full_like(y, r.lat_off)
        return _newton(self.inverse, (x, y), start, (1e-4 * r.lon_scale, 1e-4 * r.lat_scale))

    def _height(self) -> float:
        return (self.rpc.height - self.rpc.height_off) / self.rpc.height_scale


def _terms(x: Floats, y: Floats, order: int) -> Floats:
    one = np.ones_like(x)
    return np.stack([one, x, y] if order == 1 else [one, x, y, x * x, x * y, y * y])


def _rpc_terms(lon: Floats, lat: Floats, height: float) -> Floats:
    one, h = np.ones_like(lon), np.full_like(lon, height)
    x, y = lon, lat
    cubic = [x * y * h, x**3, x * y * y, x * h * h, x * x * y, y**3, y * h * h, x * x * h, y * y * h, h**3]
    return np.stack([one, x, y, h, x * y, x * h, y * h, x * x, y * y, h * h, *cubic])


def _newton(function: Callable[[Floats, Floats], Pair], goal: Pair, start: Pair, step: tuple[float, float]) -> Pair:
    """Solve ``function(x, y) = goal`` from ``start``; values that do not converge to 1e-4 steps become NaN.

    The Jacobian is a central difference over ``step``: exact for polynomials of second order.
    """
    (x, y), (hx, hy) = start, step
    moved = np.full(np.shape(x), np.inf)
    with np.errstate(all="ignore"):
        for _ in range(30):
            at = function(x, y)
            east, west, south, north = (
                function(x + hx, y), function(x - hx, y), function(x, y + hy), function(x, y - hy)
            )  # fmt: skip
            a, d = (east[0] - west[0]) / (2 * hx), (east[1] - west[1]) / (2 * hx)
            b, e = (south[0] - north[0]) / (2 * hy), (south[1] - north[1]) / (2 * hy)
            u, v, det = goal[0] - at[0], goal[1] - at[1], a * e - b * d
            dx, dy = (e * u - b * v) / det, (a * v - d * u) / det
            x, y = x + dx, y + dy
            moved = np.maximum(np.abs(dx / hx), np.abs(dy / hy))
            if not (moved > 1e-6).any():
                break
    settled = moved <= 1e-4
    return np.where(settled, x, np.nan), np.where(settled, y, np.nan)
