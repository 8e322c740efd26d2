"""Simulated scenes with known objects, and the raw detections of a simulated detector, tile by tile.

Every object is a rectangle at some angle. Each tile that shows enough of it reports a box: of the whole object, or of
the part inside the tile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.boxes.iou import expand_ranges
from nssa_gis.geo.grid import TileGrid

Floats = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class Objects:
    """N true objects: centre, length, width (pixels), angle (radians) and class."""

    centre: Floats
    size: Floats
    angle: Floats
    label: NDArray[np.int16]

    @classmethod
    def concat(cls, parts: list[Objects]) -> Objects:
        """All parts one after another."""
        return cls(*(np.concatenate([getattr(p, f) for p in parts]) for f in cls.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.centre)

    def corners(self) -> Floats:
        """Corners in order around each object, (N, 4, 2)."""
        half = self.size[:, None, :] / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        cos, sin = np.cos(self.angle)[:, None], np.sin(self.angle)[:, None]
        rotated = np.stack([half[..., 0] * cos - half[..., 1] * sin, half[..., 0] * sin + half[..., 1] * cos], axis=-1)
        around: Floats = self.centre[:, None, :] + rotated
        return around

    def boxes(self) -> Floats:
        """Axis-aligned boxes, (N, 4)."""
        corners = self.corners()
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


@dataclass(frozen=True)
class Detector:
    """Errors of a simulated detector.

    Attributes
    ----------
    jitter : float
        Standard deviation of each side, pixels, plus `jitter_part` of the object's size.
    missed, doubled, invented : float
        Probability to miss a view of an object, to report it twice, to report an object where there is none.
    confused : float
        Probability to report another class.
    short : float
        Mean distance between a tile edge and the end of a box that is cut there, pixels.
    slanted_pieces : bool
        Whether the box of a piece encloses the visible part of the rotated rectangle; otherwise it is the clipped box
        of the object.
    """

    jitter: float = 0.5
    jitter_part: float = 0.0
    missed: float = 0.0
    doubled: float = 0.0
    invented: float = 0.0
    confused: float = 0.0
    short: float = 0.0
    slanted_pieces: bool = False


@dataclass(frozen=True)
class World:
    """A scene: its objects, the grid of tiles, the raw detections and the object that each one shows (-1: none)."""

    name: str
    grid: TileGrid
    truth: Objects
    raw: GridDetections
    source: NDArray[np.intp]
    match_iou: float


def views(boxes: Floats, grid: TileGrid) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Every pair (box, tile) where the box reaches into the window of the tile."""
    step, tile = grid.step, grid.tile
    first = np.floor((boxes[:, :2] - tile) / step).astype(np.intp) + 1
    last = np.ceil(boxes[:, 2:] / step).astype(np.intp)
    first = np.clip(first, 0, None)
    last = np.minimum(last, [grid.cols, grid.rows])
    which, col = expand_ranges(first[:, 0], last[:, 0])
    pair, row = expand_ranges(first[which, 1], last[which, 1])
    return which[pair], (row * grid.cols + col[pair]).astype(np.int64)


