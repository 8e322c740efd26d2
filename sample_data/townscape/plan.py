"""Records of a laid-out town: plain data in metres, x to the right and y down from the upper left corner."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from shapely.geometry import LineString, Polygon
from shapely.geometry.base import BaseGeometry


def rectangle(x: float, y: float, angle: float, length: float, width: float) -> Polygon:
    """Return a rectangle centred at (x, y), its length along ``angle`` (radians)."""
    return Polygon(corners(x, y, angle, length, width))


def corners(x: float, y: float, angle: float, length: float, width: float) -> np.ndarray:
    """Return the corners (4, 2) of an oriented rectangle."""
    c, s = np.cos(angle), np.sin(angle)
    u = np.array([-1, 1, 1, -1]) * length / 2
    v = np.array([-1, -1, 1, 1]) * width / 2
    return np.stack([x + u * c - v * s, y + u * s + v * c], axis=1)


@dataclass
class Road:
    """A street: centre line, carriageway width and habits."""

    line: LineString
    width: float
    kind: str
    tone: float
    sidewalk: float
    parking: tuple[int, ...] = ()
    pieces: list[LineString] = field(default_factory=list)


@dataclass
class Ground:
    """A painted surface: polygons of one material; ``tone`` scales its brightness."""

    shape: BaseGeometry
    material: str
    tone: float = 1.0
    angle: float = 0.0


@dataclass
class Building:
    """One roof body over a rectangle; ``seed`` fixes its details."""

    x: float
    y: float
    angle: float
    length: float
    width: float
    eave: float
    roof: str
    colour: tuple[float, float, float]
    slope: float
    seed: int


@dataclass
class Item:
    """A small object that is no vehicle: containers, sheds, pools, trampolines and the like."""

    x: float
    y: float
    angle: float
    length: float
    width: float
    height: float
    kind: str
    colour: tuple[float, float, float]
    seed: int


@dataclass
class Tree:
    """A crown of radius ``radius`` whose top is ``height`` above ground."""

    x: float
    y: float
    radius: float
    height: float
    species: str
    template: int
    tone: float


@dataclass
class Hedge:
    """A strip of shrubs or a fence."""

    shape: BaseGeometry
    height: float
    kind: str = "hedge"


@dataclass
class Vehicle:
    """A vehicle; x, y is the centre of its body and ``angle`` the way it faces."""

    label: str
    style: str
    x: float
    y: float
    angle: float
    length: float
    width: float
    colour: tuple[float, float, float]
    seed: int


@dataclass
class Town:
    """All objects of a town of ``extent`` metres square."""

    extent: float
    roads: list[Road] = field(default_factory=list)
    grounds: list[Ground] = field(default_factory=list)
    overlays: list[Ground] = field(default_factory=list)
    paint: list[np.ndarray] = field(default_factory=list)
    cracks: list[np.ndarray] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    hedges: list[Hedge] = field(default_factory=list)
    vehicles: list[Vehicle] = field(default_factory=list)
    _cells: dict[tuple[int, int], list[tuple[float, float, float]]] = field(default_factory=dict)

    def park(self, vehicle: Vehicle, gap: float = 0.15) -> bool:
        """Add a vehicle unless it would touch another one; return whether it was added."""
        n = max(2, int(np.ceil(vehicle.length / vehicle.width)) + 1)
        radius = vehicle.width / 2
        reach = vehicle.length / 2 - radius
        discs = [
            (vehicle.x + t * np.cos(vehicle.angle), vehicle.y + t * np.sin(vehicle.angle), radius)
            for t in np.linspace(-reach, reach, n)
        ]
        for x, y, r in discs:
            cx, cy = int(x // 4), int(y // 4)
            for kx in (cx - 1, cx, cx + 1):
                for ky in (cy - 1, cy, cy + 1):
                    for ox, oy, orad in self._cells.get((kx, ky), ()):
                        if (ox - x) ** 2 + (oy - y) ** 2 < (r + orad + gap) ** 2:
                            return False
        for disc in discs:
            self._cells.setdefault((int(disc[0] // 4), int(disc[1] // 4)), []).append(disc)
        self.vehicles.append(vehicle)
        return True
