"""Ground: asphalt, lawn, water and the rest, road paint, wear and dirt."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Slices, linear
from .plan import Ground

# name: display colour, then relative strength of fine, mid and broad noise (in linear light).
MATERIALS: dict[str, tuple[tuple[float, float, float], float, float, float]] = {
    "asphalt": ((128, 127, 126), 0.10, 0.05, 0.10),
    "asphalt_old": ((142, 140, 136), 0.11, 0.10, 0.10),
    "concrete": ((160, 156, 148), 0.07, 0.08, 0.10),
    "paving": ((163, 156, 148), 0.10, 0.07, 0.08),
    "cobble": ((126, 120, 116), 0.20, 0.08, 0.05),
    "gravel": ((166, 154, 134), 0.16, 0.10, 0.08),
    "ballast": ((132, 124, 116), 0.24, 0.10, 0.10),
    "soil": ((152, 130, 104), 0.14, 0.20, 0.16),
    "mud": ((98, 92, 70), 0.18, 0.22, 0.12),
    "tartan": ((150, 88, 72), 0.05, 0.04, 0.06),
    "clay": ((170, 106, 80), 0.06, 0.07, 0.08),
}
GREEN = linear((98, 107, 70))
DARK_GREEN = linear((66, 82, 46))
STRAW = linear((146, 140, 100))
EARTH = linear((124, 108, 82))


def _mix(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)[None]
    return (
        a.reshape(3, -1, 1) * (1 - t) + b.reshape(3, -1, 1) * t if a.ndim == 1 else a * (1 - t) + b.reshape(3, 1, 1) * t
    )


def _plants(canvas: Canvas, sl: Slices, dry: float, patchy: float, rough: float) -> np.ndarray:
    """Grass between green and straw with darker tufts and bare spots; (3, H, W)."""
    fine, mid, broad = canvas.fine[sl], canvas.mid[sl], canvas.broad[sl]
    base = _mix(GREEN, STRAW, dry + 0.22 * broad + 0.16 * canvas.mid2[sl])
    base = _mix(base, DARK_GREEN, 0.25 + 0.3 * patchy * mid + 0.2 * canvas.broad2[sl])
    base = _mix(base, EARTH, (canvas.mid2[sl] + 0.5 * fine - 2.2 + patchy) * 0.5)
    return base * np.exp(rough * fine + 0.10 * mid)[None]


def material(canvas: Canvas, sl: Slices, ground: Ground) -> tuple[np.ndarray, float, float]:
    """Return the linear albedo (3, H, W), height and gloss of a ground material in a window."""
    name = ground.material
    fine, mid, broad = canvas.fine[sl], canvas.mid[sl], canvas.broad[sl]
    if name in ("lawn", "garden", "forest", "wasteland", "verge", "pitch", "meadow"):
        dry, patchy, rough = {
            "lawn": (0.22, 0.5, 0.12),
            "garden": (0.28, 1.0, 0.2),
            "forest": (0.1, 1.0, 0.3),
            "wasteland": (0.5, 1.4, 0.24),
            "verge": (0.4, 0.9, 0.18),
            "meadow": (0.62, 0.9, 0.16),
            "pitch": (0.12, 0.25, 0.08),
        }[name]
        colour = _plants(canvas, sl, dry, patchy, rough)
        if name == "pitch":
            x = canvas.xs[sl[1]][None, :] * np.cos(ground.angle) + canvas.ys[sl[0]][:, None] * np.sin(ground.angle)
            colour = colour * (1 + 0.07 * np.sign(np.sin(x * np.pi / 5.5)))[None].astype(np.float32)
        return colour * ground.tone * (0.55 if name == "forest" else 1.0), 0.0, 0.0
    if name == "water":
        base = linear((66, 78, 66)).reshape(3, 1, 1) * np.exp(0.14 * broad + 0.05 * mid + 0.05 * canvas.mid2[sl])[None]
        return base.astype(np.float32), -0.8, 0.45
    rgb, f, m, b = MATERIALS[name]
    colour = linear(rgb).reshape(3, 1, 1) * np.exp(f * fine + m * mid + b * broad)[None] * np.float32(ground.tone)
    warm = 0.03 * canvas.mid2[sl] + 0.03 * canvas.broad2[sl]
    colour[0] *= 1 + warm
    colour[2] *= 1 - warm
    if name == "paving":
        # Slabs of 0.5 m differ a little from each other.
        ix = np.floor(canvas.xs[sl[1]] / 0.52).astype(np.int64)[None, :]
        iy = np.floor(canvas.ys[sl[0]] / 0.52).astype(np.int64)[:, None]
        colour *= (0.94 + 0.12 * (((ix * 7919 + iy * 104729) >> 3) % 17) / 16.0)[None].astype(np.float32)
    if name == "concrete":
        seams = (canvas.xs[sl[1]][None, :] % 5.0 < 0.1) | (canvas.ys[sl[0]][:, None] % 5.0 < 0.1)
        colour *= np.where(seams, 0.8, 1.0)[None].astype(np.float32)
    return colour, 0.0, 0.0


def paint_ground(canvas: Canvas, ground: Ground, z: float = 0.0) -> None:
    """Paint one surface at a height; water lies below it."""
    hit = canvas.mask(ground.shape)
    if hit is None or not hit[1].any():
        return
    sl, mask = hit
    colour, dz, gloss = material(canvas, sl, ground)
    for c in range(3):
        np.copyto(canvas.albedo[c][sl], colour[c], where=mask)
    np.copyto(canvas.z[sl], np.float32(z + dz), where=mask)
    np.copyto(canvas.gloss[sl], np.float32(gloss), where=mask)


def paint_overlay(canvas: Canvas, overlay: Ground) -> None:
    """Blend wear, repairs, stains and ruts into the ground."""
    hit = canvas.mask(overlay.shape)
    if hit is None or not hit[1].any():
        return
    sl, mask = hit
    fine, mid = canvas.fine[sl], canvas.mid[sl]
    kind = overlay.material
    if kind == "tyre":
        weight = mask * np.clip(0.16 + 0.10 * mid, 0, 0.4)
        canvas.tint(sl, weight, linear((134, 132, 130)))
    elif kind == "oil":
        weight = mask * np.clip(0.14 + 0.12 * mid + 0.05 * fine, 0, 0.4)
        canvas.tint(sl, weight, linear((84, 82, 80)))
    elif kind == "stain":
        canvas.tint(sl, mask * np.clip(0.3 + 0.35 * mid + 0.1 * fine, 0, 0.7), linear((62, 60, 58)))
    elif kind == "rut":
        canvas.tint(sl, mask * np.clip(0.3 + 0.25 * mid, 0, 0.6), linear((122, 100, 78)))
    elif kind == "manhole":
        canvas.tint(sl, mask * 0.75, linear((78, 74, 70)))
    elif kind == "cobble":
        paint_ground(canvas, overlay)
    else:
        colour = linear((112, 112, 112)) * overlay.tone
        canvas.tint(sl, mask * np.clip(0.75 + 0.1 * fine + 0.05 * mid, 0, 1), colour)


def paint_lines(canvas: Canvas, rings: list[np.ndarray], cracks: list[np.ndarray]) -> None:
    """Draw worn white paint and dark cracks on the ground of the whole canvas."""
    everything = slice(0, canvas.height_px), slice(0, canvas.width)
    near = [c for c in cracks if _touches(canvas, c)]
    if near:
        dark = canvas.lines(near, 0.09)
        canvas.tint(everything, dark * np.float32(0.55), linear((58, 56, 54)))
    near = [r for r in rings if _touches(canvas, r)]
    if near:
        white = canvas.polygons(near)
        wear = np.clip(0.72 + 0.16 * canvas.mid2 + 0.12 * canvas.fine + 0.18 * canvas.broad2, 0.12, 0.92)
        canvas.tint(everything, white * wear, linear((222, 221, 214)))


def _touches(canvas: Canvas, ring: np.ndarray) -> bool:
    low, high = ring.min(axis=0), ring.max(axis=0)
    right, bottom = canvas.x0 + canvas.width * canvas.sample, canvas.y0 + canvas.height_px * canvas.sample
    return bool(low[0] < right and high[0] > canvas.x0 and low[1] < bottom and high[1] > canvas.y0)