def clip_polygons(polygons: Floats, windows: Floats) -> Floats:
    """Boxes (M, 4) of convex polygons (M, K, 2) cut to windows (M, 4); NaN where nothing is left.

    The box encloses the corners of the polygon inside the window, its intersections with the sides of the window, and
    the corners of the window inside the polygon.
    """
    count = len(polygons)
    a, b = polygons, np.roll(polygons, -1, axis=1)
    candidates = [polygons]
    for axis in (0, 1):
        delta = b[..., axis] - a[..., axis]
        safe = np.where(np.abs(delta) < 1e-12, np.nan, delta)
        for side in (axis, axis + 2):
            part = (windows[:, side, None] - a[..., axis]) / safe
            part = np.where((part >= 0) & (part <= 1), part, np.nan)
            candidates.append(a + part[..., None] * (b - a))
    window_corners = np.stack([windows[:, [x, y]] for x, y in ((0, 1), (2, 1), (2, 3), (0, 3))], axis=1)
    edge = (b - a)[:, :, None, :]
    offset = window_corners[:, None, :, :] - a[:, :, None, :]
    cross = edge[..., 0] * offset[..., 1] - edge[..., 1] * offset[..., 0]
    enclosed = np.asarray((cross >= 0).all(axis=1) | (cross <= 0).all(axis=1))
    candidates.append(np.where(enclosed[..., None], window_corners, np.nan))
    points = np.concatenate(candidates, axis=1)
    low, high = windows[:, None, :2] - 1e-9, windows[:, None, 2:] + 1e-9
    inside = np.asarray(((points >= low) & (points <= high)).all(axis=2))
    least = np.where(inside[..., None], points, np.inf).min(axis=1)
    most = np.where(inside[..., None], points, -np.inf).max(axis=1)
    boxes = np.concatenate([least, most], axis=1).reshape(count, 4)
    return np.where(np.isfinite(boxes), boxes, np.nan)


def detect(truth: Objects, grid: TileGrid, how: Detector, rng: Rng) -> tuple[GridDetections, NDArray[np.intp]]:
    """Raw detections of all tiles, and the object each one shows (-1: none)."""
    whole = truth.boxes()
    which, tile = views(whole, grid)
    windows = grid.windows(tile).astype(np.float64)
    windows[:, 2:] = np.minimum(windows[:, 2:], [grid.width, grid.height])
    if how.slanted_pieces:
        seen = clip_polygons(truth.corners()[which], windows)
    else:
        seen = np.concatenate(
            [np.maximum(whole[which, :2], windows[:, :2]), np.minimum(whole[which, 2:], windows[:, 2:])],
            axis=1,
        )
    extent, full = seen[:, 2:] - seen[:, :2], whole[which, 2:] - whole[which, :2]
    # A narrow strip at the edge is not recognised.
    sighted = (extent >= np.maximum(3.0, 0.25 * full.min(axis=1))[:, None]).all(axis=1)
    sighted &= rng.random(len(which)) >= how.missed
    rows = np.flatnonzero(sighted)
    rows = np.concatenate([rows, rows[rng.random(len(rows)) < how.doubled]])
    which, tile = which[rows], tile[rows]
    windows, seen, extent, full = windows[rows], seen[rows], extent[rows], full[rows]
    sigma = how.jitter + how.jitter_part * extent
    noise = rng.normal(size=(len(rows), 4)) * np.concatenate([sigma, sigma], axis=1)
    if how.short:
        cut = (grid.cut_sides(seen, tile)[:, None] & np.array([1, 2, 4, 8])) > 0
        inwards = np.abs(rng.normal(0.0, how.short, (len(rows), 4))) * [1, 1, -1, -1]
        noise = np.where(cut, inwards, noise)
    boxes = seen + noise
    boxes[:, :2] = np.clip(boxes[:, :2], windows[:, :2], windows[:, 2:] - 1.0)
    boxes[:, 2:] = np.clip(boxes[:, 2:], boxes[:, :2] + 1.0, windows[:, 2:])
    visible = np.sqrt(np.clip((extent / full).prod(axis=1), 0.0, 1.0))
    # Good boxes tend to have high scores: half of the score depends on the error.
    error = np.abs(noise).max(axis=1) / np.maximum(extent.min(axis=1), 1.0)
    scores = np.clip((0.95 - 0.5 * np.minimum(error, 0.8) - 0.25 * rng.random(len(rows))) * visible, 0.05, 1.0)
    labels = truth.label[which]
    classes = int(truth.label.max()) + 1
    if how.confused and classes > 1:
        wrong = rng.random(len(rows)) < how.confused
        labels = np.where(wrong, (labels + rng.integers(1, classes, len(rows))) % classes, labels)
    found = GridDetections.of(boxes, scores, labels, tile, grid.cut_sides(boxes, tile))
    if not how.invented:
        return found, which
    ghosts = _ghosts(grid, int(how.invented * len(rows)), rng)
    return GridDetections.concat([found, ghosts]), np.concatenate([which, np.full(len(ghosts), -1)])


