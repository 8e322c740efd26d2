"""Filling of the land between streets: homes, flats, shops, industry, parks, sport, wood and bare ground."""

from __future__ import annotations

import numpy as np
from shapely import affinity
from shapely.geometry import LineString, Polygon
from shapely.ops import unary_union

from . import estates
from .land import Block, plant, points_in, put_item
from .plan import Building, Ground, Hedge, Item, Town, rectangle
from .roads import polygons_of
from .traffic import any_label, make_vehicle

Colour = tuple[float, float, float]
TILES = [(142, 86, 66), (128, 78, 62), (150, 98, 78), (112, 72, 60), (98, 66, 58), (86, 84, 84), (74, 74, 78)]
TILES += [(122, 96, 80), (136, 104, 86), (104, 98, 94)]


def _roof_colour(rng: np.random.Generator) -> Colour:
    base = np.array(TILES[rng.integers(len(TILES))], float)
    return tuple(np.clip(base * rng.uniform(0.85, 1.12) + rng.normal(0, 4, 3), 30, 220))


def homes(block: Block) -> None:
    """Single and terraced houses along the streets with gardens behind."""
    rng, town, land = block.rng, block.town, block.land
    town.grounds.append(Ground(land, "garden", float(rng.uniform(0.9, 1.1))))
    ring = land.simplify(0.8).exterior
    orientation = 1 if ring.is_ccw else -1
    terraced = rng.random() < 0.3
    favourite = _roof_colour(rng)
    d = rng.uniform(4, 10)
    while d < ring.length - 10:
        lot = rng.uniform(24, 42) if terraced else rng.uniform(15, 23)
        middle = d + lot / 2
        p0 = np.array(ring.interpolate(middle - 3).coords[0])
        p1 = np.array(ring.interpolate(middle + 3).coords[0])
        d += lot
        along = (p1 - p0) / max(np.hypot(*(p1 - p0)), 1e-6)
        inward = orientation * np.array([-along[1], along[0]])
        colour = favourite if terraced or rng.random() < 0.35 else _roof_colour(rng)
        _lot(block, (p0 + p1) / 2, along, inward, lot, terraced, colour)
    block.scatter(int(land.area / 170), 2.2, 0.22, lambda: float(rng.gamma(4, 0.5) + 0.6))
    left = land.buffer(-1).difference(unary_union([t.buffer(0.6) for t in block.taken]))
    for x, y in points_in(left, int(land.area / 90), rng):
        r = rng.uniform(0.4, 1.2)
        plant(town, x, y, rng, r, 0.1)


def _lot(
    block: Block,
    front: np.ndarray,
    along: np.ndarray,
    inward: np.ndarray,
    lot: float,
    terraced: bool,
    colour: Colour,
) -> None:
    rng, town = block.rng, block.town
    angle = float(np.arctan2(along[1], along[0]))
    setback = rng.uniform(3.0, 6.5)
    depth = rng.uniform(8.5, 11.0)
    length = lot - 4 if terraced else min(lot - 5, rng.uniform(9.5, 13.5))
    shift = along * rng.uniform(-1, 1)
    c = front + inward * (setback + depth / 2) + shift
    foot = rectangle(*c, angle, length, depth)
    if not block.free(foot.buffer(1.2, join_style="mitre"), 0.3):
        return
    block.take(foot)
    roof = "gable" if terraced else str(rng.choice(["gable", "hip", "hip", "gable", "half"]))
    turn = 0.0 if terraced or length > depth + 1 else rng.choice([0.0, np.pi / 2])
    dims = (length, depth) if turn == 0 else (depth, length)
    eave = rng.uniform(3.6, 6.2)
    slope = float(np.tan(np.radians(rng.uniform(27, 43))))
    seed = int(rng.integers(1 << 31))
    town.buildings.append(Building(*c, angle + turn, *dims, eave, roof, colour, slope, seed))
    if not terraced and rng.random() < 0.35:
        wing = c + inward * depth * 0.45 + along * rng.uniform(-0.2, 0.2) * length
        part = Building(
            *wing, angle + np.pi / 2, depth * 0.9, length * 0.45, eave - 0.4, "gable", colour, slope, seed + 1
        )
        shape = rectangle(*wing, angle + np.pi / 2, depth * 0.9, length * 0.45)
        if block.land.contains(shape):
            town.buildings.append(part)
            block.take(shape)
    _garden(block, c, along, inward, angle, lot, setback, depth, length)


