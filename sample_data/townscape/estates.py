"""The larger estates: shops with parking lots, industry, flats and sports grounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from shapely.geometry import LineString, Point, Polygon
from shapely.ops import unary_union

from .plan import Building, Ground, Hedge, Item, Tree, corners, rectangle
from .roads import polygons_of
from .traffic import any_label, make_vehicle

if TYPE_CHECKING:
    from .blocks import Block

FLAT = [(138, 136, 130), (112, 112, 112), (160, 156, 148), (94, 96, 98), (186, 184, 178), (126, 118, 108)]
METAL = [(170, 176, 180), (128, 142, 158), (150, 152, 150), (196, 198, 196), (108, 122, 112), (120, 112, 104)]
BOXES = [(142, 56, 44), (48, 78, 118), (78, 104, 84), (168, 168, 164), (196, 144, 60), (110, 84, 66), (90, 92, 96)]


def put_item(block: Block, x: float, y: float, angle: float, kind: str) -> bool:
    """Add a container, dumpster, heap or stack of pallets if there is room."""
    rng = block.rng
    sizes = {"container": (6.06, 2.44, 2.6), "dumpster": (1.9, 1.2, 1.4), "pallets": (2.4, 1.2, 1.3)}
    long, wide, high = sizes.get(kind, (rng.uniform(4, 11), rng.uniform(3, 8), rng.uniform(1, 2.6)))
    shape = rectangle(x, y, angle, long + 0.3, wide + 0.3)
    if not block.free(shape):
        return False
    colour = {"pallets": (150, 126, 96), "heap": (150, 132, 108)}.get(kind, BOXES[rng.integers(len(BOXES))])
    block.town.items.append(Item(x, y, angle, long, wide, high, kind, colour, int(rng.integers(1 << 30))))
    block.take(shape)
    return True


def _parking(block: Block, area: Polygon, fill: float, van: float = 0.05, first: float | None = None) -> None:
    """Rows of bays in pairs with an aisle between, straight or slanted, over an area."""
    rng, town = block.rng, block.town
    slant = rng.choice([0.0, 0.0, 0.0, np.radians(25), np.radians(-25)])
    pitch = rng.uniform(2.45, 2.65) / np.cos(slant)
    rows = []
    v = -block.short / 2 + rng.uniform(1, 4) if first is None else first
    while v < block.short / 2:
        rows += [(v, 1), (v + 5.0 + 6.2, -1)]
        v += 5.0 + 6.2 + 5.0 + rng.choice([0.0, 0.0, 1.6])
    inner = area.buffer(-0.6)
    lines: list[np.ndarray] = []
    for v, out in rows:
        busy = np.clip(fill + rng.normal(0, 0.15), 0.05, 0.95)
        for u in np.arange(-block.long / 2, block.long / 2, pitch):
            angle = block.angle + np.pi / 2 * out + slant
            p = block.at(u, v + 2.5)
            bay = rectangle(*p, angle, 5.0, 2.4)
            if not inner.contains(bay) or any(bay.intersects(t) for t in block.taken):
                continue
            for side in (-1, 1):
                q = p + side * pitch * np.cos(slant) / 2 * np.array([-np.sin(angle), np.cos(angle)])
                lines.append(corners(*q, angle, 5.0, 0.11))
            if rng.random() < busy:
                back = np.pi if rng.random() < 0.25 else 0.0
                shift = rng.normal(0, 0.22) * np.array([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.1, 2)
                heading = angle + back + rng.normal(0, 0.03)
                town.park(make_vehicle(any_label(rng, van, 0.0), *(p + shift), heading, rng), 0.05)
            elif rng.random() < 0.35:
                town.overlays.append(Ground(Point(p + rng.normal(0, 0.4, 2)).buffer(rng.uniform(0.3, 0.9)), "stain"))
            elif rng.random() < 0.06:
                island = rectangle(*p, angle, 4.6, 2.0)
                town.grounds.append(Ground(island, "garden", 0.9))
                r = float(rng.uniform(1.4, 3.0))
                town.trees.append(Tree(*p, r, r * 2.1, "broad", int(rng.integers(1 << 20)), 1.0))
    town.paint += lines


def _rim(block: Block, depth: float, spacing: float) -> Polygon:
    """Plant a green strip along the edge and return what lies inside."""
    rng, town = block.rng, block.town
    inner = block.land.buffer(-depth)
    town.grounds.append(Ground(block.land, "garden", 1.0))
    # The strip may pinch a narrow block into several parts: keep to the largest.
    parts = polygons_of(block.land.buffer(-depth * 0.5))
    ring = max(parts, key=lambda p: p.area).exterior if parts else None
    if ring is not None and not ring.is_empty:
        for d in np.arange(0, ring.length, spacing):
            if rng.random() < 0.6:
                p = ring.interpolate(d + rng.uniform(-2, 2))
                r = float(rng.uniform(1.2, 3.2))
                town.trees.append(Tree(p.x, p.y, r, r * 2.2, "broad", int(rng.integers(1 << 20)), float(rng.uniform(0.85, 1.15))))
        if rng.random() < 0.5:
            town.hedges.append(Hedge(ring.buffer(0.5).intersection(block.land), 1.1))
    return inner


def _apron(block: Block, inner: Polygon, material: str) -> None:
    """Pave the inside and cut one or two gateways through the green rim."""
    rng, town = block.rng, block.town
    tone = float(rng.uniform(0.85, 1.15))
    gates = [rectangle(*block.at(u, v * block.short / 2.3), block.angle, 7.0, block.short / 3) for u, v in
             ((rng.uniform(-0.3, 0.3) * block.long, 1), (rng.uniform(-0.3, 0.3) * block.long, -1))]
    paved = unary_union([inner, *[g.intersection(block.land) for g in gates]])
    town.grounds.append(Ground(paved, material, tone))
    for _ in range(int(inner.area / 260)):
        p = block.at(*(rng.uniform(-0.5, 0.5, 2) * (block.long, block.short)))
        shape = rectangle(*p, block.angle + rng.choice([0, np.pi / 2]), rng.uniform(2, 14), rng.uniform(0.8, 5))
        town.overlays.append(Ground(shape.intersection(inner), "patch", float(rng.uniform(0.8, 1.18))))
    for _ in range(int(inner.area / 90)):
        p = block.at(*(rng.uniform(-0.5, 0.5, 2) * (block.long, block.short)))
        a = block.angle + rng.choice([0, np.pi / 2])
        steps = 0.5 * np.array([np.cos(a), np.sin(a)]) + rng.normal(0, 0.22, (int(rng.integers(6, 26)), 2))
        if inner.contains(Point(p)):
            town.cracks.append(p + np.cumsum(steps, axis=0))


def _hall(block: Block, inner: Polygon, roof: str, u: float, v: float, long: float, wide: float, high: float) -> Polygon | None:
    rng = block.rng
    c = block.at(u, v)
    for shrink in (1.0, 0.8, 0.6, 0.45):
        shape = rectangle(*c, block.angle, long * shrink, wide * shrink)
        if inner.contains(shape) and not any(shape.intersects(t) for t in block.taken):
            colour = np.array((FLAT if roof == "flat" else METAL)[rng.integers(6)], float) * rng.uniform(0.9, 1.1)
            slope = 0.0 if roof == "flat" else float(rng.uniform(0.06, 0.16))
            block.town.buildings.append(
                Building(*c, block.angle, long * shrink, wide * shrink, high, roof, tuple(colour), slope, int(rng.integers(1 << 31)))
            )
            block.take(shape.buffer(1.5))
            return shape
    return None


def shops(block: Block) -> None:
    """A supermarket with its parking lot."""
    rng = block.rng
    inner = _rim(block, rng.uniform(1.5, 4.0), 9.0)
    _apron(block, inner, "asphalt")
    side = rng.choice([-1, 1])
    wide = min(block.short * 0.38, rng.uniform(20, 38))
    v = side * (block.short / 2 - wide / 2 - 5)
    _hall(block, inner, "flat", rng.uniform(-0.12, 0.12) * block.long, v, block.long * rng.uniform(0.45, 0.75), wide, rng.uniform(5, 7.5))
    for _ in range(int(rng.integers(3, 9))):
        p = block.at(rng.uniform(-0.45, 0.45) * block.long, side * (block.short / 2 - rng.uniform(3, 9)))
        put_item(block, *p, block.angle + rng.choice([0, np.pi / 2]), str(rng.choice(["dumpster", "dumpster", "container"])))
    _parking(block, inner, float(rng.uniform(0.35, 0.8)))


def industry(block: Block) -> None:
    """Halls, yards with lorries, vans and stacks of containers."""
    rng, town = block.rng, block.town
    inner = _rim(block, rng.uniform(0.8, 2.5), 16.0)
    _apron(block, inner, str(rng.choice(["concrete", "asphalt"])))
    n = 1 if block.long < 110 else 2
    side = rng.choice([-1, 1])
    wide = block.short * rng.uniform(0.34, 0.46)
    for k in range(n):
        u = (k - (n - 1) / 2) * block.long / n
        roof = str(rng.choice(["metal", "metal", "flat"]))
        _hall(block, inner, roof, u, side * (block.short / 2 - wide / 2 - 4), block.long / n * 0.78, wide, rng.uniform(6, 10))
    base = side * (block.short / 2 - wide - 4)
    kind = rng.choice(["truck", "truck", "mixed", "bus"])
    for u in np.arange(-block.long * 0.42, block.long * 0.42, 3.9):
        if rng.random() > 0.5:
            continue
        label = {"truck": "truck", "bus": "bus"}.get(kind) or any_label(rng, 0.4, 0.4)
        v = make_vehicle(label, 0, 0, block.angle - side * np.pi / 2 + rng.normal(0, 0.02), rng)
        v.x, v.y = block.at(u, base - side * (v.length / 2 + 1.8))
        shape = rectangle(v.x, v.y, v.angle, v.length + 0.5, v.width + 0.4)
        if block.free(shape) and inner.contains(shape):
            town.park(v)
            block.take(shape)
    for _ in range(int(block.land.area / 300)):
        p = block.at(*(rng.uniform(-0.46, 0.46, 2) * (block.long, block.short)))
        a = block.angle + rng.choice([0, np.pi / 2])
        for j in range(int(rng.integers(1, 4))):
            q = p + j * 2.6 * np.array([-np.sin(a), np.cos(a)])
            if inner.contains(rectangle(*q, a, 6.4, 2.8)):
                put_item(block, *q, a, str(rng.choice(["container", "container", "pallets", "heap", "dumpster"])))
    strip = block.land.intersection(rectangle(*block.at(0, -side * (block.short / 2 - 10)), block.angle, block.long, 17))
    _parking(block, inner.intersection(strip), float(rng.uniform(0.3, 0.7)), 0.15)


def flats(block: Block) -> None:
    """Slabs of flats on lawns with garages and small parking lots."""
    rng, town, land = block.rng, block.town, block.land
    town.grounds.append(Ground(land, "lawn", float(rng.uniform(0.9, 1.1))))
    roof = str(rng.choice(["flat", "flat", "hip", "gable"]))
    colour = FLAT[rng.integers(6)] if roof == "flat" else ((132, 82, 66), (104, 70, 60), (84, 84, 86))[rng.integers(3)]
    high = float(rng.choice([9.0, 11.5, 14.0, 16.5]))
    turn = rng.choice([0.0, np.pi / 2]) if block.short > 60 else 0.0
    pitch = rng.uniform(27, 36)
    for v in np.arange(-block.short / 2 + 9, block.short / 2 - 8, pitch if turn == 0 else 52):
        for u in np.arange(-block.long / 2 + 24, block.long / 2 - 15, 54 if turn == 0 else pitch):
            c = block.at(u + rng.normal(0, 1.5), v + rng.normal(0, 1.0))
            a, long = block.angle + turn, rng.uniform(28, 44)
            shape = rectangle(*c, a, long, 12.0)
            if rng.random() < 0.8 and block.free(shape.buffer(1.0), 3.0):
                slope = 0.0 if roof == "flat" else 0.55
                town.buildings.append(Building(*c, a, long, 12.0, high, roof, colour, slope, int(rng.integers(1 << 31))))
                block.take(shape.buffer(1.5))
                way = rectangle(*(c + 8.0 * np.array([-np.sin(a), np.cos(a)])), a, long + 6, 1.6).intersection(land)
                town.grounds.append(Ground(way, "paving", 0.95))
    for _ in range(int(rng.integers(1, 4))):
        u, v = rng.uniform(-0.4, 0.4, 2) * (block.long, block.short)
        c = block.at(u, v)
        lot = rectangle(*c, block.angle, rng.uniform(24, 48), 17.5).intersection(land.buffer(-1.0))
        lot = lot.difference(unary_union(block.taken)) if block.taken else lot
        if lot.geom_type == "Polygon" and lot.area > 250:
            town.grounds.append(Ground(lot, "asphalt", float(rng.uniform(0.85, 1.15))))
            _parking(block, lot, float(rng.uniform(0.4, 0.85)), 0.06, v - 8.1)
            block.take(lot)
    row = [block.at(k * 3.0 - 12, block.short / 2 - 7) for k in range(8)]
    if all(block.free(rectangle(*p, block.angle + np.pi / 2, 6, 2.9), 1.0) for p in row):
        for p in row:
            town.items.append(Item(*p, block.angle + np.pi / 2, 5.8, 2.9, 2.5, "garage", (112, 110, 108), int(rng.integers(1 << 30))))
            block.take(rectangle(*p, block.angle + np.pi / 2, 6, 3.2))
    block.scatter(int(land.area / 130), 1.8, 0.15)


def sport(block: Block) -> None:
    """A football pitch with markings, tennis courts and their fences."""
    rng, town, land = block.rng, block.town, block.land
    town.grounds.append(Ground(land, "lawn", 0.95))
    long, wide = min(104.0, block.long - 16), min(66.0, block.short - 14)
    a, c = block.angle, block.at(rng.uniform(-0.5, 0.5) * max(0, block.long - 125), 0)
    pitch = rectangle(*c, a, long, wide).intersection(land.buffer(-2))
    kind = str(rng.choice(["pitch", "pitch", "clay"]))
    if rng.random() < 0.5:
        track = LineString([block.at(0, 0), block.at(1, 0)]).buffer(0.1)
        track = rectangle(*c, a, long - wide * 0.5, 1).buffer(wide / 2 + 5.5).intersection(land.buffer(-1))
        town.grounds.append(Ground(track, "tartan"))
        block.take(track)
    town.grounds.append(Ground(pitch, kind, 1.0, a))
    block.take(pitch)
    x, y = np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
    hl, hw = long / 2 - 3, wide / 2 - 3
    marks = [(c + y * s * hw, a, 2 * hl) for s in (-1, 1)] + [(c + x * s * hl, a + np.pi / 2, 2 * hw) for s in (-1, 0, 1)]
    for s in (-1, 1):
        marks.append((c + x * s * (hl - 16.5), a + np.pi / 2, 40.0))
        marks += [(c + x * s * (hl - 8.25) + y * t * 20, a, 16.5) for t in (-1, 1)]
        marks.append((c + x * s * (hl - 5.5), a + np.pi / 2, 18.0))
    town.paint += [corners(*p, b, n, 0.14) for p, b, n in marks]
    ring = np.linspace(0, 2 * np.pi, 49)
    town.paint += [corners(*(c + 9.15 * (x * np.cos(t) + y * np.sin(t))), t + a + np.pi / 2, 1.25, 0.14) for t in ring]
    used = unary_union(block.taken)
    for u in np.arange(-block.long / 2 + 12, block.long / 2, 19.0):
        for v in (-block.short / 2 + 20, block.short / 2 - 20):
            court = rectangle(*block.at(u, v), a + np.pi / 2, 34, 16.5)
            if land.contains(court) and not court.intersects(used):
                town.grounds.append(Ground(court, "clay"))
                p = block.at(u, v)
                for off in (-5.5, -4.1, 4.1, 5.5):
                    town.paint.append(corners(*(p + x * off), a + np.pi / 2, 23.8, 0.1))
                for off in (-11.9, -6.4, 0, 6.4, 11.9):
                    town.paint.append(corners(*(p + y * off), a, 11.0, 0.1))
                town.hedges.append(Hedge(court.exterior.buffer(0.05), 3.0, "fence"))
                block.take(court)
                used = unary_union(block.taken)
    block.scatter(int(land.area / 200), 2.0, 0.1)
