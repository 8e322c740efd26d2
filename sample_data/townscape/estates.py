"""The larger estates: shops with parking lots, industry, flats and sports grounds."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Point, Polygon
from shapely.ops import unary_union

from .land import Block, Spot, put_item
from .plan import Building, Ground, Hedge, Item, Tree, corners, rectangle
from .roads import polygons_of
from .traffic import any_label, make_vehicle

FLAT = [(138, 136, 130), (112, 112, 112), (160, 156, 148), (94, 96, 98), (186, 184, 178), (126, 118, 108)]
METAL = [(170, 176, 180), (128, 142, 158), (150, 152, 150), (196, 198, 196), (108, 122, 112), (120, 112, 104)]


def _parking(block: Block, area: Polygon, fill: float, van: float = 0.05, first: float | None = None) -> None:
    """Rows of bays in pairs with an aisle between, straight or slanted, over an area."""
    rng, town = block.rng, block.town
    slant = rng.choice([0.0, 0.0, 0.0, np.radians(25), np.radians(-25)])
    pitch = rng.uniform(2.45, 2.65) / np.cos(slant)
    rows = []
    v = -block.short / 2 + rng.uniform(1, 4) if first is None else first
    while v < block.short / 2:
        rows += [(v, 1), (v + 5.0 + 6.0, -1)]
        v += 5.0 + 6.0 + 5.0 + rng.choice([0.0, 0.0, 1.6])
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
                town.trees.append(
                    Tree(
                        p.x,
                        p.y,
                        r,
                        r * 2.2,
                        "broad",
                        int(rng.integers(1 << 20)),
                        float(rng.uniform(0.85, 1.15)),
                    )
                )
        if rng.random() < 0.5:
            town.hedges.append(Hedge(ring.buffer(0.5).intersection(block.land), 1.1))
    return inner


def _apron(block: Block, inner: Polygon, material: str) -> None:
    """Pave the inside and cut one or two gateways through the green rim."""
    rng, town = block.rng, block.town
    tone = float(rng.uniform(0.85, 1.15))
    gates = [
        rectangle(*block.at(u, v * block.short / 2.3), block.angle, 7.0, block.short / 3)
        for u, v in ((rng.uniform(-0.3, 0.3) * block.long, 1), (rng.uniform(-0.3, 0.3) * block.long, -1))
    ]
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


def _hall(block: Block, inner: Polygon, roof: str, long: float, wide: float, high: float) -> Building | None:
    """Build a hall where there is room."""
    rng = block.rng
    spot = block.fit(long, wide, inner.buffer(-1.5), 6.0)
    if spot is None:
        return None
    colour = np.array((FLAT if roof == "flat" else METAL)[rng.integers(6)], float) * rng.uniform(0.9, 1.1)
    slope = 0.0 if roof == "flat" else float(rng.uniform(0.06, 0.16))
    hall = Building(*spot, high, roof, tuple(colour), slope, int(rng.integers(1 << 31)))
    block.town.buildings.append(hall)
    block.take(rectangle(*spot).buffer(2.0))
    return hall


def shops(block: Block) -> None:
    """Build a supermarket with its parking lot."""
    rng = block.rng
    inner = _rim(block, rng.uniform(1.5, 4.0), 9.0)
    _apron(block, inner, "asphalt")
    hall = _hall(block, inner, "flat", block.long * rng.uniform(0.4, 0.7), rng.uniform(22, 38), rng.uniform(5, 7.5))
    if hall is not None:
        # Parking rows follow the shop.
        block.angle = hall.angle
        for _ in range(int(rng.integers(3, 9))):
            across = np.array([-np.sin(hall.angle), np.cos(hall.angle)])
            along = np.array([np.cos(hall.angle), np.sin(hall.angle)])
            p = (hall.x, hall.y) + across * (hall.width / 2 + 3.6) * rng.choice([-1, 1])
            p = p + along * rng.uniform(-0.45, 0.45) * hall.length
            kind = str(rng.choice(["dumpster", "dumpster", "container"]))
            put_item(block, *p, hall.angle + rng.choice([0, np.pi / 2]), kind)
    reach = float(np.hypot(block.long, block.short))
    block.long = block.short = reach
    _parking(block, inner, float(rng.uniform(0.2, 0.6)))


def industry(block: Block) -> None:
    """Build halls and yards with lorries, vans and stacks of containers."""
    rng = block.rng
    inner = _rim(block, rng.uniform(0.8, 2.5), 16.0)
    _apron(block, inner, str(rng.choice(["concrete", "asphalt"])))
    halls = []
    for _ in range(max(2, int(inner.area / 3500))):
        roof = str(rng.choice(["metal", "metal", "flat"]))
        halls.append(_hall(block, inner, roof, rng.uniform(30, 75), rng.uniform(18, 36), rng.uniform(6, 10)))
    for hall in halls:
        if hall is not None:
            _dock(block, inner, hall)
    for _ in range(int(block.land.area / 300)):
        p = block.at(*(rng.uniform(-0.46, 0.46, 2) * (block.long, block.short)))
        a = block.angle + rng.choice([0, np.pi / 2])
        for j in range(int(rng.integers(1, 4))):
            q = p + j * 2.6 * np.array([-np.sin(a), np.cos(a)])
            if inner.contains(rectangle(*q, a, 6.4, 2.8)):
                put_item(block, *q, a, str(rng.choice(["container", "container", "pallets", "heap", "dumpster"])))
    spot = block.fit(45.0, 17.4, inner, 2.0)
    if spot is not None:
        lot_rows(block, spot, 0.15)


def _dock(block: Block, inner: Polygon, hall: Building) -> None:
    """Lorries, vans or buses in a row along one side of a hall."""
    rng = block.rng
    kind = rng.choice(["truck", "truck", "mixed", "mixed", "bus"])
    side = rng.choice([-1, 1])
    c, s = np.cos(hall.angle), np.sin(hall.angle)
    for u in np.arange(-hall.length * 0.45, hall.length * 0.45, 3.9):
        if rng.random() > 0.55:
            continue
        label = {"truck": "truck", "bus": "bus"}.get(kind) or any_label(rng, 0.4, 0.4)
        v = make_vehicle(label, 0, 0, hall.angle + side * np.pi / 2 + rng.normal(0, 0.02), rng)
        w = side * (hall.width / 2 + v.length / 2 + 2.3)
        v.x, v.y = hall.x + u * c - w * s, hall.y + u * s + w * c
        shape = rectangle(v.x, v.y, v.angle, v.length + 0.2, v.width + 0.4)
        if block.free(shape) and inner.contains(shape):
            block.town.park(v)
            block.take(shape)


def lot_rows(block: Block, spot: Spot, van: float) -> None:
    """Two facing rows of bays in a rectangle 17.4 m wide."""
    x, y, angle, long, _ = spot
    saved = block.angle, block.centre, block.long, block.short
    block.angle, block.centre, block.long, block.short = angle, np.array([x, y]), long, 17.4
    lot = rectangle(x, y, angle, long, 17.4)
    _parking(block, lot, float(block.rng.uniform(0.3, 0.8)), van, -8.0)
    block.angle, block.centre, block.long, block.short = saved
    block.take(lot)


def flats(block: Block) -> None:
    """Build slabs of flats on lawns with garages and small parking lots."""
    rng, town, land = block.rng, block.town, block.land
    town.grounds.append(Ground(land, "lawn", float(rng.uniform(0.9, 1.1))))
    roof = str(rng.choice(["flat", "flat", "hip", "gable"]))
    colour = FLAT[rng.integers(6)] if roof == "flat" else ((132, 82, 66), (104, 70, 60), (84, 84, 86))[rng.integers(3)]
    high = float(rng.choice([9.0, 11.5, 14.0, 16.5]))
    for _ in range(int(land.area / 1300) + 1):
        spot = block.fit(rng.uniform(30, 46), 12.0, land.buffer(-3.5), 11.0)
        if spot is None:
            break
        x, y, a = spot[:3]
        slope = 0.0 if roof == "flat" else 0.55
        town.buildings.append(Building(*spot, high, roof, colour, slope, int(rng.integers(1 << 31))))
        block.take(rectangle(*spot).buffer(1.5))
        way = rectangle(x - 8.0 * np.sin(a), y + 8.0 * np.cos(a), a, spot[3] + 6, 1.6).intersection(land)
        town.grounds.append(Ground(way, "paving", 0.95))
    for _ in range(int(rng.integers(1, 3))):
        spot = block.fit(rng.uniform(24, 46), 17.4, land.buffer(-1.0), 1.0)
        if spot is not None:
            lot = rectangle(spot[0], spot[1], spot[2], spot[3] + 1, 17.6).intersection(land)
            town.grounds.append(Ground(lot, "asphalt", float(rng.uniform(0.85, 1.15))))
            lot_rows(block, (*spot[:4], 17.4), 0.06)
    row = [block.at(k * 3.0 - 12, block.short / 2 - 7) for k in range(8)]
    if all(block.free(rectangle(*p, block.angle + np.pi / 2, 6, 2.9), 1.0) for p in row):
        for p in row:
            town.items.append(
                Item(
                    *p,
                    block.angle + np.pi / 2,
                    5.8,
                    2.9,
                    2.5,
                    "garage",
                    (112, 110, 108),
                    int(rng.integers(1 << 30)),
                )
            )
            block.take(rectangle(*p, block.angle + np.pi / 2, 6, 3.2))
    block.scatter(int(land.area / 130), 1.8, 0.15)


def sport(block: Block) -> None:
    """Lay out a football pitch with markings, tennis courts and their fences."""
    rng, town, land = block.rng, block.town, block.land
    town.grounds.append(Ground(land, "lawn", 0.95))
    spot = block.fit(104.0, 66.0, land.buffer(-3.0), tries=80)
    if spot is None:
        return
    c, a, long, wide = np.array(spot[:2]), spot[2], spot[3], spot[4]
    pitch = rectangle(*c, a, long, wide)
    kind = str(rng.choice(["pitch", "pitch", "clay"]))
    if rng.random() < 0.5:
        track = rectangle(*c, a, long - wide * 0.5, 1).buffer(wide / 2 + 5.5).intersection(land.buffer(-1))
        town.grounds.append(Ground(track, "tartan"))
        block.take(track)
    town.grounds.append(Ground(pitch, kind, 1.0, a))
    block.take(pitch)
    x, y = np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
    hl, hw = long / 2 - 3, wide / 2 - 3
    marks = [(c + y * s * hw, a, 2 * hl) for s in (-1, 1)] + [
        (c + x * s * hl, a + np.pi / 2, 2 * hw) for s in (-1, 0, 1)
    ]
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
