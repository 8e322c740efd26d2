"""Sunlight on a height field: cast shadows, slope shading, sky light in corners, glints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .noise import box_blur


@dataclass(frozen=True)
class Sun:
    """Direction towards the sun in the picture (x right, y down) and its elevation in radians."""

    dx: float
    dy: float
    elevation: float

    @staticmethod
    def create(rng: np.random.Generator) -> Sun:
        """Draw a sun between south-east and south-west, 36 to 52 degrees high."""
        azimuth = np.radians(rng.uniform(125, 235))
        return Sun(float(np.sin(azimuth)), float(-np.cos(azimuth)), float(np.radians(rng.uniform(36, 52))))

    def reach(self, height: float) -> float:
        """Return how far (m) something of a height throws its shadow."""
        return height / np.tan(self.elevation)


def _shift(field: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """Return field[r + rows, c + cols] with low values outside."""
    out = np.full_like(field, -1e3)
    h, w = field.shape
    if abs(rows) >= h or abs(cols) >= w:
        return out
    r0, r1 = max(0, -rows), min(h, h - rows)
    c0, c1 = max(0, -cols), min(w, w - cols)
    out[r0:r1, c0:c1] = field[r0 + rows : r1 + rows, c0 + cols : c1 + cols]
    return out


def shadow_height(z: np.ndarray, sample: float, sun: Sun, tallest: float) -> np.ndarray:
    """Return up to which height each place lies in shadow, float32 (H, W).

    The light ray through a place is covered by doubling: after k passes 2**k steps towards the sun are seen.
    """
    drop = sample * np.tan(sun.elevation)
    # The first step starts away from the place itself, or every slope would shade its own foot.
    top = _shift(z, round(2 * sun.dy), round(2 * sun.dx)) - np.float32(2 * drop)
    step = 1
    while step * sample < sun.reach(tallest):
        moved = _shift(top, round(step * sun.dy), round(step * sun.dx)) - np.float32(step * drop)
        np.maximum(top, moved, out=top)
        step *= 2
    return top


def illuminate(canvas: Canvas, sun: Sun, tallest: float) -> np.ndarray:
    """Light a canvas; return linear radiance, float32 (3, H, W), 1 for a white level ground in the sun."""
    z, sample = canvas.z, canvas.sample
    depth = shadow_height(z, sample, sun, tallest) - z
    # A ray that passes only just below an edge is half lit: the sun is no point.
    shade = np.clip(depth / 0.22, 0, 1)
    lit = 1 - shade * shade * (3 - 2 * shade)
    gy, gx = np.gradient(z, np.float32(sample))
    np.clip(gx, -2.5, 2.5, out=gx)
    np.clip(gy, -2.5, 2.5, out=gy)
    inverse = 1 / np.sqrt(1 + gx * gx + gy * gy)
    ce, se = np.float32(np.cos(sun.elevation)), np.float32(np.sin(sun.elevation))
    facing = np.clip((se - ce * (gx * sun.dx + gy * sun.dy)) * inverse, 0, None) * lit
    # Half-way vector between the sun and the camera overhead.
    hx, hy, hz = ce * sun.dx, ce * sun.dy, 1 + se
    norm = np.float32(1 / np.sqrt(hx * hx + hy * hy + hz * hz))
    glint = np.clip((hz - gx * hx - gy * hy) * inverse * norm, 0, 1)
    glint = canvas.gloss * (1.1 * glint**90 * lit + 0.012 * inverse)
    # Sky light: corners below their surroundings see less of it.
    coarse = z[: z.shape[0] // 3 * 3, : z.shape[1] // 3 * 3].reshape(z.shape[0] // 3, 3, -1, 3).mean(axis=(1, 3))
    open_sky = np.ones_like(z)
    for radius, gain in ((3, 0.55), (14, 0.16)):
        pit = np.clip(box_blur(coarse, radius) - coarse, 0, 4)
        factor = np.exp(-gain * pit).repeat(3, axis=0).repeat(3, axis=1)
        open_sky[: factor.shape[0], : factor.shape[1]] *= factor
    out = np.empty_like(canvas.albedo)
    for c, (direct, sky, glare) in enumerate(((0.80, 0.185, 1.0), (0.78, 0.215, 1.0), (0.745, 0.26, 1.02))):
        out[c] = canvas.albedo[c] * (direct / se * facing + sky * open_sky * (0.5 + 0.5 * inverse)) + glare * glint
    return out