def _ghosts(grid: TileGrid, count: int, rng: Rng) -> GridDetections:
    tile = rng.integers(0, len(grid), count)
    size = rng.uniform(8, 40, (count, 2))
    corner = grid.windows(tile)[:, :2] + rng.random((count, 2)) * (grid.tile - size)
    corner = np.minimum(corner, np.array([grid.width, grid.height]) - size)
    boxes = np.concatenate([corner, corner + size], axis=1)
    return GridDetections.of(boxes, rng.uniform(0.05, 0.4, count), 0, tile, grid.cut_sides(boxes, tile))


# Room for the largest object.
_HUGE_BLOCK = 2770


def _blocks(side: int, block: int) -> Floats:
    """Corners of square blocks; their spacing has no common factor with that of the tiles."""
    ticks = np.arange(0, side - block, block)
    return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2).astype(np.float64)


def _make(centre: Floats, size: Floats, angle: float | Floats, label: int = 0) -> Objects:
    count = len(centre)
    return Objects(
        np.asarray(centre, np.float64).reshape(count, 2),
        np.broadcast_to(size, (count, 2)).astype(np.float64),
        np.broadcast_to(angle, (count,)).astype(np.float64),
        np.full(count, label, np.int16),
    )


def scattered(corner: Floats, block: int, rng: Rng, *, rotated: bool, pitch: float = 60.0) -> Objects:
    """Single small objects, far apart."""
    ticks = np.arange(pitch / 2, block - pitch / 2, pitch)
    places = corner + np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    places = places[rng.random(len(places)) < 0.4]
    places = places + rng.uniform(-8, 8, places.shape)
    size = np.stack([rng.uniform(10, 36, len(places)), rng.uniform(7, 16, len(places))], axis=1)
    size = np.where(rng.random((len(places), 1)) < 0.5, size, size[:, ::-1])
    return _make(places, size, rng.uniform(0, np.pi, len(places)) if rotated else 0.0)


def rows(corner: Floats, block: int, rng: Rng, *, angle: float, length: float, width: float, gap: float) -> Objects:
    """Objects side by side in rows: a car park (angle 0) or a marina (45 degrees)."""
    along = np.array([np.sin(angle), np.cos(angle)]) * [-1, 1]
    # Berths lie along a quay at right angles to the objects; slanted ones are shifted along it.
    pitch, lane = width + gap, length + 14.0
    quay = np.arange(-block, block, pitch)
    lanes = np.arange(-block, block, lane)
    u, v = (part.ravel() for part in np.meshgrid(quay, lanes))
    across = np.array([np.cos(angle), np.sin(angle)])
    places = corner + block / 2 + u[:, None] * along + v[:, None] * across
    local = places - corner
    margin = (length + width) / 2 + 6
    keep = ((local > margin) & (local < block - margin)).all(axis=1) & (rng.random(len(places)) < 0.9)
    places = places[keep] + rng.uniform(-0.4, 0.4, (int(keep.sum()), 2)) * gap
    size = np.array([length, width]) * rng.uniform(0.88, 1.0, (len(places), 1))
    return _make(places, size, angle)


def single(corner: Floats, block: int, rng: Rng, *, low: float, high: float, angle: float) -> Objects:
    """One large object in each block."""
    length = np.exp(rng.uniform(np.log(low), np.log(min(high, block * 0.9))))
    size = np.array([length, length * rng.uniform(0.12, 0.6)])
    if angle == 0.0 and rng.random() < 0.5:
        size = size[::-1]
    room = np.maximum((block - length) / 2 - 4, 0)
    return _make((corner + block / 2 + rng.uniform(-room, room, 2))[None], size[None], angle)


