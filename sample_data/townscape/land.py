"""A block of land between streets: its axes, what is taken already, and what is put on any of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from shapely import prepare
from shapely.geometry import Point, Polygon
from shapely.ops import unary_union

from .plan import Item, Town, Tree, rectangle

#: Centre x, y, angle, length and width of a rectangle.
Spot = tuple[float, float, float, float, float]
BOXES = [
    (142, 56, 44),
    (48, 78, 118),
    (78, 104, 84),
    (168, 168, 164),
    (196, 144, 60),
    (110, 84, 66),
    (90, 92, 96),
]


def plant(
    town: Town,
    x: float,
    y: float,
    rng: np.random.Generator,
    radius: float | None = None,
    conifer: float = 0.2,
) -> None:
    """Add one tree."""
    r = float(rng.gamma(5.0, 0.62) + 0.6) if radius is None else radius
    species = "conifer" if rng.random() < conifer else "broad"
    if species == "conifer":
        r = min(r, 3.2)
    high = r * rng.uniform(1.5, 2.3) + 1.2
    town.trees.append(Tree(x, y, r, high, species, int(rng.integers(1 << 20)), float(np.exp(rng.normal(0, 0.17)))))


def points_in(shape: Polygon, count: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Draw about ``count`` positions inside a polygon."""
    if shape.is_empty or count < 1:
        return []
    x0, y0, x1, y1 = shape.bounds
    density = shape.area / max((x1 - x0) * (y1 - y0), 1e-6)
    n = int(count / max(density, 0.02))
    points = np.stack([rng.uniform(x0, x1, n), rng.uniform(y0, y1, n)], axis=1)
    return [tuple(p) for p in points if shape.contains(Point(p))]


class Block:
    """A block under construction: its land and what is taken already."""

    def __init__(self, town: Town, land: Polygon, rng: np.random.Generator) -> None:
        self.town, self.land, self.rng = town, land, rng
        self.taken: list[Polygon] = []
        frame = np.asarray(land.minimum_rotated_rectangle.exterior.coords)
        edges = np.diff(frame[:3], axis=0)
        lengths = np.hypot(*edges.T)
        k = int(np.argmax(lengths))
        self.angle = float(np.arctan2(edges[k][1], edges[k][0]))
        self.long, self.short = float(lengths[k]), float(lengths[1 - k])
        self.centre = frame[:4].mean(axis=0)

    def at(self, u: float, v: float) -> np.ndarray:
        """Ground position of block coordinates along (u) and across (v) the longer side."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return self.centre + np.array([u * c - v * s, u * s + v * c])

    def free(self, shape: Polygon, inside: float = 0.0) -> bool:
        """Tell whether a shape lies in the block and touches nothing."""
        if not self.land.buffer(-inside).contains(shape):
            return False
        return not any(shape.intersects(t) for t in self.taken)

    def fit(self, long: float, wide: float, inside: Polygon, gap: float = 1.5, tries: int = 40) -> Spot | None:
        """Look for room for a rectangle, the larger the better.

        Returns
        -------
        tuple or None
            Centre x, y, angle, length and width of the rectangle found in ``inside``.
        """
        if inside.is_empty:
            return None
        ring = np.asarray(self.land.simplify(2.0).exterior.coords)
        sides = np.diff(ring, axis=0)
        longest = sides[int(np.argmax(np.hypot(*sides.T)))]
        angles = [self.angle, self.angle + np.pi / 2, float(np.arctan2(longest[1], longest[0]))]
        room = inside.difference(unary_union([t.buffer(gap) for t in self.taken])) if self.taken else inside
        prepare(room)
        for scale in (1.0, 0.85, 0.7, 0.55):
            for _ in range(tries):
                u, v = self.rng.uniform(-0.45, 0.45, 2) * (self.long, self.short)
                angle = angles[self.rng.integers(3)]
                spot = (*self.at(u, v), angle, long * scale, wide * max(scale, 0.7))
                if room.contains(rectangle(*spot)):
                    return spot
        return None

    def take(self, shape: Polygon) -> None:
        """Reserve a shape."""
        self.taken.append(shape)

    def scatter(
        self, count: int, clearance: float, conifer: float = 0.2, radius: Callable[[], float] | None = None
    ) -> None:
        """Plant trees on what is left."""
        left = self.land.buffer(-0.5).difference(unary_union([t.buffer(clearance) for t in self.taken]))
        for x, y in points_in(left, count, self.rng):
            plant(self.town, x, y, self.rng, radius() if radius else None, conifer)


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
