"""Vehicles: their sizes and colours as seen in a European town, on lanes, at kerbs and in bays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from shapely.geometry import LineString

from .plan import Road, Town, Vehicle
from .roads import Net, offset_points

# Display colours and their share among cars.
PAINTS = [
    ((232, 233, 232), 0.20),
    ((196, 199, 202), 0.13),
    ((150, 153, 157), 0.12),
    ((98, 102, 107), 0.13),
    ((42, 43, 46), 0.13),
    ((26, 27, 30), 0.10),
    ((44, 62, 104), 0.06),
    ((38, 84, 140), 0.025),
    ((142, 34, 32), 0.045),
    ((176, 44, 40), 0.02),
    ((122, 110, 92), 0.015),
    ((52, 72, 58), 0.01),
    ((86, 44, 40), 0.01),
    ((198, 132, 44), 0.005),
]
VAN_PAINTS = [((234, 235, 234), 0.62), ((180, 184, 188), 0.14), ((70, 74, 80), 0.1), ((206, 168, 40), 0.05)]
VAN_PAINTS += [((38, 62, 116), 0.05), ((150, 38, 34), 0.04)]
BUS_PAINTS = [((226, 226, 222), 0.4), ((208, 176, 60), 0.2), ((164, 44, 40), 0.15), ((54, 92, 150), 0.25)]
CAB_PAINTS = [((228, 228, 226), 0.5), ((46, 70, 120), 0.15), ((150, 36, 32), 0.15), ((60, 64, 68), 0.12)]
CAB_PAINTS += [((60, 100, 66), 0.08)]


def _pick(table: Sequence[tuple[tuple[int, int, int], float]], rng: np.random.Generator) -> tuple[float, float, float]:
    weights = np.array([w for _, w in table])
    colour = np.array(table[rng.choice(len(table), p=weights / weights.sum())][0], float)
    return tuple(np.clip(colour * rng.uniform(0.88, 1.06) + rng.normal(0, 2.5, 3), 8, 250))


def make_vehicle(label: str, x: float, y: float, angle: float, rng: np.random.Generator) -> Vehicle:
    """Invent a vehicle of a class ('car', 'van', 'truck', 'bus') at a place."""
    seed = int(rng.integers(1 << 31))
    if label == "car":
        style = str(rng.choice(["hatch", "sedan", "estate", "suv"], p=[0.36, 0.22, 0.24, 0.18]))
        length = {"hatch": (3.6, 4.25), "sedan": (4.4, 4.9), "estate": (4.4, 4.85), "suv": (4.2, 4.8)}[style]
        long = rng.uniform(*length)
        wide = np.clip(1.66 + 0.16 * (long - 3.6) + rng.normal(0, 0.03), 1.65, 1.95)
        return Vehicle(label, style, x, y, angle, long, float(wide), _pick(PAINTS, rng), seed)
    if label == "van":
        long = rng.uniform(5.0, 6.5)
        wide = rng.uniform(2.0, 2.2)
        return Vehicle(label, "van", x, y, angle, long, wide, _pick(VAN_PAINTS, rng), seed)
    if label == "bus":
        return Vehicle(label, "bus", x, y, angle, rng.uniform(11.2, 13.6), 2.55, _pick(BUS_PAINTS, rng), seed)
    style = str(rng.choice(["box", "box", "tarp", "flat"]))
    return Vehicle(label, style, x, y, angle, rng.uniform(7.0, 13.0), 2.5, _pick(CAB_PAINTS, rng), seed)


def any_label(rng: np.random.Generator, van: float = 0.1, truck: float = 0.03, bus: float = 0.0) -> str:
    """Draw a class; the rest of the shares are cars."""
    return str(rng.choice(["car", "van", "truck", "bus"], p=[1 - van - truck - bus, van, truck, bus]))


def drive(town: Town, net: Net, rng: np.random.Generator) -> None:
    """Put moving vehicles on the lanes and parked ones along the kerbs."""
    for road in net.roads:
        lanes = {"arterial": (1.75, 5.05), "collector": (1.6,), "street": (1.3,)}[road.kind]
        mean_gap = {"arterial": 48.0, "collector": 90.0, "street": 260.0}[road.kind]
        for piece in road.pieces:
            for lane in lanes:
                for sign in (1, -1):
                    d = rng.exponential(mean_gap)
                    while d < piece.length:
                        p, a = offset_points(piece, np.array([d]), sign * (lane + rng.normal(0, 0.15)))
                        label = any_label(rng, 0.1, 0.07, 0.07 if road.kind != "street" else 0.0)
                        heading = a[0] + (0 if sign > 0 else np.pi) + rng.normal(0, 0.02)
                        town.park(make_vehicle(label, *p[0], heading, rng), 0.4)
                        d += 7.5 + rng.exponential(mean_gap)
                    if road.kind != "street" and rng.random() < 0.35:
                        _queue(town, piece, lane, sign, rng)
            for side in road.parking:
                _kerb(town, road, piece, side, rng)
    x, y, inner, outer = net.roundabout
    for _ in range(3):
        turn = rng.uniform(0, 2 * np.pi)
        r = (inner + outer) / 2 + rng.normal(0, 1) + 0.8
        town.park(make_vehicle("car", x + r * np.cos(turn), y + r * np.sin(turn), turn - np.pi / 2, rng))


def _queue(town: Town, piece: LineString, lane: float, sign: int, rng: np.random.Generator) -> None:
    """Vehicles that wait at the stop line."""
    d = 8.5
    for _ in range(int(rng.integers(1, 6))):
        if d > piece.length - 10:
            return
        at = piece.length - d if sign > 0 else d
        p, a = offset_points(piece, np.array([at]), sign * (lane + rng.normal(0, 0.12)))
        vehicle = make_vehicle(any_label(rng, 0.1, 0.05, 0.03), *p[0], a[0] + (0 if sign > 0 else np.pi), rng)
        town.park(vehicle, 0.3)
        d += vehicle.length + rng.uniform(1.2, 3.0)


def _kerb(town: Town, road: Road, piece: LineString, side: int, rng: np.random.Generator) -> None:
    fill = rng.uniform(0.03, 0.3) if road.kind == "street" else rng.uniform(0.1, 0.5)
    d = 9.0
    while d < piece.length - 9.0:
        if rng.random() < fill:
            p, a = offset_points(piece, np.array([d]), side * (road.width / 2 - 1.08 + rng.normal(0, 0.09)))
            flip = 0 if (side > 0) != (rng.random() < 0.08) else np.pi
            label = any_label(rng, 0.08, 0.006)
            town.park(make_vehicle(label, *p[0], a[0] + flip + rng.normal(0, 0.025), rng), 0.25)
        d += rng.uniform(5.6, 6.4)