def benign(side: int, rng: Rng) -> Objects:
    """Single objects, car parks whose boxes do not overlap, objects up to 240 px."""
    parts = []
    for k, corner in enumerate(_blocks(side, 310)):
        if k % 3 == 0:
            parts.append(scattered(corner, 310, rng, rotated=False))
        elif k % 3 == 1:
            parts.append(rows(corner, 310, rng, angle=0.0, length=24, width=12, gap=4))
        else:
            parts.append(single(corner, 310, rng, low=40, high=240, angle=0.0))
    return Objects.concat(parts)


def hard(side: int, rng: Rng) -> Objects:
    """Boats moored at 45 degrees (their boxes overlap), objects up to 520 px, small single objects."""
    parts = []
    for k, corner in enumerate(_blocks(side, 610)):
        if k % 3 == 0:
            parts.append(scattered(corner, 610, rng, rotated=False))
        elif k % 3 == 1:
            length = rng.uniform(30, 60)
            parts.append(rows(corner, 610, rng, angle=np.pi / 4, length=length, width=length * 0.25, gap=3))
        else:
            parts.append(single(corner, 610, rng, low=100, high=520, angle=0.0))
    return Objects.concat(parts)


def rotated(side: int, rng: Rng) -> Objects:
    """As `hard`, with all objects at random angles."""
    parts = []
    for k, corner in enumerate(_blocks(side, 610)):
        angle = rng.uniform(0, np.pi)
        if k % 3 == 0:
            parts.append(scattered(corner, 610, rng, rotated=True))
        elif k % 3 == 1:
            length = rng.uniform(30, 60)
            parts.append(rows(corner, 610, rng, angle=angle, length=length, width=length * 0.3, gap=3))
        else:
            parts.append(single(corner, 610, rng, low=100, high=520, angle=angle))
    return Objects.concat(parts)


def huge(side: int, rng: Rng) -> Objects:
    """Objects of 300 to 2500 px over many tiles, with small ones between them."""
    parts = []
    for k, corner in enumerate(_blocks(max(side, 4 * _HUGE_BLOCK + 1), _HUGE_BLOCK)):
        if k % 4 == 3:
            parts.append(scattered(corner, _HUGE_BLOCK, rng, rotated=False, pitch=300.0))
        else:
            parts.append(single(corner, _HUGE_BLOCK, rng, low=300, high=2490, angle=0.0))
    return Objects.concat(parts)


def classes(side: int, rng: Rng) -> Objects:
    """Car parks and single objects of four classes; one in ten has a second object of another class on it."""
    base = benign(side, rng)
    label = rng.integers(0, 4, len(base)).astype(np.int16)
    base = Objects(base.centre, base.size, base.angle, label)
    pick = np.flatnonzero(rng.random(len(base)) < 0.1)
    rider = Objects(
        base.centre[pick] + rng.uniform(-1, 1, (len(pick), 2)),
        base.size[pick] * rng.uniform(0.5, 0.95, (len(pick), 2)),
        base.angle[pick],
        ((label[pick] + 1) % 4).astype(np.int16),
    )
    return Objects.concat([base, rider])


#: name -> (objects, detector, overlap at which an output counts as found)
WORLDS = {
    "benign": (benign, Detector(), 0.7),
    "hard": (hard, Detector(), 0.7),
    "rotated": (rotated, Detector(slanted_pieces=True), 0.7),
    "huge": (huge, Detector(), 0.7),
    "classes": (classes, Detector(confused=0.08), 0.7),
    "noisy": (
        hard,
        Detector(jitter=0.8, jitter_part=0.04, missed=0.08, doubled=0.01, invented=0.02, short=2.0),
        0.5,
    ),
}


def build(name: str, side: int, seed: int = 1, tile: int = 640, overlap: int = 128) -> World:
    """Make a world of `side` x `side` pixels."""
    make, how, match_iou = WORLDS[name]
    rng = np.random.default_rng([seed, *name.encode()])
    truth = make(side, rng)
    side = max(side, int(np.ceil(truth.boxes()[:, 2:].max())) + 1)
    grid = TileGrid(side, side, tile, overlap, 32)
    raw, source = detect(truth, grid, how, rng)
    return World(name, grid, truth, raw, source, match_iou)
