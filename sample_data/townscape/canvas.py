"""The drawing surface of one block: albedo, height, gloss and owner at several samples per pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from shapely.geometry.base import BaseGeometry

from .noise import NoiseBank

Slices = tuple[slice, slice]
#: A window of the canvas, and how far each sample lies along and across a direction, metres.
Local = tuple[Slices, np.ndarray, np.ndarray]


def linear(rgb: tuple[float, float, float] | np.ndarray) -> np.ndarray:
    """Turn display colours 0..255 into linear reflectance, float32 of the same shape."""
    return (np.asarray(rgb, dtype=np.float32) / 255.0) ** np.float32(2.2)


class Canvas:
    """A window on the ground, y pointing down, all lengths in metres.

    Parameters
    ----------
    x0, y0 : float
        Ground position of the upper left corner.
    width, height : int
        Size in samples.
    sample : float
        Side of a sample in metres.
    bank : NoiseBank
        Noise of the town.
    """

    def __init__(self, x0: float, y0: float, width: int, height: int, sample: float, bank: NoiseBank) -> None:
        self.x0, self.y0, self.sample = x0, y0, sample
        self.width, self.height_px = width, height
        self.xs = (x0 + (np.arange(width) + 0.5) * sample).astype(np.float64)
        self.ys = (y0 + (np.arange(height) + 0.5) * sample).astype(np.float64)
        self.albedo = np.zeros((3, height, width), np.float32)
        self.z = np.zeros((height, width), np.float32)
        self.gloss = np.zeros((height, width), np.float32)
        self.owner = np.zeros((height, width), np.int32)
        self.fine = bank.fine.nearest(self.xs, self.ys)
        self.fine2 = bank.fine.nearest(self.xs + 31.3, self.ys + 17.9)
        self.mid = bank.mid.smooth(self.xs, self.ys)
        self.mid2 = bank.mid.smooth(self.xs + 173.0, self.ys + 91.0)
        self.broad = bank.broad.smooth(self.xs, self.ys)
        self.broad2 = bank.broad.smooth(self.xs + 411.0, self.ys + 267.0)

    def window(self, bounds: tuple[float, float, float, float]) -> Slices | None:
        """Return the slices that cover ground bounds, or None where they miss the canvas."""
        c0 = max(0, int(np.floor((bounds[0] - self.x0) / self.sample)) - 1)
        r0 = max(0, int(np.floor((bounds[1] - self.y0) / self.sample)) - 1)
        c1 = min(self.width, int(np.ceil((bounds[2] - self.x0) / self.sample)) + 1)
        r1 = min(self.height_px, int(np.ceil((bounds[3] - self.y0) / self.sample)) + 1)
        if c0 >= c1 or r0 >= r1:
            return None
        return slice(r0, r1), slice(c0, c1)

    def mask(self, geometry: BaseGeometry) -> tuple[Slices, np.ndarray] | None:
        """Rasterise a polygon or multipolygon; None where it misses the canvas."""
        if geometry.is_empty:
            return None
        sl = self.window(geometry.bounds)
        if sl is None:
            return None
        rows, cols = sl
        image = Image.new("L", (cols.stop - cols.start, rows.stop - rows.start))
        draw = ImageDraw.Draw(image)
        origin = np.array([self.x0 + cols.start * self.sample, self.y0 + rows.start * self.sample])
        for part in getattr(geometry, "geoms", [geometry]):
            if part.geom_type != "Polygon":
                continue
            for ring, value in [(part.exterior, 1)] + [(hole, 0) for hole in part.interiors]:
                points = (np.asarray(ring.coords)[:, :2] - origin) / self.sample - 0.5
                draw.polygon([tuple(p) for p in points], fill=value)
        return sl, np.asarray(image, dtype=bool)

    def lines(self, polylines: list[np.ndarray], width: float) -> np.ndarray:
        """Rasterise polylines (N, 2) with a width in metres; bool of the canvas size."""
        image = Image.new("L", (self.width, self.height_px))
        draw = ImageDraw.Draw(image)
        for line in polylines:
            points = (line - (self.x0, self.y0)) / self.sample - 0.5
            draw.line([tuple(p) for p in points], fill=1, width=max(1, round(width / self.sample)))
        return np.asarray(image, dtype=bool)

    def polygons(self, rings: list[np.ndarray]) -> np.ndarray:
        """Rasterise many small polygons (N, 2) at once; bool of the canvas size."""
        image = Image.new("L", (self.width, self.height_px))
        draw = ImageDraw.Draw(image)
        for ring in rings:
            points = (ring - (self.x0, self.y0)) / self.sample - 0.5
            draw.polygon([tuple(p) for p in points], fill=1)
        return np.asarray(image, dtype=bool)

    def local(self, x: float, y: float, angle: float, radius: float) -> Local | None:
        """Give the window around a point with coordinates along (u) and across (v) a direction.

        Returns
        -------
        tuple or None
            Slices, u and v (float32, metres); None where the window misses the canvas.
        """
        sl = self.window((x - radius, y - radius, x + radius, y + radius))
        if sl is None:
            return None
        dx = (self.xs[sl[1]] - x).astype(np.float32)[None, :]
        dy = (self.ys[sl[0]] - y).astype(np.float32)[:, None]
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return sl, dx * c + dy * s, dy * c - dx * s

    def put(
        self,
        sl: Slices,
        mask: np.ndarray,
        colour: Sequence[float] | np.ndarray,
        z: float | np.ndarray,
        gloss: float = 0.0,
        owner: int = 0,
    ) -> None:
        """Paint where ``mask`` holds and ``z`` is above the present surface.

        ``colour`` is linear: (3,) or (3, H, W); ``z`` in metres is a number or (H, W).
        """
        m = mask & (z > self.z[sl] - 0.02)
        for c in range(3):
            np.copyto(self.albedo[c][sl], colour[c], where=m)
        np.copyto(self.z[sl], z if isinstance(z, np.ndarray) else np.float32(z), where=m, casting="same_kind")
        np.copyto(self.gloss[sl], np.float32(gloss), where=m)
        np.copyto(self.owner[sl], np.int32(owner), where=m)

    def tint(self, sl: Slices, weight: np.ndarray, colour: Sequence[float] | np.ndarray) -> None:
        """Blend the albedo towards a linear colour (3,) by ``weight`` (H, W) in 0..1."""
        for c in range(3):
            a = self.albedo[c][sl]
            a += weight * (colour[c] - a)