def _driveway(
    block: Block,
    c: np.ndarray,
    along: np.ndarray,
    inward: np.ndarray,
    angle: float,
    setback: float,
    depth: float,
    length: float,
) -> None:
    """Pave the way to the garage beside a house; often with a car on it."""
    rng, town = block.rng, block.town
    side = rng.choice([-1, 1])
    edge = c - inward * (setback + depth / 2) + along * side * (length / 2 + 1.9)
    drive_len = setback + rng.uniform(2, 5)
    lane = rectangle(*(edge + inward * drive_len / 2), angle + np.pi / 2, drive_len + 1.0, 2.8)
    stone = str(rng.choice(["paving", "gravel", "paving", "asphalt_old"]))
    if not any(lane.intersects(t) for t in block.taken):
        town.grounds.append(Ground(lane, stone, float(rng.uniform(0.85, 1.15))))
        block.take(lane)
        if rng.random() < 0.5:
            here = edge + inward * (2.7 + rng.uniform(0, max(0.1, drive_len - 5)))
            heading = angle + np.pi / 2 + rng.choice([0, np.pi]) + rng.normal(0, 0.04)
            town.park(make_vehicle(any_label(rng, 0.05, 0), *here, heading, rng))
        garage = edge + inward * (drive_len + 3.2)
        shape = rectangle(*garage, angle + np.pi / 2, 6.0, 3.1)
        if rng.random() < 0.6 and block.free(shape):
            town.items.append(
                Item(
                    *garage,
                    angle + np.pi / 2,
                    6.0,
                    3.1,
                    2.6,
                    "garage",
                    (118, 116, 112),
                    int(rng.integers(1 << 30)),
                )
            )
            block.take(shape)


def _garden(
    block: Block,
    c: np.ndarray,
    along: np.ndarray,
    inward: np.ndarray,
    angle: float,
    lot: float,
    setback: float,
    depth: float,
    length: float,
) -> None:
    rng, town = block.rng, block.town
    plot = rectangle(*(c + inward * 4.0), angle, lot - 0.4, setback + depth + 17.0).intersection(block.land)
    grass = str(rng.choice(["lawn", "garden", "lawn", "meadow", "verge"], p=[0.35, 0.25, 0.15, 0.15, 0.10]))
    town.grounds.append(Ground(plot, grass, float(np.exp(rng.normal(0, 0.16)))))
    _driveway(block, c, along, inward, angle, setback, depth, length)
    path = rectangle(
        *(c - inward * (setback + depth) / 2 * 1.02 + along * rng.uniform(-2, 2)),
        angle + np.pi / 2,
        setback,
        1.2,
    )
    town.grounds.append(Ground(path, "paving", 0.95))
    patio = c + inward * (depth / 2 + 1.8)
    town.grounds.append(
        Ground(
            rectangle(*patio, angle, length * rng.uniform(0.3, 0.7), 3.4),
            "paving",
            float(rng.uniform(0.8, 1.1)),
        )
    )
    far = rng.uniform(9, 13)
    for end in (-1, 1):
        a = c + along * end * lot / 2 - inward * (setback + depth / 2 - 0.5)
        b = c + along * end * lot / 2 + inward * (depth / 2 + far)
        line = LineString([a, b]).intersection(block.land.buffer(-0.5))
        if rng.random() < 0.5 and not line.is_empty:
            kind = "hedge" if rng.random() < 0.7 else "fence"
            town.hedges.append(
                Hedge(
                    line.buffer(0.5 if kind == "hedge" else 0.06, cap_style="flat"),
                    rng.uniform(1.1, 2.0),
                    kind,
                )
            )
    if rng.random() < 0.6:
        a, b = (c + along * e * lot / 2 - inward * (setback + depth / 2 - 0.5) for e in (-1, 1))
        line = LineString([a, b]).difference(unary_union([t.buffer(0.5) for t in block.taken[-4:]] + [path]))
        town.hedges.append(Hedge(line.buffer(0.4, cap_style="flat"), rng.uniform(0.8, 1.4)))
    _toys(block, c, along, inward, angle, depth, lot)


def _toys(
    block: Block, c: np.ndarray, along: np.ndarray, inward: np.ndarray, angle: float, depth: float, lot: float
) -> None:
    """Sheds, pools, trampolines and beds: things that a detector must not take for vehicles."""
    rng = block.rng
    table = [("shed", 0.45, (2.2, 3.4), (2.0, 2.8), 2.2), ("pool", 0.13, (5, 8), (3, 4), 0.05)]
    table += [
        ("trampoline", 0.14, (3, 4), (3, 4), 0.8),
        ("bed", 0.4, (2, 5), (1.2, 2.5), 0.1),
        ("pergola", 0.15, (3, 4), (2.5, 3.2), 2.4),
    ]
    table += [("trailer", 0.1, (2.4, 4.2), (1.4, 1.8), 0.7)]
    for kind, chance, longs, wides, high in table:
        if rng.random() > chance:
            continue
        p = c + inward * (depth / 2 + rng.uniform(6, 13)) + along * rng.uniform(-0.4, 0.4) * lot
        long, wide = rng.uniform(*longs), rng.uniform(*wides)
        shape = rectangle(*p, angle, long, wide)
        if block.free(shape.buffer(0.4), 0.5):
            red, green, blue = {"shed": (112, 94, 78), "trailer": (150, 150, 148)}.get(kind, (90, 90, 90))
            tone = rng.uniform(0.75, 1.3)
            colour = (min(235, red * tone), min(235, green * tone), min(235, blue * tone))
            block.town.items.append(Item(*p, angle, long, wide, high, kind, colour, int(rng.integers(1 << 30))))
            block.take(shape)


