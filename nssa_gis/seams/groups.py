"""From matched pairs to one record per object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.boxes.nms import independent_set
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams.band import SIDES, SLACK, Band
from nssa_gis.seams.pairs import FIRST_SEES_MORE, JOIN, SECOND_SEES_MORE, Edges

# Two pieces of a joined object may show the same true side. If they differ by less than this many pixels, it is noise
# and they are averaged. If they differ more, the object is slanted, each piece shows its own part, and the outermost
# side counts.
_AGREE = 2 * SLACK

# Kinds of boxes; the best kind represents an object.
_WHOLE, _JOINED, _CUT, _PIECE = 0, 1, 2, 3

_BITS = np.array([bin(k).count("1") for k in range(16)], np.int64)

IndexArray = NDArray[np.intp]


def components(count: int, i: IndexArray, j: IndexArray) -> IndexArray:
    """Find connected components.

    Parameters
    ----------
    count : int
        Number of nodes.
    i, j : ndarray of int, shape (M,)
        Edges.

    Returns
    -------
    ndarray of int, shape (count,)
        The lowest node of each node's component.
    """
    label = np.arange(count)
    while True:
        low = np.minimum(label[i], label[j])
        changed = (low < label[i]) | (low < label[j])
        if not changed.any():
            return label
        np.minimum.at(label, label[i], low)
        np.minimum.at(label, label[j], low)
        label = label[label]


def resolve(band: Band, edges: Edges, grid: TileGrid) -> GridDetections:
    """Choose or build one record for each object, among complete components of matched boxes.

    Pieces that each show one end are joined first. Then the best box of the component represents the object, and the
    boxes that were matched with it are dropped. Best means: whole boxes before joined ones before cut ones; then fewer
    cut sides; then a larger distance from the edge of the tile; then the higher score. A box in the middle of a tile
    has the most context. The highest of all scores would favour objects that lie in several tiles. A box that was
    matched with a dropped box only, not with the best one, stays: there is no chaining.

    Parameters
    ----------
    band : Band
        N boxes.
    edges : Edges
        Pairs among them, as positions in `band`.
    grid : TileGrid
        The tile plan.

    Returns
    -------
    GridDetections
        A whole object has the record of its best box. A joined object has the record of its best piece, with the
        joined box, and is cut only on sides where no piece shows its end.
    """
    count = len(band)
    join = edges.kind == JOIN
    body = components(count, edges.i[join], edges.j[join])
    pieces = np.bincount(body, minlength=count)
    order = _ranking(band, edges, pieces[body] > 1, grid)
    rank = np.empty(count, np.intp)
    rank[order] = np.arange(count)
    leader = np.empty(count, np.intp)
    leader[body[order[::-1]]] = order[::-1]
    u, v = body[edges.i], body[edges.j]
    apart = u != v
    kept = independent_set(rank[leader[body]], u[apart], v[apart]) & (body == np.arange(count))
    chosen = band.found.take(leader[kept])
    joined = np.flatnonzero(pieces[kept] > 1)
    if not len(joined):
        return chosen
    bodies = np.flatnonzero(kept)[joined]
    boxes, cut = chosen.boxes.copy(), chosen.cut.copy()
    boxes[joined], cut[joined] = _joined(band, body, bodies)
    return GridDetections(boxes, chosen.scores, chosen.labels, chosen.tile, cut)


def _ranking(band: Band, edges: Edges, joined: NDArray[np.bool_], grid: TileGrid) -> IndexArray:
    """Rows of the band from the best to the worst."""
    dominated = np.zeros(len(band), bool)
    dominated[edges.j[edges.kind == FIRST_SEES_MORE]] = True
    dominated[edges.i[edges.kind == SECOND_SEES_MORE]] = True
    tier = np.where(band.near == 0, _WHOLE, np.where(dominated, _PIECE, _CUT))
    tier = np.where(joined, _JOINED, tier)
    # Non-negative float32 values sort like their bits, so one integer holds all keys but the last.
    depth = np.maximum(_depth(band, grid), 0.0).astype(np.float32).view(np.int32).astype(np.int64)
    key = ((tier * 8 + _BITS[band.found.cut & 15]) * 8 + _BITS[band.near]) << 32
    key += 0x7F800000 - depth
    order = np.argsort(key, kind="stable")
    equal = key[order[1:]] == key[order[:-1]]
    if equal.any():
        tied = np.flatnonzero(np.concatenate([equal, [False]]) | np.concatenate([[False], equal]))
        rows = order[tied]
        order[tied] = rows[np.lexsort((-band.found.scores[rows], key[rows]))]
    return order


def _depth(band: Band, grid: TileGrid) -> NDArray[np.float64]:
    """Distance of each box from the nearest inner edge of its tile, pixels."""
    x0, y0, x1, y1 = band.view.T
    gaps = (
        np.where(band.col > 0, x0, np.inf),
        np.where(band.row > 0, y0, np.inf),
        np.where(band.col < grid.cols - 1, grid.tile - x1, np.inf),
        np.where(band.row < grid.rows - 1, grid.tile - y1, np.inf),
    )
    depth: NDArray[np.float64] = np.minimum.reduce(gaps)
    return depth


def _joined(band: Band, body: IndexArray, bodies: IndexArray) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Boxes and cut sides of the objects `bodies`, each made of all its pieces."""
    slot = np.full(len(band), -1)
    slot[bodies] = np.arange(len(bodies))
    rows = np.flatnonzero(slot[body] >= 0)
    group = slot[body[rows]]
    boxes = np.empty((len(bodies), 4))
    for side, bit in enumerate(SIDES):
        sign = 1.0 if side < 2 else -1.0
        value = sign * band.found.boxes[rows, side]
        outer = np.full(len(bodies), np.inf)
        np.minimum.at(outer, group, value)
        saw = (band.near[rows] & bit) == 0  # pieces that saw the true side, not a tile edge
        number = np.bincount(group[saw], minlength=len(bodies))
        mean = np.bincount(group[saw], value[saw], len(bodies)) / np.maximum(number, 1)
        low, high = np.full(len(bodies), np.inf), np.full(len(bodies), -np.inf)
        np.minimum.at(low, group[saw], value[saw])
        np.maximum.at(high, group[saw], value[saw])
        inside = np.where(high - low <= _AGREE, mean, low)
        boxes[:, side] = sign * np.where(number > 0, inside, outer)
    cut = np.full(len(bodies), 15, np.uint8)
    np.bitwise_and.at(cut, group, band.found.cut[rows])
    return boxes, cut
