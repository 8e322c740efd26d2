"""Tiled roofs with dormers and chimneys, flat roofs with plant and solar panels, and small things."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Slices, linear
from .plan import Building, Item


def _block(
    canvas: Canvas,
    x: float,
    y: float,
    angle: float,
    long: float,
    wide: float,
    top: float,
    rgb: tuple[float, float, float],
    gloss: float = 0.0,
    tilt: float = 0.0,
) -> None:
    """Paint a box with its top at a height (m) above ground, its roof perhaps tilted across."""
    hit = canvas.local(x, y, angle, np.hypot(long, wide) / 2)
    if hit is None:
        return
    sl, u, v = hit
    mask = (np.abs(u) < long / 2) & (np.abs(v) < wide / 2)
    colour = linear(rgb).reshape(3, 1, 1) * np.exp(0.05 * canvas.fine[sl] + 0.05 * canvas.mid[sl])[None]
    canvas.put(sl, mask, colour, (top + tilt * v).astype(np.float32), gloss)


def draw_building(canvas: Canvas, b: Building) -> None:
    """Paint one building with all its details."""
    over = 0.35 if b.roof not in ("flat", "metal") else 0.0
    long, wide = b.length + 2 * over, b.width + 2 * over
    hit = canvas.local(b.x, b.y, b.angle, np.hypot(long, wide) / 2 + 0.5)
    if hit is None:
        return
    sl, u, v = hit
    if b.roof == "flat":
        _flat(canvas, b, sl, u, v)
        return
    au, av = np.abs(u), np.abs(v)
    mask = (au < long / 2) & (av < wide / 2)
    rise = (wide / 2 - av) * b.slope
    if b.roof == "hip":
        rise = np.minimum(rise, (long / 2 - au) * b.slope * 1.1)
    elif b.roof == "half":
        rise = np.minimum(rise, (long / 2 - au) * b.slope * 1.2 + wide * 0.22 * b.slope)
    z = (b.eave + rise).astype(np.float32)
    colour = _metal(canvas, b, sl, u, v) if b.roof == "metal" else _tiles(canvas, b, sl, u, v, wide, rise)
    canvas.put(sl, mask, colour, z, 0.12 if b.roof == "metal" else 0.0)
    if b.roof == "metal":
        _metal_details(canvas, b)
    else:
        _tile_details(canvas, b)


def _tiles(
    canvas: Canvas, b: Building, sl: Slices, u: np.ndarray, v: np.ndarray, wide: float, rise: np.ndarray
) -> np.ndarray:
    rng = np.random.default_rng(b.seed)
    fine, mid, mid2 = canvas.fine[sl], canvas.mid[sl], canvas.mid2[sl]
    rows = np.sin(v * (2 * np.pi / 0.36)) * 0.055 + np.sin(u * (2 * np.pi / 0.30)) * 0.03
    colour = linear(b.colour).reshape(3, 1, 1) * np.exp(rows + 0.11 * fine + 0.09 * mid + 0.05 * canvas.broad[sl])[None]
    moss = np.clip((mid2 + 0.4 * fine - rng.uniform(0.9, 2.4)) * 0.4, 0, 0.5)[None]
    colour = colour * (1 - moss) + linear((78, 80, 58)).reshape(3, 1, 1) * moss
    # Rain leaves streaks down the slope: noise stretched across the ridge.
    streak = np.sin(u * 2.1 + 3 * mid2) * np.clip(av_norm(v, wide), 0, 1) * 0.05
    colour *= (1 + streak)[None]
    if b.length > 18 and b.roof == "gable":
        # Party walls divide a terrace, and every house of it has weathered in its own way.
        house = np.floor(u / 6.2)
        colour *= (1 + 0.06 * np.sin(house * 37.7 + b.seed % 97))[None] * np.where(u % 6.2 < 0.22, 1.3, 1.0)[None]
    ridge = np.abs(v) < 0.14
    if b.roof == "hip":
        ridge |= np.abs((wide / 2 - np.abs(v)) - (b.length / 2 + 0.35 - np.abs(u)) * 1.1) < 0.13
    colour *= np.where(ridge, 1.22, 1.0)[None]
    edge = (wide / 2 - np.abs(v)) < 0.16
    return np.where(edge[None], linear((150, 148, 146)).reshape(3, 1, 1), colour).astype(np.float32)


def av_norm(v: np.ndarray, wide: float) -> np.ndarray:
    """Return how far down the slope a place lies, 0 at the ridge and 1 at the eaves."""
    return np.abs(v) / (wide / 2)


def _tile_details(canvas: Canvas, b: Building) -> None:
    rng = np.random.default_rng([b.seed, 1])
    c, s = np.cos(b.angle), np.sin(b.angle)
    flat_part = b.length / 2 - (b.width / 2 if b.roof == "hip" else 1.2)

    def place(u: float, v: float) -> tuple[float, float, float]:
        return b.x + u * c - v * s, b.y + u * s + v * c, b.eave + (b.width / 2 - abs(v)) * b.slope

    for _ in range(int(rng.integers(1, 3))):
        x, y, z = place(rng.uniform(-1, 1) * max(0.5, flat_part), rng.choice([-1, 1]) * rng.uniform(0.5, 1.6))
        _block(canvas, x, y, b.angle, 0.9, 0.6, z + 1.1, (134, 96, 82))
        _block(canvas, x, y, b.angle, 0.55, 0.28, z + 1.15, (40, 38, 38))
    side = rng.choice([-1, 1])
    if rng.random() < 0.35 and b.width > 7.5:
        for u in np.arange(-flat_part + 1.5, flat_part - 1.0, rng.uniform(2.8, 4.5)):
            x, y, z = place(u, side * b.width * 0.27)
            red, green, blue = b.colour
            tone = (0.9 * red, 0.9 * green, 0.9 * blue)
            _block(canvas, x, y, b.angle, 1.7, 2.6, z + 1.0, tone)
            x, y, z = place(u, side * b.width * 0.43)
            _block(canvas, x, y, b.angle, 1.5, 0.25, z + 1.2, (196, 192, 186))
    elif rng.random() < 0.6:
        for _ in range(int(rng.integers(1, 5))):
            u, v = rng.uniform(-1, 1) * max(0.5, flat_part), -side * b.width * rng.uniform(0.15, 0.38)
            x, y, z = place(u, v)
            _block(canvas, x, y, b.angle, 1.0, 1.3, z + 0.10, (150, 150, 150), 0.0, -b.slope * np.sign(v))
            _block(canvas, x, y, b.angle, 0.8, 1.1, z + 0.14, (52, 60, 70), 0.6, -b.slope * np.sign(v))
    if rng.random() < 0.22:
        n, m = int(rng.integers(2, 7)), int(rng.integers(1, 4))
        for i in range(n):
            for j in range(m):
                u, v = (i - (n - 1) / 2) * 1.04, side * (b.width * 0.26 + (j - (m - 1) / 2) * 1.40)
                x, y, z = place(u, v)
                if abs(u) < flat_part and 0.9 < abs(v) < b.width / 2 - 0.6:
                    _block(canvas, x, y, b.angle, 1.0, 1.34, z + 0.16, (36, 42, 58), 0.5, -b.slope * np.sign(v))


def _metal(canvas: Canvas, b: Building, sl: Slices, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    ribs = 0.07 * np.sin(u * (2 * np.pi / 0.9)) + np.where(u % 6.0 < 0.12, -0.25, 0.0)
    rust = np.clip((canvas.mid2[sl] + 0.5 * canvas.broad[sl] - 1.6) * 0.5, 0, 0.5)[None]
    base = linear(b.colour).reshape(3, 1, 1) * np.exp(ribs + 0.05 * canvas.mid[sl] + 0.10 * canvas.broad2[sl])[None]
    return (base * (1 - rust) + linear((130, 106, 88)).reshape(3, 1, 1) * rust).astype(np.float32)


def _metal_details(canvas: Canvas, b: Building) -> None:
    rng = np.random.default_rng([b.seed, 2])
    c, s = np.cos(b.angle), np.sin(b.angle)
    top = b.eave + b.slope * b.width / 2
    step = rng.uniform(5, 9)
    bands = rng.random() < 0.6
    for u in np.arange(-b.length / 2 + step / 2, b.length / 2 - 1, step):
        for v in (-b.width / 4, b.width / 4):
            x, y = b.x + u * c - v * s, b.y + u * s + v * c
            z = b.eave + (b.width / 2 - abs(v)) * b.slope
            if bands:
                tilt = -b.slope * np.sign(v)
                _block(canvas, x, y, b.angle, 1.1, b.width * 0.3, z + 0.1, (206, 212, 214), 0.2, tilt)
        if rng.random() < 0.4:
            x, y = b.x + u * c, b.y + u * s
            _block(canvas, x, y, b.angle, 1.2, 1.2, top + 0.8, (176, 176, 172))


def _flat(canvas: Canvas, b: Building, sl: Slices, u: np.ndarray, v: np.ndarray) -> None:
    rng = np.random.default_rng([b.seed, 3])
    au, av = np.abs(u), np.abs(v)
    mask = (au < b.length / 2) & (av < b.width / 2)
    rim = (b.length / 2 - au < 0.4) | (b.width / 2 - av < 0.4)
    fine, mid = canvas.fine[sl], canvas.mid[sl]
    seams = np.where((u % 1.0 < 0.06) & (rng.random() < 0.6), -0.12, 0.0) + np.where(v % 7.5 < 0.08, -0.15, 0.0)
    tex = np.exp(0.09 * fine + 0.08 * mid + 0.13 * canvas.broad[sl] + seams)
    colour = linear(b.colour).reshape(3, 1, 1) * tex[None]
    puddle = np.clip((canvas.mid2[sl] + canvas.broad2[sl] - 1.3) * 0.35, 0, 0.45)[None]
    colour = colour * (1 - puddle) + linear((84, 82, 76)).reshape(3, 1, 1) * puddle
    if rng.random() < 0.18:
        green = np.clip(0.6 + 0.3 * mid, 0, 1)[None]
        colour = colour * (1 - green) + linear((112, 108, 78)).reshape(3, 1, 1) * green
    colour = np.where(rim[None], linear((168, 166, 162)).reshape(3, 1, 1) * np.exp(0.06 * mid)[None], colour)
    canvas.put(sl, mask, colour.astype(np.float32), (b.eave + 0.45 * rim).astype(np.float32))
    _plant(canvas, b, rng)


def _plant(canvas: Canvas, b: Building, rng: np.random.Generator) -> None:
    """Ventilation, lift houses, rows of skylights and solar panels on a flat roof."""
    c, s = np.cos(b.angle), np.sin(b.angle)

    def at(u: float, v: float) -> tuple[float, float]:
        return b.x + u * c - v * s, b.y + u * s + v * c

    mode = rng.choice(["skylights", "solar", "bare", "mixed"])
    half_l, half_w = b.length / 2 - 1.8, b.width / 2 - 1.8
    if mode in ("skylights", "mixed"):
        step = rng.uniform(4.5, 8)
        for v in np.arange(-half_w + 2, half_w - 1, rng.uniform(5, 9)):
            for u in np.arange(-half_l + 1, half_l if mode == "skylights" else 0, step):
                _block(canvas, *at(u, v), b.angle, 1.5, 1.5, b.eave + 0.45, (206, 208, 208), 0.2)
                _block(canvas, *at(u, v), b.angle, 1.1, 1.1, b.eave + 0.6, (178, 190, 198), 0.5)
    if mode in ("solar", "mixed"):
        first = -half_l if mode == "solar" else 1.0
        for v in np.arange(-half_w + 0.8, half_w - 0.8, 2.1):
            for u in np.arange(first, half_l - 1.8, 1.75):
                if (u // 14 + v // 9) % 3 or mode == "solar":
                    rgb = tuple(np.array((38, 46, 66)) * rng.uniform(0.9, 1.15))
                    _block(canvas, *at(u + 0.9, v), b.angle, 1.7, 1.05, b.eave + 0.35, rgb, 0.35, -0.2)
    for _ in range(int(b.length * b.width / 260) + 1):
        u, v = rng.uniform(-half_l, half_l), rng.uniform(-half_w, half_w)
        long, wide, high = rng.uniform(1.0, 4.2), rng.uniform(0.9, 2.4), rng.uniform(0.6, 1.9)
        tone = rng.uniform(120, 205)
        _block(canvas, *at(u, v), b.angle, long, wide, b.eave + high, (tone, tone, tone * 0.98))
        if long > 1.8:
            _block(canvas, *at(u, v), b.angle, wide * 0.6, wide * 0.6, b.eave + high + 0.05, (70, 72, 74))
    if b.eave > 10:
        _block(
            canvas,
            *at(rng.uniform(-0.3, 0.3) * b.length, 0),
            b.angle,
            4.5,
            3.4,
            b.eave + 2.4,
            (150, 146, 140),
        )


def draw_item(canvas: Canvas, item: Item) -> None:
    """Paint a container, shed, pool, trampoline, heap, garage or the like."""
    hit = canvas.local(item.x, item.y, item.angle, np.hypot(item.length, item.width) / 2 + 0.3)
    if hit is None:
        return
    sl, u, v = hit
    rng = np.random.default_rng(item.seed)
    fine, mid = canvas.fine[sl], canvas.mid[sl]
    su, sv = u / (item.length / 2), v / (item.width / 2)
    mask = (np.abs(su) < 1) & (np.abs(sv) < 1)
    z: float | np.ndarray = item.height
    tex, gloss = np.exp(0.07 * fine + 0.07 * mid), 0.0
    if item.kind == "container":
        tex = tex * np.exp(0.10 * np.sin(u * 2 * np.pi / 0.5) + 0.2 * np.clip(canvas.mid2[sl], 0, 2))
    elif item.kind in ("trampoline", "heap"):
        r = np.hypot(su, sv) + (0.12 * mid if item.kind == "heap" else 0)
        mask = r < 1
        if item.kind == "heap":
            z = (item.height * (1 - np.maximum(r, 0) ** 1.3) + 0.10 * mid + 0.01 * fine).astype(np.float32)
        else:
            tex = np.where(r < 0.8, 0.06, np.where(r < 0.97, 0.35, 0.8)) * np.exp(0.05 * fine)
    elif item.kind == "pool":
        inner = (np.abs(su) < 0.86) & (np.abs(sv) < 0.78)
        water = linear((92, 168, 186)).reshape(3, 1, 1) * np.exp(0.08 * mid + 0.05 * fine)[None]
        stone = linear((186, 178, 166)).reshape(3, 1, 1)
        canvas.put(sl, mask, np.where(inner[None], water, stone).astype(np.float32), item.height, 0.15)
        return
    elif item.kind == "bed":
        tex = np.exp(0.3 * mid + 0.25 * fine + 0.2 * np.sign(np.sin(v * 8)))
        z = (0.1 + 0.15 * np.clip(fine, 0, 2)).astype(np.float32)
    elif item.kind == "pallets":
        tex = tex * np.where((u % 1.2 < 0.1) | (v % 0.4 < 0.08), 0.5, 1.0)
    elif item.kind == "shed":
        z = (item.height + 0.35 * (1 - np.abs(sv)) * item.width / 2).astype(np.float32)
    elif item.kind == "garage":
        rim = (np.abs(su) > 0.95) | (np.abs(sv) > 0.92)
        tex = tex * np.where(rim, 1.35, 1.0) * np.exp(0.15 * canvas.mid2[sl])
    elif item.kind == "trailer":
        tex = tex * np.where((np.abs(su) < 0.9) & (np.abs(sv) < 0.85), rng.uniform(0.4, 0.9), 1.0)
    base = {"bed": (94, 96, 62), "trampoline": (120, 130, 150)}.get(item.kind, item.colour)
    canvas.put(sl, mask, linear(base).reshape(3, 1, 1) * tex[None].astype(np.float32), z, gloss)