def park(block: Block) -> None:
    """Lawns, winding paths, groups of trees and perhaps a pond."""
    rng, town, land = block.rng, block.town, block.land
    town.grounds.append(Ground(land, "lawn", float(rng.uniform(0.9, 1.12))))
    if land.area > 5000 and rng.random() < 0.6:
        t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        r = min(block.short * 0.24, 26) * (
            1 + 0.2 * np.sin(2 * t + rng.uniform(0, 6)) + 0.12 * np.sin(3 * t + rng.uniform(0, 6))
        )
        pond = Polygon(
            block.at(*rng.uniform(-0.1, 0.1, 2) * block.short) + np.stack([1.4 * r * np.cos(t), r * np.sin(t)], 1)
        )
        pond = affinity.rotate(pond, np.degrees(block.angle)).intersection(land.buffer(-6))
        town.grounds += [Ground(pond.buffer(1.2), "soil", 0.8), Ground(pond, "water")]
        block.take(pond.buffer(1.5))
    for _ in range(3):
        t = np.linspace(-0.6, 0.6, 40)
        a = rng.uniform(0, np.pi)
        wave = rng.uniform(4, 12) * np.sin(t * rng.uniform(4, 9) + rng.uniform(0, 6))
        line = block.centre + t[:, None] * block.long * (np.cos(a), np.sin(a)) + wave[:, None] * (-np.sin(a), np.cos(a))
        way = LineString(line + rng.normal(0, 8, 2)).buffer(rng.uniform(0.8, 1.3)).intersection(land)
        way = way.difference(unary_union(block.taken)) if block.taken else way
        town.grounds.append(Ground(way, "gravel", 1.05))
        block.taken += polygons_of(way)
    block.scatter(int(land.area / 120), 1.4, 0.15)


def wood(block: Block) -> None:
    """Close the block with a small wood."""
    rng = block.rng
    block.town.grounds.append(Ground(block.land, "forest"))
    share = rng.uniform(0.05, 0.7)
    block.scatter(int(block.land.area / 15), 0.5, share, lambda: float(rng.gamma(7, 0.42) + 0.7))


def bare(block: Block) -> None:
    """Bare soil of a building site with heaps, containers and a few vehicles."""
    rng, town, land = block.rng, block.town, block.land
    town.grounds += [
        Ground(land, "wasteland"),
        Ground(land.buffer(-rng.uniform(2, 6)), "soil", float(rng.uniform(0.95, 1.15))),
    ]
    for _ in range(int(land.area / 500)):
        a, b = rng.uniform(-0.45, 0.45, 2) * (block.long, block.short)
        line = LineString([block.at(a, b), block.at(*(rng.uniform(-0.4, 0.4, 2) * (block.long, block.short)))])
        for off in (-0.9, 0.9):
            town.overlays.append(Ground(line.offset_curve(off).buffer(0.25).intersection(land), "rut"))
    for x, y in points_in(land.buffer(-6), int(land.area / 420), rng):
        kind = str(rng.choice(["heap", "heap", "container", "pallets"]))
        put_item(block, x, y, rng.uniform(0, np.pi), kind)
    for x, y in points_in(land.buffer(-6), int(land.area / 700), rng):
        v = make_vehicle(any_label(rng, 0.3, 0.4), x, y, rng.uniform(0, 6.3), rng)
        shape = rectangle(x, y, v.angle, v.length + 1, v.width + 1)
        if block.free(shape):
            town.park(v)
            block.take(shape)
    block.scatter(int(land.area / 500), 1.0, 0.1, lambda: float(rng.uniform(0.6, 2.2)))


def fill(town: Town, blocks: list[Polygon], rng: np.random.Generator) -> None:
    """Give every block a use and build it."""
    deck = [
        "industry",
        "homes",
        "sport",
        "shops",
        "flats",
        "homes",
        "park",
        "flats",
        "homes",
        "homes",
        "shops",
        "flats",
    ]
    deck += [
        "homes",
        "wood",
        "homes",
        "flats",
        "bare",
        "homes",
        "park",
        "homes",
        "industry",
        "homes",
        "homes",
    ]
    order = sorted(range(len(blocks)), key=lambda i: -blocks[i].area)
    uses = {"homes": homes, "park": park, "wood": wood, "bare": bare}
    uses |= {
        "shops": estates.shops,
        "industry": estates.industry,
        "flats": estates.flats,
        "sport": estates.sport,
    }
    needs = {"shops": 48, "industry": 52, "flats": 42, "sport": 62, "homes": 26}
    start = int(rng.integers(3))
    for rank, i in enumerate(order):
        block = Block(town, blocks[i], np.random.default_rng([int(rng.integers(1 << 31)), i]))
        use = deck[(start + rank) % len(deck)]
        if block.short < needs.get(use, 0):
            use = "homes" if block.short > 26 else "park" if rng.random() < 0.5 else "wood"
        uses[use](block)
