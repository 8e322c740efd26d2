"""The street net: arterials with a roundabout, recursive splits, river, railway, and the markings."""

from __future__ import annotations

import numpy as np
from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import split, substring, unary_union

from .plan import Ground, Road, Town, corners

MARGIN = 40.0


class Warp:
    """A smooth displacement of a few metres that bends straight streets."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.k = rng.normal(0, 1, (5, 2))
        self.k *= (2 * np.pi / rng.uniform(260, 520, 5) / np.hypot(*self.k.T))[:, None]
        self.phase = rng.uniform(0, 2 * np.pi, (5, 2))
        self.amplitude = rng.normal(0, 8.0, (5, 2))

    def __call__(self, line: LineString) -> LineString:
        """Bend a line after densifying it."""
        p = np.asarray(line.segmentize(6.0).coords)
        waves = np.sin((p @ self.k.T)[:, :, None] + self.phase)
        return LineString(p + (waves * self.amplitude).sum(axis=1))


def lines_of(geometry: BaseGeometry, shortest: float = 0.0) -> list[LineString]:
    """Return the line strings of a geometry that are longer than ``shortest``."""
    parts = getattr(geometry, "geoms", [geometry])
    return [p for p in parts if p.geom_type == "LineString" and p.length > shortest]


def polygons_of(geometry: BaseGeometry, smallest: float = 0.0) -> list[Polygon]:
    """Return the polygons of a geometry that are larger than ``smallest`` square metres."""
    parts = getattr(geometry, "geoms", [geometry])
    return [p for p in parts if p.geom_type == "Polygon" and p.area > smallest]


def _through(x: float, y: float, angle: float, reach: float = 3000.0) -> LineString:
    d = np.array([np.cos(angle), np.sin(angle)]) * reach
    return LineString([(x - d[0], y - d[1]), (x + d[0], y + d[1])])


def _subdivide(polygon: Polygon, depth: int, rng: np.random.Generator, out: list[tuple[LineString, int]]) -> None:
    target = rng.choice([7000.0, 10000.0, 15000.0, 20000.0], p=[0.3, 0.35, 0.25, 0.1])
    frame = np.asarray(polygon.minimum_rotated_rectangle.exterior.coords)
    edges = np.diff(frame[:3], axis=0)
    lengths = np.hypot(*edges.T)
    k = int(np.argmax(lengths))
    if polygon.area < target or lengths[k] < 95:
        return
    angle = np.arctan2(edges[k][1], edges[k][0]) + np.pi / 2 + rng.normal(0, 0.11)
    middle = frame[:4].mean(axis=0) + edges[k] * rng.uniform(-0.14, 0.14)
    cut = _through(*middle, angle)
    for piece in lines_of(cut.intersection(polygon), 20):
        out.append((piece, depth))
    for part in polygons_of(split(polygon, cut)):
        _subdivide(part, depth + 1, rng, out)


def _make_road(line: LineString, depth: int, rng: np.random.Generator) -> Road:
    tone = float(rng.uniform(0.82, 1.18))
    if depth < 0:
        return Road(line, 13.6, "arterial", tone, 4.6)
    if depth < 2:
        return Road(line, 9.2, "collector", tone, 2.6, ((1,), (-1,), (1, -1))[rng.integers(3)])
    return Road(line, float(rng.uniform(6.6, 7.6)), "street", tone, 1.9, ((1,), (-1,), (1, -1))[rng.integers(3)])


def _river(line: LineString, half: float, rng: np.random.Generator) -> Polygon:
    """Water of uneven width along a line: the banks wander by a metre or two."""
    p = np.asarray(line.segmentize(1.5).coords)
    t = np.gradient(p, axis=0)
    normal = np.stack([-t[:, 1], t[:, 0]], axis=1) / np.maximum(np.hypot(*t.T), 1e-9)[:, None]
    along = np.arange(len(p)) * 1.0
    sides = []
    for sign in (1, -1):
        bays = sum(
            np.interp(along, along[::step], rng.normal(0, size, len(along[::step])))
            for step, size in ((24, 1.1), (7, 0.5), (2, 0.22))
        )
        sides.append(p + sign * normal * (half + bays)[:, None])
    return Polygon(np.concatenate([sides[0], sides[1][::-1]])).buffer(0)


class Net:
    """The streets, water and rails of a town and what they leave over.

    Attributes
    ----------
    roads : list of Road
        Streets with their junction-free ``pieces``.
    surface, corridor : shapely geometry
        Carriageways, and carriageways with sidewalks.
    water, bank, rail : shapely geometry
        River, its banks and the railway bed, empty where the town has none.
    blocks : list of Polygon
        The land between.
    roundabout : tuple of float
        Centre x, y, island radius, outer radius.
    """

    def __init__(self, extent: float, rng: np.random.Generator) -> None:
        self.domain = box(-MARGIN, -MARGIN, extent + MARGIN, extent + MARGIN)
        warp = Warp(rng)
        centre = extent * rng.uniform(0.4, 0.6, 2)
        theta = rng.uniform(0, np.pi)
        axes = (theta, theta + np.pi / 2 + rng.uniform(-0.35, 0.35))
        arterials = [_through(*centre, a) for a in axes]
        big = box(-150, -150, extent + 150, extent + 150)
        cuts: list[tuple[LineString, int]] = [(a.intersection(big), -1) for a in arterials]
        parts = [big]
        for a in arterials:
            parts = [q for p in parts for q in polygons_of(split(p, a))]
        for part in parts:
            _subdivide(part, 0, rng, cuts)
        hub = warp(LineString([centre, centre + 1])).coords[0]
        self.roundabout = (hub[0], hub[1], 9.0, 17.5)
        self._nature(extent, centre, axes[0], warp, rng)
        self._build(cuts, warp, rng)

    def _nature(self, extent: float, centre: np.ndarray, angle: float, warp: Warp, rng: np.random.Generator) -> None:
        normal = np.array([-np.sin(angle), np.cos(angle)])
        side = rng.choice([-1, 1])
        self.water = self.bank = self.rail = Polygon()
        self.rail_line = LineString()
        if extent > 150 and rng.random() < 0.85:
            p = centre + normal * side * extent * rng.uniform(0.22, 0.36)
            t = np.linspace(-extent, extent, 160)
            wave = 16 * np.sin(t / rng.uniform(45, 80) + rng.uniform(0, 6)) + 8 * np.sin(t / 23)
            course = p + t[:, None] * (np.cos(angle), np.sin(angle)) + wave[:, None] * normal
            line = warp(LineString(course))
            width = rng.uniform(13, 24)
            self.water = _river(line, width / 2, rng)
            self.bank = line.buffer(width / 2 + rng.uniform(8, 14)).union(self.water.buffer(3))
        if extent > 150 and rng.random() < 0.75:
            p = centre - normal * side * extent * rng.uniform(0.30, 0.44)
            self.rail_line = warp(_through(*p, angle + rng.uniform(-0.2, 0.2)).intersection(self.domain.buffer(100)))
            self.rail = self.rail_line.buffer(7.5)

    def _build(self, cuts: list[tuple[LineString, int]], warp: Warp, rng: np.random.Generator) -> None:
        barrier = self.bank.union(self.rail.buffer(4))
        x, y, inner, outer = self.roundabout
        hub = Point(x, y).buffer(outer)
        self.roads: list[Road] = []
        for line, depth in cuts:
            bent = warp(line).intersection(self.domain)
            kept = bent.difference(hub) if depth < 0 else bent.difference(barrier.union(hub.buffer(15)))
            self.roads += [_make_road(p, depth, rng) for p in lines_of(kept, 25)]
        shapes = [r.line.buffer(r.width / 2, cap_style="flat") for r in self.roads]
        joined = unary_union([*shapes, hub.buffer(0.5)])
        self.surface = joined.buffer(5.5).buffer(-5.5).difference(Point(x, y).buffer(inner))
        wide = [r.line.buffer(r.width / 2 + r.sidewalk, cap_style="flat") for r in self.roads]
        corridor = unary_union([*wide, hub.buffer(4.5)])
        self.corridor = corridor.buffer(3.0).buffer(-3.0).union(self.surface.buffer(1.6))
        for k, road in enumerate(self.roads):
            others = unary_union([s.buffer(2.2) for j, s in enumerate(shapes) if j != k and s.intersects(shapes[k])])
            road.pieces = lines_of(road.line.difference(others.union(hub.buffer(3))), 18)
        rest = self.domain.difference(unary_union([self.corridor, self.bank, self.rail]))
        self.blocks = [p.buffer(0) for p in polygons_of(rest, 150)]


def offset_points(line: LineString, along: np.ndarray, across: float) -> tuple[np.ndarray, np.ndarray]:
    """Return positions (N, 2) and directions (N,) beside a line; positive ``across`` is to the right."""
    here = np.array([line.interpolate(max(0.0, d - 0.5)).coords[0] for d in along]).reshape(-1, 2)
    ahead = np.array([line.interpolate(min(line.length, d + 0.5)).coords[0] for d in along]).reshape(-1, 2)
    delta = ahead - here
    angle = np.arctan2(delta[:, 1], delta[:, 0])
    middle = (here + ahead) / 2
    return middle + across * np.stack([-np.sin(angle), np.cos(angle)], axis=1), angle


def _dashes(line: LineString, across: float, dash: float, gap: float, width: float, ends: float) -> list[np.ndarray]:
    along = np.arange(ends + dash / 2, line.length - ends - dash / 2, dash + gap)
    points, angles = offset_points(line, along, across)
    return [corners(*p, a, dash, width) for p, a in zip(points, angles, strict=True)]


def _arrow(x: float, y: float, angle: float, turn: int) -> list[np.ndarray]:
    shaft = np.array([(-1.8, -0.1), (0.5, -0.1), (0.5, 0.1), (-1.8, 0.1)])
    head = np.array([(0.4, -0.42), (2.0, 0.0), (0.4, 0.42)])
    if turn:
        head = np.array([(0.2, 0.3 * turn), (1.0, 1.25 * turn), (1.3, 0.2 * turn)])
    c, s = np.cos(angle), np.sin(angle)
    return [p @ np.array([[c, s], [-s, c]]) + (x, y) for p in (shaft, head)]


def _junction_paint(town: Town, road: Road, piece: LineString, rng: np.random.Generator) -> None:
    """Stop lines, zebra crossings and arrows at the two ends of a stretch."""
    for at_end in (True, False):
        d = piece.length - 0.6 if at_end else 0.6
        if not box(0, 0, town.extent, town.extent).buffer(20).contains(piece.interpolate(d)):
            continue
        sign = 1 if at_end else -1
        zebra = piece.length > 30 and rng.random() < {"arterial": 0.7, "collector": 0.5, "street": 0.12}[road.kind]
        if zebra:
            inward = piece.length - 2.5 if at_end else 2.5
            for across in np.arange(-road.width / 2 + 0.5, road.width / 2 - 0.3, 1.0):
                p, a = offset_points(piece, np.array([inward]), across)
                town.paint.append(corners(*p[0], a[0], 3.2, 0.5))
        if road.kind != "street" or rng.random() < 0.6:
            stop = piece.length - 5.2 if at_end else 5.2
            p, a = offset_points(piece, np.array([stop if zebra else d]), sign * road.width / 4)
            town.paint.append(corners(*p[0], a[0], 0.45, road.width / 2 - 0.5))
        if road.kind == "arterial" and piece.length > 50:
            for lane, turn in ((1.7, -1), (5.0, int(rng.integers(0, 2)))):
                for back in (11.0, 24.0):
                    p, a = offset_points(piece, np.array([piece.length - back if at_end else back]), sign * lane)
                    town.paint += _arrow(*p[0], a[0] + (0 if at_end else np.pi), turn * 1)


def mark_roads(town: Town, net: Net, rng: np.random.Generator) -> None:
    """Add lane lines, crossings, arrows, tyre tracks, repairs, cracks and manholes to the town."""
    for road in net.roads:
        half = road.width / 2
        for piece in road.pieces:
            if road.kind == "arterial":
                for off in (-0.12, 0.12):
                    town.paint += _dashes(piece, off, 6.0, 0.0, 0.12, 2.0)
                for off in (-3.35, 3.35):
                    town.paint += _dashes(piece, off, 3.0, 6.0, 0.14, 3.0)
                for off in (-half + 0.25, half - 0.25):
                    town.paint += _dashes(piece, off, 6.0, 0.0, 0.12, 1.0)
            elif road.kind == "collector":
                town.paint += _dashes(piece, 0.0, 3.0, 4.5, 0.13, 3.0)
                for side in road.parking:
                    town.paint += _dashes(piece, side * (half - 2.15), 6.0, 0.0, 0.1, 8.0)
                    ticks = np.arange(8.0, piece.length - 8.0, 6.0)
                    p, a = offset_points(piece, ticks, side * (half - 1.1))
                    town.paint += [corners(*q, b, 0.1, 2.1) for q, b in zip(p, a, strict=True)]
            elif rng.random() < 0.25:
                town.paint += _dashes(piece, 0.0, 2.0, 4.0, 0.1, 3.0)
            _junction_paint(town, road, piece, rng)
        _wear(town, road, rng)
    x, y, inner, outer = net.roundabout
    for k in range(36):
        if k % 2:
            turn = k * np.pi / 18
            town.paint.append(corners(x + outer * np.cos(turn), y + outer * np.sin(turn), turn + np.pi / 2, 1.5, 0.25))
    town.overlays.append(Ground(Point(x, y).buffer(inner + 2.2).difference(Point(x, y).buffer(inner)), "cobble"))


def _wear(town: Town, road: Road, rng: np.random.Generator) -> None:
    lanes = {"arterial": (-5.0, -1.75, 1.75, 5.0), "collector": (-1.7, 1.7), "street": (-0.9, 0.9)}[road.kind]
    for lane in lanes:
        for track in (-0.8, 0.8):
            line = road.line.offset_curve(lane + track)
            for part in lines_of(line):
                town.overlays.append(Ground(part.buffer(0.32, cap_style="flat"), "tyre"))
        centre = [p for p in lines_of(road.line.offset_curve(lane))]
        town.overlays += [Ground(p.buffer(0.28, cap_style="flat"), "oil") for p in centre]
    for _ in range(int(road.line.length / 28)):
        d = rng.uniform(0, road.line.length)
        p, a = offset_points(road.line, np.array([d]), rng.uniform(-0.4, 0.4) * road.width)
        kind = rng.choice(["patch", "patch", "manhole", "manhole", "trench", "crack", "crack", "crack"])
        if kind == "patch":
            shape = Polygon(corners(*p[0], a[0] + rng.normal(0, 0.03), rng.uniform(1.2, 7), rng.uniform(0.8, 2.6)))
            town.overlays.append(Ground(shape, "patch", float(rng.uniform(0.72, 1.25))))
        elif kind == "trench":
            line = substring(road.line, d, min(road.line.length, d + rng.uniform(10, 50)))
            for part in lines_of(line.offset_curve(rng.uniform(-0.35, 0.35) * road.width)):
                town.overlays.append(
                    Ground(part.buffer(0.45, cap_style="flat"), "patch", float(rng.uniform(0.75, 1.1)))
                )
        elif kind == "manhole":
            town.overlays.append(Ground(Point(p[0]).buffer(0.36), "manhole"))
        else:
            steps = rng.normal(0, 0.35, (int(rng.integers(8, 26)), 2)) + 0.45 * np.array(
                [np.cos(a[0] + rng.choice([0, np.pi / 2])), np.sin(a[0])]
            )
            town.cracks.append(p[0] + np.cumsum(steps, axis=0))


def rails(net: Net) -> tuple[list[BaseGeometry], list[np.ndarray]]:
    """Return the beds of the two tracks and the sleepers of the railway."""
    beds: list[BaseGeometry] = []
    sleepers: list[np.ndarray] = []
    for line in lines_of(net.rail_line):
        for track in (-2.1, 2.1):
            p, a = offset_points(line, np.arange(0, line.length, 0.62), track)
            sleepers += [corners(*q, b + np.pi / 2, 2.5, 0.24) for q, b in zip(p, a, strict=True)]
            for gauge in (-0.75, 0.75):
                beds += [q.buffer(0.08) for q in lines_of(line.offset_curve(track + gauge))]
    return beds, sleepers
