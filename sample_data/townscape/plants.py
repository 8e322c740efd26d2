"""Trees, hedges and fences; crowns are heaps of leaf clumps, which give light and shadow their shape."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .canvas import Canvas, linear
from .plan import Hedge, Tree

BROAD = [
    (84, 98, 54),
    (74, 90, 50),
    (96, 106, 62),
    (66, 84, 52),
    (106, 110, 66),
    (78, 88, 46),
    (112, 104, 66),
]
CONIFER = [(54, 70, 48), (60, 76, 56), (48, 62, 44)]
CELLS = 96


@lru_cache(maxsize=64)
def crown(species: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one crown shape.

    Parameters
    ----------
    species : str
        'broad' or 'conifer'.
    number : int
        Which of the shapes.

    Returns
    -------
    tuple of numpy.ndarray
        Relative height (0 outside, up to 1) and a tone per clump, both float32 (CELLS, CELLS) over
        -1.15..1.15 radii.
    """
    rng = np.random.default_rng([number, 77 if species == "broad" else 78])
    axis = np.linspace(-1.15, 1.15, CELLS, dtype=np.float32)
    x, y = axis[None, :], axis[:, None]
    height = np.zeros((CELLS, CELLS), np.float32)
    tone = np.zeros((CELLS, CELLS), np.float32)
    if species == "conifer":
        angle = np.arctan2(y, x)
        arms = rng.integers(9, 14)
        r = np.hypot(x, y)
        star = (
            1 + 0.14 * np.sin(arms * angle + 4 * r + rng.uniform(0, 6)) + 0.07 * np.sin(5 * angle + rng.uniform(0, 6))
        )
        h = np.clip(1 - r / (0.95 * star), 0, 1)
        h += 0.08 * np.sin(r * 22 + 2 * np.sin(angle * arms)) * (h > 0)
        return np.clip(h, 0, 1).astype(np.float32), tone
    lobes = rng.normal(0, 0.30, (int(rng.integers(3, 7)), 2))
    clumps = int(rng.integers(70, 120))
    for _ in range(clumps):
        centre = lobes[rng.integers(len(lobes))] * 1.1
        a, d = rng.uniform(0, 2 * np.pi), 0.62 * np.sqrt(rng.random())
        cx, cy = centre[0] + d * np.cos(a), centre[1] + d * np.sin(a)
        away = min(1.0, float(np.hypot(cx, cy)))
        # A clump never reaches the border of the template, where it would be cut off straight.
        size = min(rng.uniform(0.12, 0.26), 1.12 - float(np.hypot(cx, cy)))
        if size < 0.08:
            continue
        top = 0.28 + 0.66 * np.sqrt(max(0.0, 1 - away**2)) * rng.uniform(0.8, 1.05)
        q = 1 - ((x - cx) ** 2 + (y - cy) ** 2) / size**2
        h = np.where(q > 0, top - 0.22 + 0.22 * np.sqrt(np.maximum(q, 0)), 0).astype(np.float32)
        higher = h > height
        tone[higher] = rng.normal(0, 1)
        np.maximum(height, h, out=height)
    return height, tone


def draw_tree(canvas: Canvas, tree: Tree) -> None:
    """Stamp one tree."""
    spin = tree.template % 629 / 100.0
    hit = canvas.local(tree.x, tree.y, spin, tree.radius * 1.2)
    if hit is None:
        return
    sl, u, v = hit
    height, tone = crown(tree.species, tree.template % 31)
    # Leaves blur the outline: displace the lookup by fine noise.
    fine, mid = canvas.fine[sl], canvas.mid[sl]
    scale = (CELLS - 1) / 2.3
    iu = np.clip(np.rint((u / tree.radius + 1.15 + 0.05 * fine / tree.radius) * scale), 0, CELLS - 1).astype(np.int32)
    iv = np.clip(np.rint((v / tree.radius + 1.15 + 0.05 * canvas.fine2[sl] / tree.radius) * scale), 0, CELLS - 1)
    iv = iv.astype(np.int32)
    h = height[iv, iu]
    mask = (h > 0.12) & (canvas.fine2[sl] + canvas.fine[sl] * 0.5 > -1.9)
    z = tree.height * (0.25 + 0.75 * h) + 0.10 * fine
    table = CONIFER if tree.species == "conifer" else BROAD
    rgb = linear(table[tree.template // 31 % len(table)]) * tree.tone
    tex = np.exp(0.12 * tone[iv, iu] + 0.22 * fine + 0.10 * mid + 0.9 * (h - 0.75))
    colour = rgb.reshape(3, 1, 1) * tex[None]
    # Clumps that are brighter are also yellower.
    colour[2] *= np.exp(-0.08 * tone[iv, iu])
    canvas.put(sl, mask, colour.astype(np.float32), z.astype(np.float32))


def draw_hedge(canvas: Canvas, hedge: Hedge) -> None:
    """Paint a hedge or a fence."""
    hit = canvas.mask(hedge.shape)
    if hit is None or not hit[1].any():
        return
    sl, mask = hit
    fine, mid = canvas.fine[sl], canvas.mid[sl]
    if hedge.kind == "fence":
        canvas.put(sl, mask & (canvas.z[sl] < hedge.height), linear((118, 104, 90)), hedge.height)
        return
    gaps = mask & (mid + 0.7 * canvas.mid2[sl] + 0.3 * fine > -1.5)
    z = hedge.height * np.exp(0.25 * mid) + 0.12 * fine + 0.15 * canvas.fine2[sl]
    shade = (112, 114, 72) if hedge.kind == "reeds" else (76, 90, 52)
    colour = linear(shade).reshape(3, 1, 1) * np.exp(0.25 * fine + 0.2 * mid + 0.2 * canvas.broad[sl])[None]
    canvas.put(sl, gaps, colour.astype(np.float32), z.astype(np.float32))
